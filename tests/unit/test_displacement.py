"""Displacement of the image against changes of backscatter: found, left where unsure, and taken back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from landslide_map.bands import DIFFERENCES
from landslide_map.delineation.cells import cells_of
from landslide_map.delineation.codes import NDVI, change_codes, ndvi_codes
from landslide_map.delineation.displacement import displacement_of, match_sums, moved_back

SIZE = 512


def scene(
    move: tuple[float, float], *, changed: bool = True, seed: int = 3
) -> dict[str, npt.NDArray[np.uint8]]:
    """Return codes of ragged slides that the image shows displaced; backscatter changed where they are."""
    rng = np.random.default_rng(seed)
    rough = ndimage.gaussian_filter(rng.normal(size=(SIZE, SIZE)), 3)
    slid = (rough > np.quantile(rough, 0.95)).astype(float)
    seen = ndimage.shift(ndimage.gaussian_filter(slid, 0.6), move, order=1)
    found = {NDVI: ndvi_codes((0.75 - 0.5 * seen + rng.normal(0, 0.02, slid.shape)).astype(np.float32))}
    for name in DIFFERENCES:
        noise = ndimage.gaussian_filter(rng.normal(size=slid.shape), 0.8)
        change = noise / noise.std() * 2.5 * (1 + (0.6 * slid if changed else 0))
        found[name] = change_codes(change.astype(np.float32))
    return found


def sums(layers: dict[str, npt.NDArray[np.uint8]]) -> npt.NDArray[np.int64]:
    return match_sums(layers, cells_of(layers))


@pytest.mark.parametrize("move", [(0.0, 0.0), (0.6, -0.4), (-0.9, 0.2)])
def test_a_displaced_image_is_measured(move: tuple[float, float]) -> None:
    found = displacement_of([sums(scene(move))], (SIZE, SIZE))
    assert (found.down, found.right) == pytest.approx(move, abs=0.2)
    assert found.down * 16 == round(found.down * 16)


def test_no_displacement_is_found_where_no_backscatter_changed_or_one_track_is_missing() -> None:
    still = displacement_of([sums(scene((0.6, 0.4), changed=False))], (SIZE, SIZE))
    assert not still
    one = {name: codes for name, codes in scene((0.6, 0.4)).items() if not name.startswith("asc")}
    assert not sums(one).any()
    assert not displacement_of([sums(one)], (SIZE, SIZE))


def test_sums_of_strips_are_added_in_any_order() -> None:
    parts = [sums(scene((0.3, 0.0), seed=seed)) for seed in (1, 2, 3)]
    assert displacement_of(parts, (SIZE, SIZE)) == displacement_of(parts[::-1], (SIZE, SIZE))


@pytest.mark.parametrize(
    ("by", "rows", "cols"),
    [((1.0, 0.0), (0, 1), (2, 4)), ((0.0, -2.0), (1, 2), (4, 6)), ((0.25, 0.25), (1, 2), (2, 4))],
)
def test_pixels_are_moved_to_where_more_than_half_of_them_falls(
    by: tuple[float, float], rows: tuple[int, int], cols: tuple[int, int]
) -> None:
    """An object of 2 x 3 pixels, from row 1 and column 2 of a grid of 6 x 8; a strip that begins at row 1."""
    starts, columns = np.array([0, 3, 6]), np.array([2, 3, 4, 2, 3, 4], np.uint16)
    found = moved_back(starts, columns, np.zeros(6, np.int64), np.ones(6, np.float32), 1, (6, 8), by)
    assert set(found[2].tolist()) == {0}
    assert (found[0].min(), found[0].max()) == rows
    assert (found[1].min(), found[1].max()) == cols
    assert len(found[0]) == 6


def test_what_leaves_the_grid_is_left_out_and_objects_stay_apart() -> None:
    starts, columns = np.array([0, 4, 8]), np.array([0, 1, 2, 3] * 2, np.uint16)
    numbers = np.array([0, 0, 1, 1] * 2)
    rows, cols, own = moved_back(starts, columns, numbers, np.ones(8, np.float32), 0, (2, 4), (0.0, 1.0))
    assert sorted(zip(rows.tolist(), cols.tolist(), own.tolist(), strict=True)) == [
        (0, 0, 0), (0, 1, 1), (0, 2, 1), (1, 0, 0), (1, 1, 1), (1, 2, 1),
    ]  # fmt: skip
