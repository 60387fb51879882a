"""A real STAC API server (stac-fastapi.pgstac on PostgreSQL) on this machine, searched as a public one is.

Runs where LANDSLIDE_MAP_PGSTAC names an environment with stac-fastapi.pgstac, pypgstac and uvicorn, and where
PostgreSQL with PostGIS is installed: `.ci/check_stac_server` sees to both.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from landslide_map.search.area import Area
from landslide_map.search.catalogues import PAGE, Found, Period, search
from landslide_map.search.event_time import EventTime
from landslide_map.search.find_images import Query, find_images
from landslide_map.search.network import Network
from tests.support.shared_data import DEFAULT
from tests.support.stac_items import BOX, sentinel1, sentinel2, utc

RECORDED = Path(os.environ.get("LANDSLIDE_MAP_DATA", DEFAULT)) / "fixtures" / "catalogues"
DAYS = 9


def made_items() -> list[dict[str, Any]]:
    """Return a clear image, a cloudy one, passes of two directions, and islands at 180 degrees."""
    items = [sentinel2(utc("2024-04-10T02:25"), cloud=4), sentinel2(utc("2024-04-05T02:25"), cloud=80)]
    for i in range(DAYS):
        time = utc("2024-03-05T21:55") + timedelta(days=6 * i)
        items.append(sentinel1(time, orbit=53000 + 87 * i))
        items.append(
            sentinel1(time + timedelta(hours=12), orbit=53007 + 87 * i, state="ascending", relative=69)
        )
    for box, tile in (((179.0, -18.0, 180.0, -15.0), "60KXG"), ((-180.0, -18.0, -179.0, -15.0), "01KAB")):
        items.append(sentinel2(utc("2024-04-10T22:25"), tile=tile, box=box))
    return items


def recorded_items() -> list[dict[str, Any]]:
    """Return real items of Earth Search and the Planetary Computer; none where they are absent."""
    found = []
    for name in ("rustac/earthsearch_s2_c1_10items.json", "stac-geoparquet/sentinel-1-rtc-pc.json"):
        path = RECORDED / name
        if path.exists():
            document = json.loads(path.read_text())
            found += document if isinstance(document, list) else document["features"]
    return found


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _as_postgres(command: str) -> list[str]:
    return ["su", "postgres", "-c", command] if os.geteuid() == 0 else ["sh", "-c", command]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    environment = os.environ.get("LANDSLIDE_MAP_PGSTAC")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not environment or not programs:
        pytest.skip("no STAC server: run .ci/check_stac_server, which sets LANDSLIDE_MAP_PGSTAC")
    python, pg = Path(environment) / "bin", programs[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="pgstac-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        port, api = _free_port(), _free_port()
        run = {"check": True, "capture_output": True, "cwd": "/"}
        subprocess.run(
            _as_postgres(f"{pg}/initdb -D {folder}/data -A trust -E UTF8 --no-locale -U stac"), **run
        )
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        subprocess.run(
            _as_postgres(f"{pg}/pg_ctl -D {folder}/data -w -l {folder}/log -o '{options}' start"),
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        stack.callback(subprocess.run, _as_postgres(f"{pg}/pg_ctl -D {folder}/data -m immediate stop"), **run)
        variables = os.environ | {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(port),
            "PGUSER": "stac",
            "PGPASSWORD": "x",
            "PGDATABASE": "stac",
            "USE_API_HYDRATE": "false",
        }
        run["env"] = variables
        subprocess.run([str(pg / "createdb"), "stac"], **run)
        subprocess.run([str(python / "pypgstac"), "migrate"], **run)
        _load(folder, python, run)
        process = subprocess.Popen(
            [
                str(python / "uvicorn"),
                "--factory",
                "stac_fastapi.pgstac.app:create_app",
                "--host",
                "127.0.0.1",
                "--port",
                str(api),
            ],
            env=variables,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        url = f"http://127.0.0.1:{api}"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(OSError), urllib.request.urlopen(url, timeout=2):
                break
            time.sleep(0.2)
        yield url


def _load(folder: Path, python: Path, run: dict[str, Any]) -> None:
    items = [*made_items(), *recorded_items()]
    collections = [
        {
            "type": "Collection",
            "stac_version": "1.0.0",
            "id": name,
            "description": name,
            "license": "other",
            "links": [],
            "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
        }
        for name in sorted({item["collection"] for item in items})
    ]
    for kind, rows in (("collections", collections), ("items", items)):
        path = folder / f"{kind}.ndjson"
        path.write_text("\n".join(json.dumps(row) for row in rows))
        subprocess.run([str(python / "pypgstac"), "load", kind, str(path), "--method", "upsert"], **run)


def found_in(server: str, area: Area, start: str, end: str, page: int = PAGE) -> Found:
    found = Found()
    period = Period(utc(start), utc(end))
    with Network() as network:
        search(server, area, {"optical": period, "radar": period}, network, found, page=page)
    return found


def test_every_page_is_read_once(server: str):
    found = found_in(server, Area.of_box(*BOX), "2024-03-01T00:00", "2024-05-01T00:00", page=4)
    assert len(found.radar) == 2 * DAYS
    assert len(found.optical) == 2
    assert not found.rejected


def test_only_the_requested_time_is_returned(server: str):
    found = found_in(server, Area.of_box(*BOX), "2024-04-06T00:00", "2024-04-12T00:00")
    assert [image.start for image in found.optical] == [utc("2024-04-10T02:25").replace(microsecond=24000)]


def test_both_sides_of_the_antimeridian_are_found(server: str):
    area = Area.of_box(179.5, -17.0, -179.5, -16.0)
    found = found_in(server, area, "2024-04-01T00:00", "2024-05-01T00:00")
    assert {image.tile for image in found.optical} == {"60KXG", "01KAB"}
    assert all(area.covered(image.footprint) == pytest.approx(0.5, abs=0.01) for image in found.optical)


def test_an_event_gets_its_images(server: str, tmp_path: Path):
    query = Query(EventTime(utc("2024-04-02T23:58")), Area.of_box(*BOX), (server,))
    with Network() as network:
        selection = find_images(query, network, tmp_path)
    assert selection.optical.post is not None
    assert selection.optical.post.image.start.day == 10
    assert {s: t.relative_orbit for s, t in selection.radar.tracks.items()} == {
        "descending": 105,
        "ascending": 69,
    }
    assert {len(t.pre) for t in selection.radar.tracks.values()} == {3}


@pytest.mark.skipif(
    not recorded_items(), reason="recorded items of public catalogues are not on this machine"
)
def test_recorded_items_of_public_catalogues_are_found(server: str):
    found = found_in(server, Area.of_box(14.4, 30.4, 15.2, 31.0), "2024-04-01T00:00", "2024-05-01T00:00")
    assert {one.absolute_orbit for one in found.radar} == {53498}
    boulder = found_in(
        server, Area.of_box(-105.3, 40.0, -105.2, 40.1), "2024-03-30T00:00", "2024-05-01T00:00"
    )
    assert len(boulder.optical) + len(boulder.rejected) == 10
