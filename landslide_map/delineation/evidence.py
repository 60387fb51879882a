"""Evidence of every kept pixel for or against a landslide, as whole numbers with exact sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from landslide_map.bands import DIFFERENCES, NDVI_BEFORE, OPTICAL, SLOPE, WATER_CLASS
from landslide_map.delineation.bareness import INDEX_LAYERS, THOUSAND, bareness
from landslide_map.delineation.cells import (
    CLOUDY,
    SPREAD,
    at_pixels,
    deviations,
    surrounding_means,
    surroundings,
)
from landslide_map.delineation.codes import FIRST, NDVI, NDVI_STEP, Codes
from landslide_map.delineation.pixels import Strip

Sums = npt.NDArray[np.int32]

DROP: Final = "drop"
COLUMNS: Final = (
    DROP,
    "bareness",
    *(f"{name}_contrast" for name in OPTICAL),
    NDVI,
    *OPTICAL,
    "water",
    "surrounding_ndvi",
    "surrounding_spread",
    "surrounding_mosaic",
    CLOUDY,
    *(f"{name}{part}" for name in DIFFERENCES for part in ("", "_square", "_valid")),
    "window_mean",
    "window_least",
    "window_most",
    "loss",
    "loss_valid",
    "slope",
    "slope_valid",
)
"""Columns of the evidence of a pixel."""
PIXELS: Final = 1 << 15
"""Pixels of which evidence is worked out at once: it stays in the processor's cache."""
TENTH: Final = 8
"""Contrasts are counted in eighths of a code step."""
Z: Final = 64
"""Changes of backscatter are counted in 1/64 of the deviation of their surroundings."""
Z_MOST: Final = 6.0


@dataclass(frozen=True)
class WindowLayers:
    """Least and greatest probability of the windows over each rectangle between window edges, thousandths."""

    row_edges: npt.NDArray[np.int64]
    col_edges: npt.NDArray[np.int64]
    mean: npt.NDArray[np.int32]
    least: npt.NDArray[np.int32]
    most: npt.NDArray[np.int32]

    def at(self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]) -> Sums:
        """Return mean, least and greatest probability of the windows over pixels, ``(pixel, 3)``."""
        i = np.searchsorted(self.row_edges, rows, side="right") - 1
        j = np.searchsorted(self.col_edges, cols, side="right") - 1
        return np.stack([self.mean[i, j], self.least[i, j], self.most[i, j]], axis=1)


