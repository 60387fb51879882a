"""Alignment of one band: copies, interpolation, missing pixels, and the same pixels for any chunking."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.crs import CRS
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import convolve

from landslide_map.grid import Block, Grid
from landslide_map.raster.band import RasterBand
from landslide_map.raster.coordinates import source_coordinates
from landslide_map.raster.resample import read_block, trim_edges
from landslide_map.runtime import timings
from tests.support.raised import raised
from tests.support.rasters import grid_at, whole, write_band

RNG = np.random.default_rng(20260101)


def speckle(shape: tuple[int, int], missing: float = 0.0) -> np.ndarray:
    values = RNG.exponential(0.1, shape).astype(np.float32)
    values[RNG.random(shape) < missing] = np.nan
    return values


def neighbour_zone(shape: tuple[int, int] = (170, 190), pixel: float = 10.0) -> Grid:
    """A source in zone 32 under the target of `target`, with no margin on any side."""
    x, y = Transformer.from_crs(32633, 32632, always_xy=True).transform(300_600, 5_199_420)
    rows, cols = shape
    return grid_at(32632, round(x) - pixel * cols / 2 + 3.7, round(y) + pixel * rows / 2 - 1.2, shape, pixel)


@pytest.fixture
def target() -> Grid:
    return grid_at(32633, 300_000, 5_200_020, (121, 133))


@pytest.fixture
def across_zones(tmp_path: Path) -> RasterBand:
    grid = neighbour_zone()
    return write_band(tmp_path / "zone32.tif", speckle(grid.shape, missing=0.05), grid)


# ---- copies


@pytest.mark.parametrize("shift", [(0, 0), (7, -5), (-30, 12), (500, 0)])
def test_pixels_on_the_same_lattice_are_copied_exactly_wherever_the_file_lies(tmp_path, target, shift):
    down, right = shift
    values = speckle((80, 90), missing=0.1)
    grid = grid_at(32633, 300_000 + 10 * right, 5_200_020 - 10 * down, values.shape)
    expected = np.full((1200, 1200), np.nan, np.float32)
    expected[100 + down : 180 + down, 100 + right : 190 + right] = values
    read = read_block(write_band(tmp_path / "same.tif", values, grid), target, whole(target))
    np.testing.assert_array_equal(read, expected[100:221, 100:233])


def test_integer_pixels_are_copied_and_nodata_is_compared_in_the_files_own_type(tmp_path, target):
    values = RNG.integers(1, 60_000, target.shape).astype(np.uint16)
    values[3, 4], values[5, 6] = 0, 65_535
    band = write_band(tmp_path / "dn.tif", values, target, nodata=(0.0, 65_535.0, -9999.0, 0.5))
    expected = values.astype(np.float32)
    expected[3, 4] = expected[5, 6] = np.nan
    np.testing.assert_array_equal(read_block(band, target, whole(target)), expected)


@pytest.mark.parametrize("fill", [-3.4028234663852886e38, -9999.0, 0.0, np.inf, -np.inf, np.nan])
def test_a_float_fill_value_becomes_nan_and_nothing_else_does(tmp_path, target, fill):
    values = speckle(target.shape)
    values[10, 20] = fill
    band = write_band(tmp_path / "f.tif", values, target, nodata=(fill,))
    missing = np.isnan(read_block(band, target, whole(target)))
    assert missing.sum() == 1
    assert missing[10, 20]


def test_the_lowest_float64_is_no_measurement_even_where_undeclared(tmp_path, target):
    values = speckle(target.shape).astype(np.float64)
    values[10, 20] = np.finfo(np.float64).min
    read = read_block(write_band(tmp_path / "f64.tif", values, target), target, whole(target))
    assert np.argwhere(np.isnan(read)).tolist() == [[10, 20]]


def test_point_and_area_registration_of_the_same_pixels_read_the_same(tmp_path, target):
    values, path = speckle(target.shape), tmp_path / "point.tif"
    write_band(path, values, target)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(AREA_OR_POINT="Point")
    with rasterio.open(path) as dataset:
        assert dataset.tags()["AREA_OR_POINT"] == "Point"
        grid = Grid(dataset.crs, dataset.transform, dataset.width, dataset.height)
    assert grid == target
    np.testing.assert_array_equal(read_block(RasterBand(str(path), grid), target, whole(target)), values)


def test_a_south_up_file_is_read_the_right_way_round(tmp_path, target):
    values = speckle(target.shape)
    bottom = 5_200_020 - 10 * target.height
    flipped = replace(target, transform=Affine(10, 0, 300_000, 0, 10, bottom))
    band = write_band(tmp_path / "south_up.tif", values[::-1], flipped)
    np.testing.assert_allclose(read_block(band, target, whole(target)), values, rtol=1e-6)


# ---- chunking


def tiled(band: RasterBand, grid: Grid, height: int, width: int, **how: bool) -> np.ndarray:
    rows = [
        [
            read_block(
                band, grid, Block(r, c, min(height, grid.height - r), min(width, grid.width - c)), **how
            )
            for c in range(0, grid.width, width)
        ]
        for r in range(0, grid.height, height)
    ]
    return np.block(rows)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(height=st.integers(11, 130), width=st.integers(17, 140), trim=st.booleans(), nearest=st.booleans())
def test_any_chunking_gives_the_same_bytes_across_zones(across_zones, target, height, width, trim, nearest):
    once = read_block(across_zones, target, whole(target), trim=trim, nearest=nearest)
    assert np.isfinite(once).mean() > 0.5
    chunked = tiled(across_zones, target, height, width, trim=trim, nearest=nearest)
    np.testing.assert_array_equal(chunked.view(np.uint32), once.view(np.uint32))


@pytest.mark.parametrize("pixel", [2.5, 3.3, 20.0, 30.0])
def test_any_chunking_gives_the_same_bytes_from_finer_and_coarser_sources(tmp_path, target, pixel):
    shape = (int(1300 / pixel), int(1500 / pixel))
    band = write_band(tmp_path / "other.tif", speckle(shape, missing=0.02), neighbour_zone(shape, pixel))
    once = read_block(band, target, whole(target), trim=True)
    assert np.isfinite(once).mean() > 0.5
    for height, width in [(64, 64), (37, 41), (5, 133), (121, 9)]:
        chunked = tiled(band, target, height, width, trim=True)
        np.testing.assert_array_equal(chunked.view(np.uint32), once.view(np.uint32))


@pytest.mark.parametrize("trim", [False, True])
@pytest.mark.parametrize(
    ("pixel", "shift"), [(10.0, 0.0), (10.0, 3.0), (30.0, 7.0), (30.0, 18.0), (5.0, 1.0)]
)
def test_blocks_that_end_at_lattice_nodes_see_as_far_as_the_whole_does(tmp_path, target, pixel, shift, trim):
    """Without rotation nothing is read beyond what a block needs: a row or column too few would show."""
    shape = (int(1300 / pixel) + 3, int(1500 / pixel) + 3)
    source = grid_at(32633, 300_000 - pixel - shift, 5_200_020 + pixel + shift, shape, pixel)
    band = write_band(tmp_path / "holes.tif", speckle(shape, missing=0.2), source)
    once = read_block(band, target, whole(target), trim=trim)
    assert 0.2 < np.isfinite(once).mean() < 1
    for size in (16, 32, 64):
        chunked = tiled(band, target, size, size, trim=trim)
        np.testing.assert_array_equal(chunked.view(np.uint32), once.view(np.uint32))


def test_blocks_of_a_large_grid_far_from_its_origin_equal_the_whole_to_the_byte(tmp_path):
    grid = grid_at(32633, 300_000, 5_200_020, (3000, 2100))
    x, y = Transformer.from_crs(32633, 32632, always_xy=True).transform(310_240, 5_189_780)
    source = grid_at(32632, round(x) - 14_000, round(y) + 14_000, (2800, 2800))
    band = write_band(tmp_path / "large.tif", speckle(source.shape), source)
    block = Block(900, 950, 300, 300)
    once = read_block(band, grid, block)
    assert np.isfinite(once).all()
    parts = [
        [read_block(band, grid, Block(900 + r, 950 + c, 100, 150)) for c in (0, 150)] for r in (0, 100, 200)
    ]
    np.testing.assert_array_equal(np.block(parts).view(np.uint32), once.view(np.uint32))


def test_a_block_that_needs_too_many_source_pixels_is_read_in_halves_and_is_the_same(across_zones, target):
    with timings.collected() as spent:
        once = read_block(across_zones, target, whole(target), trim=True)
        halves = read_block(across_zones, target, whole(target), trim=True, most=5000)
    np.testing.assert_array_equal(halves, once)
    assert spent.work["read"].times > 2


# ---- averaging, classes, missing pixels


@pytest.mark.parametrize("n", [2, 5])
def test_a_finer_nested_source_is_averaged_exactly(tmp_path, target, n):
    values = speckle((target.height * n, target.width * n))
    grid = grid_at(32633, 300_000, 5_200_020, values.shape, 10 / n)
    expected = values.astype(np.float64).reshape(target.height, n, target.width, n).mean(axis=(1, 3))
    read = read_block(write_band(tmp_path / "fine.tif", values, grid), target, whole(target))
    np.testing.assert_allclose(read, expected, rtol=1e-6)


@pytest.mark.parametrize(("down", "across"), [(1, 4), (4, 1)])
def test_pixels_are_averaged_along_the_axis_on_which_they_are_finer(tmp_path, target, down, across):
    """Files in degrees at 60 degrees north have pixels half as wide as high."""
    values = speckle((target.height * down, target.width * across))
    corner = Affine(10 / across, 0, 300_000, 0, -10 / down, 5_200_020)
    grid = Grid(target.crs, corner, values.shape[1], values.shape[0])
    expected = values.astype(np.float64).reshape(target.height, down, target.width, across).mean(axis=(1, 3))
    read = read_block(write_band(tmp_path / "fine.tif", values, grid), target, whole(target))
    np.testing.assert_allclose(read, expected, rtol=1e-6)


def test_an_average_of_finer_pixels_is_missing_where_more_than_half_of_them_are(tmp_path):
    grid = grid_at(32633, 300_000, 5_200_020, (1, 2))
    values = np.array([[1, np.nan, np.nan, np.nan], [3, np.nan, np.nan, 5]], np.float32)
    band = write_band(tmp_path / "fine.tif", values, grid_at(32633, 300_000, 5_200_020, (2, 4), 5.0))
    np.testing.assert_allclose(read_block(band, grid, whole(grid)), [[2.0, np.nan]])


def test_a_coarser_source_is_interpolated_between_its_centres(tmp_path):
    grid = grid_at(32633, 300_000, 5_200_020, (3, 6))
    values = np.array([[1, 4]], np.float32)
    band = write_band(tmp_path / "30m.tif", values, grid_at(32633, 300_000, 5_200_020, (1, 2), 30.0))
    # 10 m centres lie at 5, 15 ... 55 m, 30 m centres at 15 and 45 m; beyond these the nearest is used.
    np.testing.assert_allclose(read_block(band, grid, whole(grid))[1], [1, 1, 2, 3, 4, 4], rtol=1e-6)


def test_classes_are_taken_from_the_pixel_that_holds_the_centre_and_never_mixed(tmp_path, target):
    classes = RNG.choice(np.array([4, 8, 11], np.uint8), (61, 67))
    band = write_band(tmp_path / "scl.tif", classes, grid_at(32633, 300_000, 5_200_020, classes.shape, 20.0))
    expected = np.kron(classes, np.ones((2, 2)))[: target.height, : target.width]
    np.testing.assert_array_equal(read_block(band, target, whole(target), nearest=True), expected)


@pytest.mark.parametrize("noise", [0.0, 1e-7, -1e-7])
def test_a_centre_on_the_edge_of_two_classes_takes_the_one_that_begins_there(tmp_path, noise):
    """Noise of a ten-millionth of a metre in a file's corner does not choose another class."""
    classes = np.arange(1, 21, dtype=np.uint8).reshape(4, 5)
    band = write_band(
        tmp_path / "scl.tif", classes, grid_at(32633, 300_005 + noise, 5_200_015 + noise, (4, 5))
    )
    read = read_block(band, *(grid := grid_at(32633, 300_010, 5_200_010, (3, 4)), whole(grid)), nearest=True)
    np.testing.assert_array_equal(read, classes[1:, 1:])


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        # A quarter pixel: 3/4 of the weight is the pixel's own; the last one is left with 1/4, too little.
        (2.5, [[1, 1.75, 2.75, np.nan], [5, 5.75, 6.75, 7.75]]),
        # Half a pixel: a tie counts as valid.
        (5.0, [[1, 1.5, 2.5, 3], [5, 5.5, 6.5, 7.5]]),
    ],
)
def test_a_missing_neighbour_gives_its_weight_to_the_others_up_to_half(tmp_path, shift, expected):
    values = np.array([[1, 2, 3, np.nan], [5, 6, 7, 8]], np.float32)
    source = grid_at(32633, 300_000 + shift, 5_200_020, values.shape)
    grid = grid_at(32633, 300_000, 5_200_020, values.shape)
    read = read_block(write_band(tmp_path / "shifted.tif", values, source), grid, whole(grid))
    np.testing.assert_allclose(read, expected, rtol=1e-6)


