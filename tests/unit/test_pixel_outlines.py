"""Outlines drawn from pixels: connected pixels above a threshold, joined evidence, and what measured it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from affine import Affine
from pydantic import ValidationError
from scipy import ndimage
from scipy.special import expit, logit

from landslide_map.delineation.polygons import outlines, paint
from landslide_map.delineation.regions import region_means, regions_above
from landslide_map.errors import InputError
from landslide_map.models.bundle.format import ScenarioEntry
from landslide_map.models.segmentation.fusion import Fusion
from landslide_map.products.objects import OBJECT_COLUMNS
from landslide_map.products.pixel_outlines import FUSION_TAG, MEMBERS_TAG, PixelDrawing, pixel_outlines

SHAPE = (90, 70)
PLACE = Affine(10, 0, 500000, 0, -10, 5000000)
FUSION = Fusion(shift=-0.5, pixels=0.8, outlined=0.4, outlines=0.6, threshold=0.4)


def probability(seed: int) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=SHAPE), 2)
    values = expit(9 * smooth).astype(np.float32)
    values[:, 40:44] = values[5, :] = np.nan
    values[60:70, :40] = 0.9  # one region over several strips
    return values


def strips(values: npt.NDArray[np.float32], height: int) -> Iterator[npt.NDArray[np.float32]]:
    return (values[top : top + height] for top in range(0, len(values), height))


@pytest.mark.parametrize("height", [1, 7, 32, 90])
@pytest.mark.parametrize(("edge", "seed"), [(0.5, 0.5), (0.4, 0.8)])
def test_regions_are_those_of_a_labelled_image_whatever_the_strips(
    height: int, edge: float, seed: float
) -> None:
    values = probability(3)
    found = regions_above(strips(values, height), edge, seed, least_pixels=6)
    labels, count = ndimage.label(np.nan_to_num(values) > edge)
    expected = [
        labels == n
        for n in range(1, count + 1)
        if (labels == n).sum() >= 6 and np.nanmax(values[labels == n]) > seed
    ]
    assert len(found.shape) == len(expected) > 4
    for number, inside in enumerate(expected):
        own = np.zeros(SHAPE, np.float32)
        mine = found.run_object == number
        runs = found.run_row[mine], found.run_first[mine], found.run_stop[mine]
        paint(*runs, np.ones(mine.sum(), np.float32), 0, own)
        np.testing.assert_array_equal(own > 0, inside)
        rows, cols = np.nonzero(inside)
        moments = [rows.size, rows.sum(), cols.sum(), (rows**2).sum(), (cols**2).sum(), (rows * cols).sum()]
        assert found.shape[number, :6].tolist() == moments
        assert found.shape[number, 8:].tolist() == [rows.min(), rows.max(), cols.min(), cols.max()]
    means = region_means(strips(values, height), found)
    np.testing.assert_allclose(means, [values[inside].mean(dtype=np.float64) for inside in expected])
    for outline, inside in zip(outlines(found), expected, strict=True):
        assert outline.is_valid
        assert outline.area == inside.sum()


def test_a_raster_without_a_pixel_above_has_no_regions() -> None:
    for values in (np.full((8, 5), np.nan, np.float32), np.zeros((8, 5), np.float32)):
        found = regions_above(strips(values, 3), 0.5, 0.5)
        assert found.shape.shape == (0, 12)
        assert region_means(strips(values, 3), found).size == 0


def test_the_threshold_itself_is_outside() -> None:
    values = np.full((4, 4), 0.5, np.float32)
    assert len(regions_above([values], 0.5, 0.5).shape) == 0
    values[:] = np.nextafter(np.float32(0.5), np.float32(1))
    assert len(regions_above([values], 0.5, 0.5).shape) == 1


def test_a_fusion_is_its_formula_and_has_no_value_where_pixels_have_none() -> None:
    pixels = np.float32([0.2, 0.9, 0.5, np.nan, 1.0])
    objects = np.float32([0.0, 0.7, np.nan, 0.9, 0.0])
    found = FUSION(pixels, objects)
    assert found[0] == pytest.approx(expit(-0.5 + 0.8 * logit(0.2)), abs=1e-6)
    assert found[1] == pytest.approx(expit(-0.5 + 0.8 * logit(0.9) + 0.4 + 0.6 * logit(0.7)), abs=1e-6)
    assert found[2] == pytest.approx(expit(-0.5), abs=1e-6)
    assert np.isnan(found[3])
    assert found[4] == pytest.approx(expit(-0.5 + 0.8 * logit(0.999)), abs=1e-5)


@pytest.mark.parametrize("name", ["pixels", "outlines", "shift", "threshold"])
def test_a_fusion_that_is_none_is_refused(name: str) -> None:
    for value in (float("nan"), float("inf"), -0.1 if name != "shift" else float("-inf")):
        with pytest.raises(ValidationError):
            Fusion.model_validate(FUSION.model_dump() | {name: value})
    plain = {"name": "s", "weights": {"a": 1.0}, "threshold": 0.5}
    assert ScenarioEntry.model_validate(plain).fusion is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("map")
    objects = np.zeros(SHAPE, np.float32)
    objects[60:75, 5:30] = 0.8
    layers = {"pixel_probability": probability(3), "outline_probability": objects, "probability": objects}
    for name, values in layers.items():
        profile = {"driver": "GTiff", "width": SHAPE[1], "height": SHAPE[0], "count": 1, "dtype": "float32"}
        place = {"crs": "EPSG:32633", "transform": PLACE, "nodata": np.nan}
        with rasterio.open(out / f"{name}.tif", "w", **profile, **place) as target:
            target.write(values, 1)
    return out


def test_outlines_of_pixels_have_the_columns_of_others_and_the_mean_of_the_members(folder: Path) -> None:
    tags = {MEMBERS_TAG: "small"}
    found = pixel_outlines(folder, {"event_time": None}, PixelDrawing.of("pixels", tags))
    assert set(found.columns) == {*OBJECT_COLUMNS, "pixel_probability", "event_time", "geometry"}
    assert found["id"].tolist() == list(range(1, len(found) + 1))
    assert found["probability"].is_monotonic_decreasing
    assert found["probability"].equals(found["pixel_probability"])
    assert set(found["method"]) == {"small pixels"}
    assert set(found["confidence"]) <= {"medium", "low"}
    assert found["uid"].is_unique
    assert found["evidence_optical"].isna().all()
    values = probability(3)
    for _, row in found.iterrows():
        inside = rasterio.features.geometry_mask([row.geometry], SHAPE, PLACE, invert=True)
        assert values[inside].min() > 0.5
        assert values[inside].max() > 0.75
        assert row["probability"] == pytest.approx(values[inside].mean(), abs=6e-4)
        assert row["area_m2"] == pytest.approx(100 * inside.sum(), rel=2e-3)


def test_joined_outlines_follow_the_fusion_and_its_threshold(folder: Path) -> None:
    tags = {MEMBERS_TAG: "small", FUSION_TAG: FUSION.model_dump_json()}
    drawing = PixelDrawing.of("both", tags)
    assert drawing.thresholds == {"both": 0.4}
    joint = np.concatenate(list(drawing.strips(folder)))
    found = pixel_outlines(folder, {}, drawing)
    drawn = rasterio.features.rasterize(found.geometry, SHAPE, transform=PLACE)
    assert joint[drawn > 0].min() > 0.4
    labels, _ = ndimage.label(np.nan_to_num(joint) > 0.4)
    large = np.isin(labels, [n for n in np.unique(labels[labels > 0]) if np.nanmax(joint[labels == n]) > 0.7])
    sizes = ndimage.sum_labels(large, labels, labels)
    np.testing.assert_array_equal(drawn > 0, large & (sizes >= 6))
    assert PixelDrawing.of("both", tags, 0.6).thresholds == {"both": 0.6}


@pytest.mark.parametrize(
    ("kind", "tags"),
    [
        ("pixels", {}),
        ("both", {MEMBERS_TAG: "small"}),
        ("both", {MEMBERS_TAG: "small", FUSION_TAG: "{}"}),
        ("pixels", {MEMBERS_TAG: "small", FUSION_TAG: '{"shift": NaN'}),
    ],
)
def test_a_map_that_holds_nothing_to_draw_from_is_refused(kind: str, tags: dict[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        PixelDrawing.of(kind, tags)
    assert caught.value.code == "E176"
