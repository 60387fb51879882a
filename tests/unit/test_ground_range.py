"""Sentinel-1 GRD products: where pixels lie, what they measure, and what is refused."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

from landslide_map.errors import InputError
from landslide_map.grid import Block, Grid
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.raster.dataset import open_dataset
from landslide_map.raster.geoid import geoid_height
from landslide_map.raster.ground_range import geometry
from landslide_map.raster.ground_range.annotation import LookUp
from landslide_map.raster.ground_range.product import GroundRangeBand, annotation_of, ground_range_band
from landslide_map.raster.ground_range.raster import FLOOR_POWER
from landslide_map.scene.model import Scene
from landslide_map.stack.acquisitions import read_acquisition
from landslide_map.stack.pixel_channels import read_pixel_channels, unavailable
from tests.support.ground_range_product import (
    LINES,
    SAMPLES,
    Product,
    land,
    place_of,
    seen_at,
    sigma_look_up,
    zipped_product,
)
from tests.support.raised import raised
from tests.support.shared_data import shared_data

needs_sarsen = pytest.mark.skipif(find_spec("sarsen") is None, reason="needs landslide-map[grd]")
EPSG = 32651
TO_GRID = pyproj.Transformer.from_crs(4326, EPSG, always_xy=True)
FROM_GRID = pyproj.Transformer.from_crs(EPSG, 4326, always_xy=True)
BEFORE = Product("2024-03-24T21:55:00", 53120)
AFTER = Product()


def grid(pixels: int = 320) -> Grid:
    x, y = (round(at, -1) for at in TO_GRID.transform(*place_of(350, 450, 400.0)))
    half = pixels * 5
    return Grid(CRS.from_epsg(EPSG), Affine(10, 0, x - half, 0, -10, y + half), pixels, pixels)


def hill(longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Height above the sea: 900 m on 200 m, 1 km wide."""
    lon, lat = place_of(350, 450, 400.0)
    squared = ((longitude - lon) * 100_800) ** 2 + ((latitude - lat) * 110_800) ** 2
    return 200 + 700 * np.exp(-squared / 1500**2)


def write_dem(folder: Path, crs: str = "EPSG:4326", level: float | None = None) -> Path:
    lon, lat = place_of(350, 450, 400.0)
    step, count = 1 / 7200, 500
    left, top = lon - count / 2 * step, lat + count / 2 * step
    at = np.meshgrid(left + (np.arange(count) + 0.5) * step, top - (np.arange(count) + 0.5) * step)
    heights = hill(*at) if level is None else np.full((count, count), level)
    with rasterio.open(
        folder / "dem.tif", "w", driver="GTiff", width=count, height=count, count=1, dtype="float32", crs=crs,
        transform=Affine(step, 0, left, 0, -step, top),
    ) as file:  # fmt: skip
        file.write(heights.astype(np.float32), 1)
    return folder / "dem.tif"


def sigma0(product: Path, dem: Path, polarisation: str = "vv", window: Window | None = None) -> np.ndarray:
    with open_dataset(GroundRangeBand(product, polarisation, str(dem), grid()).name) as dataset:
        return dataset.read(1, window=window)


def scene(tmp_path: Path, pre: Path, post: Path, **other: object) -> SceneInputs:
    t = grid().transform
    document = {
        "event": {"time": "2024-04-02T23:58:00Z"},
        "grid": {"epsg": EPSG, "ulx": t.c, "uly": t.f, "width": 320, "height": 320},
        "s1": {"descending": {"pre": [str(pre)], "post": [str(post)]}},
        **other,
    }
    return open_inputs(Scene.model_validate(document, context={"folder": tmp_path}))


