"""Placement of the images of one track: checked on the pixels, corrected, or taken as it is.

The difference of two images that are displaced shows every ridge and river bank as change, and a map of it is
plausible. Distributors have published such images, and no metadata show it (docs/decisions/0041).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.warp import transform
from rasterio.windows import Window

from landslide_map.errors import InputError, Notice
from landslide_map.grid import NOISE, Block, Grid
from landslide_map.inputs.scene_inputs import RadarImage
from landslide_map.inputs.sentinel1.backscatter import to_db, to_power
from landslide_map.inputs.sentinel1.coregistration import (
    REACH,
    REFUSED_PX,
    Pixels,
    Spectra,
    cross_correlation,
    displacement,
    exact_displacement,
    much_to_see,
    nothing_in_common,
    spectra,
)
from landslide_map.options import Registration
from landslide_map.raster.band import RasterBand
from landslide_map.raster.coordinates import density, source_coordinates
from landslide_map.raster.resample import read_block
from landslide_map.raster.sampling import decimated
from landslide_map.runtime.threads import in_threads

CHIP, SMALLEST = 256, 128
"""Edges of a chip, pixels: powers of two, so that chips begin where blocks of files do."""
MARGIN: Final = 1 / 16
"""Share of a chip's edge that may lie beyond an image of other pixels."""
PLACES: Final = 3
"""Chips along each axis of an image."""
MOVED_PX: Final = 1.0
"""Least displacement that moves an image: of filtered images it is measured to 0.6 pixels only."""
TOGETHER_PX: Final = 1.0
"""Images with less difference of displacement lie on each other."""

Images = tuple[RadarImage, ...]
Place = npt.NDArray[np.float64]
"""Rows and columns."""
Known = dict[tuple[RasterBand, tuple[Window, ...]], Spectra]
"""Band and places of its chips -> their spectra: all images of a track are compared with one."""


def placed(orbit: str, pre: Images, post: Images, how: Registration) -> tuple[Images, Images, list[Notice]]:
    """Check or correct where the images of a track lie.

    Parameters
    ----------
    orbit : str
    pre, post : tuple of RadarImage
        Each is compared with the last one of `post`, in VV, one of several slices with one.
    how : {"check", "correct", "trust"}

    Returns
    -------
    pre, post : tuple of RadarImage
        With ``correct``, those that are displaced have their grids moved: pixels are not resampled here.
    notices : list of Notice
        W331 where two images show much, and nothing of it in common. I331 for each that was moved, W332 for
        each with an unknown displacement. I330 where nothing was checked.

    Raises
    ------
    InputError
        E331 where an image is displaced, and not to be corrected.
    """
    if how == "trust":
        message = "whether images lie on each other is not checked, as scene.yaml says (registration: trust)"
        return pre, post, [Notice("I330", f"{orbit}: {message}")]
    others, reference = (*pre, *post[:-1]), post[-1]
    if how == "check":
        known: Known = {}
        found = [notice for one in others for notice in check_same_ground(one, reference, known)]
        return pre, post, found[:1]
    moved, notices = _corrected(orbit, others, reference)
    return moved[: len(pre)], moved[len(pre) :], notices


def check_same_ground(before: RadarImage, after: RadarImage, known: Known | None = None) -> list[Notice]:
    """Compare where two images of one track show the ground; see :func:`placed` for the consequences.

    Spectra of the second image that are not in `known` are added to it.
    """
    found = _compared(before, after, {} if known is None else known)
    if found.common is None:
        return []
    rows, columns = displacement(found.common) or (0, 0)
    if max(abs(rows), abs(columns)) >= found.borne:
        raise InputError(
            "E331",
            f"{found.after.path}: the same ground lies {columns:+d} columns and {rows:+d} rows from where "
            f"{found.before.path} shows it, so their difference would show relief as change. See over a map "
            "which of the two is displaced, and fetch it again, or leave it out. --coregister (registration: "
            "correct in scene.yaml) moves it, registration: trust takes it as it is",
        )
    return _other_ground(before, after, found)


@dataclass(frozen=True, slots=True)
class _Compared:
    """Cross-correlation of two images on the pixels of the second."""

    before: RasterBand
    after: RasterBand
    places: list[Window]
    """Chips of `after` that both cover."""
    common: Pixels | None
    borne: int
    """Pixels from which a displacement is refused: two of the coarser image."""


def _compared(before: RadarImage, after: RadarImage, known: Known) -> _Compared:
    pairs = list(product(before.bands["vv"], after.bands["vv"]))
    one, other = next((pair for pair in pairs if pair[0].grid == pair[1].grid), pairs[0])
    places = _same_ground(one.grid, other.grid)
    own = other, tuple(places)
    if own not in known:
        known[own] = spectra(_read_chips(other, after, other.grid, places))
    common = cross_correlation(spectra(_read_chips(one, before, other.grid, places)), known[own])
    finer = min(density(one.grid, other.grid)) if places else 1.0
    return _Compared(one, other, places, common, round(REFUSED_PX * max(1.0, 1 / finer)))


def _other_ground(before: RadarImage, after: RadarImage, found: _Compared) -> list[Notice]:
    """Warn (W331) where both images show much, and nothing of it in common."""
    if found.common is None or not nothing_in_common(found.common, found.borne):
        return []
    for band, image in ((found.before, before), (found.after, after)):
        vh = next((vh for vh in image.bands["vh"] if vh.grid == band.grid), None)
        chips = [
            _read_chips(one, image, found.after.grid, found.places) for one in (band, vh) if one is not None
        ]
        if vh is None or not much_to_see(*chips):
            return []
    return [
        Notice(
            "W331",
            f"{found.after.path} has nothing in common with {found.before.path}, though both have clear "
            f"structure. It shows other ground, is turned over, or displaced by more than {REACH} pixels. "
            "The differences are then invalid. See both over a map",
        )
    ]


