"""Catalogues and servers that fail: each fault has its code, and what can be mended is mended."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from landslide_map.errors import LandslideMapError
from landslide_map.runtime.progress import silent
from landslide_map.search.access import CopernicusDataSpace, PlanetaryComputer
from landslide_map.search.area import Area
from landslide_map.search.catalogues import Found, Period, search
from landslide_map.search.download import Download, fetch
from landslide_map.search.event_time import EventTime
from landslide_map.search.find_images import Query, find_images
from landslide_map.search.network import Network
from tests.support.loopback import Fault, Loopback, loopback
from tests.support.stac_items import BOX, sentinel1, sentinel2, utc

AREA = Area.of_box(*BOX)
EVENT = EventTime(utc("2024-04-02T23:58"))
DATA = b"II*\0" + bytes(range(256)) * 4000


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as served:
        served.files["/a.tif"] = DATA
        yield served


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def network(pauses: list[float]) -> Iterator[Network]:
    with Network(read_s=0.3, attempts=3, sleep=pauses.append) as client:
        yield client


def code_of(error: pytest.ExceptionInfo[LandslideMapError]) -> str:
    return error.value.code


def one(server: Loopback, folder: Path, **more) -> Download:
    return Download(f"{server.url}/a.tif", folder / "a.tif", **more)


def searched(server: Loopback, network: Network, path: str = "/api", **limits: int) -> Found:
    found = Found(**limits)
    periods = {"optical": Period(utc("2024-02-01T00:00"), utc("2024-06-01T00:00"))}
    search(f"{server.url}{path}", AREA, periods, network, found)
    return found


# Downloads


def test_a_file_is_whole_and_its_part_is_gone(server: Loopback, network: Network, tmp_path: Path):
    fetch([one(server, tmp_path, size=len(DATA))], network, silent)
    assert (tmp_path / "a.tif").read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize("size", [None, len(DATA)])
def test_a_broken_connection_is_continued_and_not_begun_again(
    server: Loopback, network: Network, tmp_path: Path, size: int | None
):
    server.fail("/a.tif", Fault(cut=400_000), Fault(cut=300_000))
    fetch([one(server, tmp_path, size=size)], network, silent)
    assert (tmp_path / "a.tif").read_bytes() == DATA
    ranges = [headers.get("Range", "bytes=0-") for _, path, headers in server.requests if path == "/a.tif"]
    begun = [int(text[6:-1]) for text in ranges]
    lost = 1 << 16
    assert begun[0] == 0
    assert 400_000 - lost < begun[1] <= 400_000
    assert begun[1] + 300_000 - lost < begun[2] <= begun[1] + 300_000


def test_another_process_goes_on_where_one_was_killed(server: Loopback, network: Network, tmp_path: Path):
    server.fail("/a.tif", *[Fault(cut=0)] * 3)
    (tmp_path / "a.tif.part").write_bytes(DATA[:500_000])
    with pytest.raises(LandslideMapError) as error:
        fetch(
            [one(server, tmp_path, size=len(DATA), checksum=hashlib.md5(DATA).hexdigest())], network, silent
        )
    assert code_of(error) == "E708"
    assert (tmp_path / "a.tif.part").stat().st_size == 500_000
    fetch([one(server, tmp_path, size=len(DATA), checksum=hashlib.md5(DATA).hexdigest())], network, silent)
    assert (tmp_path / "a.tif").read_bytes() == DATA
    assert server.requests[-1][2]["Range"] == "bytes=500000-"


def test_a_part_of_another_version_of_the_file_is_thrown_away(
    server: Loopback, network: Network, tmp_path: Path
):
    (tmp_path / "a.tif.part").write_bytes(b"X" * 1000)
    (tmp_path / "a.tif.part.json").write_text(json.dumps({"url": f"{server.url}/a.tif", "etag": '"old"'}))
    fetch([one(server, tmp_path, size=len(DATA))], network, silent)
    assert (tmp_path / "a.tif").read_bytes() == DATA


def test_a_server_without_ranges_sends_all_again(server: Loopback, network: Network, tmp_path: Path):
    server.ranges = False
    server.fail("/a.tif", Fault(cut=400_000))
    fetch([one(server, tmp_path, size=len(DATA))], network, silent)
    assert (tmp_path / "a.tif").read_bytes() == DATA


@pytest.mark.parametrize(
    "checksum",
    [
        hashlib.md5(DATA).hexdigest(),
        "d50110" + hashlib.md5(DATA).hexdigest(),
        "1220" + hashlib.sha256(DATA).hexdigest(),
        "1620" + hashlib.sha3_256(DATA).hexdigest(),
    ],
    ids=["md5", "multihash md5", "multihash sha2", "multihash sha3"],
)
def test_a_damaged_download_is_fetched_again_and_twice_damaged_is_refused(
    server: Loopback, network: Network, tmp_path: Path, checksum: str
):
    server.fail("/a.tif", Fault(damaged=True))
    fetch([one(server, tmp_path, checksum=checksum)], network, silent)
    assert (tmp_path / "a.tif").read_bytes() == DATA
    assert server.count("/a.tif") == 2
    (tmp_path / "a.tif").unlink()
    server.fail("/a.tif", Fault(damaged=True), Fault(damaged=True))
    with pytest.raises(LandslideMapError) as error:
        fetch([one(server, tmp_path, checksum=checksum)], network, silent)
    assert code_of(error) == "E709"
    assert not (tmp_path / "a.tif").exists()


def test_a_file_of_another_size_than_the_catalogue_says(server: Loopback, network: Network, tmp_path: Path):
    with pytest.raises(LandslideMapError) as error:
        fetch([one(server, tmp_path, size=len(DATA) + 10)], network, silent)
    assert code_of(error) == "E709"
    assert not (tmp_path / "a.tif").exists()


def test_a_login_page_is_no_image(server: Loopback, network: Network, tmp_path: Path):
    page = b"<!DOCTYPE html><html>Please log in</html>"
    server.fail("/a.tif", Fault(200, {"Content-Type": "text/html"}, page))
    with pytest.raises(LandslideMapError) as error:
        fetch([one(server, tmp_path)], network, silent)
    assert code_of(error) == "E714"


def test_what_is_no_tiff_is_not_kept_as_one(server: Loopback, network: Network, tmp_path: Path):
    server.files["/a.tif"] = b"some other kind of file"
    with pytest.raises(LandslideMapError) as error:
        fetch([one(server, tmp_path)], network, silent)
    assert code_of(error) == "E709"


def test_another_file_in_the_place_is_left_alone(server: Loopback, network: Network, tmp_path: Path):
    (tmp_path / "a.tif").write_bytes(b"mine")
    with pytest.raises(LandslideMapError) as error:
        fetch([one(server, tmp_path, size=len(DATA))], network, silent)
    assert code_of(error) == "E713"
    assert (tmp_path / "a.tif").read_bytes() == b"mine"


def test_one_that_fails_stops_the_others_and_keeps_their_parts(
    server: Loopback, network: Network, tmp_path: Path
):
    server.fail("/b.tif", Fault(404, body=b""))
    downloads = [Download(f"{server.url}/{n}.tif", tmp_path / f"{n}.tif") for n in "ab"]
    with pytest.raises(LandslideMapError) as error:
        fetch(downloads, network, silent)
    assert code_of(error) == "E702"


def test_downloads_run_side_by_side(server: Loopback, tmp_path: Path):
    """Four files behind a silence of 0.3 s each take much less than one after the other."""
    for name in "bcde":
        server.files[f"/{name}.tif"] = DATA
        server.fail(f"/{name}.tif", Fault(silent_s=0.3))
    downloads = [Download(f"{server.url}/{n}.tif", tmp_path / f"{n}.tif") for n in "bcde"]
    with Network(sleep=lambda _s: None) as network:
        began = time.monotonic()
        fetch(downloads, network, silent, parallel=4)
        together = time.monotonic() - began
        for name in "bcde":
            (tmp_path / f"{name}.tif").unlink()
            server.fail(f"/{name}.tif", Fault(silent_s=0.3))
        began = time.monotonic()
        fetch(downloads, network, silent, parallel=1)
    assert together < 0.7 * (time.monotonic() - began)


# Servers


def test_the_wait_that_a_server_requests_is_kept(
    server: Loopback, network: Network, tmp_path: Path, pauses: list[float]
):
    server.fail("/a.tif", Fault(429, {"Retry-After": "7"}), Fault(503, {"Retry-After": "11"}))
    fetch([one(server, tmp_path)], network, silent)
    assert pauses == [7.0, 11.0]


def test_a_date_in_retry_after_and_one_that_is_far_too_long(
    server: Loopback, network: Network, tmp_path: Path, pauses: list[float]
):
    server.fail(
        "/a.tif",
        Fault(429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Fault(429, {"Retry-After": "999999"}),
    )
    fetch([one(server, tmp_path)], network, silent)
    assert pauses == [0.0, 120.0]


def test_a_silent_server_gets_another_request_and_is_then_given_up(
    server: Loopback, network: Network, tmp_path: Path
):
    server.fail("/a.tif", Fault(silent_s=0.5))
    fetch([one(server, tmp_path)], network, silent)
    (tmp_path / "a.tif").unlink()
    server.fail("/a.tif", *[Fault(silent_s=0.5)] * 3)
    with pytest.raises(LandslideMapError) as error:
        fetch([one(server, tmp_path)], network, silent)
    assert code_of(error) == "E700"


def test_a_machine_that_is_not_there(network: Network):
    with pytest.raises(LandslideMapError) as error:
        network.json("http://127.0.0.1:9/")
    assert code_of(error) == "E700"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher:x", "http://"])
def test_only_web_addresses_are_requested(network: Network, url: str):
    with pytest.raises(LandslideMapError) as error:
        network.text(url)
    assert code_of(error) == "E702"


def test_a_redirect_to_a_file_of_this_machine_is_not_followed(server: Loopback, network: Network):
    server.fail("/x", Fault(302, {"Location": "file:///etc/passwd"}))
    with pytest.raises(LandslideMapError) as error:
        network.text(f"{server.url}/x")
    assert code_of(error) == "E702"


def test_redirects_end(server: Loopback, network: Network):
    server.fail("/x", *[Fault(302, {"Location": "/x"})] * 50)
    with pytest.raises(LandslideMapError) as error:
        network.text(f"{server.url}/x")
    assert code_of(error) == "E702"
    assert server.count("/x") < 10


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"])
def test_nothing_elsewhere_leads_to_this_machine(server: Loopback, network: Network, host: str):
    with pytest.raises(LandslideMapError):
        network.text("http://255.255.255.255:9/")  # no machine has this address
    with pytest.raises(LandslideMapError) as error:
        network.text(f"http://{host}:{urlsplit(server.url).port}/a.tif")
    assert code_of(error) == "E702"
    assert server.count("/a.tif") == 0


def test_every_host_is_named_before_its_first_request(server: Loopback):
    reported: list[str] = []
    with Network(reported.append) as network:
        network.exists(f"{server.url}/a.tif")
        network.exists(f"{server.url}/b.tif")
    assert len(reported) == 1
    assert "127.0.0.1" in reported[0]
    assert network.hosts == ("127.0.0.1",)


def test_a_redirect_is_named_before_it_is_followed(server: Loopback, network: Network):
    other = f"http://localhost:{urlsplit(server.url).port}"
    server.fail("/x", Fault(302, {"Location": f"{other}/a.tif"}))
    with network.answer(f"{server.url}/x") as answer:
        assert answer.url == f"{other}/a.tif"
    assert network.hosts == ("127.0.0.1", "localhost")


# Permission


class LoopbackStorage(PlanetaryComputer):
    """Signs what the loopback server keeps."""

    def covers(self, url: str) -> bool:
        return url.startswith("http://127.0.0.1") and not url.startswith(self.tokens)


def test_an_expired_signature_is_renewed_once(server: Loopback, tmp_path: Path):
    valid = {"t": "sig=1"}

    def token(name: str) -> bytes:
        return json.dumps({"token": name, "msft:expiry": "2099-01-01T00:00:00Z"}).encode()

    server.files["/store/a.tif"] = DATA
    server.files["/sas/127/store"] = token("sig=1")
    server.authorised = lambda path, _headers: not path.startswith("/store") or valid["t"] in path
    access = LoopbackStorage(f"{server.url}/sas")
    download = Download(f"{server.url}/store/a.tif", tmp_path / "a.tif")
    with Network(access=(access,), attempts=3, sleep=lambda _s: None) as network:
        fetch([download], network, silent)
        (tmp_path / "a.tif").unlink()
        valid["t"], server.files["/sas/127/store"] = "sig=2", token("sig=2")
        fetch([download], network, silent)
        assert server.count("/sas/127/store") == 2
        (tmp_path / "a.tif").unlink()
        valid["t"] = "sig=never"
        with pytest.raises(LandslideMapError) as error:
            fetch([download], network, silent)
    assert code_of(error) == "E710"
    assert "sig=" not in error.value.message


@dataclass
class OnThisMachine(CopernicusDataSpace):
    """The provider's login, catalogue and files at one address; only the files need a token."""

    files: str = ""

    def covers(self, url: str) -> bool:
        return super().covers(url) and self.files in url


