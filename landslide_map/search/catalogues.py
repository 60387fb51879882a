"""Catalogues of images: STAC APIs through pystac-client, static STAC catalogues, and folders."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

from pystac_client import ItemSearch
from pystac_client.stac_api_io import StacApiIO

from landslide_map.errors import InputError, Notice, SearchError
from landslide_map.search.area import Area
from landslide_map.search.candidates import Candidate, Optical, Rejected, Slice
from landslide_map.search.items import Source, read_item
from landslide_map.search.network import Network, parsed, shown
from landslide_map.untrusted.json_text import read_json
from landslide_map.untrusted.times import utc_time

PAGE: Final = 200
"""Items of one request."""
MOST_ITEMS: Final = 5000
"""Items read from one catalogue at most."""
MOST_DOCUMENTS: Final = 5000
"""Files of a static catalogue that are read at most."""
_DOCUMENT_LIMIT: Final = 64 << 20
"""Longest file of a catalogue on this machine, bytes."""


@dataclass(frozen=True, slots=True)
class Known:
    """A public catalogue."""

    url: str
    collections: tuple[str, ...]


KNOWN: Final[dict[str, Known]] = {
    "planetary-computer": Known(
        "https://planetarycomputer.microsoft.com/api/stac/v1",
        ("sentinel-2-l2a", "sentinel-1-rtc", "sentinel-1-grd"),
    ),
    "earth-search": Known(
        "https://earth-search.aws.element84.com/v1",
        ("sentinel-2-c1-l2a", "sentinel-2-l2a", "sentinel-1-grd"),
    ),
    "cdse": Known("https://stac.dataspace.copernicus.eu/v1", ("sentinel-2-l2a", "sentinel-1-grd")),
}
"""Name -> catalogue, for ``--catalog``."""


@dataclass
class Found:
    """Results of a search, from all catalogues."""

    optical: list[Optical] = field(default_factory=list)
    radar: list[Slice] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    most: int = MOST_ITEMS
    """Items read of one catalogue at most."""
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def add(self, item: Any, area: Area, source: Source) -> None:
        """Add an item, once for each catalogue: pages of a server may repeat it."""
        one: Candidate | Rejected | None = read_item(item, area, source)
        if one is None or (source.catalogue, one.id) in self._seen:
            return
        self._seen.add((source.catalogue, one.id))
        if isinstance(one, Optical):
            self.optical.append(one)
        elif isinstance(one, Slice):
            self.radar.append(one)
        else:
            self.rejected.append(one)


@dataclass(frozen=True, slots=True)
class Period:
    """Period of a search."""

    start: datetime
    end: datetime

    @property
    def text(self) -> str:
        """Interval in the form of a STAC API."""
        return (
            f"{self.start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}/{self.end.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        )


def search(
    catalogue: str,
    area: Area,
    periods: dict[str, Period],
    network: Network,
    found: Found,
    *,
    page: int = PAGE,
) -> None:
    """Add the images of a catalogue in an area to `found`.

    Parameters
    ----------
    catalogue : str
        A name of :data:`KNOWN`, an address, or a path.
    area : Area
    periods : dict
        ``optical`` and ``radar`` -> times; a kind that is absent is not searched.
    network : Network
    found : Found
    page : int
        Items of one request.

    Raises
    ------
    SearchError
        E700 no answer, E701 no STAC catalogue, E702 the query is refused.
    InputError
        E101 no such folder.
    """
    known = KNOWN.get(catalogue)
    if known is None and not catalogue.startswith(("http://", "https://")):
        for item, source in _local(Path(catalogue)):
            found.add(item, area, source)
        return
    url = known.url if known else catalogue
    root = network.json(url)
    if not isinstance(root, dict):
        raise SearchError("E701", f"{shown(url)}: the answer is no STAC catalogue.")
    api = _search_link(root, url)
    if api is None:
        for item, source in _crawled(url, root, network, found):
            found.add(item, area, source)
        return
    collections = known.collections if known else _collections(root, url, network)
    for kind, period in periods.items():
        names = [name for name in collections if _kind(name) == kind]
        if names:
            _query_one(api, names, area, period, network, found, Source(catalogue, url), page)


def _kind(collection: str) -> str | None:
    """Return ``optical`` or ``radar`` for a collection that is of use.

    >>> _kind("sentinel-2-c1-l2a"), _kind("sentinel-1-rtc"), _kind("sentinel-2-l1c")
    ('optical', 'radar', None)
    """
    name = collection.lower().replace("_", "-")
    if "sentinel-2" in name and "l2a" in name and "zarr" not in name:
        return "optical"
    if ("sentinel-1" in name and ("rtc" in name or "grd" in name)) or "opera-l2-rtc-s1" in name:
        return "radar"
    return None


class _Io(StacApiIO):
    """pystac-client's requests through our own network: its time-outs, retries and refusals."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """Return the text of an answer that is JSON."""
        method = (method or "GET").upper()
        what: dict[str, Any] = {"json": parameters} if method == "POST" else {"params": parameters}
        text = self._network.text(href, method, headers=headers, **what)
        page = parsed(text, href)
        if not isinstance(page, dict) or not isinstance(page.get("features"), list):
            raise SearchError("E701", f"{shown(href)}: the answer to a search holds no list of features.")
        return text


