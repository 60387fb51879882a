"""From sources to acquisitions and channels: units, dates, slices, absent sensors, names, coordinates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import Transformer

from landslide_map.bands import ACQUISITIONS, CHANNELS, DIFFERENCES, GROUPS, OPTICAL, SNOW_OR_CLOUD, STEEP
from landslide_map.grid import Block, Grid
from landslide_map.inputs.scene_inputs import (
    OpticalImage,
    RadarComposite,
    RadarImage,
    RadarTrack,
    SceneInputs,
)
from landslide_map.raster.band import RasterBand
from landslide_map.runtime import timings
from landslide_map.stack import acquisitions
from landslide_map.stack import channels as stack
from landslide_map.stack.acquisitions import read_acquisition
from landslide_map.stack.slope import steep_block
from landslide_map.stack.snow_cloud import snow_or_cloud_pixels
from tests.support.raised import raised
from tests.support.rasters import grid_at, write_band

# rioxarray builds its transforms with an operator that affine 3 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

EVENT = datetime(2024, 4, 2, 23, 58, tzinfo=UTC)
GRID = grid_at(32633, 300_000, 5_200_020, (70, 90))


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def optical(
    folder: Path, values: dict[str, np.ndarray], grid: Grid = GRID, **changes: object
) -> OpticalImage:
    bands = {name: write_band(folder / f"{name}.tif", v, grid, nodata=(0.0,)) for name, v in values.items()}
    return replace(OpticalImage(bands, scale=1.0, offset=0.0, offset_reason="test"), **changes)


def radar(bands: dict[str, tuple[RasterBand, ...]], days: int = 1, orbit: str = "descending") -> RadarImage:
    return RadarImage(bands, "db", "sigma0", EVENT + timedelta(days=days), orbit)


def scene(**parts: object) -> SceneInputs:
    return replace(SceneInputs(GRID, EVENT, None, {}), **parts)


def decibels(rng: np.random.Generator, shape: tuple[int, int] = GRID.shape) -> np.ndarray:
    return rng.normal(-11, 3, shape).astype(np.float32)


def dn(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {name: rng.integers(1001, 6000, GRID.shape).astype(np.uint16) for name in OPTICAL}


@pytest.fixture
def full_scene(tmp_path, rng) -> tuple[SceneInputs, dict[str, np.ndarray]]:
    """Optical, a descending track of images and an ascending one; and the pixels as written."""
    written: dict[str, np.ndarray] = dict(dn(rng))
    image = optical(tmp_path, written)
    tracks = {}
    for orbit, prefix in (("descending", "desc"), ("ascending", "asc")):
        sides = {}
        for side, days in (("pre", -8), ("post", 4)):
            bands = {}
            for pol in ("vv", "vh"):
                name = f"{prefix}_{side}_{pol}"
                written[name] = decibels(rng)
                bands[pol] = (write_band(tmp_path / f"{name}.tif", written[name], GRID),)
            sides[side] = (radar(bands, days, orbit),)
        tracks[orbit] = RadarTrack(orbit, **sides)
    return scene(optical=image, tracks=tracks), written


def acquisitions_of(inputs: SceneInputs, chunks: Any = 1024) -> xr.DataArray:
    return stack.lazy_channels(inputs, ACQUISITIONS, chunks).sel(band=list(ACQUISITIONS))


def channels_of(inputs: SceneInputs, chunks: Any = 1024) -> xr.DataArray:
    return stack.lazy_channels(inputs, CHANNELS, chunks).sel(band=list(CHANNELS))


def test_the_acquisitions_are_the_written_pixels_by_name_on_the_grid(full_scene):
    inputs, written = full_scene
    acquired = acquisitions_of(inputs)
    assert acquired.dims == ("band", "y", "x")
    assert acquired.dtype == np.float32
    assert tuple(acquired.band.values) == ACQUISITIONS
    assert (acquired.x[0], acquired.y[0]) == (300_005, 5_200_015)
    for name in ACQUISITIONS:
        np.testing.assert_array_equal(acquired.sel(band=name), written[name].astype(np.float32), err_msg=name)


def test_decibels_have_the_same_floor_copied_and_interpolated(tmp_path):
    """Noise-subtracted shadow reaches -80 dB; on the grid's own pixels as between them it ends at -65."""
    shadow = np.full(GRID.shape, -80, np.float32)
    shifted = grid_at(32633, 300_003, 5_200_020, GRID.shape)
    for name, grid in (("own", GRID), ("shifted", shifted)):
        track = RadarTrack(
            "descending", post=(radar({"vv": (write_band(tmp_path / f"{name}.tif", shadow, grid),)}),)
        )
        read = read_acquisition(scene(tracks={"descending": track}), "desc_post_vv", Block(8, 8, 40, 40))
        np.testing.assert_array_equal(read, -65)


