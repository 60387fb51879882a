"""Whether the images of one track lie on each other: a shift of whole pixels, read from the pixels.

The difference of two images that are displaced shows every ridge and river bank as change, and a map of it is
plausible. Distributors have published such images; no metadata tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window
from scipy import fft
from scipy.ndimage import gaussian_filter, uniform_filter

from landslide_map.backscatter import to_db, to_power
from landslide_map.errors import InputError
from landslide_map.readers.looks import decimated
from landslide_map.readers.threads import in_threads
from landslide_map.sources import BackscatterUnits, RasterBand

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
VALID: Final = 0.75


def check_not_shifted(
    before: tuple[RasterBand, BackscatterUnits], after: tuple[RasterBand, BackscatterUnits]
) -> None:
    """Refuse (E331) two images of one track of which one is displaced.

    Parameters
    ----------
    before, after : tuple of RasterBand and str
        One polarisation of both, with units. Images whose pixels do not coincide are not compared.
    """
    patches = _same_ground(before[0], after[0])
    looks = in_threads(lambda patch: (_look(*before, patch[0]), _look(*after, patch[1])), patches)
    found = shift([one for one, _ in looks], [other for _, other in looks])
    if found is None or max(map(abs, found)) < REFUSED_PX:
        return
    rows, columns = found
    raise InputError(
        "E331",
        f"{after[0].path}: the same ground lies {columns:+d} columns and {rows:+d} rows from where "
        f"{before[0].path} shows it, so their difference would show relief as change. See over a map which "
        "of the two is displaced; get it anew, correct it (gdal_translate -a_ullr), or leave it out",
    )


def shift(before: Sequence[Pixels], after: Sequence[Pixels]) -> tuple[int, int] | None:
    """Measure by how much `after` is displaced against `before`.

    Parameters
    ----------
    before, after : sequence of ndarray, (edge, edge)
        Patches of the same ground in dB, NaN where there is no data.

    Returns
    -------
    tuple of int or None
        Rows (downwards) and columns (to the right), as far as :data:`REACH`; None where pixels do not tell.

    Notes
    -----
    The cross-correlations of all patches, without their coarse shades, are added before the peak is sought:
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
    near = surface[edge // 2 - reach : edge // 2 + reach + 1, edge // 2 - reach : edge // 2 + reach + 1]
    row, column = np.unravel_index(near.argmax(), near.shape)
    rows, columns = np.indices(near.shape)
    elsewhere = near[np.hypot(rows - row, columns - column) > NOWHERE_ELSE].max()
    peak = near[row, column]
    if peak < CLEAR or peak < DISTINCT * elsewhere:
        return None
    if near[reach, reach] > LEFT_AT_ZERO * peak:
        return 0, 0
    return int(row) - reach, int(column) - reach


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


def _look(band: RasterBand, units: BackscatterUnits, window: Window) -> Pixels:
    stored = decimated(band, (int(window.height), int(window.width)), window)
    return to_db(to_power(stored, units))