def test_interpolation_never_reaches_beyond_the_valid_values_next_to_a_hole(across_zones, target):
    with rasterio.open(across_zones.path) as dataset:
        values = dataset.read(1)
    read = read_block(across_zones, target, whole(target))
    assert np.nanmin(read) >= np.nanmin(values)
    assert np.nanmax(read) <= np.nanmax(values)


def test_edges_of_the_swath_lose_one_pixel_and_isolated_holes_do_not_grow():
    values = np.ones((12, 14), np.float32)
    values[:, 10:] = np.nan  # beyond the swath
    values[5, 4] = np.nan  # a shadow pixel
    trimmed = trim_edges(values)
    expected = values.copy()
    expected[1:-1, 9] = np.nan  # at the corners of the file the edge has two missing neighbours only
    np.testing.assert_array_equal(trimmed, expected)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_trimming_counts_missing_neighbours_as_a_convolution_does(seed, share):
    rng = np.random.default_rng(seed)
    values = rng.random((9, 11)).astype(np.float32)
    values[rng.random(values.shape) < share] = np.nan
    box = np.ones((3, 3), int)
    box[1, 1] = 0
    missing = convolve(np.isnan(values).astype(int), box, mode="constant", cval=0)
    expected = np.where(missing >= 3, np.nan, values)
    np.testing.assert_array_equal(trim_edges(values), expected)