def test_nothing_is_read_before_it_is_computed_and_then_only_what_is_needed(full_scene, tmp_path):
    inputs, _ = full_scene
    with timings.collected() as spent:
        some, channels = stack.lazy_channels(inputs, ["ndvi", "asc_diff_vh"], 64), channels_of(inputs, 64)
        assert spent.work == {}
        channels.compute()
        # Four blocks, and every file once for each of them.
        assert spent.work["read"].times == 4 * len(ACQUISITIONS)
        expected = some.values
        assert spent.work["read"].times == 4 * len(ACQUISITIONS) + 4 * 4
    for name in {*ACQUISITIONS} - {"nir", "red", "asc_pre_vh", "asc_post_vh"}:
        (tmp_path / f"{name}.tif").unlink()
    np.testing.assert_array_equal(some.values, expected)


def test_channels_by_hand_on_three_by_three_pixels(tmp_path):
    grid = grid_at(32633, 300_000, 5_200_020, (3, 3))
    nir = np.array([[3000, 1000, 2000], [4000, 1500, 0], [1001, 5000, 2500]], np.uint16)
    red = np.array([[1000, 1000, 2000], [1000, 4500, 1500], [1003, 1250, 7500]], np.uint16)
    values = {"red": red, "green": red, "blue": red, "nir": nir}
    pre = np.array([[-10, -12, -9], [-20.5, -8, -15], [np.nan, -7, -7]], np.float32)
    post = np.array([[-13, -12, -4], [-16.5, -8.25, np.nan], [-9, -6.5, -7]], np.float32)
    bands = {
        side: {pol: (write_band(tmp_path / f"{side}{pol}.tif", v, grid),) for pol in ("vv", "vh")}
        for side, v in (("pre", pre), ("post", post))
    }
    track = RadarTrack(
        "ascending", (radar(bands["pre"], -3, "ascending"),), (radar(bands["post"], 3, "ascending"),)
    )
    inputs = SceneInputs(grid, EVENT, optical(tmp_path, values, grid), {"ascending": track})
    made = channels_of(inputs).compute()
    assert tuple(made.band.values) == CHANNELS
    # (nir - red) / (nir + red) + 0.5, with the offset left in; 0 is no data.
    ndvi = [[1.0, 0.5, 0.5], [1.1, 0.0, np.nan], [0.499001996, 1.1, 0.0]]
    np.testing.assert_allclose(made.sel(band="ndvi"), ndvi, atol=1e-6)
    np.testing.assert_allclose(made.sel(band="nd_red_green"), np.full((3, 3), 0.5))
    difference = [[-3, 0, 5], [4, -0.25, np.nan], [np.nan, 0.5, 0]]
    np.testing.assert_allclose(made.sel(band="asc_diff_vv"), difference, atol=1e-6)
    np.testing.assert_array_equal(made.sel(band="asc_vv"), post)
    assert np.isnan(made.sel(band=list(GROUPS["descending"]))).all()


def test_each_index_takes_its_own_pair_of_bands(full_scene):
    inputs, written = full_scene
    made = channels_of(inputs).compute()
    r, g, b, n = (written[name].astype(np.float64) for name in ("red", "green", "blue", "nir"))
    for name, (x, y) in {
        "ndvi": (n, r), "gndvi": (n, g), "bndvi": (n, b),
        "nd_red_green": (r, g), "nd_red_blue": (r, b), "nd_green_blue": (g, b),
    }.items():  # fmt: skip
        np.testing.assert_allclose(
            made.sel(band=name), x / (x + y) - y / (x + y) + 0.5, atol=1e-6, err_msg=name
        )


def test_the_optical_scale_and_offset_give_training_numbers(tmp_path, rng):
    reflectance = {name: rng.uniform(0.01, 0.6, GRID.shape).astype(np.float32) for name in OPTICAL}
    reflectance["red"][2, 3] = -0.15  # over-corrected shade: baseline 04.00 could not store it
    image = optical(tmp_path, reflectance, scale=10_000.0, offset=1000.0)
    acquired = acquisitions_of(scene(optical=image)).compute()
    expected = 10_000 * reflectance["green"].astype(np.float64) + 1000
    np.testing.assert_allclose(acquired.sel(band="green"), expected, rtol=1e-6)
    assert acquired.sel(band="red")[2, 3] == 1


