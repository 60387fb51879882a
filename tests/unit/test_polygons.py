from datetime import UTC, datetime

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio.crs import CRS

from landslide_map.grid import Grid
from landslide_map.products.painting import WindowMosaic
from landslide_map.products.polygons import analysed_areas, landslides, regions
from landslide_map.products.rasters import classify
from landslide_map.reasons import Reason
from landslide_map.window_record import WindowRecord
from landslide_map.windows import WindowPlan
from tests.support.raised import raised

UTM32 = CRS.from_epsg(32632)
DATES = {"event_time": datetime(2024, 4, 2, 23, 58, tzinfo=UTC), "s2_post": None}


def grid_of(shape, crs=UTM32, left=500000.0, top=5000000.0):
    height, width = shape
    return Grid.covering(crs, (left, top - 10 * height, left + 10 * width, top))


def pixel_patches(shape):
    """Patches of one pixel each."""
    return WindowMosaic(*(np.arange(n + 1) for n in shape))


def pixel_box(grid, row, col, rows=1, cols=1):
    left, top = grid.bounds[0] + 10 * col, grid.bounds[3] - 10 * row
    return shapely.box(left, top - 10 * rows, left + 10 * cols, top)


def record_of(shape, size=4, stride=3, seed=0, scenarios=("all", "optical only")):
    """A lattice of windows with random outcomes, and its plan; every pixel is covered."""
    rng = np.random.default_rng(seed)
    starts = [np.unique(np.append(np.arange(0, n - size, stride), n - size)) for n in shape]
    lattice = (len(starts[0]), len(starts[1]))
    scenario = rng.integers(-1, len(scenarios), lattice)
    probability = np.where(scenario < 0, np.nan, rng.random(lattice))
    threshold = np.where(scenario < 0, np.nan, np.array([0.4, 0.6])[scenario])
    reason = np.where(scenario < 0, rng.choice([251, 252, 255], lattice), 0)
    record = WindowRecord(
        probability=probability, threshold=threshold, scenario=scenario, reason=reason, scenarios=scenarios
    )
    return record, WindowPlan(*starts, size, stride, shape)


def outline(mask, **options):
    """Landslides of a mask with a smooth made-up probability."""
    grid = grid_of(mask.shape)
    probability = np.linspace(0.5, 0.999, mask.size, dtype=np.float32).reshape(mask.shape)
    mosaic = pixel_patches(mask.shape)
    return landslides(
        mask.astype(np.uint8), probability, mosaic, *record_of(mask.shape), grid, DATES, **options
    )


def components_by_shapely(mask, grid):
    """Unions of pixel boxes, those that share even one point taken together."""
    parts = [
        shapely.MultiPolygon([pixel_box(grid, int(r), int(c))])
        for r, c in zip(*np.nonzero(mask), strict=True)
    ]
    found = []
    while parts:
        group = parts.pop()
        while touching := [part for part in parts if part.intersects(group)]:
            parts = [part for part in parts if not part.intersects(group)]
            group = shapely.union_all([group, *touching])
        found.append(group)
    return found


masks = hnp.arrays(bool, st.tuples(st.integers(4, 11), st.integers(4, 11)))


@settings(max_examples=60)
@given(masks)
def test_outlines_are_the_unions_of_touching_pixels(mask):
    found = list(outline(mask).geometry)
    expected = components_by_shapely(mask, grid_of(mask.shape))
    assert all(polygon.is_valid and polygon.geom_type == "MultiPolygon" for polygon in found)
    assert len(found) == len(expected)
    assert all(any(polygon.equals(other) for other in expected) for polygon in found)


@settings(max_examples=40)
@given(masks, st.integers(0, 99))
def test_attributes_agree_with_brute_force(mask, seed):
    grid, (record, plan) = grid_of(mask.shape), record_of(mask.shape, seed=seed)
    probability = np.random.default_rng(seed).random(mask.shape, dtype=np.float32)
    mosaic = pixel_patches(mask.shape)
    frame = landslides(mask.astype(np.uint8), probability, mosaic, record, plan, grid, DATES)
    x, y = np.meshgrid(grid.x, grid.y)
    for landslide in frame.itertuples():
        inside = shapely.contains_xy(landslide.geometry, x, y)
        assert landslide.prob_mean == pytest.approx(probability[inside].mean(), abs=6e-4)
        assert landslide.prob_max == pytest.approx(probability[inside].max(), abs=6e-4)
        analysed, above = 0, []
        for i, row in enumerate(plan.row_starts):
            for j, col in enumerate(plan.col_starts):
                window = pixel_box(grid, row, col, plan.size, plan.size)
                if window.intersection(landslide.geometry).area > 0 and record.scenario[i, j] >= 0:
                    analysed += 1
                    if record.probability[i, j] > record.threshold[i, j]:
                        above.append(record.scenarios[record.scenario[i, j]])
        assert (landslide.windows, landslide.windows_above) == (analysed, len(above))
        if above:
            assert above.count(landslide.scenario) == max(map(above.count, above))


def test_pixels_that_meet_at_a_corner_are_one_landslide():
    frame = outline(np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=bool))
    assert sorted(len(polygon.geoms) for polygon in frame.geometry) == [1, 2]


def test_only_class_one_is_a_landslide():
    classes = np.full((4, 4), Reason.NO_DATA, dtype=np.uint8)
    classes[0, 0], classes[3, 3], classes[2, 0] = 1, Reason.SNOW_OR_CLOUD, 0
    probability, mosaic, (record, plan) = np.full((4, 4), 0.9), pixel_patches((4, 4)), record_of((4, 4))
    frame = landslides(classes, probability, mosaic, record, plan, grid_of((4, 4)), DATES)
    assert frame.geometry.area.tolist() == [100.0]