# ---- where sources lie


def test_a_source_that_does_not_meet_the_block_is_never_opened(target):
    elsewhere = [
        RasterBand("/nowhere/same_zone.tif", grid_at(32633, 500_000, 5_200_020, (50, 50))),
        RasterBand("/nowhere/shifted.tif", grid_at(32633, 500_003, 5_200_020, (50, 50))),
        RasterBand("/nowhere/other_zone.tif", grid_at(32632, 500_000, 5_200_020, (50, 50))),
        RasterBand("/nowhere/degrees.tif", grid_at(4326, -120, 40, (50, 50), 1e-4)),
    ]
    for band in elsewhere:
        assert np.isnan(read_block(band, target, whole(target))).all()


@pytest.mark.parametrize("on_the_right_of_the_line", [True, False])
@pytest.mark.parametrize(("epsg", "easting"), [(32701, 180_500.0), (32760, 818_300.0)])
def test_sources_are_read_across_the_antimeridian(tmp_path, epsg, easting, on_the_right_of_the_line):
    """Grids in zones 1 and 60 against a geographic file stored as 179.x..180.x or as -180.x..-179.x."""
    grid = grid_at(epsg, easting, 8_100_000, (90, 130))
    to_degrees = Transformer.from_crs(epsg, 4326, always_xy=True)
    x, y = np.meshgrid(grid.x, grid.y)
    longitude, latitude = to_degrees.transform(x, y)
    turned = np.where(longitude < 0, longitude + 360, longitude)  # continuous: 179.9 ... 180.1
    pixel = 1e-4
    left = np.floor(turned.min() / pixel - 3) * pixel
    top = np.ceil(latitude.max() / pixel + 3) * pixel
    shape = (int((top - latitude.min()) / pixel) + 4, int((turned.max() - left) / pixel) + 4)
    rows, cols = np.indices(shape)
    plane = ((cols + 0.5) * 2 + (rows + 0.5)).astype(np.float32)
    stored_left = left if on_the_right_of_the_line else left - 360
    source = grid_at(4326, stored_left, top, shape, pixel)
    band = write_band(tmp_path / "degrees.tif", plane, source)
    expected = (turned - left) / pixel * 2 + (top - latitude) / pixel
    read = read_block(band, grid, whole(grid))
    # Bilinear interpolation is exact on a plane; 1e-3 px of coordinate and float32 are what is left.
    np.testing.assert_allclose(read, expected, atol=5e-3)
    assert turned.min() < 180 < turned.max()