@pytest.mark.parametrize("units", ["db", "power", "amplitude"])
def test_backscatter_of_another_zone_is_interpolated_in_power_whatever_its_units(tmp_path, rng, units):
    x, y = Transformer.from_crs(32633, 32632, always_xy=True).transform(*np.meshgrid(GRID.x, GRID.y))
    source = grid_at(32632, np.floor(x.min()) - 47, np.ceil(y.max()) + 52, (50, 60), 20.0)
    power = rng.exponential(0.1, source.shape).clip(1e-5)
    stored = {"db": 10 * np.log10(power), "power": power, "amplitude": np.sqrt(power)}[units]
    band = write_band(tmp_path / "zone32.tif", stored.astype(np.float32), source)
    image = replace(radar({"vv": (band,), "vh": (band,)}), units=units)
    inputs = scene(tracks={"descending": RadarTrack("descending", (image,), (image,))})
    read = acquisitions_of(inputs).sel(band="desc_post_vv").compute()
    # Written out from the definition: four neighbours of the exact position, weighted, in power.
    col, row = (x - source.transform.c) / 20 - 0.5, (source.transform.f - y) / 20 - 0.5
    c, r = np.floor(col).astype(int), np.floor(row).astype(int)
    u, v = col - c, row - r
    mean = (1 - v) * ((1 - u) * power[r, c] + u * power[r, c + 1])
    mean += v * ((1 - u) * power[r + 1, c] + u * power[r + 1, c + 1])
    np.testing.assert_allclose(read, 10 * np.log10(mean), atol=5e-3)
    log = 10 * np.log10(power)
    in_db = (1 - v) * ((1 - u) * log[r, c] + u * log[r, c + 1])
    in_db += v * ((1 - u) * log[r + 1, c] + u * log[r + 1, c + 1])
    assert float(np.mean(read.values - in_db)) > 0.5  # the mean of logarithms would be far too dark


@pytest.mark.parametrize("units", ["db", "power", "amplitude"])
def test_backscatter_with_pixels_like_the_grids_keeps_its_speckle(tmp_path, rng, units):
    """Of another zone each value is one of the file, that of the nearest pixel: nothing is averaged again."""
    x, y = Transformer.from_crs(32633, 32632, always_xy=True).transform(*np.meshgrid(GRID.x, GRID.y))
    source = grid_at(32632, np.floor(x.min()) - 47, np.ceil(y.max()) + 52, (100, 120))
    power = rng.exponential(0.1, source.shape).clip(1e-5).astype(np.float32)
    stored = {"db": 10 * np.log10(power), "power": power, "amplitude": np.sqrt(power)}[units]
    band = write_band(tmp_path / "zone32.tif", stored.astype(np.float32), source)
    image = replace(radar({"vv": (band,), "vh": (band,)}), units=units)
    inputs = scene(tracks={"descending": RadarTrack("descending", (image,), (image,))})
    read = acquisitions_of(inputs).sel(band="desc_post_vv").compute()
    col, row = (x - source.transform.c) / 10, (source.transform.f - y) / 10
    nearest = power[np.floor(row).astype(int), np.floor(col).astype(int)]
    inner = (np.abs(col - np.round(col)) > 0.01) & (np.abs(row - np.round(row)) > 0.01)
    np.testing.assert_allclose(read.values[inner], 10 * np.log10(nearest[inner]), atol=1e-3)


def test_several_dates_become_the_median_of_decibels_over_those_that_are_valid(tmp_path, rng):
    dates = [decibels(rng) for _ in range(4)]
    for values in dates:
        # Holes that never touch, so that none of them is an edge.
        values[::3, ::3][rng.random(values[::3, ::3].shape) < 0.5] = np.nan
        values[0, 0] = np.nan
    images = tuple(
        radar({p: (write_band(tmp_path / f"{k}{p}.tif", v, GRID),) for p in ("vv", "vh")}, -12 * k - 1)
        for k, v in enumerate(dates)
    )
    inputs = scene(tracks={"descending": RadarTrack("descending", images, images[:1])})
    acquired = acquisitions_of(inputs).compute()
    with np.errstate(all="ignore"):
        stacked = np.ma.masked_invalid(np.stack(dates))
        expected = np.ma.median(stacked, axis=0).filled(np.nan)
    np.testing.assert_allclose(acquired.sel(band="desc_pre_vv"), expected, rtol=1e-6)
    assert np.isnan(acquired.sel(band="desc_pre_vv")[0, 0])
    np.testing.assert_array_equal(acquired.sel(band="desc_post_vv"), dates[0])


