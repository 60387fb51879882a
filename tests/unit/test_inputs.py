"""open_inputs: the grid, coverage, and what may be missing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS
from shapely.geometry import MultiPolygon, Polygon, box

from landslide_map.errors import InputError
from landslide_map.grid import Grid
from landslide_map.inputs.coverage import coverage_notices, covered
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import OpticalImage, RadarImage, RadarTrack, SceneInputs
from landslide_map.inputs.target_grid import decide_grid
from landslide_map.raster.band import RasterBand
from landslide_map.raster.open import open_band
from landslide_map.scene.model import GridSpec, Scene
from tests.support import messages
from tests.support.radar_files import passes
from tests.support.raised import raised
from tests.support.rasters import grid_at, write_band
from tests.support.safe_product import land, write_product

EVENT = "2024-04-02T23:58:00Z"


def scene(**sections: object) -> Scene:
    return Scene.model_validate({"event": {"time": EVENT}, **sections})


def image_on(grid: Grid, folder: Path) -> OpticalImage:
    band = write_band(folder / "red.tif", np.ones(grid.shape, np.uint16), grid)
    return OpticalImage({"red": band}, 1, 0, "test")


def aoi(folder: Path, area: Polygon | MultiPolygon, crs: str = "EPSG:4326") -> GridSpec:
    path = folder / "aoi.gpkg"
    gpd.GeoDataFrame(geometry=[area], crs=crs).to_file(path)
    return GridSpec(aoi=path)


def test_the_grid_is_the_images_by_default(tmp_path: Path) -> None:
    inputs = open_inputs(scene(s2={"post": write_product(tmp_path, land(1000))}))
    assert inputs.grid == Grid(CRS.from_epsg(32651), Affine(10, 0, 300000, 0, -10, 2700000), 120, 128)
    assert inputs.event_time == datetime(2024, 4, 2, 23, 58, tzinfo=UTC)
    assert inputs.tracks == {}
    messages = [notice.message for notice in inputs.notices if notice.code == "W360"]
    assert [m.split(";")[0] for m in messages] == [
        "no descending Sentinel-1 track",
        "no ascending Sentinel-1 track",
    ]
    assert len(inputs.files) == 6


def test_an_explicit_grid_is_taken_as_it_is() -> None:
    spec = GridSpec(epsg=32651, ulx=300000, uly=2700000, width=100, height=90)
    grid = decide_grid(spec, None, {})
    assert grid == Grid(CRS.from_epsg(32651), Affine(10, 0, 300000, 0, -10, 2700000), 100, 90)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (GridSpec(epsg=4326, ulx=0, uly=0, width=100, height=100), "expected a projected north-up grid"),
        (
            GridSpec(epsg=2263, ulx=0, uly=0, width=100, height=100),
            "expected a projected north-up grid",
        ),  # feet
        (GridSpec(epsg=99999, ulx=0, uly=0, width=100, height=100), "EPSG:99999 is not known"),
        (GridSpec(epsg=32651, ulx=0, uly=0, width=63, height=100), "expected 64 to"),
        (GridSpec(epsg=32651, ulx=0, uly=0, width=100, height=70000), "expected 64 to"),
    ],
)
def test_an_unusable_target_is_refused(spec: GridSpec, said: str) -> None:
    with raised("E102", said):
        decide_grid(spec, None, {})


@pytest.mark.parametrize("grid", [grid_at(4326, 10, 50, (80, 80), 1e-4), grid_at(32633, 0, 0, (80, 80), 20)])
def test_an_image_that_cannot_be_the_target_is_refused(tmp_path: Path, grid: Grid) -> None:
    with raised("E102", "projected north-up grid of 10 m"):
        decide_grid(None, image_on(grid, tmp_path), {})


def test_an_area_in_degrees_is_wholly_inside_the_grid(tmp_path: Path) -> None:
    """Points along the outline, by pyproj, lie inside; the grid is no larger than needed."""
    area = box(121.2, 24.1, 121.5, 24.3)
    grid = decide_grid(aoi(tmp_path, area), None, {})
    assert grid.crs.to_epsg() == 32651
    t = grid.transform
    assert (t.a, t.e, t.c % 10, t.f % 10) == (10, -10, 0, 0)
    along = np.linspace(0, 1, 2001)[:-1]
    points = np.array([area.exterior.interpolate(part, normalized=True).coords[0] for part in along])
    x, y = Transformer.from_crs(4326, 32651, always_xy=True).transform(points[:, 0], points[:, 1])
    left, bottom, right, top = grid.bounds
    assert 0 <= x.min() - left < 12
    assert 0 <= right - x.max() < 12
    assert 0 <= y.min() - bottom < 12
    assert 0 <= top - y.max() < 12


def test_an_area_snaps_to_the_images_own_lattice(tmp_path: Path) -> None:
    image = image_on(grid_at(32651, 300003.5, 2700007.25, (200, 200)), tmp_path)
    grid = decide_grid(aoi(tmp_path, box(300500, 2698500, 301400, 2699300), "EPSG:32651"), image, {})
    assert grid.aligned_with(image.bands["red"].grid)
    left, bottom, right, top = grid.bounds
    assert left <= 300500 < left + 10
    assert right - 10 < 301400 <= right
    assert bottom <= 2698500 < bottom + 10
    assert top - 10 < 2699300 <= top


@pytest.mark.parametrize(("epsg", "pixel"), [(4326, 9e-5), (3857, 10.0), (2263, 32.8)])
def test_an_area_on_an_image_that_is_no_10_m_grid_gets_its_utm_zone(
    tmp_path: Path, epsg: int, pixel: float
) -> None:
    """Degrees, web maps and feet cannot be the grid; the image is read into it all the same."""
    place = box(-74.0, 40.7, -73.97, 40.72)
    left, _, _, top = gpd.GeoSeries([place], crs=4326).to_crs(epsg).total_bounds
    image = image_on(Grid(CRS.from_epsg(epsg), Affine(pixel, 0, left, 0, -pixel, top), 300, 300), tmp_path)
    assert decide_grid(aoi(tmp_path, place), image, {}).crs == CRS.from_epsg(32618)


@pytest.mark.parametrize(("easting", "refused"), [(2_000_000, True), (-900_000, True), (1_250_000, False)])
def test_a_grid_far_beyond_its_utm_zone_is_refused(easting: int, refused: bool) -> None:
    spec = GridSpec(epsg=32651, ulx=easting, uly=2_700_000, width=512, height=512)
    if refused:
        with pytest.raises(InputError) as caught:
            decide_grid(spec, None, {})
        assert caught.value.code == "E102"
    else:
        assert decide_grid(spec, None, {}).shape == (512, 512)


@pytest.mark.parametrize("crs", ["EPSG:32651+5773", "EPSG:32651+3855"])
def test_heights_in_a_reference_system_do_not_make_it_another(tmp_path: Path, crs: str) -> None:
    """The same pixels are copied, not interpolated, and bands of one image lie together."""
    grid = grid_at(32651, 300000, 2700000, (64, 64))
    path = Path(write_band(tmp_path / "a.tif", np.ones(grid.shape, np.float32), grid).path)
    with rasterio.open(path, "r+") as dataset:
        dataset.crs = CRS.from_string(crs)
    band = open_band(path)
    assert band.grid == grid
    assert grid.aligned_with(band.grid)


def test_a_small_area_gets_one_window_around_it(tmp_path: Path) -> None:
    grid = decide_grid(aoi(tmp_path, box(300500, 2698500, 300600, 2698540), "EPSG:32651"), None, {})
    assert 64 <= grid.width <= 66
    assert 64 <= grid.height <= 66
    left, bottom, right, top = grid.bounds
    assert (left + right) / 2 == pytest.approx(300550, abs=10)
    assert (bottom + top) / 2 == pytest.approx(2698520, abs=10)


def test_a_declared_projection_wins_for_an_area(tmp_path: Path) -> None:
    spec = aoi(tmp_path, box(121.2, 24.1, 121.25, 24.15)).model_copy(update={"epsg": 32650})
    assert decide_grid(spec, None, {}).crs.to_epsg() == 32650


@pytest.mark.parametrize(
    "area",
    [
        MultiPolygon([box(179.9, -17, 180, -16.9), box(-180, -17, -179.9, -16.9)]),
        box(179.9, -17, 180.1, -16.9),
        box(-179.9, -17, 179.9, -16.9),  # as many programs write the first
    ],
)
@pytest.mark.parametrize("epsg", [None, 32760])
def test_an_area_across_the_antimeridian_is_one_area(
    tmp_path: Path, area: Polygon | MultiPolygon, epsg: int | None
) -> None:
    grid = decide_grid(aoi(tmp_path, area).model_copy(update={"epsg": epsg}), None, {})
    assert grid.crs.to_epsg() in ({32701, 32760} if epsg is None else {epsg})
    x, y = Transformer.from_crs(4326, grid.crs, always_xy=True).transform([179.9, -179.9], [-16.95, -16.95])
    left, bottom, right, top = grid.bounds
    assert (left, right) == pytest.approx((x[0], x[1]), abs=100)  # corners lie a little farther out
    assert bottom < y[0] < top
    assert top - bottom == pytest.approx(11_100, rel=0.05)


def test_an_area_beyond_its_projection_is_refused(tmp_path: Path) -> None:
    """At a pole there is no UTM zone; 92 degrees from its meridian transverse Mercator is infinite."""
    for area, epsg, said in (
        (box(0, -89, 10, -88.9), None, "no UTM zone"),
        (box(107, 0, 107.1, 0.1), 32633, "is not defined"),
    ):
        with raised("E102", said):
            decide_grid(aoi(tmp_path, area).model_copy(update={"epsg": epsg}), None, {})


@pytest.mark.parametrize(
    ("epsg", "latitude", "ground"),
    [(3857, 60.0, "5.0 m"), (3395, 45.0, "7.1 m"), (32662, 60.0, "5.0 by 10.0 m"), (6933, 60.0, "")],
)
def test_pixels_that_are_not_10_m_on_the_ground_are_refused(
    tmp_path: Path, epsg: int, latitude: float, ground: str
) -> None:
    """Mercator stretches by 1 / cos(latitude): the models would see windows of 320 m at 60 degrees."""
    spec = aoi(tmp_path, box(15, latitude, 15.03, latitude + 0.02)).model_copy(update={"epsg": epsg})
    with raised("E102", ground, messages.ON_THE_GROUND):
        decide_grid(spec, None, {})


@pytest.mark.parametrize(("epsg", "latitude"), [(32633, 60.0), (3035, 60.0), (3413, 80.0), (3857, 5.0)])
def test_projections_that_keep_lengths_there_are_taken(tmp_path: Path, epsg: int, latitude: float) -> None:
    spec = aoi(tmp_path, box(15, latitude, 15.03, latitude + 0.02)).model_copy(update={"epsg": epsg})
    assert decide_grid(spec, None, {}).crs.to_epsg() == epsg


def test_an_unusable_area_is_refused(tmp_path: Path) -> None:
    gpd.GeoDataFrame(geometry=[box(0, 0, 1, 1)], crs=4326).to_file(tmp_path / "plain.shp")
    (tmp_path / "plain.prj").unlink()
    cases = [
        (GridSpec(aoi=tmp_path / "absent.gpkg"), "E101", "no such file"),
        (GridSpec(aoi=tmp_path / "plain.shp"), "E103", "no coordinate reference system"),
    ]
    (tmp_path / "text.geojson").write_text("hello")
    cases.append((GridSpec(aoi=tmp_path / "text.geojson"), "E101", "cannot be read"))
    (tmp_path / "empty.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    cases.append((GridSpec(aoi=tmp_path / "empty.geojson"), "E101", "holds no geometry"))
    (tmp_path / "open.geojson").write_text(
        '{"type": "Polygon", "coordinates": [[[121.5, 24.0], [121.6, 24.0], [121.6, 24.1]]]}'
    )
    cases.append((GridSpec(aoi=tmp_path / "open.geojson"), "E101", "do not form a closed linestring"))
    for spec, code, said in cases:
        with raised(code, said):
            decide_grid(spec, None, {})


@pytest.mark.parametrize("corner", [(801000, 2656000), (24.0, 125.9)], ids=["metres", "swapped"])
def test_an_area_that_is_not_in_the_degrees_it_promises(tmp_path: Path, corner: tuple[float, float]) -> None:
    """A GeoJSON is always in longitude and latitude, whatever the numbers in it."""
    path = tmp_path / "area.geojson"
    gpd.GeoDataFrame(geometry=[box(*corner, corner[0] + 0.1, corner[1] + 0.1)], crs=4326).to_file(path)
    with raised("E102", messages.ARE_NO_LONGITUDES_AND_LATITUDES):
        decide_grid(GridSpec(aoi=path), None, {})


def test_an_area_beside_other_layers(tmp_path: Path) -> None:
    """Tables without shapes, where QGIS keeps styles, are no layers; a second with shapes is a question."""
    path = tmp_path / "area.gpkg"
    area = gpd.GeoDataFrame(geometry=[box(500000, 2650000, 502000, 2653000)], crs=32651)
    area.to_file(path, layer="area")
    pyogrio.write_dataframe(pd.DataFrame({"styleName": ["red"]}), path, layer="layer_styles", append=True)
    assert decide_grid(GridSpec(aoi=path), None, {}).shape == (300, 200)
    area.to_file(path, layer="roads")
    with raised("E101", "2 layers (area, roads)"):
        decide_grid(GridSpec(aoi=path), None, {})


def test_radar_alone_needs_a_grid_and_the_refusal_names_one(tmp_path: Path) -> None:
    track = passes(tmp_path)
    with raised("E107", "names no Sentinel-2 image", messages.FOR_THE_GRID_OF_THE_ASCENDING_TRACK) as caught:
        open_inputs(scene(s1={"ascending": track}))
    reported = caught.value.message.split("grid: {epsg: ")[-1]
    numbers = [float(part.split(": ")[-1].strip("}")) for part in f"epsg: {reported}".split(", ")]
    spec = dict(zip(("epsg", "ulx", "uly", "width", "height"), numbers, strict=True))
    inputs = open_inputs(scene(s1={"ascending": track}, grid=spec))
    assert inputs.optical is None
    assert set(inputs.tracks) == {"ascending"}
    assert [n.message.split(";")[0] for n in inputs.notices if n.code == "W360"] == [
        "no Sentinel-2 image",
        "no descending Sentinel-1 track",
    ]


def test_coverage_counts_the_points_with_a_value(tmp_path: Path) -> None:
    """A raster over the left three quarters of the grid, its upper half empty: 0.375 by hand."""
    grid = grid_at(32651, 300000, 2700000, (256, 256))
    values = np.full((256, 192), 5, np.float32)
    values[:128] = np.nan
    write_band(tmp_path / "a.tif", values, grid_at(32651, 300000, 2700000, (256, 192)))
    found = covered(open_band(tmp_path / "a.tif"), grid)
    assert found is not None
    assert found.mean() == pytest.approx(0.375)
    assert found[32:, :48].all()


def test_coverage_in_another_zone(tmp_path: Path) -> None:
    """The same ground seen from the neighbouring UTM zone is covered wholly."""
    grid = grid_at(32633, 300000, 5500000, (128, 128))
    x, y = Transformer.from_crs(32633, 32632, always_xy=True).transform(300640, 5499360)
    write_band(
        tmp_path / "a.tif", np.ones((400, 400), np.float32), grid_at(32632, x - 2000, y + 2000, (400, 400))
    )
    found = covered(open_band(tmp_path / "a.tif"), grid)
    assert found is not None
    assert found.all()


def test_a_partly_covered_grid_is_reported(tmp_path: Path) -> None:
    pixels = land(1000)
    for band in pixels.values():
        band[:, 90:] = 0
    inputs = open_inputs(scene(s2={"post": write_product(tmp_path, pixels)}))
    assert "the Sentinel-2 image covers 75.0% of the grid" in [notice.message for notice in inputs.notices]


def test_a_track_covers_what_both_its_sides_do(tmp_path: Path) -> None:
    """Before the event the west and, in a slice of its own, the middle; after it all but the west."""
    grid = grid_at(32651, 300000, 2700000, (128, 128))

    def part(name: str, first: int, stop: int) -> RasterBand:
        values = np.full(grid.shape, np.nan, np.float32)
        values[:, first:stop] = -10
        return write_band(tmp_path / f"{name}.tif", values, grid)

    def image(*slices: RasterBand) -> RadarImage:
        return RadarImage({"vv": slices}, "db", "sigma0", datetime(2024, 4, 1, tzinfo=UTC), "descending")

    pre = (image(part("west", 0, 32), part("middle", 32, 64)), image(part("east", 96, 128)))
    track = RadarTrack("descending", pre, (image(part("after", 32, 128)),))
    notices = [notice.message for notice in coverage_notices(grid, None, {"descending": track}, None)]
    assert "the descending track covers 50.0% of the grid" in notices


def open_with_dem(folder: Path, grid: Grid, values: float) -> SceneInputs:
    write_band(folder / "dem.tif", np.full(grid.shape, values, np.float32), grid)
    return open_inputs(scene(s2={"post": write_product(folder, land(1000))}, dem=folder / "dem.tif"))


def test_a_source_beside_the_grid_is_refused(tmp_path: Path) -> None:
    with raised("E105", "dem.tif: lies at", messages.BESIDE_THE_TARGET_GRID):
        open_with_dem(tmp_path, grid_at(32651, 400000, 2700000, (50, 50)), 5)


def test_a_source_without_values_on_the_grid_is_refused(tmp_path: Path) -> None:
    with raised("E106", "dem.tif: has no valid pixel on the target grid"):
        open_with_dem(tmp_path, grid_at(32651, 300000, 2700000, (128, 120)), np.nan)


def test_a_picture_of_elevation_is_none(tmp_path: Path) -> None:
    """A hillshade in colour: its first band would be taken for metres."""
    grid = grid_at(32651, 299000, 2701000, (400, 400))
    picture = {"width": 400, "height": 400, "count": 3, "dtype": "uint8", "transform": grid.transform}
    with rasterio.open(tmp_path / "dem.tif", "w", driver="GTiff", crs=grid.crs, **picture) as dataset:
        dataset.write(np.full((3, 400, 400), 100, np.uint8))
    with raised("E101", "dem.tif: has 3 bands; expected one, elevation"):
        open_inputs(scene(s2={"post": write_product(tmp_path, land(1000))}, dem=tmp_path / "dem.tif"))


@pytest.mark.parametrize(("pixel", "warned"), [(30.0, False), (90.0, False), (250.0, True), (1000.0, True)])
def test_a_coarse_dem_is_warned_of(tmp_path: Path, pixel: float, warned: bool) -> None:
    """Heights between two ridges are the mean of both and the valley: steep ground would seem flat."""
    edge = int(20_000 / pixel)
    grid = Grid(CRS.from_epsg(32651), Affine(pixel, 0, 299_000, 0, -pixel, 2_701_000), edge, edge)
    reported = [notice for notice in open_with_dem(tmp_path, grid, 100).notices if notice.code == "W380"]
    assert len(reported) == warned
    if warned:
        assert f"dem.tif: pixels of {pixel:.0f} m" in reported[0].message


def test_the_dem_is_opened_and_listed(tmp_path: Path) -> None:
    inputs = open_with_dem(tmp_path, grid_at(32651, 299000, 2701000, (400, 400)), 100)
    assert inputs.dem is not None
    assert tmp_path / "dem.tif" in inputs.files