def test_a_login_is_refreshed_and_an_absent_account_is_said(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    answer = {"access_token": "abc", "refresh_token": "def", "expires_in": 600}
    server.files["/token"] = json.dumps(answer).encode()
    server.authorised = lambda path, headers: path == "/token" or headers.get("Authorization") == "Bearer abc"
    access = OnThisMachine(f"{server.url}/token", ("127.0.0.1",), files="/a.tif")
    monkeypatch.delenv("CDSE_USERNAME", raising=False)
    with Network(access=(access,), attempts=3, sleep=lambda _s: None) as network:
        with pytest.raises(LandslideMapError) as error:
            fetch([one(server, tmp_path)], network, silent)
        assert code_of(error) == "E712"
        monkeypatch.setenv("CDSE_USERNAME", "somebody")
        monkeypatch.setenv("CDSE_PASSWORD", "secret")
        fetch([one(server, tmp_path)], network, silent)
    assert (tmp_path / "a.tif").exists()


def test_without_an_account_the_catalogues_cloud_cover_is_used_and_said_once(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("CDSE_USERNAME", raising=False)
    access = OnThisMachine(f"{server.url}/token", ("127.0.0.1",), files="/scl")
    server.items = [sentinel2(utc(f"2024-04-{day}T02:25"), cloud=day) for day in (10, 15, 20)]
    for i, item in enumerate(server.items):
        item["assets"]["SCL"] = {"href": f"{server.url}/scl{i}.tif"}
    with Network(access=(access,), sleep=lambda _s: None) as network:
        selection = find_images(Query(EVENT, AREA, (f"{server.url}/api",)), network, tmp_path)
    assert [n.code for n in selection.notices].count("W708") == 1
    assert selection.optical.post is not None
    assert not selection.optical.post.clearness.counted


# Catalogues


def test_a_catalogue_that_pages_is_read_to_its_end(server: Loopback, network: Network):
    days = (utc("2024-03-01T02:25") + timedelta(days=i) for i in range(25))
    server.items = [sentinel2(day) for day in days]
    server.page = 4
    assert len(searched(server, network).optical) == 25
    assert len(server.searches) == 7


def test_a_catalogue_without_end_is_read_up_to_a_limit(server: Loopback, network: Network):
    server.items = [sentinel2(utc("2024-03-01T02:25") + timedelta(days=i)) for i in range(25)]
    server.page = 4
    found = searched(server, network, most=5)
    assert {notice.code for notice in found.notices} == {"W700"}
    assert len(found.optical) == 8


def test_a_catalogue_that_pages_in_circles_is_left(server: Loopback, network: Network):
    server.items = [sentinel2(utc("2024-03-01T02:25")), sentinel2(utc("2024-03-06T02:25"))]
    server.circular = True
    assert len(searched(server, network).optical) == 2
    assert len(server.searches) <= 3


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/api", b"<html><body>Welcome to our portal</body></html>", "E701"),
        ("/api", b"not json", "E701"),
        ("/api", b"[1, 2]", "E701"),
        ("/api", b'{"type": "Something"}', "E701"),
        ("/api/search", b"<!doctype html><html>", "E701"),
        ("/api/search", b'{"features": 7}', "E701"),
        ("/api/collections", b'{"collections": [{"id": "landsat-c2-l2"}]}', "E701"),
        ("/api/collections", b"{}", "E701"),
        ("/api", b'{"a":' * 100_000, "E701"),
    ],
)
def test_what_is_no_catalogue_is_refused(
    server: Loopback, network: Network, path: str, body: bytes, code: str
):
    server.items = [sentinel2(utc("2024-04-10T02:25"))]
    server.fail(path, Fault(200, {"Content-Type": "text/html"}, body))
    with pytest.raises(LandslideMapError) as error:
        searched(server, network)
    assert code_of(error) == code