@dataclass(frozen=True)
class Surroundings:
    """Medians of the cells of a whole scene."""

    cells: Mapping[str, Codes]

    @classmethod
    def of(cls, strips: Iterable[Mapping[str, Codes]]) -> Surroundings:
        """Join the cells of strips, from the top downwards."""
        found = list(strips)
        return cls({name: np.concatenate([cells[name] for cells in found]) for name in found[0]})

    @cached_property
    def layers(self) -> dict[str, int]:
        """Name -> position in `stacked`."""
        return {name: i for i, name in enumerate(self._named)}

    @cached_property
    def stacked(self) -> npt.NDArray[np.float32]:
        """``(cell row, cell column, layer)``."""
        return np.stack(list(self._named.values()), axis=2)

    @cached_property
    def _named(self) -> dict[str, npt.NDArray[np.float32]]:
        found = {}
        for name, cells in self.cells.items():
            if name == CLOUDY:
                found[name] = surrounding_means(cells)
            elif name not in (SLOPE, NDVI_BEFORE, WATER_CLASS):
                found[name] = surroundings(cells)
        found["mosaic"] = _mosaic(self.cells[NDVI], found[NDVI])
        if NDVI_BEFORE in self.cells:
            now, before = self.cells[NDVI].astype(np.int16), self.cells[NDVI_BEFORE].astype(np.int16)
            both = (now >= FIRST) & (before >= FIRST)
            # Half steps from -253 to 253, so that the median of one byte holds the loss around.
            lost = np.where(both, np.clip((before - now) // 2 + 128, FIRST, 255), 0).astype(np.uint8)
            found["loss"] = (surroundings(lost) - 128) * 2
        return found


def _mosaic(cells: Codes, near: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return how far cells around lie from their own surroundings, mean code steps: much among fields."""
    apart = np.abs(cells.astype(np.float32) - near)
    return surrounding_means(np.where(cells >= FIRST, np.minimum(np.rint(apart), 255), 0).astype(np.uint8))


def barenesses(
    strip: Strip, rows: npt.NDArray[np.int64], around: Surroundings, sensors: Sequence[str]
) -> Sums:
    """Return how bare each pixel is against its surroundings, thousandths of NDVI, ``(pixel,)``."""
    near = np.ascontiguousarray(around.stacked[:, :, [around.layers[name] for name in INDEX_LAYERS]])
    columns = [strip.layers.index(name) for name in INDEX_LAYERS]
    changes = [
        i for i, name in enumerate(strip.layers) if name in DIFFERENCES and name.split("_")[0] in sensors
    ]
    found: Sums = np.empty(len(rows), np.int32)
    for start in range(0, len(rows), PIXELS):
        part = slice(start, start + PIXELS)
        at = at_pixels(near, rows[part], strip.cols[part].astype(np.int64))
        codes = strip.codes[part]
        known = np.any(codes[:, changes] >= FIRST, axis=1)
        found[part] = bareness(codes[:, columns], at, known)
    return found


def red_contrasts(strip: Strip, rows: npt.NDArray[np.int64], around: Surroundings) -> Sums:
    """Return how much brighter each pixel is in red than its surroundings, eighths of a step."""
    return _contrast(_near("red", strip, rows, around), strip.codes[:, strip.layers.index("red")])


def _near(
    name: str, strip: Strip, rows: npt.NDArray[np.int64], around: Surroundings
) -> npt.NDArray[np.float32]:
    position = around.layers[name]
    layer = np.ascontiguousarray(around.stacked[:, :, position : position + 1])
    return at_pixels(layer, rows, strip.cols.astype(np.int64))[:, 0]


def _drop(near: npt.NDArray[np.float32], codes: Codes) -> Sums:
    drop: Sums = np.rint((near - codes) * np.float32(NDVI_STEP * THOUSAND)).astype(np.int32)
    return drop


def _contrast(near: npt.NDArray[np.float32], codes: Codes) -> Sums:
    contrast: Sums = np.rint((codes - near) * np.float32(TENTH)).astype(np.int32)
    return contrast


def evidence(
    strip: Strip,
    rows: npt.NDArray[np.int64],
    bare: Sums,
    chosen: slice,
    around: Surroundings,
    windows: WindowLayers | None,
    sensors: Sequence[str],
) -> Sums:
    """Return the evidence of some pixels of a strip.

    Parameters
    ----------
    strip : Strip
    rows : int64, (pixel,)
        Rows in the grid of all pixels of the strip.
    bare : int32, (pixel,)
        Bareness of all pixels of the strip, as from :func:`barenesses`.
    chosen : slice
        Of the pixels.
    around : Surroundings
    windows : WindowLayers or None
        None where no window says anything.
    sensors : sequence of str
        Prefixes of difference bands that count, and ``before`` and ``slope``.

    Returns
    -------
    int32, (pixel, column)
        :data:`COLUMNS`; 0 where the sensor is missing.
    """
    rows, cols = rows[chosen], strip.cols[chosen].astype(np.int64)
    codes = {name: strip.codes[chosen, i] for i, name in enumerate(strip.layers)}
    surrounding = at_pixels(around.stacked, rows, cols)
    near = dict(zip(around.layers, surrounding.T, strict=True))
    found = np.zeros((len(rows), len(COLUMNS)), np.int32)
    put = {name: found[:, i] for i, name in enumerate(COLUMNS)}
    put[DROP][:] = _drop(near[NDVI], codes[NDVI])
    put["bareness"][:] = bare[chosen]
    for name in OPTICAL:
        put[f"{name}_contrast"][:] = _contrast(near[name], codes[name])
    for name in (NDVI, *OPTICAL):
        put[name][:] = codes[name]
    put["water"][:] = _water(codes)
    put["surrounding_ndvi"][:] = np.rint(near[NDVI] * np.float32(TENTH))
    put["surrounding_spread"][:] = np.rint(near[NDVI + SPREAD] * np.float32(TENTH))
    put["surrounding_mosaic"][:] = np.rint(near["mosaic"] * np.float32(TENTH))
    put[CLOUDY][:] = np.rint(near[CLOUDY] * np.float32(THOUSAND / 255))
    for name in DIFFERENCES:
        if name in codes and name.split("_")[0] in sensors:
            valid = codes[name] >= FIRST
            z = np.clip(
                (codes[name] - near[name]) / deviations(near[name + SPREAD]), -Z_MOST, Z_MOST
            ) * np.float32(Z)
            whole = np.where(valid, np.rint(z), 0).astype(np.int32)
            put[name][:] = whole
            put[f"{name}_square"][:] = whole * whole
            put[f"{name}_valid"][:] = valid
    if windows is not None:
        at = COLUMNS.index("window_mean")
        found[:, at : at + 3] = windows.at(rows, cols)
    if NDVI_BEFORE in codes and NDVI_BEFORE in sensors:
        valid = codes[NDVI_BEFORE] >= FIRST
        lost = codes[NDVI_BEFORE].astype(np.float32) - codes[NDVI] - near["loss"]
        put["loss"][:] = np.where(valid, np.rint(lost * np.float32(NDVI_STEP * THOUSAND)), 0)
        put["loss_valid"][:] = valid
    if SLOPE in codes and SLOPE in sensors:
        valid = codes[SLOPE] >= FIRST
        put["slope"][:] = np.where(valid, codes[SLOPE].astype(np.int32) - FIRST, 0)
        put["slope_valid"][:] = valid
    return found


def _water(codes: Mapping[str, Codes]) -> npt.NDArray[np.bool_]:
    """Return which pixels are water: by an NDWI of at least 0, or by the scene classification."""
    found: npt.NDArray[np.bool_] = codes["green"] >= codes["nir"]
    if WATER_CLASS in codes:
        found = found | (codes[WATER_CLASS] == FIRST + 1)
    return found