def test_the_geoid_is_that_of_the_published_test_points():
    """NGA's test points of EGM96, metres."""
    points = [
        (269.7791550, 38.6281550, -31.628),
        (305.0211140, -14.6212170, -2.969),
        (102.4487290, 46.8743190, -43.575),
        (133.8747120, -23.6174460, 15.871),
        (359.9995000, 38.6254730, 50.066),
        (0.0023000, -0.4667440, 17.329),
    ]
    lon, lat, height = np.array(points).T
    assert np.abs(geoid_height(lon, lat) - height).max() < 0.5
    assert np.isnan(geoid_height([np.nan], [0.0])).all()


@needs_sarsen
def test_places_are_seen_where_the_orbit_is_nearest_to_them(tmp_path):
    annotation = annotation_of(AFTER.write(tmp_path), "vv")
    places = [
        (*place_of(line, sample, h), h) for line, sample, h in [(5, 890, 0), (350, 450, 800), (690, 9, 3000)]
    ]
    lon, lat, height = (np.array([values]) for values in zip(*places, strict=True))
    line, sample = geometry.RangeDoppler(annotation).image_coordinates(lon, lat, height)
    expected = np.array([seen_at(*place) for place in places])
    assert np.abs(line[0] - expected[:, 0]).max() < 0.01
    assert np.abs(sample[0] - expected[:, 1]).max() < 0.01


@needs_sarsen
def test_bright_points_lie_where_they_are_also_on_a_hill(tmp_path):
    rng = np.random.default_rng(3)
    points = [FROM_GRID.transform(grid().x[c], grid().y[r]) for r, c in rng.integers(20, 300, (12, 2))]
    heights = [float(hill(*np.array(point))) for point in points]
    placed = [
        seen_at(*point, height + float(geoid_height([point[0]], [point[1]])[0]))
        for point, height in zip(points, heights, strict=True)
    ]
    assert max(heights) > 500

    def numbers(_polarisation: str) -> np.ndarray:
        image = np.full((LINES, SAMPLES), 150.0)
        for line, sample in placed:
            image[round(line), round(sample)] = 20_000
        return image

    found = sigma0(Product(numbers=numbers).write(tmp_path), write_dem(tmp_path))
    rows, cols = np.nonzero(found > 10)
    for point in points:
        x, y = TO_GRID.transform(*point)
        distance = np.hypot(grid().x[cols] - x, grid().y[rows] - y)
        # Half a sample and half a pixel along both axes, as the nearest sample is taken.
        assert distance.min() < 10.0


@needs_sarsen
def test_heights_above_the_ellipsoid_are_taken_as_they_are(tmp_path):
    product = AFTER.write(tmp_path)
    geoid = float(geoid_height(*[[v] for v in place_of(350, 450)])[0])
    sea = sigma0(product, write_dem(tmp_path, level=300.0))
    ellipsoid = sigma0(product, write_dem(tmp_path, crs="EPSG:4979", level=300.0 + geoid))
    assert (sea == ellipsoid).mean() > 0.99
    assert (sigma0(product, write_dem(tmp_path, crs="EPSG:4979", level=300.0)) == sea).mean() < 0.2


@needs_sarsen
def test_noise_is_removed_and_power_is_calibrated(tmp_path):
    product = Product(
        noise=20_000, noise_factor=(0.5, 1.5), numbers=lambda _: np.full((LINES, SAMPLES), 300.0)
    ).write(tmp_path)
    dem = write_dem(tmp_path, level=0.0)
    found = sigma0(product, dem)
    x, y = (float(at[160]) for at in (grid().x, grid().y))
    lon, lat = FROM_GRID.transform(x, y)
    line, sample = seen_at(lon, lat, float(geoid_height([lon], [lat])[0]))
    expected = (300.0**2 - 20_000 * (0.5 + line / (LINES - 1))) / sigma_look_up(sample) ** 2
    assert found[160, 160] == pytest.approx(expected, rel=1e-3)


