"""Tiles of pixel members: anchored to the grid, blended without seams, equal for any block."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_map.models.segmentation.tiling import (
    blended,
    ramp,
    reflected,
    tile_pixels,
    tile_starts,
)

SIZES = st.tuples(st.integers(2, 12), st.integers(0, 6)).map(lambda s: (2 * s[0], 2 * min(s[1], s[0] // 2)))


@given(SIZES, st.integers(0, 200), st.integers(1, 60))
def test_starts_depend_on_no_extent(sizes: tuple[int, int], first: int, length: int) -> None:
    tile, overlap = sizes
    all_starts = tile_starts(0, 300, tile, overlap)
    touching = [s for s in all_starts if s < first + length and s + tile > first]
    assert list(tile_starts(first, first + length, tile, overlap)) == touching


@given(SIZES, st.integers(0, 100))
def test_weights_of_neighbours_add_up_to_one(sizes: tuple[int, int], pixel: int) -> None:
    tile, overlap = sizes
    weights = ramp(tile, overlap)
    total = sum(weights[pixel - start] for start in tile_starts(pixel, pixel + 1, tile, overlap))
    assert total == pytest.approx(1)


@given(st.integers(-30, 30), st.integers(1, 40), st.integers(2, 9))
def test_reflection_is_that_of_numpy(first: int, count: int, length: int) -> None:
    padded = np.pad(np.arange(length), 80, mode="reflect")
    np.testing.assert_array_equal(reflected(first, count, length), padded[80 + first : 80 + first + count])


def values_of(pixels: npt.NDArray[Any], top: int, left: int) -> npt.NDArray[Any]:
    """Something that depends on the whole tile and on its place, as a network with global context does."""
    return np.sin(pixels[0] + pixels.mean()) + 1e-3 * top + 1e-4 * left


@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_blocks_change_no_bit(rows: int, columns: int, seed: int) -> None:
    shape, tile, overlap = (37, 50), 16, 6
    image = np.random.default_rng(seed).normal(size=(2, *shape))

    def predicted(block: tuple[int, int, int, int]) -> npt.NDArray[np.float32]:
        def read(top: int, left: int, bottom: int, right: int) -> npt.NDArray[Any]:
            return image[:, top:bottom, left:right]

        corners = [
            (top, left)
            for top in tile_starts(block[0], block[2], tile, overlap)
            for left in tile_starts(block[1], block[3], tile, overlap)
        ]
        tiles = (
            (top, left, values_of(tile_pixels(read, shape, top, left, tile), top, left))
            for top, left in corners
        )
        return blended(block, tiles, tile, overlap)

    whole = predicted((0, 0, *shape))
    assert np.isfinite(whole).all()
    y_edges = np.linspace(0, shape[0], rows + 1).astype(int)
    x_edges = np.linspace(0, shape[1], columns + 1).astype(int)
    for y0, y1 in pairwise(y_edges):
        for x0, x1 in pairwise(x_edges):
            part = predicted((int(y0), int(x0), int(y1), int(x1)))
            np.testing.assert_array_equal(part, whole[y0:y1, x0:x1])
