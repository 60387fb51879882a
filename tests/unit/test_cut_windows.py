"""Labels of windows by hand, and windows on disk pixel for pixel what the map sees."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.windows import Window
from shapely import MultiPolygon, Point, Polygon, box

from landslide_map.bands import MODEL_BANDS
from landslide_map.datasets.cut_windows import LabelRule, cut_windows
from landslide_map.datasets.labelled_windows import read_labelled_windows
from landslide_map.errors import InputError, UsageError
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.scene.model import load_scene
from landslide_map.stack.channels import model_stack
from landslide_map.vector.inventory import covered_fraction, read_inventory
from landslide_map.windows import plan_windows
from sample_scenes.make_scene import EPSG, ULX, ULY
from tests.support.raised import raised
from tests.support.rasters import grid_at
from tests.support.sample_scene import DENSE, cut_sample

GRID = grid_at(32651, 300_000, 2_700_000, (128, 192))
PLAN = plan_windows(GRID.shape, 64)  # 2 x 3 windows of 640 m
LEFT, TOP = ULX + 10 * DENSE[1], ULY - 10 * DENSE[0]


def write(path: Path, shapes: list[object], crs: str | None = "EPSG:32651") -> Path:
    gpd.GeoDataFrame(geometry=shapes, crs=crs).to_file(path)
    return path


def window(row: int, col: int) -> Polygon:
    left, top = 300_000 + 640 * col, 2_700_000 - 640 * row
    return box(left, top - 640, left + 640, top)


def test_shares_of_windows_are_areas_and_overlapping_polygons_count_once(tmp_path: Path) -> None:
    left_half = box(300_000, 2_699_360, 300_320, 2_700_000)
    upper_half = box(300_000, 2_699_680, 300_640, 2_700_000)  # together three quarters of the first window
    across = box(300_960, 2_699_040, 301_600, 2_699_680)  # 320 x 320 m of four windows
    shapes, notices = read_inventory(write(tmp_path / "a.gpkg", [left_half, upper_half, across]), GRID)
    assert notices == []
    shares = covered_fraction(shapes, PLAN, GRID).reshape(PLAN.grid_shape)
    np.testing.assert_allclose(shares, [[0.75, 0.25, 0.25], [0, 0.25, 0.25]], atol=1e-12)


def test_an_inventory_in_degrees_is_brought_onto_the_grid(tmp_path: Path) -> None:
    table = gpd.GeoDataFrame(geometry=[window(1, 2)], crs="EPSG:32651").to_crs(4326)
    table.to_file(tmp_path / "a.geojson")
    shapes, _ = read_inventory(tmp_path / "a.geojson", GRID)
    shares = covered_fraction(shapes, PLAN, GRID)
    assert shares[5] == pytest.approx(1, abs=1e-4)
    assert shares[:4].max() < 1e-4


def test_broken_outlines_are_repaired_and_far_polygons_reported(tmp_path: Path) -> None:
    bow = Polygon([(300_000, 2_700_000), (300_640, 2_699_360), (300_640, 2_700_000), (300_000, 2_699_360)])
    far = box(500_000, 2_700_000, 500_010, 2_700_010)
    shapes, notices = read_inventory(write(tmp_path / "a.gpkg", [bow, far]), GRID)
    assert [notice.code for notice in notices] == ["W150", "W151"]
    assert covered_fraction(shapes, PLAN, GRID)[0] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("shapes", "crs", "code", "said"),
    [
        ([window(0, 0)], None, "E151", "no coordinate reference system"),
        ([Point(300_000, 2_700_000)], "EPSG:32651", "E152", "Point"),
        ([MultiPolygon()], "EPSG:32651", "E150", "holds no polygon"),
        ([box(300_000, 2_699_360, 300_000, 2_700_000)], "EPSG:32651", "E150", "has an area"),
        ([window(0, 0)], "EPSG:4326", "E151", "are no longitudes and latitudes"),
        ([box(0, 0, 10, 10)], "EPSG:32651", "E153", "none of its 1 polygons is on the scene's grid"),
    ],
)
def test_an_inventory_that_decides_nothing_is_refused(
    shapes: list[object], crs: str | None, code: str, said: str, tmp_path: Path
) -> None:
    path = write(tmp_path / ("a.gpkg" if crs else "a.shp"), shapes, crs or "EPSG:32651")
    if crs is None:
        path.with_suffix(".prj").unlink()
    with raised(code, said):
        read_inventory(path, GRID)


def test_a_missing_or_unreadable_inventory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.gpkg").write_text("no")
    (tmp_path / "open.geojson").write_text('{"type": "Polygon", "coordinates": [[[9, 4], [9, 5], [8, 5]]]}')
    for name in ("a.gpkg", "b.gpkg", "open.geojson"):
        with pytest.raises(InputError) as caught:
            read_inventory(tmp_path / name, GRID)
        assert caught.value.code == "E150"


def test_labels_follow_the_rule() -> None:
    shares = np.array([0, 0.01, 0.24, 0.25, 1])
    assert LabelRule().labels(shares).tolist() == [0, -1, -1, 1, 1]
    assert LabelRule(0.5, 0.1, "negative").labels(shares).tolist() == [0, 0, 0, 0, 1]
    assert LabelRule(0.25, 0.0, "positive").labels(shares).tolist() == [0, 1, 1, 1, 1]
    with pytest.raises(UsageError):
        LabelRule(0.2, 0.2)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut_sample(tmp_path_factory.mktemp("scene"), DENSE, (160, 160))


def test_windows_hold_the_pixels_of_the_stack_and_lie_where_they_say(scene: Path, tmp_path: Path) -> None:
    slides = write(tmp_path / "slides.gpkg", [box(LEFT, TOP - 640, LEFT + 320, TOP)], f"EPSG:{EPSG}")
    cut = cut_windows(scene, slides, tmp_path / "data", stride=48, name="here", group_km=0.64)
    table = pd.read_csv(tmp_path / "data" / "Train.csv")
    # Columns 0, 48, 96 of 160: the slide covers half of the first window and nothing beyond column 32.
    assert table["label"].tolist() == [1, 0, 0] + [0] * 5
    assert cut.unlabelled == 1
    assert table["ID"].tolist()[:3] == ["here_00000_00000", "here_00000_00048", "here_00000_00096"]
    assert (table["x"][0], table["y"][0]) == (LEFT + 320, TOP - 320)
    assert table["group"].nunique() == cut.groups > 1
    data = read_labelled_windows(tmp_path / "data")
    stack = model_stack(open_inputs(load_scene(scene)), MODEL_BANDS).sel(band=list(MODEL_BANDS)).compute()
    for i, (row, col) in enumerate(zip(table["row"], table["col"], strict=True)):
        expected = stack[:, row : row + 64, col : col + 64].transpose("y", "x", "band")
        np.testing.assert_array_equal(data.windows.read(i, i + 1)[0], expected)
    record = json.loads((tmp_path / "data" / "windows.json").read_text())
    assert record["bands"] == list(MODEL_BANDS)
    with raised("E401", "--overwrite"):
        cut_windows(scene, slides, tmp_path / "data")


def test_windows_outside_the_mapped_area_have_no_label(scene: Path, tmp_path: Path) -> None:
    slides = write(tmp_path / "slides.gpkg", [box(LEFT, TOP - 640, LEFT + 640, TOP)], f"EPSG:{EPSG}")
    area = write(tmp_path / "area.gpkg", [box(LEFT, TOP - 1600, LEFT + 1280, TOP)], f"EPSG:{EPSG}")
    cut = cut_windows(scene, slides, tmp_path / "data", stride=32, area=area, name="here")
    # Of the starts 0, 32, 64 and 96 the first three end by column 128, where the mapped area ends.
    table = pd.read_csv(tmp_path / "data" / "Train.csv")
    assert table["col"].max() == 64
    assert cut.landslides == len(table[table["label"] == 1])
    assert set(zip(table["row"], table["col"], strict=True)) >= {(0, 0), (64, 64), (96, 0)}


def test_windows_that_lack_a_sensor_are_left_out_unless_allowed(scene: Path, tmp_path: Path) -> None:
    text = scene.read_text()
    begin = text.index("  ascending:")
    optical_and_descending = scene.with_name("one-track.yaml")
    optical_and_descending.write_text(text[:begin])
    slides = write(tmp_path / "slides.gpkg", [box(LEFT, TOP - 640, LEFT + 640, TOP)], f"EPSG:{EPSG}")
    with raised("E154", "--allow-missing"):
        cut_windows(optical_and_descending, slides, tmp_path / "data")
    assert not (tmp_path / "data").exists()
    cut = cut_windows(optical_and_descending, slides, tmp_path / "data", allow_missing=True)
    assert cut.windows > 0
    first = read_labelled_windows(tmp_path / "data").windows.read(0, 1)[0]
    missing = np.isnan(first).all(axis=(0, 1))
    assert [name for name, gone in zip(MODEL_BANDS, missing, strict=True) if gone] == [
        name for name in MODEL_BANDS if name.startswith("asc_")
    ]
    assert not np.isnan(first[..., ~missing]).any()


def test_a_window_that_one_value_fills_in_some_band_is_not_labelled(scene: Path, tmp_path: Path) -> None:
    """Undeclared fill: a constant is no measurement, though no pixel of it is missing."""
    filled = Path(copytree(scene.parent, tmp_path / "filled")) / scene.name
    band = filled.parent / "s2" / "B02.tif"
    with rasterio.open(band, "r+") as dataset:
        dataset.write(np.full((64, 64), 1200, dataset.dtypes[0]), 1, window=Window(64, 0, 64, 64))
    slides = write(tmp_path / "slides.gpkg", [box(LEFT, TOP - 640, LEFT + 640, TOP)], f"EPSG:{EPSG}")
    whole, cut = (cut_windows(yaml, slides, tmp_path / yaml.parent.name / "data") for yaml in (scene, filled))
    assert (cut.windows, cut.incomplete) == (whole.windows - 1, whole.incomplete + 1)
    table = pd.read_csv(cut.out / "Train.csv")
    assert not ((table["row"] == 0) & (table["col"] == 64)).any()
