"""Spoiled scenes that would map without an error: each is refused or warned of by its own code."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from scipy.ndimage import gaussian_filter

from landslide_map.errors import InputError
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.sentinel2.image import open_optical
from landslide_map.scene.model import OpticalSpec, Scene
from tests.support.radar_files import decibels, land, write
from tests.support.rasters import grid_at, write_band
from tests.support.real_scenes import SNOWY, TERRAMIND
from tests.support.shared_data import shared_data

EVENT = datetime.fromisoformat("2024-04-02T23:58:00Z")
BANDS = ("B02", "B03", "B04", "B08")
GRID = {"epsg": 32651, "ulx": 400_000, "uly": 2_650_000, "width": 80, "height": 70}


def ground(shape: tuple[int, int] = (256, 256)) -> np.ndarray:
    """Return reflectance of fields and woods: smooth shapes with edges, 0 to 1."""
    random = np.random.default_rng(3)
    shapes = gaussian_filter(random.normal(0, 1, shape), 4)
    return (shapes > 0) * 0.6 + gaussian_filter(random.normal(0, 1, shape), 1.5)


def image(folder: Path, bands: dict[str, np.ndarray]) -> OpticalSpec:
    """Write four bands, DN with the offset."""
    files = {}
    for band, values in bands.items():
        files[band] = folder / f"T51RUH_20240410T022529_{band}_10m.tif"
        grid = grid_at(32651, 400_000, 2_650_000, values.shape)
        write_band(files[band], values.clip(1, 65534).round().astype(np.uint16), grid)
    return OpticalSpec.model_validate(files | {"offset": "present"})


def bands() -> dict[str, np.ndarray]:
    seen, random = ground(), np.random.default_rng(5)
    levels = {"B02": (1250, 150), "B03": (1500, 200), "B04": (1300, 260), "B08": (4200, -500)}
    return {b: mean + step * seen + random.normal(0, 12, seen.shape) for b, (mean, step) in levels.items()}


def codes(spec: OpticalSpec) -> set[str]:
    return {notice.code for notice in open_optical(spec, EVENT)[1]}


def test_an_image_whose_bands_lie_on_each_other_is_silent(tmp_path: Path):
    assert not codes(image(tmp_path, bands())) & {"W215", "E209"}


@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("shift", [(2, 0), (0, -3), (5, 5)])
def test_a_displaced_band_is_refused(tmp_path: Path, band: str, shift: tuple[int, int]):
    spoiled = bands()
    spoiled[band] = np.roll(spoiled[band], shift, (0, 1))
    with pytest.raises(InputError) as error:
        codes(image(tmp_path, spoiled))
    assert error.value.code == "E209"


@pytest.mark.parametrize("band", BANDS[:3])
@pytest.mark.parametrize("turn", [np.flipud, np.fliplr])
def test_a_turned_band_is_warned_of(tmp_path: Path, band: str, turn):
    spoiled = bands()
    spoiled[band] = turn(spoiled[band])
    assert "W215" in codes(image(tmp_path, spoiled))


@pytest.mark.parametrize("site", TERRAMIND)
def test_bands_of_real_images(tmp_path: Path, site: str):
    path = shared_data("real", "terramind", "S2L2A", f"{site}.tif")
    with rasterio.open(path) as source:
        real = dict(zip(BANDS, source.read([2, 3, 4, 8]).astype(float), strict=True))
    folders = [tmp_path / name for name in ("right", "displaced", "turned")]
    for folder in folders:
        folder.mkdir()
    decided = {"offset": "absent" if site in SNOWY else "auto"}
    assert not codes(image(folders[0], real).model_copy(update=decided)) & {"W215"}
    displaced = image(folders[1], real | {"B02": np.roll(real["B02"], (5, 5), (0, 1))})
    with pytest.raises(InputError) as error:
        codes(displaced.model_copy(update=decided))
    assert error.value.code == "E209"
    turned = image(folders[2], real | {"B02": np.flipud(real["B02"])})
    assert "W215" in codes(turned.model_copy(update=decided))


def track(folder: Path, levels: list[float], corners: tuple[float, ...] = (0, 0, 0, 0)) -> list[str]:
    """Write four dates, three before the event, with VV and VH `levels` dB above normal."""
    items: dict[str, list[dict]] = {"pre": [], "post": []}
    for i, (level, corner) in enumerate(zip(levels, corners, strict=True)):
        side, day = ("post", "2024-04-08") if i == 3 else ("pre", f"2024-03-{3 + 12 * i:02}")
        item: dict[str, object] = {"units": "db", "datetime": f"{day}T10:00:00Z"}
        for band, mean in (("vv", -10.0), ("vh", -16.5)):
            path = write(
                folder / f"{i}_{band}.tif", decibels(land(30 * i + len(band), mean)) + np.float32(level)
            )
            if corner:
                with rasterio.open(path, "r+") as out:
                    out.transform = Affine(10, 0, 400_000 + corner, 0, -10, 2_650_000)
            item[band] = path
        items[side].append(item)
    scene = {"event": {"time": EVENT}, "grid": GRID, "s1": {"ascending": items}}
    return [notice.code for notice in open_inputs(Scene.model_validate(scene)).notices]


@pytest.mark.parametrize("shifted", range(4))
@pytest.mark.parametrize("step", [-6.0, 6.0])
def test_one_date_on_another_level_is_named(tmp_path: Path, shifted: int, step: float):
    assert track(tmp_path, [step if i == shifted else 0.0 for i in range(4)]).count("W341") == 1


@pytest.mark.parametrize("levels", [[0, 0, 0, 0], [0, 1, 2, 2.5], [1, -1, 1, -1]])
def test_seasons_are_no_other_level(tmp_path: Path, levels: list[float]):
    assert "W341" not in track(tmp_path, levels)


def test_dates_on_other_pixels_are_said(tmp_path: Path):
    assert "I321" in track(tmp_path, [0, 0, 0, 0], (0, 0, 0, 5.0))


@pytest.mark.parametrize(("year", "margin", "said"), [(2017, 3, True), (2017, 0, False), (2024, 3, False)])
def test_noisy_borders_of_old_images_are_warned_of(tmp_path: Path, year: int, margin: int, said: bool):
    items: dict[str, list[dict]] = {"pre": [], "post": []}
    for i, (side, day) in enumerate((("pre", "03-15"), ("post", "04-08"))):
        item: dict[str, object] = {"units": "power", "datetime": f"{year}-{day}T10:00:00Z"}
        for band, mean in (("vv", -10.0), ("vh", -16.5)):
            pixels = land(30 * i + len(band), mean)
            pixels[:, :margin] *= 1e-4
            item[band] = write(tmp_path / f"{i}_{band}.tif", pixels)
        items[side].append(item)
    scene = {"event": {"time": f"{year}-04-02T00:00:00Z"}, "grid": GRID, "s1": {"ascending": items}}
    codes = {notice.code for notice in open_inputs(Scene.model_validate(scene)).notices}
    assert ("W353" in codes) is said


@pytest.mark.parametrize("classified", [True, False])
def test_high_clouds_lie_elsewhere_in_each_band_and_displace_none(tmp_path: Path, classified: bool):
    """Bands look from different angles: a cloud is shifted from band to band, the ground is not.

    Without a classification clouds are not separated from ground, and the refusal says that one helps.
    """
    blobs = gaussian_filter(np.random.default_rng(8).normal(0, 1, (256, 256)), 5)
    blobs[170:] = -1
    seen = {
        band: values + 6000 * (np.roll(blobs, (4 * i, 0), (0, 1)) > 0.04)
        for i, (band, values) in enumerate(bands().items())
    }
    spec = image(tmp_path, seen)
    if classified:
        scl = np.full((128, 128), 4, np.uint8)
        scl[:92] = 9
        path = tmp_path / "T51RUH_20240410T022529_SCL_20m.tif"
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=128,
            height=128,
            count=1,
            dtype="uint8",
            crs="EPSG:32651",
            transform=Affine(20, 0, 400_000, 0, -20, 2_650_000),
        ) as out:
            out.write(scl, 1)
        assert not codes(spec.model_copy(update={"SCL": path})) & {"W215", "E209"}
    else:
        with pytest.raises(InputError) as error:
            codes(spec)
        assert error.value.code == "E209"
