"""Outlines on pixels: exact sums, the same objects however a scene is cut, and their attributes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage
from shapely.geometry import Polygon

from landslide_map.bands import DIFFERENCES, DN_OFFSET, OPTICAL, WATER_CLASS
from landslide_map.delineation.attributes import axis_direction, lengths_and_widths
from landslide_map.delineation.cells import CELL, at_pixels, cells_of, surroundings
from landslide_map.delineation.codes import (
    CLOUD,
    MISSING,
    NDVI,
    SHADED,
    change_codes,
    optical_codes,
    true_ndvi,
)
from landslide_map.delineation.components import runs_at, shapes_of
from landslide_map.delineation.displacement import Displacement
from landslide_map.delineation.edges import EDGE_FEATURES, groups, parts, roots, zones
from landslide_map.delineation.evidence import COLUMNS, Surroundings, WindowLayers
from landslide_map.delineation.features import FEATURES, node_features
from landslide_map.delineation.objects import Objects, find_objects, measured
from landslide_map.delineation.partition import chosen_nodes
from landslide_map.delineation.pixels import Strip, strip_of
from landslide_map.delineation.polygons import outlines, paint
from landslide_map.delineation.score import IMAGE, RADAR, default_model
from landslide_map.delineation.shade import take_off_shadow
from landslide_map.delineation.terrain import ObjectHeights
from landslide_map.delineation.tree import Tree
from landslide_map.grid import Block

SHAPE = (150, 120)
HEIGHTS = (150, 96, 48, 16)
"""Rows of the strips that the same scene is cut into."""


def layers() -> dict[str, npt.NDArray[np.uint8]]:
    """Return the layers of a wood with bare patches of many shapes, some across every cut."""
    rng = np.random.default_rng(3)
    field = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 3)
    bare = np.clip((field / field.std() - 0.8) * 2, 0, 1) + 0.03 * rng.standard_normal(SHAPE)
    bare[5:140, 60:64] = 1.0  # through all strips
    optical = {
        name: (DN_OFFSET + 10000 * (wood + (soil - wood) * bare)).astype(np.float32)
        for name, wood, soil in zip(OPTICAL, (0.03, 0.04, 0.02, 0.28), (0.16, 0.13, 0.1, 0.22), strict=True)
    }
    found = optical_codes(optical, np.zeros(SHAPE, np.float32))
    changes = {name: change_codes(rng.normal(0, 2, SHAPE).astype(np.float32)) for name in DIFFERENCES[:2]}
    return found | changes


def cut(whole: dict[str, npt.NDArray[np.uint8]], height: int) -> list[Strip]:
    return [
        strip_of(
            {name: np.ascontiguousarray(codes[top : top + height]) for name, codes in whole.items()},
            top,
            open_above=top > 0,
            open_below=top + height < SHAPE[0],
        )
        for top in range(0, SHAPE[0], height)
    ]


@dataclass(frozen=True)
class ByDrop:
    """The deeper, the more landslide."""

    def shares(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        drop = np.clip(features[:, FEATURES.index("drop")].astype(float) * 1.5, 0, 1)
        return np.stack([drop, drop**2], axis=1)

    def costs(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return np.full(len(features), 0.5)

    def redraws(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        return features[:, FEATURES.index("log_pixels")] > 3

    def belongs(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.clip(features[:, EDGE_FEATURES.index("of_most")] + np.float32(0.05), 0, 1)


def windows() -> WindowLayers:
    values = np.array([[100, 700], [300, 900]], np.int32)
    return WindowLayers(np.array([0, 70, 150]), np.array([0, 50, 120]), values, values - 50, values + 50)


MOVES = {"still": None, "moved": Displacement(0.375, -0.75, SHAPE)}


def objects_of(height: int, move: str) -> Objects:
    strips = cut(layers(), height)
    around = Surroundings.of(strip.cells for strip in strips)
    return find_objects(strips, around, windows(), ("desc", "asc"), ByDrop(), MOVES[move])


def in_order(objects: Objects) -> Objects:
    """Sort by the first pixel: strips hand objects over when they end."""
    order = np.lexsort((objects.shape[:, 2], objects.shape[:, 10], objects.shape[:, 8]))
    return objects.only(order)


@pytest.fixture(scope="module", params=MOVES)
def move(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def whole(move: str) -> Objects:
    return in_order(objects_of(HEIGHTS[0], move))


@pytest.mark.parametrize("height", HEIGHTS[1:])
def test_the_objects_have_the_same_bits_however_the_scene_is_cut(
    whole: Objects, move: str, height: int
) -> None:
    again = in_order(objects_of(height, move))
    assert len(again.features) == len(whole.features) > 10
    for name in ("features", "shares", "shape"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    for one, other in zip(outlines(again), outlines(whole), strict=True):
        assert one.equals(other)


def test_an_outline_holds_exactly_the_pixels_of_its_object(whole: Objects) -> None:
    numbers = np.arange(1, len(whole.features) + 1, dtype=np.float32)
    painted = np.zeros(SHAPE, np.float32)
    paint(whole.run_row, whole.run_first, whole.run_stop, numbers[whole.run_object], 0, painted)
    for number, outline, shape in zip(numbers, outlines(whole), whole.shape, strict=True):
        rows, cols = np.nonzero(painted == number)
        assert outline.is_valid
        assert outline.area == len(rows) == shape[0]
        assert outline.bounds == (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)


def test_pixels_near_an_object_are_those_of_its_own_widest_candidate() -> None:
    (strip,) = cut(layers(), SHAPE[0])
    tree = measured(strip, Surroundings.of([strip.cells]), None, ()).tree
    node = int(np.flatnonzero((tree.level == 4) & (tree.shape[:, 0] > 30))[0])
    widest = roots(tree)[node]
    assert tree.parent[widest] == -1
    owner = np.where(inside_of(tree, node), 0, -1)
    zone = zones(strip, groups(tree), owner)
    grown = np.zeros(SHAPE, bool)
    grown[strip.rows, strip.cols] = inside_of(tree, widest)
    mask = np.zeros(SHAPE, bool)
    mask[strip.rows, strip.cols] = owner == 0
    for _ in range(2):
        mask = ndimage.binary_dilation(mask, np.ones((3, 3))) & grown
    np.testing.assert_array_equal(zone == 0, mask[strip.rows, strip.cols])
    assert (zone == 0).sum() > (owner == 0).sum()


def inside_of(tree: Tree, node: int) -> npt.NDArray[np.bool_]:
    """Return which pixels a node holds, ``(pixel,)``."""
    found = np.zeros(len(tree.level), bool)
    found[node] = True
    for n in range(node + 1, len(found)):
        found[n] |= tree.parent[n] >= 0 and found[tree.parent[n]]
    inside: npt.NDArray[np.bool_] = (tree.pixel_node >= 0) & found[tree.pixel_node]
    return inside


def test_an_object_without_a_bridge_falls_apart_and_one_without_pixels_stays_as_it_was() -> None:
    mask = np.zeros((6, 12), np.int64) - 1
    mask[1:4, 0:9] = 0
    mask[1:3, 10:12], mask[3, 10:12] = 1, 1
    rows, cols = np.nonzero(mask >= 0)
    starts = np.searchsorted(rows, np.arange(7)).astype(np.int64)
    strip = Strip(
        0, starts, cols.astype(np.uint16), np.zeros((len(rows), 0), np.uint8), (), {}, np.zeros(0, np.int64)
    )
    owner = mask[rows, cols]
    member = np.where((cols == 4) | (owner == 1), -1, owner)
    part, of_object = parts(strip, owner, member)
    assert of_object.tolist() == [0, 0, 1]
    assert np.bincount(part[part >= 0]).tolist() == [12, 12, 6]
    assert (part[cols == 4] == -1).all()


def test_components_and_their_sums_are_those_of_scipy() -> None:
    mask = np.random.default_rng(5).random((40, 60)) > 0.45
    rows, cols = np.nonzero(mask)
    starts = np.searchsorted(rows, np.arange(41)).astype(np.int64)
    runs = runs_at(starts, cols.astype(np.int32), np.ones(len(rows), np.uint8), 1)
    labels, count = ndimage.label(mask)
    assert runs.count == count
    own = np.repeat(runs.component, runs.stop - runs.first)
    np.testing.assert_array_equal(own + 1, labels[rows, cols])
    shape = shapes_of(runs, cols.astype(np.int32), top=100)
    np.testing.assert_array_equal(shape[:, 0], np.bincount(own))
    np.testing.assert_array_equal(shape[:, 1], np.bincount(own, rows + 100).astype(int))
    np.testing.assert_array_equal(shape[:, 5], np.bincount(own, (rows + 100) * cols).astype(int))
    shared = (labels[1:] == labels[:-1]) & mask[1:]
    np.testing.assert_array_equal(shape[:, 7], np.bincount(labels[1:][shared], minlength=count + 1)[1:])


def test_the_sums_of_a_candidate_are_those_of_its_pixels() -> None:
    (strip,) = cut(layers(), SHAPE[0])
    around = Surroundings.of([strip.cells])
    ones = np.ones((len(strip.cols), 1), np.int32)
    measures = measured(strip, around, windows(), ("desc",), ones)
    tree, sums = measures.tree, measures.sums
    np.testing.assert_array_equal(sums[:, -1], tree.shape[:, 0])
    for node in np.flatnonzero(tree.level == tree.level.max())[:5]:
        inside = tree.pixel_node == node
        red = strip.codes[inside, strip.layers.index("red")].astype(int).sum()
        assert sums[node, COLUMNS.index("red")] == red
    children = np.flatnonzero(tree.parent >= 0)
    assert (tree.level[children] == tree.level[tree.parent[children]] + 1).all()
    assert (tree.shape[children, 0] <= tree.shape[tree.parent[children], 0]).all()


def test_the_chosen_candidates_do_not_overlap_and_are_the_best_set() -> None:
    (strip,) = cut(layers(), SHAPE[0])
    tree = measured(strip, Surroundings.of([strip.cells]), None, ()).tree
    rng = np.random.default_rng(1)
    share, cost = rng.random(len(tree.level)), np.full(len(tree.level), 0.5)
    chosen = chosen_nodes(tree, share, cost, np.ones(len(share), bool))
    for node in np.flatnonzero(chosen):
        above = tree.parent[node]
        while above >= 0:
            assert not chosen[above]
            above = tree.parent[above]
    gain = tree.shape[:, 0] * (share - cost)

    def best(node: int) -> float:
        own = sum(best(int(child)) for child in np.flatnonzero(tree.parent == node))
        return max(float(gain[node]), own, 0.0)

    roots = np.flatnonzero(tree.parent < 0)
    assert gain[chosen].sum() == pytest.approx(sum(best(int(root)) for root in roots))


@pytest.mark.parametrize("by_class", [False, True])
def test_water_is_found_by_index_and_by_class(by_class: bool) -> None:
    pond = np.zeros(SHAPE, bool)
    pond[50:62, 84:96] = True
    found = layers()
    for name, value in zip((NDVI, *OPTICAL), (40, 60, 90, 80, 100 if by_class else 50), strict=True):
        found[name][pond] = value
    if by_class:
        found[WATER_CLASS] = np.where(pond, 3, 2).astype(np.uint8)
    (strip,) = cut(found, SHAPE[0])
    measures = measured(strip, Surroundings.of([strip.cells]), None, ())
    tree, sums = measures.tree, measures.sums
    water = found["green"] >= found["nir"]
    assert water[pond].any() != by_class
    counted = tree.pixel_node >= 0
    expected = (water | pond)[strip.rows, strip.cols] & counted
    assert sums[tree.level == 1, COLUMNS.index("water")].sum() == expected.sum() >= pond.sum()
    share = node_features(tree, sums)[:, FEATURES.index("water")]
    assert share.max() > 0.7
    assert share.min() == 0


@pytest.mark.parametrize("direct", [0.1, 0.4, 0.7])
def test_ground_in_cloud_shadow_compares_as_in_the_sun(direct: float) -> None:
    shape = (6 * CELL, 6 * CELL)
    shadow, scar, pond = (np.zeros(shape, bool) for _ in range(3))
    shadow[30:60, 20:50], scar[40:44, 30:40], pond[50:55, 25:35] = True, True, True
    sky = {"red": 0.16, "green": 0.22, "blue": 0.30, "nir": 0.09}  # falls with wavelength
    kinds = zip(
        OPTICAL, (0.03, 0.04, 0.02, 0.26), (0.15, 0.12, 0.09, 0.23), (0.02, 0.03, 0.03, 0.01), strict=True
    )
    lit, seen = {}, {}
    for name, wood, soil, water in kinds:
        ground = np.where(scar, soil, np.where(pond, water, wood))
        lit[name] = (DN_OFFSET + 10000 * ground).astype(np.float32)
        light = np.where(shadow, sky[name] + (1 - sky[name]) * direct, 1.0)
        seen[name] = (DN_OFFSET + 10000 * ground * light).astype(np.float32)
    clear = np.zeros(shape, np.float32)
    expected, dark = optical_codes(lit, clear), optical_codes(seen, clear)
    found = {name: codes.copy() for name, codes in dark.items()}
    found[WATER_CLASS] = np.where(shadow, SHADED, 2).astype(np.uint8)
    take_off_shadow(found)
    for name in (NDVI, *OPTICAL):
        assert np.array_equal(found[name][~shadow | pond], dark[name][~shadow | pond])
        apart = np.abs(found[name].astype(int) - expected[name])[shadow & ~pond]
        assert apart.max() <= 9  # of a scar: its near infrared is 12 % lower than that of the wood
    assert np.abs(dark["red"].astype(int) - expected["red"])[shadow & scar].min() > 10


def test_cells_are_medians_and_surroundings_medians_of_these() -> None:
    rng = np.random.default_rng(2)
    codes = rng.integers(2, 255, (5 * CELL, 5 * CELL)).astype(np.uint8)
    codes[:CELL, :CELL] = MISSING
    codes[0, CELL] = CLOUD
    cells = cells_of({NDVI: codes})
    assert cells[NDVI][0, 0] == 0
    tile = np.sort(codes[2 * CELL : 3 * CELL, :CELL].ravel())
    assert cells[NDVI][2, 0] == tile[(len(tile) - 1) // 2]
    assert cells["cloud"][0, 1] == 255 // CELL**2
    near = surroundings(cells[NDVI])
    values = cells[NDVI][cells[NDVI] > 0]
    assert near[2, 2] == np.median(values)
    rows = np.array([2 * CELL + CELL // 2])
    found = at_pixels(near[:, :, np.newaxis], rows, rows)  # half a pixel beside the centre of a cell
    assert found[0, 0] == pytest.approx(near[2, 2], abs=float(np.ptp(near)) / CELL)


def test_ndvi_is_that_of_reflectance() -> None:
    red, nir = np.float32([[1500.0]]), np.float32([[4500.0]])
    assert true_ndvi(red, nir)[0, 0] == pytest.approx((0.35 - 0.05) / (0.35 + 0.05))


def test_length_width_and_direction_of_a_slanted_bar() -> None:
    bar = Polygon([(0, 0), (300, 300), (290, 310), (-10, 10)])
    length, width = lengths_and_widths(np.array([bar], dtype=object))
    assert (length[0], width[0]) == (pytest.approx(300 * 2**0.5), pytest.approx(10 * 2**0.5))
    rows = np.arange(40)
    objects = Objects(
        features=np.zeros((1, len(FEATURES)), np.float32),
        shares=np.zeros((1, 1)),
        shape=np.array([[40, rows.sum(), rows.sum(), *3 * [(rows**2).sum()], 40, 0, 0, 39, 0, 39]]),
        run_object=np.zeros(40, np.int64),
        run_row=rows,
        run_first=rows,
        run_stop=rows + 1,
    )
    assert axis_direction(objects)[0] == pytest.approx(135)  # to the south-east: rows and columns grow
    for slope, bearing in ((-1, 135), (1, 315)):
        heights = ObjectHeights(objects)
        z = np.float32(500 + slope * np.add.outer(np.arange(40), np.arange(40)))
        for top in (0, 20):
            heights.add(z[top : top + 20], Block(top, 0, 20, 40))
        assert (heights.least[0], heights.most[0]) == (min(500, z[39, 39]), max(500, z[39, 39]))
        assert heights.downslope[0] == pytest.approx(bearing)


def test_the_model_reads_and_each_candidate_has_its_variant() -> None:
    model = default_model()
    features = np.zeros((3, len(FEATURES)), np.float32)
    features[1, FEATURES.index("has_asc")] = 1
    assert model.variant_of(features).tolist() == [IMAGE, RADAR, IMAGE]
    shares = model.shares(features)
    assert shares.shape == (3, 4)
    for name, variant in model.variants.items():
        assert 0 < variant.threshold < 1, name
        low, high = variant.probability(np.array([0.2, 0.8]))
        assert 0 < low < high < 1


def test_more_vegetation_lost_never_lowers_what_the_image_says() -> None:
    variant = default_model().variants[IMAGE]
    features = np.zeros((20, len(FEATURES)), np.float32)
    features[:, FEATURES.index("drop")] = 0.4
    features[:, FEATURES.index("red_contrast")] = 30
    features[:, FEATURES.index("has_loss")] = 1
    features[:, FEATURES.index("loss")] = np.linspace(-0.2, 0.7, 20)
    assert (np.diff(variant.shares(features), axis=1) >= 0).all()


def test_pixels_of_a_doubtful_object_are_decided_by_their_place_in_it() -> None:
    """Half of the object's share decides: from a fixed half on, a doubtful object would lose most of them."""
    model = replace(default_model(), edge=lambda features: features[:, 0].astype(np.float64), edge_least=0.5)
    edges = np.zeros((4, len(EDGE_FEATURES)), np.float32)
    edges[:, 0] = 0.35, 0.25, 0.5, 0.35
    edges[:, EDGE_FEATURES.index("share")] = 0.6, 0.6, 0.9, 0.9
    assert (model.belongs(edges) >= 0.5).tolist() == [True, False, True, False]