def test_ids_run_from_the_most_probable():
    mask = np.zeros((9, 9), dtype=bool)
    mask[0, 0] = mask[4, 4] = mask[8, 8] = True
    frame = outline(mask)
    assert frame["id"].tolist() == [1, 2, 3]
    assert frame["prob_max"].is_monotonic_decreasing
    assert frame.geometry[0].centroid.x == 500085.0


def test_small_landslides_are_left_out_and_the_limit_itself_is_kept():
    mask = np.zeros((6, 6), dtype=bool)
    mask[0, :3] = mask[3:5, 1:3] = mask[5, 5] = True
    assert outline(mask).geometry.area.tolist() == [100.0, 400.0, 300.0]
    assert outline(mask, min_area_m2=301).geometry.area.tolist() == [400.0]
    assert outline(mask, min_area_m2=300).geometry.area.tolist() == [400.0, 300.0]
    assert outline(mask, min_area_m2=300)["id"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("crs", "left", "top"),
    [
        (UTM32, 499000, 5000000),
        (UTM32, 166100, 40000),
        (UTM32, 830000, 7000000),
        (CRS.from_epsg(3035), 2700000, 1800000),
    ],
)
def test_area_is_the_geodesic_area(crs, left, top):
    mask = np.zeros((60, 60), dtype=np.uint8)
    mask[5:50, 7:40] = 1
    grid = grid_of(mask.shape, crs, left, top)
    frame = landslides(mask, mask * 0.9, pixel_patches(mask.shape), *record_of(mask.shape), grid, DATES)
    degrees = frame.to_crs(frame.crs.geodetic_crs).geometry[0]
    expected = abs(frame.crs.get_geod().geometry_area_perimeter(degrees)[0])
    assert frame["area_m2"][0] == pytest.approx(expected, rel=2e-5)


def test_grid_area_differs_from_true_area_where_utm_is_stretched():
    mask = np.ones((50, 50), dtype=np.uint8)
    grid = grid_of(mask.shape, left=166100, top=40000)
    frame = landslides(mask, mask * 0.9, pixel_patches(mask.shape), *record_of(mask.shape), grid, DATES)
    assert frame.geometry.area[0] / frame["area_m2"][0] == pytest.approx(1.00196, abs=1e-4)


def test_no_landslide_is_a_layer_with_the_same_columns_and_types():
    empty, full = outline(np.zeros((5, 5), dtype=bool)), outline(np.ones((5, 5), dtype=bool))
    assert len(empty) == 0
    assert empty.dtypes.equals(full.dtypes)
    assert empty.crs == full.crs == pyproj.CRS.from_epsg(32632)
    assert full["event_time"][0] == DATES["event_time"]
    assert full["s2_post"].isna().all()


@settings(max_examples=40)
@given(hnp.arrays(np.uint8, (9, 8), elements=st.sampled_from([0, 1, 251, 252, 255])))
def test_analysed_areas_cover_the_grid_once_and_say_why(codes):
    grid = grid_of(codes.shape)
    frame = analysed_areas(codes, pixel_patches(codes.shape), ("all", "optical only"), grid)
    assert frame.geometry.is_valid.all()
    assert frame.geometry.area.sum() == pytest.approx(codes.size * 100)
    assert shapely.union_all(frame.geometry).equals(pixel_box(grid, 0, 0, *codes.shape))
    words = {251: "snow or cloud", 252: "no usable combination of sensors", 255: "no data"}
    for row in frame.itertuples():
        (code,) = np.unique(codes[shapely.contains_xy(row.geometry, *np.meshgrid(grid.x, grid.y))])
        if code >= 250:
            assert (row.status, row.reason, row.scenario) == ("not analysed", words[code], "")
        else:
            assert (row.status, row.reason, row.scenario) == ("analysed", "", ("all", "optical only")[code])


def test_a_region_keeps_its_holes():
    values = np.ones((5, 5), dtype=np.uint8)
    values[2, 2] = 7
    found = regions(values, pixel_patches(values.shape), grid_of(values.shape))
    assert found[1].area == 2400
    assert shapely.Polygon(found[1].geoms[0].interiors[0]).equals(found[7])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": np.zeros((1, 1))}, "threshold has shape"),
        ({"probability": np.array([[0.5, 0.5]])}, "exactly where it has a scenario"),
        ({"reason": np.array([[0, 0]])}, "exactly where it has no scenario"),
        ({"scenario": np.array([[3, -1]])}, "out of range"),
        ({"member_probability": np.zeros((1, 2, 1))}, "member_probability has shape"),
    ],
)
def test_a_contradictory_record_is_refused(change, message):
    nan = np.nan
    good = {
        "probability": np.array([[0.5, nan]]),
        "threshold": np.array([[0.4, nan]]),
        "scenario": np.array([[0, -1]]),
        "reason": np.array([[0, 251]]),
        "scenarios": ("all",),
    }
    WindowRecord(**good)
    with raised(ValueError, message):
        WindowRecord(**{**good, **change})


@pytest.mark.parametrize(("probability", "above"), [(0.4, False), (0.4 + 1e-9, False), (0.4001, True)])
def test_a_window_at_its_threshold_is_not_above_as_in_the_rasters(probability, above):
    """In the precision of the files: a comparison of stored values counts the same windows."""
    one = np.array([[probability]])
    record = WindowRecord(
        probability=one,
        threshold=np.array([[0.4]]),
        scenario=one.astype(int),
        reason=one.astype(int),
        scenarios=("all",),
    )
    assert record.positive.tolist() == [[above]]
    assert classify(one, 0.4, 0).tolist() == [[int(above)]]