@needs_sarsen
def test_what_is_not_above_its_noise_is_dark_and_zero_is_no_data(tmp_path):
    def numbers(_polarisation: str) -> np.ndarray:
        image = np.full((LINES, SAMPLES), 40.0)
        image[:, SAMPLES // 2 :] = 300.0
        image[300:400, 600:] = 0
        return image

    found = sigma0(Product(numbers=numbers).write(tmp_path), write_dem(tmp_path))
    dark = np.unique(found[np.isfinite(found) & (found < 0.1)])
    assert dark.tolist() == [np.float32(FLOOR_POWER)]
    assert 0.02 < np.isnan(found).mean() < 0.1


@needs_sarsen
@pytest.mark.parametrize(("start", "eroded"), [("2016-04-05T21:55:00", 10), ("2024-04-05T21:55:00", 3)])
def test_noise_along_the_border_is_left_out(tmp_path, start, eroded):
    def numbers(polarisation: str) -> np.ndarray:
        image = land(polarisation)
        image[:, :400] = 9.0
        image[:, :380] = 0.0
        return image

    product = Product(start, numbers=numbers).write(tmp_path)
    for polarisation in ("vv", "vh"):
        found = sigma0(product, write_dem(tmp_path, level=0.0), polarisation)
        lon, lat = FROM_GRID.transform(*np.meshgrid(grid().x[::40], grid().y[::40]))
        geoid = geoid_height(lon, lat)
        sample = np.vectorize(lambda *place: seen_at(*place)[1])(lon, lat, geoid)
        known = np.isfinite(found[::40, ::40])
        assert not known[sample < 400 - 8].any()
        assert known[sample > 400 + eroded + 8].all()


@needs_sarsen
def test_a_pixel_is_the_same_in_any_window_and_in_a_zip(tmp_path):
    product, dem = AFTER.write(tmp_path), write_dem(tmp_path)
    whole = sigma0(product, dem)
    assert np.isfinite(whole).mean() > 0.9
    for window in (Window(250, 100, 30, 90), Window(0, 0, 1, 1), Window(255, 255, 2, 2)):
        np.testing.assert_array_equal(sigma0(product, dem, window=window), whole[window.toslices()])
    np.testing.assert_array_equal(sigma0(zipped_product(product), dem), whole)


@needs_sarsen
def test_products_of_a_scene_are_read_as_a_track(tmp_path):
    before, after, dem = (
        BEFORE.write(tmp_path),
        zipped_product(AFTER.write(tmp_path / "a")),
        write_dem(tmp_path),
    )
    inputs = scene(tmp_path, before, after, dem=str(dem))
    image = inputs.tracks["descending"].post[0]
    assert (image.platform, image.relative_orbit, image.quantity, image.units) == (
        "S1A",
        23,
        "sigma0",
        "power",
    )
    assert (image.acquired.isoformat(), image.product) == ("2024-04-05T21:55:00+00:00", after.name)
    assert [n.code for n in inputs.notices].count("I324") == 2
    assert {before / "measurement", tmp_path / "dem.tif"} & {*inputs.files, *(f.parent for f in inputs.files)}
    block = Block(64, 64, 128, 192)
    vv, vh = (read_acquisition(inputs, f"desc_post_{pol}", block) for pol in ("vv", "vh"))
    assert -10.6 < np.nanmedian(vv) < -9.4
    assert 5.0 < np.nanmedian(vv) - np.nanmedian(vh) < 7.0
    check_angles(inputs, block)


def check_angles(inputs: SceneInputs, block: Block) -> None:
    """Compare with the annotation at the sample where another way sees a pixel."""
    (found,) = read_pixel_channels(inputs, ["desc_incidence"], block)
    rows, cols = np.mgrid[: block.height : 13, : block.width : 13]
    t = grid().transform
    lon, lat = FROM_GRID.transform(t.c + 10 * (cols + block.col + 0.5), t.f - 10 * (rows + block.row + 0.5))
    heights = hill(lon, lat) + geoid_height(lon, lat)
    sample = np.array([seen_at(*one)[1] for one in zip(lon.flat, lat.flat, heights.flat, strict=True)])
    np.testing.assert_allclose(found[rows, cols].ravel(), 38 + sample / 900, atol=0.002)
    assert unavailable(inputs, ["desc_incidence", "desc_local_incidence"])[0].startswith("desc_local")


@needs_sarsen
def test_a_folder_of_products_is_sorted(tmp_path):
    for product in (BEFORE, AFTER, Product("2024-03-12T21:55:00", 52945)):
        product.write(tmp_path / "s1")
    t = grid().transform
    document = {
        "event": {"time": "2024-04-02T23:58:00Z"},
        "grid": {"epsg": EPSG, "ulx": t.c, "uly": t.f, "width": 320, "height": 320},
        "s1": str(tmp_path / "s1"),
        "dem": str(write_dem(tmp_path)),
    }
    track = open_inputs(Scene.model_validate(document)).tracks["descending"]
    assert [len(track.pre), len(track.post)] == [2, 1]


@needs_sarsen
def test_an_orbit_file_beside_the_product_is_used(tmp_path):
    product, dem = AFTER.write(tmp_path), write_dem(tmp_path)
    own = sigma0(product, dem)
    text = (product / "annotation").glob("*-vv-*.xml").__next__().read_text()
    vectors = "".join(
        f"<OSV><UTC>UTC={one.split('</time>')[0]}</UTC>"
        + "".join(
            f'<{axis.upper()} unit="m">{one.split(f"<{axis}>")[1].split("<")[0]}</{axis.upper()}>'
            for axis in "xyz"
        )
        + "</OSV>"
        for one in text.split("<time>")[1:]
    )
    name = "S1A_OPER_AUX_{}ORB_OPOD_20240426T070000_V20240404T225942_20240406T005942.EOF"
    (tmp_path / name.format("RES")).write_text("damaged")
    (tmp_path / name.format("POE")).write_text(f"<Earth_Explorer_File>{vectors}</Earth_Explorer_File>")
    np.testing.assert_array_equal(sigma0(product, dem), own)
    elsewhere = tmp_path / "orbits" / "2024" / name.format("POE")
    elsewhere.parent.mkdir(parents=True)
    (tmp_path / name.format("POE")).rename(elsewhere)
    before = BEFORE.write(tmp_path / "before")
    listed = {
        "descending": {"pre": [str(before)], "post": [str(product)]},
        "orbits": [str(tmp_path / "orbits")],
    }
    inputs = scene(tmp_path, before, product, dem=str(dem), s1=listed)
    assert elsewhere in inputs.files
    texts = [notice.message for notice in inputs.notices if notice.code == "I324"]
    assert sum(elsewhere.name in message for message in texts) == 1
    with pytest.raises(InputError) as refused:
        scene(tmp_path, before, product, dem=str(dem), s1={**listed, "orbits": [str(dem)]})
    assert refused.value.code == "E101"
    with raised("E101", "RESORB") as refused:
        sigma0(product, dem)


@needs_sarsen
def test_a_grd_product_needs_heights_and_ground_on_the_grid(tmp_path):
    before, after = BEFORE.write(tmp_path), AFTER.write(tmp_path)
    with pytest.raises(InputError) as refused:
        scene(tmp_path, before, after)
    assert refused.value.code == "E322"
    far = {"epsg": EPSG, "ulx": 300_000, "uly": 2_000_000, "width": 320, "height": 320}
    with pytest.raises(InputError) as refused:
        scene(tmp_path, before, after, dem=str(write_dem(tmp_path)), grid=far)
    assert refused.value.code == "E105"


def test_without_the_extra_three_ways_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sarsen", None)
    with pytest.raises(InputError) as refused:
        scene(tmp_path, BEFORE.write(tmp_path), AFTER.write(tmp_path), dem=str(write_dem(tmp_path)))
    assert refused.value.code == "E320"
    assert all(way in str(refused.value) for way in ("Planetary Computer", "Earth Engine", "HyP3", "[grd]"))


@needs_sarsen
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("annotation/*-vv-*.xml", "<product>"),
        ("annotation/*-vv-*.xml", '<!DOCTYPE x [<!ENTITY a "a">]><product/>'),
        (
            "annotation/calibration/noise-*-vv-*.xml",
            "<noise><noiseRangeVector><pixel>0</pixel></noiseRangeVector></noise>",
        ),
        ("annotation/calibration/calibration-*-vv-*.xml", "<calibration/>"),
        ("annotation/calibration/calibration-*-vv-*.xml", None),
        ("measurement/*-vh-*.tiff", None),
    ],
)
def test_a_damaged_product_is_refused(tmp_path, file, text):
    before, after = BEFORE.write(tmp_path), AFTER.write(tmp_path)
    path = next(after.glob(file))
    path.unlink() if text is None else path.write_text(text)
    (after / "touched").write_text("")
    with pytest.raises(InputError) as refused:
        scene(tmp_path, before, after, dem=str(write_dem(tmp_path)))
    assert refused.value.code == "E101"


