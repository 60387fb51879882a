"""Co-registration of the images of one track: shifts of whole pixels, measured on the pixels.

The difference of two images that are displaced shows every ridge and river bank as change, and a map of it is
plausible. Distributors have published such images; no metadata tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window
from scipy import fft
from scipy.ndimage import gaussian_filter, uniform_filter

from landslide_map.errors import InputError, Notice
from landslide_map.inputs.scene_inputs import RadarImage
from landslide_map.inputs.sentinel1.backscatter import to_db, to_power
from landslide_map.options import BackscatterUnits
from landslide_map.raster.band import RasterBand
from landslide_map.raster.sampling import decimated
from landslide_map.runtime.threads import in_threads

Pixels = npt.NDArray[np.float32]

PATCH, SMALLEST = 256, 128
"""Edges of a patch, pixels: powers of two, so that patches begin where blocks of files do."""
PLACES: Final = 3
"""Patches along each axis of an image."""
REACH: Final = 32
"""The largest shift that is looked for, pixels."""
REFUSED_PX: Final = 2
"""Smaller ones are within what orbits and terrain models leave, and what speckle lets be told."""
CLEAR, DISTINCT, NOWHERE_ELSE = 0.3, 1.4, 6
"""Correlation of a peak that tells, how many times that of all others it is, and from how many pixels away
others count; docs/decisions/0041 has what right pairs and chance reach."""
LEFT_AT_ZERO: Final = 0.9
"""Share of the peak's correlation that is left without the shift, at most."""
SEEN, IN_COMMON = 0.3, 0.15
"""Correlation of VV and VH of one image from which there is something to see, and that of two images up to
which they show other ground: right pairs with something to see have 0.5 and more (docs/decisions/0041)."""
VALID: Final = 0.75


def check_same_ground(before: RadarImage, after: RadarImage) -> list[Notice]:
    """Compare where two images of one track show the ground.

    Parameters
    ----------
    before, after : RadarImage
        Of several slices one of each is compared, in VV; images whose pixels do not coincide are not.

    Returns
    -------
    list of Notice
        W331 where both show much, and nothing of it in common.

    Raises
    ------
    InputError
        E331 where one of them is displaced.
    """
    pairs = list(product(before.bands["vv"], after.bands["vv"]))
    one, other = next((pair for pair in pairs if pair[0].grid == pair[1].grid), pairs[0])
    patches = _same_ground(one, other)
    sides = (one, before, [patch for patch, _ in patches]), (other, after, [patch for _, patch in patches])
    looks = [_looks(band, image.units, windows) for band, image, windows in sides]
    common = correlation(*looks)
    if common is None:
        return []
    rows, columns = displacement(common) or (0, 0)
    if max(abs(rows), abs(columns)) >= REFUSED_PX:
        raise InputError(
            "E331",
            f"{other.path}: the same ground lies {columns:+d} columns and {rows:+d} rows from where "
            f"{one.path} shows it, so their difference would show relief as change. See over a map which "
            "of the two is displaced; get it anew, correct it (gdal_translate -a_ullr), or leave it out",
        )
    if not nothing_in_common(common):
        return []
    for (band, image, windows), vv in zip(sides, looks, strict=True):
        vh = next((vh for vh in image.bands["vh"] if vh.grid == band.grid), None)
        if vh is None or not much_to_see(vv, _looks(vh, image.units, windows)):
            return []
    return [
        Notice(
            "W331",
            f"{other.path} shows nothing of what {one.path} shows, though there is much to see in both: it "
            f"is of other ground, turned over, or displaced by more than {REACH} pixels, and the differences "
            "mean nothing then. See both over a map",
        )
    ]


