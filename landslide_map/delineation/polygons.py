"""Outlines of objects: rings along pixel edges, in pixel coordinates."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.features import shapes
from shapely.geometry import MultiPolygon, shape

from landslide_map.delineation.regions import Regions
from landslide_map.runtime.jit import compiled

_SHEET: Final = 4096
"""Edge of a sheet that many small masks are laid on side by side, pixels."""


def outlines(objects: Regions) -> list[MultiPolygon]:
    """Return the outline of every object; x is the column and y the row of pixel corners.

    Masks of many objects are traced at once: tracing one costs more in calls than in work.
    """
    boxes = objects.shape[:, 8:12]
    sheets, origins = _placed(boxes)
    found: list[list[Any]] = [[] for _ in boxes]
    for number in range(int(sheets.max(initial=-1)) + 1):
        own = np.flatnonzero(sheets == number)
        height = int((origins[own, 0] + boxes[own, 1] - boxes[own, 0]).max()) + 1
        width = int((origins[own, 1] + boxes[own, 3] - boxes[own, 2]).max()) + 1
        sheet = np.zeros((height, width), np.int32)
        shift = origins - boxes[:, [0, 2]]
        inside = sheets[objects.run_object] == number
        _draw(
            sheet,
            objects.run_row[inside],
            objects.run_first[inside],
            objects.run_stop[inside],
            objects.run_object[inside],
            shift,
        )
        for ring, label in shapes(sheet, mask=sheet > 0, connectivity=4):
            found[int(label) - 1].append(shape(ring))
    placed = [MultiPolygon(parts) for parts in found]
    moves = (boxes[:, [2, 0]] - origins[:, [1, 0]]).astype(np.float64)
    counts = shapely.get_num_coordinates(placed)
    coordinates = shapely.get_coordinates(placed) + np.repeat(moves, counts, axis=0)
    return list(shapely.set_coordinates(np.array(placed, dtype=object), coordinates))


def _placed(
    boxes: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the sheet of every mask, and its first row and column there; masks never touch."""
    sheets = np.zeros(len(boxes), np.int64)
    origins = np.zeros((len(boxes), 2), np.int64)
    sheet, row, col, tallest = 0, 0, 0, 0
    for i, (top, bottom, left, right) in enumerate(boxes.tolist()):
        height, width = bottom - top + 2, right - left + 2
        if col and col + width > _SHEET:
            row, col, tallest = row + tallest, 0, 0
        if row and row + height > _SHEET:
            sheet, row, col, tallest = sheet + 1, 0, 0, 0
        sheets[i], origins[i] = sheet, (row, col)
        col, tallest = col + width, max(tallest, height)
    return sheets, origins


@compiled
def _draw(
    sheet: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int64],
    firsts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    owners: npt.NDArray[np.int64],
    shift: npt.NDArray[np.int64],
) -> None:
    for n in range(rows.size):
        own = owners[n]
        for c in range(firsts[n] + shift[own, 1], stops[n] + shift[own, 1]):
            sheet[rows[n] + shift[own, 0], c] = own + 1


@compiled
def paint(
    rows: npt.NDArray[np.int64],
    firsts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    values: npt.NDArray[np.float32],
    top: int,
    target: npt.NDArray[np.float32],
) -> None:
    """Write the value of every run onto its pixels; `top` is the grid row of the first row of `target`."""
    for n in range(rows.size):
        r = rows[n] - top
        if 0 <= r < target.shape[0]:
            for c in range(firsts[n], stops[n]):
                target[r, c] = values[n]