def test_slices_of_a_datatake_are_laid_under_each_other_in_order(tmp_path):
    north, south = (np.full((60, 90), value, np.float32) for value in (-8.0, -12.0))
    north[5, 5] = np.nan
    lower = grid_at(32633, 300_000, 5_200_020 - 300, (60, 90))
    bands = (
        write_band(tmp_path / "north.tif", north[:60], grid_at(32633, 300_000, 5_200_020, (60, 90))),
        write_band(tmp_path / "south.tif", south, lower),
    )
    image = radar({"vv": bands, "vh": bands[::-1]})
    inputs = scene(tracks={"descending": RadarTrack("descending", (image,), (image,))})
    acquired = acquisitions_of(inputs).compute()
    vv = np.where(np.arange(70)[:, None] < 60, np.float32(-8), np.float32(-12)) * np.ones((1, 90), np.float32)
    vh = np.where(np.arange(70)[:, None] < 30, np.float32(-8), np.float32(-12)) * np.ones((1, 90), np.float32)
    vv[5, 5] = vh[5, 5] = np.nan  # the southern slice starts below
    np.testing.assert_array_equal(acquired.sel(band="desc_post_vv"), vv)
    np.testing.assert_array_equal(acquired.sel(band="desc_post_vh"), vh)


def test_a_composite_gives_its_own_difference_back(tmp_path, rng):
    x, y = Transformer.from_crs(32633, 4326, always_xy=True).transform(*np.meshgrid(GRID.x, GRID.y))
    source = grid_at(4326, x.min() - 5e-4, y.max() + 5e-4, (110, 180), 1e-4)
    layers = {name: decibels(rng, source.shape) for name in ("post_vv", "post_vh", "diff_vv", "diff_vh")}
    layers["diff_vv"] = np.full(source.shape, -2.5, np.float32)
    bands = {name: write_band(tmp_path / f"{name}.tif", v, source) for name, v in layers.items()}
    track = RadarTrack("ascending", composite=RadarComposite(bands, "sigma0"))
    inputs = scene(tracks={"ascending": track})
    acquired, made = acquisitions_of(inputs), channels_of(inputs).compute()
    np.testing.assert_allclose(made.sel(band="asc_diff_vv"), -2.5, atol=1e-5)
    np.testing.assert_allclose(acquired.sel(band="asc_pre_vv"), made.sel(band="asc_vv") + 2.5, rtol=1e-5)
    assert float(made.sel(band="asc_diff_vh").std()) > 0.5


@pytest.mark.parametrize("missing", ["optical", "descending", "ascending", "radar"])
def test_bands_of_an_absent_sensor_are_nan_and_the_others_unharmed(full_scene, missing):
    inputs, written = full_scene
    gone = {"optical"} & {missing} or {"descending", "ascending"} & (
        {missing} if missing != "radar" else {"descending", "ascending"}
    )
    inputs = replace(
        inputs,
        optical=None if "optical" in gone else inputs.optical,
        tracks={orbit: track for orbit, track in inputs.tracks.items() if orbit not in gone},
    )
    made = channels_of(inputs, 50).compute()
    for group, names in GROUPS.items():
        assert bool(np.isnan(made.sel(band=list(names))).all()) == (group in gone), group
    if "optical" not in gone:
        np.testing.assert_array_equal(made.sel(band="red"), written["red"])
    assert np.isnan(acquisitions_of(inputs).sel(band=list(OPTICAL))).all() == ("optical" in gone)
    assert np.isnan(stack.lazy_channels(inputs, [SNOW_OR_CLOUD]).compute()).all() == ("optical" in gone)


@pytest.mark.parametrize("chunk", [16, 33, 64, 1024, (70, 7)])
def test_chunks_change_nothing(full_scene, chunk):
    inputs, _ = full_scene
    shifted = {
        orbit: replace(track, pre=tuple(shift(image) for image in track.pre))
        for orbit, track in inputs.tracks.items()
    }
    inputs = replace(inputs, tracks=shifted)
    once = channels_of(inputs, 4096).compute()
    chunked = channels_of(inputs, chunk).compute()
    assert np.isnan(once.sel(band=list(DIFFERENCES))).any()
    np.testing.assert_array_equal(once.values.view(np.uint32), chunked.values.view(np.uint32))