def test_a_catalogue_that_refuses_the_query(server: Loopback, network: Network):
    server.items = [sentinel2(utc("2024-04-10T02:25"))]
    server.fail("/api/search", Fault(400, body=b"bad request"))
    with pytest.raises(LandslideMapError) as error:
        searched(server, network)
    assert code_of(error) == "E702"


def test_a_search_survives_a_busy_catalogue(server: Loopback, network: Network, pauses: list[float]):
    server.items = [sentinel2(utc("2024-04-10T02:25"))]
    server.fail("/api/search", Fault(429, {"Retry-After": "2"}), Fault(504))
    assert len(searched(server, network).optical) == 1
    assert pauses[0] == 2.0


def test_garbage_among_the_items_costs_only_itself(server: Loopback, network: Network):
    good = sentinel2(utc("2024-04-10T02:25"))
    page = {"features": [3, None, {"id": "x"}, {"properties": {}}, good, good]}
    server.items = [good]
    server.fail("/api/search", Fault(200, {"Content-Type": "application/json"}, json.dumps(page).encode()))
    found = searched(server, network)
    assert [image.id for image in found.optical] == [good["id"]]


def test_a_static_catalogue_is_followed(server: Loopback, network: Network):
    item = sentinel2(utc("2024-04-10T02:25"))
    for asset in item["assets"].values():
        asset["href"] = asset["href"].rsplit("/", 1)[-1]
    child = {"type": "Catalog", "links": [{"rel": "item", "href": "items/a.json"}]}
    root = {
        "type": "Catalog",
        "links": [{"rel": "child", "href": "./c/catalog.json"}, {"rel": "root", "href": "./catalog.json"}],
    }
    server.files |= {
        "/static/catalog.json": json.dumps(root).encode(),
        "/static/c/catalog.json": json.dumps(child).encode(),
        "/static/c/items/a.json": json.dumps(item).encode(),
    }
    (image,) = searched(server, network, "/static/catalog.json").optical
    assert image.assets["B02"].href.startswith(f"{server.url}/static/c/items/T51RUH")