def test_neighbouring_zones_60_and_1_are_read_across_the_antimeridian(tmp_path):
    grid = grid_at(32701, 170_000, 8_100_000, (60, 70))
    x, y = Transformer.from_crs(32701, 32760, always_xy=True).transform(*np.meshgrid(grid.x, grid.y))
    source = grid_at(32760, np.floor(x.min()) - 33, np.ceil(y.max()) + 44, (90, 110))
    rows, cols = np.indices(source.shape)
    plane = (cols * 3 + rows).astype(np.float32)
    expected = ((x - source.transform.c) / 10 - 0.5) * 3 + (source.transform.f - y) / 10 - 0.5
    read = read_block(write_band(tmp_path / "zone60.tif", plane, source), grid, whole(grid))
    np.testing.assert_allclose(read, expected, atol=5e-3)


@pytest.mark.parametrize(
    ("source_epsg", "latitude"),
    [(32632, 0.0), (32632, 65.0), (32632, 80.0), (4326, 5.0), (4326, 70.0), (3413, 78.0)],
)
def test_coordinates_between_nodes_are_within_a_thousandth_of_a_pixel(source_epsg, latitude):
    """The claim of docs/decisions/0003, with pyproj at every pixel."""
    _, northing = Transformer.from_crs(4326, 32633, always_xy=True).transform(11.0, latitude)
    grid = grid_at(32633, 300_000, round(northing, -1), (96, 96))
    pixel = 1e-4 if source_epsg == 4326 else 10.0
    x, y = Transformer.from_crs(32633, source_epsg, always_xy=True).transform(*np.meshgrid(grid.x, grid.y))
    source = grid_at(source_epsg, x.min() - 5 * pixel, y.max() + 5 * pixel, (10, 10), pixel)
    nodes = np.meshgrid(np.arange(0.0, 97, 32), np.arange(0.0, 97, 32), indexing="ij")
    node_rows, node_cols = source_coordinates(source, grid, *nodes)
    centres = np.stack(np.meshgrid(np.arange(96) + 0.5, np.arange(96) + 0.5, indexing="ij"), axis=-1)
    axes = (np.arange(0.0, 97, 32),) * 2
    rows = RegularGridInterpolator(axes, node_rows)(centres)
    cols = RegularGridInterpolator(axes, node_cols)(centres)
    np.testing.assert_allclose(rows, (source.transform.f - y) / pixel, atol=1e-3)
    np.testing.assert_allclose(cols, (x - source.transform.c) / pixel, atol=1e-3)


