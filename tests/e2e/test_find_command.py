"""`landslide-map find` on a catalogue of this machine: from an event to files that `check` accepts."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.warp
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from cli.main import cli
from landslide_map.check.check_scene import check_scene
from landslide_map.errors import LandslideMapError
from landslide_map.scene.model import load_scene
from tests.support.killed_process import changes_below
from tests.support.loopback import Loopback, loopback
from tests.support.sample_scene import dense_corner
from tests.support.stac_items import sentinel1, sentinel2


def bounds() -> tuple[float, float, float, float]:
    with rasterio.open(dense_corner().parent / "s2" / "B02.tif") as dataset:
        return rasterio.warp.transform_bounds(dataset.crs, "EPSG:4326", *dataset.bounds)


def written(path: Path, like: Path, pixels: np.ndarray, **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(like) as dataset:
        profile = dataset.profile | {"dtype": pixels.dtype.name, "nodata": None} | more
    with rasterio.open(path, "w", **profile) as out:
        out.write(pixels, 1)


def as_power(source: Path, target: Path) -> None:
    with rasterio.open(source) as dataset:
        decibel = dataset.read(1, masked=True).astype(np.float32)
    written(target, source, (10 ** (decibel / 10)).filled(0).astype(np.float32))


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with served_sample(tmp_path_factory.mktemp("served")) as served:
        yield served


@contextmanager
def served_sample(folder: Path) -> Iterator[Loopback]:
    """Yield a catalogue with the images of a part of the sample scene, and one more that is all cloud."""
    sample = dense_corner().parent
    scene = YAML(typ="safe").load((sample / "scene.yaml").read_text())
    with loopback(folder) as served:
        west, south, east, north = bounds()
        box = (west - 0.3, south - 0.3, east + 0.3, north + 0.3)
        tile = "51RXG"
        for days, cloud in ((0, 5.0), (-10, 50.0)):
            time = scene["s2"]["post"]["datetime"] + timedelta(days=days)
            item = sentinel2(utc(time), box=box, tile=tile, files=served.url, cloud=cloud)
            for band, asset in item["assets"].items():
                target = folder / asset["href"].removeprefix(served.url + "/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes((sample / "s2" / f"{band}.tif").read_bytes())
            href = item["assets"]["B02"]["href"].replace("B02_10m", "SCL_20m")
            item["assets"]["SCL"] = {"href": href}
            with rasterio.open(sample / "s2" / "B02.tif") as dataset:
                classes = np.full(dataset.shape, 4 if days == 0 else 9, np.uint8)
            written(folder / href.removeprefix(served.url + "/"), sample / "s2" / "B02.tif", classes)
            served.items.append(item)
        for state, track in scene["s1"].items():
            for number, one in enumerate([*track["pre"], *track["post"]]):
                item = sentinel1(
                    utc(one["datetime"]),
                    orbit=54000 + 175 * number + (state == "ascending"),
                    relative=one["relative_orbit"],
                    state=state,
                    box=box,
                    files=served.url,
                )
                for band, asset in item["assets"].items():
                    as_power(sample / one[band], folder / asset["href"].removeprefix(served.url + "/"))
                served.items.append(item)
        yield served


def utc(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=datetime.now().astimezone().tzinfo)


def find(served: Loopback, folder: Path, *more: str) -> Result:
    west, south, east, north = (
        f"{value:.6f}" for value in np.array(bounds()) + np.array([0.001, 0.001, -0.001, -0.001])
    )
    arguments = ["find", "--event-time", "2024-08-20T03:12:00Z", "--bbox", west, south, east, north]
    arguments += ["--catalog", f"{served.url}/api", "--no-dem", "--out", str(folder / "scene.yaml"), *more]
    return CliRunner().invoke(cli, arguments)


def test_found_downloaded_and_checked(catalogue: Loopback, tmp_path: Path):
    result = find(catalogue, tmp_path, "--download", str(tmp_path / "images"), "--name", "Test: event")
    assert result.exception is None, result.output
    scene = load_scene(tmp_path / "scene.yaml")
    assert scene.event.name == "Test: event"
    assert scene.s2 is not None
    assert scene.s2.post.datetime == datetime.fromisoformat("2024-09-03T02:07:00Z")
    assert scene.s1 is not None
    assert {orbit: (len(t.pre), len(t.post)) for orbit, t in scene.s1.tracks.items()} == {
        "descending": (3, 1),
        "ascending": (3, 1),
    }
    selection = json.loads((tmp_path / "selection.json").read_text())
    assert selection["hosts"] == ["127.0.0.1"]
    assert selection["sentinel2"]["post"]["cloud"] == 0
    assert selection["sentinel2"]["post"]["cloud_counted_in_area"] is True
    (cloudy,) = [r for r in selection["rejected"] if "20240824" in r["id"]]
    assert "100 % cloud of the area" in cloudy["reason"]
    assert (tmp_path / "footprints.png").read_bytes()[1:4] == b"PNG"
    report = check_scene(tmp_path / "scene.yaml")
    assert not [n for n in report["notices"] if n["code"].startswith("E")]
    assert "network: requesting from 127.0.0.1" in result.stderr


def test_the_same_command_again_downloads_nothing_and_replaces_nothing(catalogue: Loopback, tmp_path: Path):
    images = ("--download", str(tmp_path / "images"))
    assert find(catalogue, tmp_path, *images).exception is None
    again = find(catalogue, tmp_path, *images)
    assert isinstance(again.exception, LandslideMapError)
    assert again.exception.code == "E401"
    before = len(catalogue.requests)
    assert find(catalogue, tmp_path, *images, "--overwrite").exception is None
    downloads = [
        path
        for method, path, _ in catalogue.requests[before:]
        if method == "GET" and path.endswith(("tif", "tiff"))
    ]
    assert downloads == []


def test_without_download_the_scene_names_files_that_are_still_to_come(catalogue: Loopback, tmp_path: Path):
    result = find(catalogue, tmp_path, "--passes", "1")
    assert result.exception is None, result.output
    scene = load_scene(tmp_path / "scene.yaml")
    assert scene.s1 is not None
    assert [len(track.pre) for track in scene.s1.tracks.values()] == [1, 1]
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize("place", ["scene", "images"])
def test_a_disk_that_is_read_only_is_refused_with_a_code(catalogue: Loopback, tmp_path: Path, place: str):
    (tmp_path / "scene").mkdir()
    failing = OSError(errno.EROFS, os.strerror(errno.EROFS))
    with changes_below(tmp_path / place, 0, error=failing) as changes:
        result = find(catalogue, tmp_path / "scene", "--download", str(tmp_path / "images"), "--yes")
    assert changes.seen
    assert isinstance(result.exception, LandslideMapError)
    assert result.exception.code == "E601"


def test_more_than_was_allowed_is_not_downloaded(catalogue: Loopback, tmp_path: Path):
    big = [item["assets"] for item in catalogue.items if "vv" in item["assets"]]
    try:
        for assets in big:
            assets["vv"]["file:size"] = 4_000_000_000
        result = find(catalogue, tmp_path, "--download", str(tmp_path / "images"))
    finally:
        for assets in big:
            del assets["vv"]["file:size"]
    assert isinstance(result.exception, LandslideMapError)
    assert result.exception.code == "E711"
    assert not list((tmp_path / "images").rglob("*.rtc.tiff*"))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--event-time", "2024-08-20T03:12:00"], "E390"),
        (["--event-time", "yesterday"], "E402"),
        (["--event-time", "2999-01-01T00:00:00Z"], "E703"),
    ],
)
def test_times_that_cannot_be(tmp_path: Path, arguments: list[str], code: str):
    more = ["--bbox", "121", "23", "122", "24", "--out", str(tmp_path / "scene.yaml")]
    result = CliRunner().invoke(cli, ["find", *arguments, *more])
    assert isinstance(result.exception, LandslideMapError)
    assert result.exception.code == code


def test_an_area_must_be_given_once():
    result = CliRunner().invoke(cli, ["find", "--event-time", "2024-08-20T03:12:00Z"])
    assert result.exit_code == 2


def test_no_other_module_uses_the_network():
    root = Path(__file__).parents[2]
    files = [*root.glob("landslide_map/**/*.py"), *root.glob("cli/*.py")]
    users = {
        path.parent.name
        for path in files
        if any(
            f"import {name}" in path.read_text() for name in ("requests", "pystac_client", "urllib.request")
        )
    }
    assert users <= {"search", "cli"}