def test_a_folder_of_items_is_a_catalogue(tmp_path: Path, network: Network):
    (tmp_path / "a.json").write_text(json.dumps(sentinel2(utc("2024-04-10T02:25"))))
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.json").write_text(json.dumps([sentinel2(utc("2024-04-12T02:25"))]))
    found = Found()
    periods = {"optical": Period(utc("2024-02-01T00:00"), utc("2024-06-01T00:00"))}
    search(str(tmp_path), AREA, periods, network, found)
    assert len(found.optical) == 2
    with pytest.raises(LandslideMapError) as error:
        search(str(tmp_path / "absent"), AREA, periods, network, found)
    assert code_of(error) == "E101"


# Events


def choose(server: Loopback, network: Network, folder: Path, *items: dict):
    server.items = list(items)
    if not items:
        server.items = [sentinel2(utc("2019-04-10T02:25")), sentinel1(utc("2019-04-10T21:55"), orbit=26700)]
    return find_images(Query(EVENT, AREA, (f"{server.url}/api",)), network, folder)


def test_no_image_within_sixty_days(server: Loopback, network: Network, tmp_path: Path):
    with pytest.raises(LandslideMapError) as error:
        choose(server, network, tmp_path)
    assert code_of(error) == "E706"


@pytest.mark.parametrize("day", ["2024-03-20T02:25", "2024-04-08T02:25"])
def test_images_of_one_side_of_the_event_only(server: Loopback, network: Network, tmp_path: Path, day: str):
    orbit = 53000
    with pytest.raises(LandslideMapError) as error:
        choose(server, network, tmp_path, sentinel1(utc(day), orbit=orbit))
    assert code_of(error) == "E707"