def test_snow_and_cloud_are_found_by_the_bands_and_the_class_of_each_pixel(full_scene, tmp_path, rng):
    """Classes of 20 m lie under 2 x 2 pixels of 10 m, whole: a mean of codes is another class."""
    inputs, written = full_scene
    codes = rng.choice([4, 8, 11], (GRID.height // 2, GRID.width // 2)).astype(np.uint8)
    classes = write_band(tmp_path / "scl.tif", codes, grid_at(32633, 300_000, 5_200_020, codes.shape, 20.0))
    inputs = replace(inputs, optical=replace(inputs.optical, scene_classification=classes))
    bands = {name: written[name].astype(np.float32) for name in OPTICAL}
    under = np.kron(codes, np.ones((2, 2))).astype(np.float32)
    expected = snow_or_cloud_pixels(bands, under)
    assert 0.1 < expected.mean() < 0.9
    (read,) = stack.read_channels(inputs, [SNOW_OR_CLOUD], Block(0, 0, *GRID.shape))
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("missing", [None, "optical", "descending"])
def test_channels_read_sensor_by_sensor_have_the_bits_of_all_together(full_scene, tmp_path, rng, missing):
    inputs, _ = full_scene
    classes = write_band(tmp_path / "scl.tif", rng.integers(1, 12, GRID.shape).astype(np.uint8), GRID)
    inputs = replace(
        inputs,
        optical=None if missing == "optical" else replace(inputs.optical, scene_classification=classes),
        tracks={orbit: track for orbit, track in inputs.tracks.items() if orbit != missing},
        dem=write_band(tmp_path / "dem.tif", rng.uniform(0, 900, GRID.shape).astype(np.float32), GRID),
    )
    whole = Block(0, 0, *GRID.shape)
    acquired = {name: acquisitions.read_acquisition(inputs, name, whole) for name in ACQUISITIONS}
    lazy = stack.lazy_channels(inputs, [*CHANNELS, SNOW_OR_CLOUD, STEEP], 33)
    made = lazy.compute()
    assert lazy.chunks == ((11, 4, 4, 1), (33, 33, 4), (33, 33, 24))
    for name in CHANNELS:
        expected = np.ascontiguousarray(stack.make_channel(name, acquired))
        np.testing.assert_array_equal(made.sel(band=name).values.view(np.uint32), expected.view(np.uint32))
    (snowy,) = stack.read_channels(inputs, [SNOW_OR_CLOUD], whole)
    np.testing.assert_array_equal(made.sel(band=SNOW_OR_CLOUD), snowy)
    np.testing.assert_array_equal(made.sel(band=STEEP), steep_block(inputs.dem, GRID, whole))


def test_every_acquisition_is_read_once_for_all_the_channels_made_of_it(full_scene):
    inputs, _ = full_scene
    with timings.collected() as spent:
        stack.lazy_channels(inputs, ["ndvi", "desc_vv", "gndvi", "desc_diff_vv"]).compute()
    assert spent.work["read"].times == len(["desc_post_vv", "desc_pre_vv", "green", "nir", "red"])


def shift(image: RadarImage) -> RadarImage:
    """The image as if its files lay 33 m further east."""
    moved = replace(GRID, transform=GRID.transform.translation(33, 0) @ GRID.transform)
    return replace(image, bands={p: tuple(replace(b, grid=moved) for b in s) for p, s in image.bands.items()})


def test_a_block_read_without_dask_is_the_same_block(full_scene):
    inputs, _ = full_scene
    acquired = acquisitions_of(inputs, 64).compute()
    block = Block(10, 20, 30, 40)
    for name in ACQUISITIONS:
        expected = acquired.sel(band=name).values[10:40, 20:60]
        np.testing.assert_array_equal(acquisitions.read_acquisition(inputs, name, block), expected)


def test_a_file_that_breaks_during_the_run_stops_it(full_scene):
    inputs, _ = full_scene
    path = Path(inputs.tracks["ascending"].post[0].bands["vh"][0].path)
    path.write_bytes(path.read_bytes()[:9000])
    with raised("E101", "asc_post_vh.tif: band 1 cannot be read"):
        channels_of(inputs).compute()


def test_the_edge_of_a_swath_loses_one_pixel_of_its_own_source(tmp_path):
    values = np.full(GRID.shape, -9.0, np.float32)
    values[:, 60:] = np.nan
    band = write_band(tmp_path / "swath.tif", values, GRID)
    image = radar({"vv": (band,), "vh": (band,)})
    inputs = scene(tracks={"descending": RadarTrack("descending", (image,), (image,))})
    read = acquisitions_of(inputs).sel(band="desc_post_vv").compute()
    assert np.isnan(read[30, 59])
    assert (read[30, :59] == -9).all()
