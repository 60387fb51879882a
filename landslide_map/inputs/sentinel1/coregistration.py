"""Displacement of two images of the same ground, measured on their pixels. Pure, arrays in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.ndimage import gaussian_filter, uniform_filter

Pixels = npt.NDArray[np.float32]

REACH: Final = 32
"""The largest shift that is searched, pixels."""
REFUSED_PX: Final = 2
"""Smaller ones are within the errors of orbits and terrain models, and of the measurement in speckle."""
CLEAR, DISTINCT, NOWHERE_ELSE = 0.3, 1.4, 6
"""Correlation of a clear peak, how many times that of all others it is, and from how many pixels away
others count; docs/decisions/0041 has what right pairs and chance reach."""
LEFT_AT_ZERO: Final = 0.9
"""Share of the peak's correlation that is left without the shift, at most."""
SEEN, IN_COMMON = 0.3, 0.15
"""Correlation of VV and VH of one image from which there is something to see, and that of two images up to
which they show other ground: right pairs with something to see have 0.5 and more (docs/decisions/0041)."""
VALID: Final = 0.75


def correlation(before: Sequence[Pixels], after: Sequence[Pixels]) -> Pixels | None:
    """Return the cross-correlation of two images for displacements as far as :data:`REACH`.

    Parameters
    ----------
    before, after : sequence of ndarray, (edge, edge)
        Chips of the same ground in dB, NaN where there is no data.

    Returns
    -------
    ndarray, (2 reach + 1, 2 reach + 1), or None
        That of no displacement is in the middle; None where no chip of both has data.

    Notes
    -----
    The cross-correlations of all chips, without their coarse shades, are added before the search for a peak.
    A displacement is the same everywhere; a chance resemblance is not.
    """
    return cross_correlation(spectra(before), spectra(after))


Spectra = list[tuple[npt.NDArray[np.complex64], float] | None]
"""Transform and power of each chip; None where it has too little data."""


def spectra(chips: Sequence[Pixels]) -> Spectra:
    """Return the spectra of chips, for several :func:`cross_correlation`."""
    found: Spectra = []
    for chip in chips:
        valid = np.isfinite(chip)
        if valid.mean() < VALID:
            found.append(None)
            continue
        texture = _texture(chip, valid)
        found.append((fft.rfft2(texture), float((texture**2).sum())))
    return found


def cross_correlation(before: Spectra, after: Spectra) -> Pixels | None:
    """Return :func:`correlation` of images from their spectra."""
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a is not None and b is not None]
    power = np.prod([sum(one[1] for one in side) for side in zip(*pairs, strict=True)] or [0.0])
    if not power:
        return None
    crossed = sum(a[0].conj() * b[0] for a, b in pairs)
    surface = fft.fftshift(fft.irfft2(crossed)) / np.sqrt(power)
    edge = len(surface)
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
        Rows (downwards) and columns (to the right); None where there is no clear peak.
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


def exact_displacement(common: Pixels) -> tuple[float, float] | None:
    """Return :func:`displacement` in parts of a pixel: the top of a parabola through the peak's neighbours.

    Its error was 0.13 at most on a real pair, 0.6 (root mean square) on filtered ones (docs/decisions/0041).
    """
    if displacement(common) is None:
        return None
    reach = len(common) // 2
    row, column = (int(i) for i in np.unravel_index(common.argmax(), common.shape))
    return (
        row - reach + _top(common[:, column], row),
        column - reach + _top(common[row], column),
    )


def _top(line: Pixels, peak: int) -> float:
    """Return by how much the top of a parabola through a peak and both neighbours lies beyond the peak."""
    if not 0 < peak < len(line) - 1:
        return 0.0
    before, at, after = (float(value) for value in line[peak - 1 : peak + 2])
    curvature = before - 2 * at + after
    return 0.5 * (before - after) / curvature if curvature < 0 else 0.0


def nothing_in_common(common: Pixels, within: int = REFUSED_PX) -> bool:
    """Return whether two images do not resemble each other within displacements of some pixels."""
    reach = len(common) // 2
    near = slice(reach - within, reach + within + 1)
    return bool(common[near, near].max() < IN_COMMON)


def much_to_see(vv: Sequence[Pixels], vh: Sequence[Pixels]) -> bool:
    """Return whether an image shows more than speckle, which differs between its polarisations."""
    common = correlation(vv, vh)
    return common is not None and bool(common[len(common) // 2, len(common) // 2] >= SEEN)


def _texture(decibels: Pixels, valid: npt.NDArray[np.bool_]) -> Pixels:
    """Return the structure between speckle and some 20 pixels, faded out towards the edges."""
    whole = bool(valid.all())  # as most chips are: nothing need be filled or masked then
    filled = decibels if whole else np.where(valid, decibels, np.median(decibels[valid])).astype(np.float32)
    fine = gaussian_filter(filled, 1.0) - uniform_filter(filled, 21)
    limit = 3 * 1.4826 * np.median(np.abs(fine if whole else fine[valid]))
    clipped = np.clip(fine, -limit, limit)
    fade = _fade(len(fine))
    return (clipped if whole else np.where(valid, clipped, np.float32(0))) * fade[:, None] * fade


@cache
def _fade(edge: int) -> Pixels:
    return np.hanning(edge).astype(np.float32)