def test_an_area_of_images_without_elevation(server: Loopback, network: Network, tmp_path: Path):
    from landslide_map.search.elevation_tiles import ElevationTiles

    server.items = [sentinel2(utc("2024-04-10T02:25"))]
    query = Query(EVENT, AREA, (f"{server.url}/api",), elevation=ElevationTiles(f"{server.url}/dem"))
    assert "W707" in {notice.code for notice in find_images(query, network, tmp_path).notices}


def test_an_area_at_sea(server: Loopback, network: Network, tmp_path: Path):
    from landslide_map.search.elevation_tiles import ElevationTiles

    server.items = [sentinel1(utc("2024-04-08T02:25"), orbit=53000)]
    query = Query(EVENT, AREA, (f"{server.url}/api",), elevation=ElevationTiles(f"{server.url}/dem"))
    with pytest.raises(LandslideMapError) as error:
        find_images(query, network, tmp_path)
    assert code_of(error) == "E705"


@pytest.mark.parametrize(
    "box",
    [
        (121, 24, 122, 23),
        (121, 23, 121, 24),
        (200, 23, 201, 24),
        (0, -91, 1, 0),
        (0, 0, 60, 60),
        (0, 0, float("nan"), 1),
    ],
)
def test_a_box_that_is_none_or_too_large(box: tuple[float, ...]):
    with pytest.raises(LandslideMapError) as error:
        Area.of_box(*box)
    assert code_of(error) == "E704"


def test_a_file_without_an_area(tmp_path: Path):
    path = tmp_path / "points.geojson"
    path.write_text(
        json.dumps(
            {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [121, 24]}}
        )
    )
    with pytest.raises(LandslideMapError) as error:
        Area.of_file(path)
    assert code_of(error) == "E152"