# ---- failures


def test_a_truncated_file_is_refused_and_never_read_as_missing(tmp_path, target):
    path = tmp_path / "cut.tif"
    band = write_band(path, speckle(target.shape), target)
    path.write_bytes(path.read_bytes()[:20_000])
    with raised("E101", "cut.tif: band 1 cannot be read from row 0", "truncated"):
        read_block(band, target, whole(target))


def test_a_truncated_jpeg_2000_file_is_refused(tmp_path, target):
    path = tmp_path / "cut.jp2"
    values = RNG.integers(1, 5000, target.shape).astype(np.uint16)
    profile = {
        "width": target.width,
        "height": target.height,
        "count": 1,
        "dtype": "uint16",
        "crs": target.crs,
    }
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", transform=target.transform, QUALITY=100, REVERSIBLE="YES", **profile
    ) as dataset:
        dataset.write(values, 1)
    band = RasterBand(str(path), target)
    np.testing.assert_array_equal(read_block(band, target, whole(target)), values)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with raised("E101", "cut.jp2: band 1 cannot be read"):
        read_block(band, target, whole(target))


def test_a_file_that_is_gone_or_lacks_the_band_is_refused(tmp_path, target):
    band = write_band(tmp_path / "one.tif", speckle(target.shape), target)
    with raised("E101", "one.tif: band 3"):
        read_block(replace(band, index=3), target, whole(target))
    with raised("E101", "gone.tif"):
        read_block(replace(band, path=str(tmp_path / "gone.tif")), target, whole(target))


def test_a_crs_written_as_wkt_without_code_still_counts_as_the_same_lattice(tmp_path, target):
    plain = CRS.from_wkt(target.crs.to_wkt().replace(',AUTHORITY["EPSG","32633"]]', "]"))
    values = speckle(target.shape, missing=0.1)
    band = write_band(tmp_path / "wkt.tif", values, replace(target, crs=plain))
    np.testing.assert_allclose(read_block(band, target, whole(target)), values, rtol=1e-6)