def _corrected(orbit: str, others: Images, reference: RadarImage) -> tuple[Images, list[Notice]]:
    """Move images onto the ground of most of them, or onto the reference where as many lie on it."""
    spectra_of: Known = {}
    compared = [_compared(one, reference, spectra_of) for one in others]
    places = [*map(_place, compared), np.zeros(2)]
    known = [place for place in places if place is not None]
    datum = _datum(known)
    off = max(float(np.abs(place - datum).max()) for place in known)
    notices: list[Notice] = []
    out = []
    for image, place in zip((*others, reference), places, strict=True):
        rows, columns = (0.0, 0.0) if place is None else place - datum
        path = image.bands["vv"][0].path
        if place is None:
            message = "its displacement cannot be measured: even ground, little in common, or too few pixels"
            notices.append(Notice("W332", f"{path}: {message}. It is taken as it lies"))
        if max(abs(rows), abs(columns)) < MOVED_PX:
            out.append(image)
            continue
        out.append(_moved(image, reference.bands["vv"][0].grid, (rows, columns)))
        message = f"lay {columns:+.1f} columns and {rows:+.1f} rows from where most images show the ground"
        notices.append(Notice("I331", f"{path}: {message}; it is moved back before it is resampled"))
    if not notices:
        message = f"{len(known)} images lie on each other to within {off:.1f} pixels; none was moved"
        notices.append(Notice("I331", f"{orbit}: {message}"))
    left = [notice for one in out[:-1] for notice in check_same_ground(one, out[-1], spectra_of)]
    return tuple(out), [*notices, *left[:1]]


def _place(found: _Compared) -> Place | None:
    """Return where the first of two images lies as the second sees it: rows down, columns to the right."""
    shift = None if found.common is None else exact_displacement(found.common)
    return None if shift is None else -np.array(shift)


def _datum(places: Sequence[Place]) -> Place:
    """Return where the ground is by most images; by the last one where as many lie on it."""
    together = [[other for other in places if np.abs(other - one).max() < TOGETHER_PX] for one in places]
    best = max(reversed(together), key=len)
    return np.asarray(np.zeros(2) if together[-1] is best else np.median(best, axis=0))


def _moved(image: RadarImage, grid: Grid, by: tuple[float, float]) -> RadarImage:
    """Return an image with its grids moved back by rows and columns of `grid`."""
    bands = {
        name: tuple(replace(band, grid=_moved_grid(band.grid, grid, by)) for band in slices)
        for name, slices in image.bands.items()
    }
    hidden = tuple(
        one and replace(one, mask=replace(one.mask, grid=_moved_grid(one.mask.grid, grid, by)))
        for one in image.hidden
    )
    return replace(image, bands=bands, hidden=hidden, moved=by)


def _moved_grid(own: Grid, grid: Grid, by: tuple[float, float]) -> Grid:
    rows, columns = by
    t = grid.transform
    east, north = -columns * t.a, -rows * t.e
    if own.crs != grid.crs:
        left, bottom, right, top = grid.bounds
        x, y = (left + right) / 2, (bottom + top) / 2
        xs, ys = transform(grid.crs, own.crs, [x, x + east], [y, y + north])
        east, north = xs[1] - xs[0], ys[1] - ys[0]
    o = own.transform
    return Grid(own.crs, Affine(o.a, o.b, o.c + east, o.d, o.e, o.f + north), own.width, own.height)


def _same_ground(before: Grid, after: Grid) -> list[Window]:
    """Return chips of `after` that lie in both."""
    for edge in (CHIP, SMALLEST):
        if edge > min(after.shape):
            continue
        tops, lefts = (
            np.unique(np.linspace(0, length - edge, PLACES + 2)[1:-1].astype(int) // edge * edge).tolist()
            for length in after.shape
        )
        chips = [Window(left, top, edge, edge) for top in tops for left in lefts]
        if inside := [chip for chip in chips if _holds(before, after, chip)]:
            return inside
    return []


def _holds(before: Grid, after: Grid, chip: Window) -> bool:
    """Return whether a chip of `after` lies in `before`, or nearly so where its pixels are interpolated."""
    rows, cols = np.meshgrid(
        [chip.row_off, chip.row_off + chip.height], [chip.col_off, chip.col_off + chip.width]
    )
    at_row, at_col = source_coordinates(before, after, rows.astype(float), cols.astype(float))
    beyond = NOISE if after.aligned_with(before) else MARGIN * chip.height
    ends = ((at_row, before.height), (at_col, before.width))
    return all(bool((at >= -beyond).all() and (at <= size + beyond).all()) for at, size in ends)


def _read_chips(band: RasterBand, image: RadarImage, grid: Grid, places: Sequence[Window]) -> list[Pixels]:
    """Return chips of `grid` as a band shows them, in dB."""
    decode = partial(to_power, units=image.units)

    def read_chip(place: Window) -> Pixels:
        height, width = int(place.height), int(place.width)
        if not grid.aligned_with(band.grid):
            block = Block(int(place.row_off), int(place.col_off), height, width)
            return to_db(read_block(band, grid, block, decode=decode))
        own, other = band.grid.transform, grid.transform
        down, across = round((other.f - own.f) / own.e), round((other.c - own.c) / own.a)
        here = Window(place.col_off + across, place.row_off + down, width, height)
        return to_db(decode(decimated(band, (height, width), here)))

    return in_threads(read_chip, places)