def test_a_name_gives_its_band():
    for orbit in (None, Path("/o/S1A_OPER_AUX_POEORB.EOF")):
        band = GroundRangeBand(Path("/a/S1A.SAFE"), "vh", 'JOIN:"/d/1.tif":"/d/2.tif"', grid(), orbit)
        assert ground_range_band(Path(band.name)) == band
    assert ground_range_band("/a/S1A.SAFE") is None


def test_vectors_are_interpolated_between_lines():
    table = LookUp(np.array([0.0, 10.0]), np.array([[1.0, 2.0], [3.0, 4.0]], np.float32))
    np.testing.assert_allclose(table.rows(np.array([-5.0, 5.0, 20.0]), 0, 2), [[1, 2], [2, 3], [3, 4]])


@needs_sarsen
def test_real_tie_points_are_seen_where_the_processor_of_esa_placed_them():
    """Real annotation, Apennines, 0 to 1845 m."""
    product = next(shared_data("fixtures", "s1_grd_safe_sarsen").glob("*.SAFE"))
    annotation = annotation_of(product, "vv")
    points = annotation.tie_points
    line, sample = geometry.RangeDoppler(annotation).image_coordinates(
        points.longitude[None], points.latitude[None], points.height[None]
    )
    assert np.abs(line[0] - points.line).max() < 0.2  # 10 m each
    assert np.abs(sample[0] - points.sample).max() < 0.6
    assert np.sqrt(np.mean((sample[0] - points.sample) ** 2)) < 0.2


@needs_sarsen
def test_real_annotation_is_read_as_xarray_sentinel_reads_it():
    from xarray_sentinel import sentinel1

    product = next(shared_data("fixtures", "s1_grd_safe_sarsen").glob("*.SAFE"))
    annotation = annotation_of(product, "vv")
    path = str(next((product / "annotation" / "calibration").glob("calibration-*-vv-*.xml")))
    table = sentinel1.open_calibration_dataset(path)
    lines = table.line.to_numpy().astype(float)
    ours = annotation.sigma.rows(lines, 0, annotation.timing.samples)[:, table.pixel.to_numpy()]
    np.testing.assert_allclose(ours, table.sigmaNought.to_numpy(), rtol=1e-6)
    noise = sentinel1.open_noise_range_dataset(path.replace("calibration-s1b", "noise-s1b"))
    assert annotation.noise is not None
    ours = annotation.noise.rows(noise.line.to_numpy().astype(float), 0, annotation.timing.samples)
    np.testing.assert_allclose(ours[:, noise.pixel.to_numpy()], noise.noiseRangeLut.to_numpy(), rtol=1e-6)
    assert len(annotation.azimuth_noise) == 3
