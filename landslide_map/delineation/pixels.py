"""Pixels that may belong to a landslide, kept from a strip of the grid while it is read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from landslide_map.delineation.bareness import INDEX_LAYERS, may_be_bare, may_count_brightness
from landslide_map.delineation.cells import CELL, REACH, cells_of, surroundings
from landslide_map.delineation.codes import FIRST, LAYERS, NDVI_LEAST, NDVI_STEP, Codes
from landslide_map.delineation.displacement import match_sums

LEAST: Final = 120
"""Bareness, thousandths of NDVI, from which a pixel may belong to a landslide."""
GREEN: Final = 0.8
"""NDVI that surroundings are taken to have where they reach into a neighbouring strip: few have more. It is
more than :data:`bareness.LEAFY` and the least drop, so pixels bright enough are kept there too."""


@dataclass(frozen=True)
class Strip:
    """Kept pixels of some rows of the grid, row by row, and the codes of its cells."""

    top: int
    """First pixel row."""
    starts: npt.NDArray[np.int64]
    """``(row + 1,)``: where the pixels of each row begin, and the end of the last."""
    cols: npt.NDArray[np.uint16]
    """``(pixel,)``: column of each pixel."""
    codes: Codes
    """``(pixel, layer)``."""
    layers: tuple[str, ...]
    """Names of the layers, of :data:`codes.LAYERS`."""
    cells: Mapping[str, Codes]
    """Cells, from :func:`cells.cells_of`."""
    match: npt.NDArray[np.int64]
    """Sums for the displacement, from :func:`displacement.match_sums`."""

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """``(pixel,)``: row of each pixel in the grid."""
        return np.repeat(self.top + np.arange(len(self.starts) - 1), np.diff(self.starts))


def strip_of(layers: Mapping[str, Codes], top: int, *, open_above: bool, open_below: bool) -> Strip:
    """Keep the pixels of a strip that are barer than their surroundings.

    Parameters
    ----------
    layers : mapping of str to uint8, (row, col)
        Codes of the strip, by names of :data:`codes.LAYERS`; NDVI among them.
    top : int
        First row of the strip in the grid.
    open_above, open_below : bool
        Whether the grid goes on there. Near such an edge the true surroundings are not known yet, and
        every pixel is kept that they could make a candidate.
    """
    cells = cells_of(layers)
    bright = may_count_brightness(tuple(layers))
    near = np.stack([surroundings(cells[name]) for name in INDEX_LAYERS])
    unknown = np.float32(min((GREEN - NDVI_LEAST) / NDVI_STEP + FIRST, 255))
    edge = min(REACH + 1, near.shape[1])
    if open_above:
        near[0, :edge] = np.maximum(near[0, :edge], unknown)
    if open_below:
        near[0, -edge:] = np.maximum(near[0, -edge:], unknown)
    codes = tuple(np.ascontiguousarray(layers[name]) for name in INDEX_LAYERS)
    keep = may_be_bare(codes, near, CELL, LEAST - 1.0, bright)
    names = tuple(name for name in LAYERS if name in layers)
    rows, cols = np.nonzero(keep)
    starts = np.searchsorted(rows, np.arange(keep.shape[0] + 1)).astype(np.int64)
    kept = np.stack([layers[name][rows, cols] for name in names], axis=1)
    return Strip(top, starts, cols.astype(np.uint16), kept, names, cells, match_sums(layers, cells))


def below(above: Strip | None, strip: Strip) -> Strip:
    """Return one strip of the pixels held back from above, and of those of a strip; cells of the latter."""
    if above is None:
        return strip
    return Strip(
        above.top,
        np.concatenate([above.starts[:-1], above.starts[-1] + strip.starts]),
        np.concatenate([above.cols, strip.cols]),
        np.concatenate([above.codes, strip.codes]),
        strip.layers,
        strip.cells,
        strip.match,
    )


def part_of(strip: Strip, chosen: npt.NDArray[np.bool_]) -> Strip | None:
    """Return some pixels of a strip, ``(pixel,)``, down to its last row; None for none."""
    kept = np.concatenate([[0], np.cumsum(chosen)])[strip.starts]
    if kept[-1] == 0:
        return None
    first = int(np.searchsorted(kept, 0, side="right")) - 1
    return Strip(
        strip.top + first,
        kept[first:].astype(np.int64),
        strip.cols[chosen],
        strip.codes[chosen],
        strip.layers,
        strip.cells,
        strip.match,
    )
