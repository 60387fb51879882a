"""Snow and cloud separated from bright ground, on real scenes and class by class."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from landslide_map.stack.snow_cloud import snow_or_cloud_pixels
from tests.support.shared_data import shared_data


def training_dn(**reflectance: object) -> dict[str, np.ndarray]:
    return {name: np.asarray(v, np.float32) * 10_000 + 1000 for name, v in reflectance.items()}


def one(red: float, green: float, blue: float, nir: float, scl: float | None = None) -> float:
    optical = training_dn(red=[[red]], green=[[green]], blue=[[blue]], nir=[[nir]])
    classes = None if scl is None else np.array([[scl]], np.float32)
    return float(snow_or_cloud_pixels(optical, classes)[0, 0])


@pytest.mark.parametrize(
    ("surface", "rgbn", "expected"),
    [
        ("fresh snow", (0.72, 0.73, 0.75, 0.70), 1),
        ("thick cloud", (0.45, 0.45, 0.47, 0.50), 1),
        ("forest", (0.03, 0.05, 0.02, 0.30), 0),
        ("bright dry soil", (0.36, 0.27, 0.19, 0.42), 0),
        ("fresh scar, Hokkaido 2018", (0.18, 0.14, 0.14, 0.25), 0),
        ("its brightest two in a hundred", (0.234, 0.20, 0.185, 0.30), 0),
        ("thin cloud over forest, green showing through", (0.20, 0.21, 0.20, 0.45), 0),
        ("thin cloud over bare ground", (0.30, 0.30, 0.29, 0.38), 1),
        ("turbid river", (0.12, 0.13, 0.10, 0.05), 0),
        ("deep water with negative reflectance", (-0.01, 0.0, 0.01, -0.02), 0),
    ],
)
def test_surfaces(surface, rgbn, expected):
    assert one(*rgbn) == expected, surface


@pytest.mark.parametrize("scl", [8, 9, 10])
def test_a_fresh_scar_that_the_scene_classification_calls_cloud_stays_ground(scl):
    assert one(0.18, 0.14, 0.14, 0.25, scl) == 0
    assert one(0.26, 0.21, 0.19, 0.32, scl) == 0


def test_the_scene_classification_lowers_the_limits_for_haze_and_shaded_snow_and_clears_nothing():
    haze, shaded_snow, cloud = (0.14, 0.145, 0.15, 0.25), (0.13, 0.13, 0.14, 0.12), (0.45, 0.45, 0.47, 0.5)
    assert [one(*haze, scl) for scl in (9, 4)] == [1, 0]
    assert [one(*shaded_snow, scl) for scl in (11, 2)] == [1, 0]
    assert [one(*cloud, scl) for scl in (4, 5, 0, np.nan)] == [1, 1, 1, 1]
    assert one(0.03, 0.05, 0.02, 0.30, 11) == 0  # classes alone are not enough


def test_a_pixel_without_a_visible_band_is_unknown_and_one_without_near_infrared_is_not():
    assert np.isnan(one(np.nan, 0.5, 0.5, 0.5))
    assert np.isnan(one(0.5, 0.5, np.nan, 0.5, 9))
    assert one(0.7, 0.7, 0.7, np.nan) == 1
    assert one(0.03, 0.05, 0.02, np.nan) == 0


def flagged(optical: dict[str, np.ndarray]) -> float:
    return float(np.nanmean(snow_or_cloud_pixels(optical)))


SNOWY = {"609U_541L_3_0", "S2B_MSIL2A_20180204T94161_57_38"}


@pytest.mark.parametrize(
    "site", ["282D_485L_3_3", "38D_378R_2_3", "433D_629L_3_1", "609U_541L_3_0", "637U_59R_1_3"]
)
def test_of_the_terramind_sites_only_the_snowy_one_is_flagged(site):
    with rasterio.open(shared_data("real", "terramind", "S2L2A", f"{site}.tif")) as dataset:
        bands = dataset.read([4, 3, 2, 8]).astype(np.float32) + 1000
    share = flagged(dict(zip(("red", "green", "blue", "nir"), bands, strict=True)))
    assert share > 0.85 if site in SNOWY else share < 0.02


def test_of_the_bigearthnet_pairs_only_the_snowy_one_is_flagged():
    root = shared_data("real", "bigearthnet", "BigEarthNet-S2-Example")
    folders = [p for p in sorted(root.iterdir()) if p.is_dir()]
    assert len(folders) == 6
    for folder in folders:
        optical = {}
        for name, band in {"red": "B04", "green": "B03", "blue": "B02", "nir": "B08"}.items():
            with rasterio.open(folder / f"{folder.name}_{band}.tif") as dataset:
                optical[name] = dataset.read(1).astype(np.float32) + 1000
        share = flagged(optical)
        assert share > 0.6 if folder.name in SNOWY else share < 0.01, folder.name


def test_the_fresh_scars_of_hokkaido_2018_are_not_flagged():
    """The brightest two in a hundred pixels of the post-event image are scars, river beds and roofs."""
    with rasterio.open(shared_data("real", "hokkaido_2018", "s2_post_rgb_utm54n_10m.tif")) as dataset:
        red, green, blue = dataset.read(masked=True).astype(np.float32).filled(np.nan) + 1000
    optical = {"red": red, "green": green, "blue": blue, "nir": np.full_like(red, np.nan)}
    found = snow_or_cloud_pixels(optical)
    bright = red > np.nanpercentile(red, 98)
    assert np.nanmean(found) < 0.001
    assert np.nanmean(found[bright]) < 0.04