def _query_one(
    api: tuple[str, str],
    collections: list[str],
    area: Area,
    period: Period,
    network: Network,
    found: Found,
    source: Source,
    page_size: int,
) -> None:
    """Search a STAC API, page by page."""
    href, method = api
    for box in area.boxes():
        query = ItemSearch(
            href,
            method=method,
            stac_io=_Io(network),
            collections=collections,
            bbox=box,
            datetime=period.text,
            limit=page_size,
        )
        seen: set[str] = set()
        for page in query.pages_as_dicts():
            ids = {str(item.get("id")) for item in page["features"] if isinstance(item, dict)}
            for item in page["features"]:
                if _within(item, period):
                    found.add(item, area, source)
            if not ids - seen:  # empty, or a server that pages in circles
                break
            seen |= ids
            if len(seen) > found.most:
                found.notices.append(
                    Notice(
                        "W700", f"{source.catalogue}: more than {found.most} images; the rest was not read."
                    )
                )
                break


def _within(item: Any, period: Period) -> bool:
    """Whether an item is of the time that was requested; an unreadable one is handled elsewhere."""
    try:
        text = item["properties"].get("datetime") or item["properties"]["start_datetime"]
        time = utc_time(text)
    except (TypeError, KeyError, ValueError, AttributeError):
        return True
    return period.start <= time <= period.end


def _search_link(root: dict[str, Any], url: str) -> tuple[str, str] | None:
    """Return address and method of an API's search, POST where it has it; None for a static catalogue."""
    links = [link for link in _links(root) if link.get("rel") == "search"]
    links.sort(key=lambda link: str(link.get("method", "GET")).upper() != "POST")
    if not links:
        return None
    return urljoin(url + "/", str(links[0]["href"])), str(links[0].get("method", "GET")).upper()


def _links(document: dict[str, Any]) -> list[dict[str, Any]]:
    links = document.get("links")
    if not isinstance(links, list):
        return []
    return [link for link in links if isinstance(link, dict) and isinstance(link.get("href"), str)]


def _collections(root: dict[str, Any], url: str, network: Network) -> tuple[str, ...]:
    """Return the collections of an unknown API that may be of use."""
    href = next((link["href"] for link in _links(root) if link.get("rel") == "data"), "collections")
    answer = network.json(urljoin(url.rstrip("/") + "/", href))
    listed = answer.get("collections") if isinstance(answer, dict) else None
    if not isinstance(listed, list):
        raise SearchError("E701", f"{shown(url)}: does not list its collections.")
    names = tuple(str(one.get("id")) for one in listed if isinstance(one, dict))
    useful = tuple(name for name in names if _kind(name))
    if not useful:
        raise SearchError(
            "E701",
            f"{shown(url)}: has no collection of Sentinel-2 Level-2A or Sentinel-1 ({', '.join(names[:8])}); "
            f"take another catalogue, e.g. {', '.join(KNOWN)}.",
        )
    return useful


def _crawled(url: str, root: dict[str, Any], network: Network, found: Found) -> Iterator[tuple[Any, Source]]:
    """Yield the items of a static catalogue, following links to children and items."""
    queue, seen = deque([url]), {url}
    while queue:
        here = queue.popleft()
        document = root if here == url else network.json(here)
        if not isinstance(document, dict) or document.get("type") not in _TYPES:
            raise SearchError("E701", f"{shown(here)}: is no STAC catalogue, collection or item.")
        yield from ((item, Source(url, here)) for item in _items(document))
        for link in _links(document):
            target = urljoin(here, link["href"])
            if link.get("rel") in {"child", "item", "items"} and target not in seen:
                seen.add(target)
                queue.append(target)
        if len(seen) > MOST_DOCUMENTS:
            found.notices.append(
                Notice("W700", f"{shown(url)}: has more than {MOST_DOCUMENTS} files; the rest was not read.")
            )
            return


_TYPES: Final = {"Catalog", "Collection", "Feature", "FeatureCollection"}


def _items(document: dict[str, Any]) -> list[Any]:
    if document.get("type") == "Feature":
        return [document]
    features = document.get("features")
    return features if isinstance(features, list) else []


def _local(path: Path) -> Iterator[tuple[Any, Source]]:
    """Yield the items in the JSON files of a folder, or in one file."""
    if not path.exists():
        raise InputError(
            "E101",
            f"{path}: no such folder; --catalog takes a folder, an address, or one of {', '.join(KNOWN)}.",
        )
    root = path if path.is_dir() else path.parent
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    for file in files[:MOST_DOCUMENTS]:
        try:
            document = read_json(file, _DOCUMENT_LIMIT)
        except (ValueError, OSError):
            continue  # other programs keep JSON files too
        if isinstance(document, list):
            document = {"type": "FeatureCollection", "features": document}
        if isinstance(document, dict):
            yield from ((item, Source(str(path), file, root)) for item in _items(document))
