"""Outlines redrawn from a stored result: by pixels, by another threshold, outside a mask.

Files that show or count outlines are written again with them: no file of a result contradicts another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal

import geopandas as gpd
import numpy as np
from rasterio.errors import RasterioError

from landslide_map.errors import InputError, Notice, UsageError
from landslide_map.mapping.coarser_windows import coarser_layers
from landslide_map.mapping.file_hashes import versions
from landslide_map.mapping.provenance import FORMAT_VERSION, write_manifest
from landslide_map.mapping.report_facts import ReportFacts, facts_in
from landslide_map.mapping.views import write_pages, write_pictures
from landslide_map.products import (
    CANDIDATES,
    FORMAT_FILES,
    ITEM,
    LANDSLIDES,
    MANIFEST,
    OUTLINE_MANIFEST,
    OUTLINE_PROBABILITY,
    PIXEL_PROBABILITY,
    PROBABILITY,
    PROJECT,
    QUICKLOOK,
    REPORT,
)
from landslide_map.products import columns as layers
from landslide_map.products.added_content import refuse_added, take_over_styles
from landslide_map.products.cut_outlines import cut_out, new_ones, outline_layer
from landslide_map.products.formats import check_formats, file_of, format_of, name_in, write_formats
from landslide_map.products.geopackage import read_layer, write_geopackage
from landslide_map.products.objects import LEAST_AREA_TAG, THRESHOLD_TAG, outlined, threshold_tags, too_small
from landslide_map.products.pixel_outlines import KINDS, PixelDrawing, drawn_tags, pixel_outlines
from landslide_map.products.reviews import (
    joined_reviews,
    previous_reviews,
    read_reviews,
    refuse_new_verdicts,
    reviewed_layers,
    unreviewed,
)
from landslide_map.runtime.own_files import Kind, file_record, tree_records, unchanged
from landslide_map.runtime.transaction import outputs
from landslide_map.untrusted.files import read_bytes
from landslide_map.vector.inventory import read_polygons

OBJECTS: Final = "objects"
Source = Literal["objects", "pixels", "both"]
REDRAWN: Final = OUTLINE_MANIFEST
"""Manifest of redrawn outlines: it names the run that they are from."""
FILES: Final = (LANDSLIDES, REDRAWN, QUICKLOOK, REPORT)
_ELSEWHERE: Final = Kind(REDRAWN, FILES)
_OF_OUTLINES: Final = {"I420", "I430", "I431", "I432", "W150"}
"""Notices about outlines: those of the run do not hold for new ones."""
_LONGEST: Final = 64 * 2**20
"""Bytes of a manifest."""
_AGAIN: Final = "Map the scene again."


@dataclass(frozen=True, slots=True)
class Redrawn:
    """Result of redrawing."""

    out: Path
    landslides: int
    """Outlines drawn."""
    before: int
    """Outlines of the map in `results` before, without those drawn by hand."""
    notices: tuple[Notice, ...] = ()


def redraw(
    results: str | PathLike[str],
    out: str | PathLike[str] | None = None,
    *,
    threshold: float | None = None,
    min_area_m2: float | None = None,
    mask: str | PathLike[str] | None = None,
    subtract: str | PathLike[str] | None = None,
    stride: int | None = None,
    source: Source | None = None,
    formats: Sequence[str] = (),
    overwrite: bool = False,
) -> Redrawn:
    """Redraw the landslides of a result, without the inputs or a model.

    Parameters
    ----------
    results : path
        Folder of a run that outlined objects.
    out : path, optional
        Folder for ``landslides.gpkg``, ``outline.json``, report and quicklook; by default `results` itself,
        with `overwrite`. There, project, catalogue item and further formats are written again, too.
    threshold : float, optional
        Least probability, in (0, 1), of an outline or, drawn from pixels, of a pixel; by default what the run
        used.
    min_area_m2 : float, optional
        Smaller outlines are left out; by default those that the run left out.
    mask : path, optional
        Polygons, in any CRS, to cut out of the outlines, such as water.
    subtract : path, optional
        A GeoPackage of an earlier result, or polygons in any CRS: outlines of which at least half was there
        already are left out.
    stride : int, optional
        Of the windows in the layers ``windows`` and ``analysed``, pixels: a multiple of the run's. Outlines
        were scored at the run's own stride and stay.
    source : str, optional
        ``objects``, ``pixels`` (the probability of pixel members) or ``both`` of them joined; by default what
        the outlines in `results` were drawn from.
    formats : sequence of str
        Further formats, as of :func:`~landslide_map.products.formats.write_formats`. Those that the run wrote
        are written again in `results` in any case.
    overwrite : bool
        Replace the outlines in `out`. Reviews there and in `results` are kept, those in `out` first.

    Raises
    ------
    UsageError
        E402 no such format, E431 the threshold is not in (0, 1), E432 neither `out` nor `overwrite`, E433 no
        such stride.
    InputError
        E150 to E152 polygons that are unusable, E174 the folder holds no objects of this version. E175 a file
        of it was changed since the run, E176 it holds nothing to draw from `source`.
    """
    results = Path(results).absolute()
    out = results if out is None else Path(out).absolute()
    if threshold is not None and not 0 < threshold < 1:
        raise UsageError("E431", f"the threshold is {threshold:g}; it must lie between 0 and 1")
    in_place = out == results
    if in_place and not overwrite:
        raise UsageError("E432", f"{results} has outlines already. Give --overwrite, or another --out.")
    check_formats(formats)
    changes = _Changes(threshold, min_area_m2, mask, subtract, stride, source)
    parent, facts = _parent(results)
    there, tags = read_layer(results / LANDSLIDES, layers.LANDSLIDES)
    before = len(unreviewed(there))
    drawn, tags, notices = _drawn(results, parent, changes, tags.get("outline", OBJECTS))
    own_reviews = previous_reviews(out / LANDSLIDES)
    # Read in any state: another folder is what an edit session is advised to use (E403).
    reviews = own_reviews if in_place else joined_reviews(own_reviews, read_reviews(results / LANDSLIDES))
    again = _formats_again(results, parent, formats) if in_place else _Formats(tuple(formats))
    kind = Kind(MANIFEST, (*FILES, PROJECT, ITEM, *again.files), adds=True) if in_place else _ELSEWHERE
    refuse_added(out / LANDSLIDES, kind)
    with outputs(out, kind, overwrite=overwrite, carried=(LANDSLIDES,), left=(PROJECT,)) as staging:
        kept, of_reviews = reviewed_layers(unreviewed(drawn), reviews)
        notices += [*of_reviews, *again.notices]
        kept |= _windows(results, parent, tags, stride)
        event_time, lowest = datetime.fromisoformat(tags["event_time"]), float(tags["threshold_lowest"])
        write_geopackage(staging / LANDSLIDES, kept, event_time, tags, lowest)
        take_over_styles(out / LANDSLIDES, staging / LANDSLIDES, kind)
        of_scene = [notice for notice in facts.notices if notice.code not in _OF_OUTLINES]
        facts = ReportFacts(facts.images, [*of_scene, *notices])
        with _readable_rasters(results):
            if in_place:
                notices += write_pages(staging, results, out, tags, facts)
            else:
                write_pictures(staging, results, tags, facts)
        write_formats(staging, again.wanted)
        account = {**_account(results, parent), **changes.account(), "landslides": len(drawn)}
        write_manifest(staging / REDRAWN, {**account, "outputs": tree_records(staging)})
        if in_place:
            name_in(results / MANIFEST, staging, again.gone)
        refuse_new_verdicts(out / LANDSLIDES, own_reviews)
    return Redrawn(out, len(drawn), before, tuple(notices))


@contextmanager
def _readable_rasters(results: Path) -> Iterator[None]:
    """Refuse (E175) a result of which a raster is missing or damaged: report and project show them."""
    try:
        yield
    except RasterioError as error:
        raise InputError("E175", f"{results}: a raster cannot be read ({error}). {_AGAIN}") from error


@dataclass(frozen=True, slots=True)
class _Changes:
    """Changes of outlines against those of the run; the fields are parameters of :func:`redraw`."""

    threshold: float | None
    min_area_m2: float | None
    mask: str | PathLike[str] | None
    subtract: str | PathLike[str] | None
    stride: int | None
    source: Source | None

    def tags(self) -> dict[str, str]:
        """Return the tag that says it in words; none where nothing differs."""
        words = [
            f"threshold {self.threshold:g}" if self.threshold is not None else "",
            f"least area {self.min_area_m2:g} m2" if self.min_area_m2 is not None else "",
            f"without the inside of {Path(self.mask).name}" if self.mask is not None else "",
            f"without outlines of {Path(self.subtract).name}" if self.subtract is not None else "",
            f"windows at stride {self.stride}" if self.stride is not None else "",
            f"from {self.source}" if self.source is not None else "",
        ]
        said = "; ".join(filter(None, words))
        return {"redrawn": said} if said else {}

    def account(self) -> dict[str, Any]:
        """Return its entry in ``outline.json``."""
        files = {"mask": self.mask, "subtract": self.subtract}
        return {
            "threshold": self.threshold,
            "min_area_m2": self.min_area_m2,
            "stride": self.stride,
            "source": self.source,
            **{
                name: None if path is None else {"path": Path(path), **file_record(Path(path))}
                for name, path in files.items()
            },
        }


def _drawn(
    results: Path, parent: Mapping[str, Any], changes: _Changes, drawn_from: str
) -> tuple[gpd.GeoDataFrame, dict[str, str], list[Notice]]:
    """Return the outlines, the tags of their layer, and notices."""
    found, tags = read_layer(results / CANDIDATES, layers.CANDIDATES)
    thresholds, least = _decided(results, tags, changes)
    source, elsewhere = changes.source or drawn_from, CANDIDATES
    if source in KINDS:
        drawing = PixelDrawing.of(source, tags, changes.threshold)
        _refuse_changed(results, parent["outputs"], PIXEL_PROBABILITY, PROBABILITY)
        found, elsewhere = pixel_outlines(results, _dates(found, tags), drawing), PIXEL_PROBABILITY
        tags, thresholds = drawn_tags(tags, drawing), drawing.thresholds
    else:
        tags |= threshold_tags(thresholds) | {"outline": OBJECTS}
    tags |= {LEAST_AREA_TAG: f"{least:g}"} | changes.tags()
    drawn = outlined(found, thresholds, least)
    notices = [*too_small(found, thresholds, least, elsewhere)]
    if changes.mask is not None:
        shapes, found_broken = read_polygons(changes.mask)
        notices += found_broken
        drawn = cut_out(drawn, shapes.geometry, least)
    if changes.subtract is not None:
        shapes, found_broken = read_polygons(changes.subtract, outline_layer(Path(changes.subtract)))
        notices += found_broken
        drawn = new_ones(drawn, shapes.geometry)
    drawn["id"] = np.arange(1, len(drawn) + 1, dtype=np.int32)
    return drawn, tags, notices


def _dates(candidates: gpd.GeoDataFrame, tags: Mapping[str, str]) -> dict[str, datetime | None]:
    """Return the dates that every outline of a map carries."""
    names = [name for name in candidates.columns if candidates[name].dtype.kind == "M"]
    return {name: datetime.fromisoformat(tags[name]) if name in tags else None for name in names}


def _decided(results: Path, tags: Mapping[str, str], changes: _Changes) -> tuple[dict[str, float], float]:
    """Return thresholds and least area: the given ones, else those of the run."""
    try:
        datetime.fromisoformat(tags["event_time"])
        float(tags["threshold_lowest"])
        least = float(tags.get(LEAST_AREA_TAG, 0))
        thresholds = {
            name.removeprefix(THRESHOLD_TAG): float(value)
            for name, value in tags.items()
            if name.startswith(THRESHOLD_TAG)
        }
    except (LookupError, ValueError) as error:
        lacks = f"{results / CANDIDATES} lacks what a run says in its tags ({error}). {_AGAIN}"
        raise InputError("E174", lacks) from None
    if changes.threshold is not None:
        thresholds = dict.fromkeys(thresholds, changes.threshold)
    return thresholds, least if changes.min_area_m2 is None else changes.min_area_m2


def _windows(
    results: Path, parent: Mapping[str, Any], tags: dict[str, str], stride: int | None
) -> dict[str, gpd.GeoDataFrame]:
    """Return the layers of windows, those of a larger stride where one is given: `tags` then say so."""
    names = (layers.WINDOWS, layers.ANALYSED)
    found = {name: read_layer(results / LANDSLIDES, name)[0] for name in names}
    if stride is None:
        return found
    coarser = coarser_layers(results, parent, tags, found[layers.WINDOWS], stride)
    tags["stride"] = f"{stride} px ({stride * 10} m)"
    return coarser


@dataclass(frozen=True, slots=True)
class _Formats:
    """Further formats of the outlines."""

    wanted: tuple[str, ...]
    """Words of ``--format``."""
    files: tuple[str, ...] = ()
    """Files of the run that hold its outlines."""
    gone: tuple[str, ...] = ()
    """Files that cannot be written again."""
    notices: tuple[Notice, ...] = ()


def _formats_again(results: Path, parent: Mapping[str, Any], formats: Sequence[str]) -> _Formats:
    """Return the formats that a result has, and those that are given."""
    there = [name for name in FORMAT_FILES if name in parent["outputs"] and (results / name).exists()]
    known = [word for name in there if (word := format_of(name)) is not None]
    wanted = tuple(dict.fromkeys([*known, *formats]))
    files = tuple(dict.fromkeys([*there, *(file_of(word) for word in wanted if word != "gpkg")]))
    gone = tuple(name for name in there if name not in {file_of(word) for word in wanted})
    message = "held outlines of the run and is removed: the profile that it was made with is not stored"
    notices = tuple(Notice("I432", f"{name} {message}; give it with --format again") for name in gone)
    return _Formats(wanted, files, gone, notices)


def _parent(results: Path) -> tuple[dict[str, Any], ReportFacts]:
    """Return the run's manifest; refuse a folder without objects, of another version, or edited since."""
    try:
        parent: dict[str, Any] = json.loads(read_bytes(results / MANIFEST, _LONGEST))
        version, files, facts = parent["format_version"], dict(parent["outputs"]), facts_in(parent)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError("E174", f"{results} is no finished result ({error}). {_AGAIN}") from None
    if version != FORMAT_VERSION or CANDIDATES not in files or not (results / CANDIDATES).exists():
        raise InputError(
            "E174",
            f"{results} holds no outlines of objects of this version (format {version}, this one is "
            f"{FORMAT_VERSION}). {_AGAIN}",
        )
    _refuse_changed(results, files, CANDIDATES, OUTLINE_PROBABILITY)
    return parent, facts


def _refuse_changed(results: Path, files: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if not unchanged(results / name, files.get(name)):
            raise InputError("E175", f"{results / name} was changed since the run that made it. {_AGAIN}")


def _account(results: Path, parent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of the run in ``outline.json``."""
    return {
        "format_version": FORMAT_VERSION,
        "written": datetime.now(UTC),
        "parent": {
            "path": results,
            "manifest": file_record(results / MANIFEST),
            "started": parent.get("started"),
            "candidates": parent["outputs"][CANDIDATES],
        },
        "versions": versions(),
    }
