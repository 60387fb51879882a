"""``report.html`` and ``quicklook.png``: offline, small, escaped, the same bytes, true figures."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
from PIL import Image
from shapely.geometry import MultiPolygon, box

from landslide_map.errors import Notice
from landslide_map.products.columns import VERDICTS
from landslide_map.products.outline_classes import classes_of, present_classes
from landslide_map.products.quicklook import write_quicklook
from landslide_map.products.report.html_report import ReportText, write_report
from tests.unit.test_project import TAGS, result

HOSTILE = "</script><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Elements and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def report(folder: Path, **changed: object) -> Path:
    text = ReportText(
        f"Landslides {HOSTILE}",
        {**TAGS, "bundle": HOSTILE},
        0.435,
        [("Sentinel-2 after", "2024-04-05 02:30", HOSTILE)],
        [Notice("W207", f"mostly cloud {HOSTILE}")],
        **changed,
    )
    path = folder / "report.html"
    write_report(path, folder, text)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result(tmp_path_factory.mktemp("report") / "a", count=20).parent


def test_the_page_loads_nothing_and_no_name_becomes_markup(folder: Path) -> None:
    page = Page(report(folder))
    for tag, attributes in page.tags:
        for key in ("src", "href"):
            target = attributes.get(key, "#")
            assert target.startswith(("data:image/", "#")), (tag, target[:60])
        assert not [key for key in attributes if key.startswith("on")], tag
    assert sum(tag == "script" for tag, _ in page.tags) == 2
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert path_size(folder) < 3_000_000


def path_size(folder: Path) -> int:
    return (folder / "report.html").stat().st_size


def test_the_page_shows_counts_and_areas_of_the_layer(folder: Path) -> None:
    found = pyogrio.read_dataframe(folder / "landslides.gpkg", layer="landslides")
    words = " ".join(" ".join(Page(report(folder)).text).split())
    assert f"{len(found)} outlines were found" in words
    assert f"{found['area_m2'].sum() / 10_000:.1f} ha" in words
    assert "W207" in words
    assert "2024-04-05 02:30" in words


def test_the_map_holds_every_outline_where_it_lies(folder: Path) -> None:
    path = report(folder)
    raw = re.search(r'id="map-data">(.*?)</script>', path.read_text(), re.DOTALL)
    assert raw is not None
    data = json.loads(raw[1])
    found = pyogrio.read_dataframe(folder / "landslides.gpkg", layer="landslides").set_index("id")
    assert [outline["i"] for outline in data["outlines"]] == found.index.tolist()
    for outline in data["outlines"]:
        corners = np.cumsum(np.reshape(outline["r"][0], (-1, 2)), axis=0) / 2
        west, _, _, north = found.geometry[outline["i"]].bounds
        # the images begin at 300 km east, 2600 km north, and have 10 m pixels
        assert corners.min(axis=0).tolist() == [(west - 300_000) / 10, (2_600_000 - north) / 10]


def test_the_same_result_makes_the_same_page_and_picture(folder: Path, tmp_path: Path) -> None:
    one = report(folder).read_bytes()
    assert report(folder).read_bytes() == one
    pictures = [tmp_path / name for name in ("a.png", "b.png")]
    for path in pictures:
        write_quicklook(folder, path, threshold=0.435, tags=TAGS, title="Landslides")
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def test_the_quicklook_has_outlines_in_their_colour_at_their_place(folder: Path, tmp_path: Path) -> None:
    write_quicklook(folder, tmp_path / "a.png", threshold=0.435, tags=TAGS, title="Landslides")
    with Image.open(tmp_path / "a.png") as image:
        picture = np.asarray(image.convert("RGB")).astype(int)
    orange = np.abs(picture - [230, 159, 0]).sum(axis=2) < 60  # probability 0.7
    rows, cols = np.nonzero(orange[102:702, 24:724])
    assert abs(cols.min() - 100) <= 2
    assert abs(rows.min() - 170) <= 2
    assert abs(rows.max() - 200) <= 2


def test_a_result_without_landslides_or_images_has_page_and_picture(tmp_path: Path) -> None:
    folder = result(tmp_path / "a", count=0).parent
    for image in folder.glob("image_*"):
        image.rename(folder / "class.tif")
    path = report(folder)
    assert "No outline was found" in path.read_text()
    write_quicklook(folder, tmp_path / "a.png", threshold=0.435, tags=TAGS, title="Landslides")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width > 700


@pytest.mark.parametrize("confidence", [True, False])
def test_every_outline_is_in_one_class(confidence: bool) -> None:
    values = [0.2, 0.435, 0.5999, 0.6, 0.8, 1.0]
    frame = gpd.GeoDataFrame(
        {"prob_mean": values, "probability": values, "review": ["unseen"] * 5 + ["confirmed"]},
        geometry=[MultiPolygon([box(0, 0, 1, 1)])] * 6,
        crs=32651,
    )
    if confidence:
        frame["confidence"] = ["low", "low", "low", "medium", "high", "high"]
    classes = classes_of(frame.columns, 0.435)
    member = np.stack([one.mask(frame) for one in classes])
    assert (member.sum(axis=0) == 1).all()
    assert [one.key for one in present_classes(frame, classes)][3:] == ["confirmed"]
    assert {one.verdict for one in classes} - {""} == set(VERDICTS) - {"unseen"}