def correlation(before: Sequence[Pixels], after: Sequence[Pixels]) -> Pixels | None:
    """Return the cross-correlation of two images for displacements as far as :data:`REACH`.

    Parameters
    ----------
    before, after : sequence of ndarray, (edge, edge)
        Patches of the same ground in dB, NaN where there is no data.

    Returns
    -------
    ndarray, (2 reach + 1, 2 reach + 1), or None
        That of no displacement is in the middle; None where no patch of both has data.

    Notes
    -----
    The cross-correlations of all patches, without their coarse shades, are added before a peak is sought:
    what is displaced is displaced everywhere, and what looks alike by chance is not.
    """
    crossed: npt.NDArray[np.complex64] | float = 0.0
    power = np.zeros(2)
    edge = 0
    for one, other in zip(before, after, strict=True):
        if min(np.isfinite(one).mean(), np.isfinite(other).mean()) < VALID:
            continue
        edge = one.shape[0]
        a, b = _texture(one), _texture(other)
        crossed = crossed + fft.rfft2(a).conj() * fft.rfft2(b)
        power += (a**2).sum(), (b**2).sum()
    if not edge or not power.all():
        return None
    surface = fft.fftshift(fft.irfft2(crossed)) / np.sqrt(power.prod())
    reach = min(REACH, edge // 4)
    near: Pixels = surface[
        edge // 2 - reach : edge // 2 + reach + 1, edge // 2 - reach : edge // 2 + reach + 1
    ]
    return near


def displacement(common: Pixels) -> tuple[int, int] | None:
    """Return by how much the second image of a :func:`correlation` is displaced against the first.

    Returns
    -------
    tuple of int or None
        Rows (downwards) and columns (to the right); None where there is no one peak that tells.
    """
    reach = len(common) // 2
    row, column = np.unravel_index(common.argmax(), common.shape)
    rows, columns = np.indices(common.shape)
    elsewhere = common[np.hypot(rows - row, columns - column) > NOWHERE_ELSE].max()
    peak = common[row, column]
    if peak < CLEAR or peak < DISTINCT * elsewhere:
        return None
    if common[reach, reach] > LEFT_AT_ZERO * peak:
        return 0, 0
    return int(row) - reach, int(column) - reach


def nothing_in_common(common: Pixels) -> bool:
    """Return whether two images do not resemble each other within the displacements that are borne."""
    reach = len(common) // 2
    near = slice(reach - REFUSED_PX, reach + REFUSED_PX + 1)
    return bool(common[near, near].max() < IN_COMMON)


def much_to_see(vv: Sequence[Pixels], vh: Sequence[Pixels]) -> bool:
    """Return whether an image shows more than speckle, which differs between its polarisations."""
    common = correlation(vv, vh)
    return common is not None and bool(common[len(common) // 2, len(common) // 2] >= SEEN)


def _texture(decibels: Pixels) -> Pixels:
    """Return what is finer than some 20 pixels and coarser than speckle, faded out towards the edges."""
    valid = np.isfinite(decibels)
    filled = np.where(valid, decibels, np.median(decibels[valid])).astype(np.float32)
    fine = gaussian_filter(filled, 1.0) - uniform_filter(filled, 21)
    limit = 3 * 1.4826 * np.median(np.abs(fine[valid]))
    fade = np.hanning(len(fine)).astype(np.float32)
    return np.where(valid, np.clip(fine, -limit, limit), np.float32(0)) * fade[:, None] * fade


def _same_ground(before: RasterBand, after: RasterBand) -> list[tuple[Window, Window]]:
    """Return patches that lie in both, as windows of each."""
    if not after.grid.same_lattice(before.grid):
        return []
    a, b = before.grid.transform, after.grid.transform
    down, across = round((b.f - a.f) / a.e), round((b.c - a.c) / a.a)
    edge = next((edge for edge in (PATCH, SMALLEST) if edge <= min(*before.grid.shape, *after.grid.shape)), 0)
    if not edge:
        return []
    tops, lefts = (
        np.unique(np.linspace(0, length - edge, PLACES + 2)[1:-1].astype(int) // edge * edge).tolist()
        for length in after.grid.shape
    )
    rows, columns = before.grid.shape
    return [
        (Window(left + across, top + down, edge, edge), Window(left, top, edge, edge))
        for top in tops
        for left in lefts
        if 0 <= top + down <= rows - edge and 0 <= left + across <= columns - edge
    ]


def _looks(band: RasterBand, units: BackscatterUnits, windows: Sequence[Window]) -> list[Pixels]:
    """Return patches of a band in dB."""

    def look(window: Window) -> Pixels:
        return to_db(to_power(decimated(band, (int(window.height), int(window.width)), window), units))

    return in_threads(look, windows)
