"""Checks of backscatter differences, post - pre in dB: pure functions on samples.

As in ``backscatter_checks``, the limits come from real scenes (docs/decisions/0013-backscatter-limits.md).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from landslide_map.errors import InputError, Notice
from landslide_map.inputs.sentinel1.units import ENOUGH, Pixels, share_negative

FILTERED_IQR_DB: Final = 1.8
"""Inter-quartile range of post - pre: 3.1 unfiltered at 30 m, 0.6 after total-variation filtering."""
REVERSED: Final = -0.15
"""Correlation of fine structure in post and post - pre. It is 0.44 to 0.77 in real pairs, from 0.20 on in
filtered ones, and as much below 0 in post and pre - post."""
CONFIRMED: Final = 0.15
"""Least correlation of a right sign."""
APART: Final = 2
"""Columns between the pixels compared: neighbours may share their speckle."""


def check_change(pre_db: Pixels, post_db: Pixels, where: str) -> list[Notice]:
    """Check post - pre of two images sampled at the same places.

    Parameters
    ----------
    pre_db, post_db : ndarray, float64, same shape
        Backscatter of one polarisation, dB.

    Returns
    -------
    list of Notice
        W314 where the difference is too quiet for unfiltered speckle.

    Raises
    ------
    InputError
        E306 where more than half of the pixels did not change at all.
    """
    change = (post_db - pre_db)[np.isfinite(pre_db) & np.isfinite(post_db)]
    return check_difference(change, where)


def check_differ(one: Pixels, other: Pixels, where: str) -> None:
    """Refuse (E306) two images of one side of the event that are the same: a date would count twice."""
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < ENOUGH:
        return
    same = float(np.mean(one[both] == other[both]))
    if same > 0.5:
        raise InputError(
            "E306",
            f"{where}: {same:.0%} of the pixels are equal on different dates; one is a copy of the other, "
            "list every image once",
        )


def check_difference(change: Pixels, where: str) -> list[Notice]:
    """Check valid differences post - pre, dB; see :func:`check_change`."""
    if change.size < ENOUGH:
        return []
    same = float(np.mean(change == 0))
    if same > 0.5:
        raise InputError(
            "E306",
            f"{where}: {same:.0%} of the pixels are equal before and after; the same image is on both sides",
        )
    low, high = np.quantile(change, (0.25, 0.75))
    if high - low < FILTERED_IQR_DB:
        return [
            Notice(
                "W314",
                f"{where}: the middle half of post - pre spans only {high - low:.1f} dB (3-4 in training): "
                "speckle seems filtered or strongly averaged, probabilities may be off",
            )
        ]
    return []


def check_composite(change: Pixels, name: str, where: str) -> list[Notice]:
    """Check a stored difference band of a composite: dB, post - pre, around zero.

    Raises
    ------
    InputError
        E301 where it cannot be a difference in dB; E306 where nothing changed.
    """
    finite = change[np.isfinite(change)]
    if finite.size < ENOUGH:
        return []
    negative, median = share_negative(finite), float(np.median(finite))
    if negative in (0.0, 1.0) or abs(median) > 10:
        raise InputError(
            "E301",
            f"{where}: {name} spans {finite.min():.3g} to {finite.max():.3g}, median {median:.3g}; expected "
            "post - pre in dB, around 0; check the band order (post_vv, post_vh, diff_vv, diff_vh)",
        )
    return check_difference(finite, f"{where}, {name}")


def check_sign(post: tuple[Pixels, Pixels], change: tuple[Pixels, Pixels], where: str) -> list[Notice]:
    """Refuse differences that were taken the wrong way round, pre - post.

    Each image has speckle of its own. Speckle of the image after the event is in ``post`` and, with the same
    sign, in ``post - pre``. So the two rise and fall together from pixel to pixel, also where the ground
    changed.

    Parameters
    ----------
    post, change : pair of ndarray, (rows, columns), float64
        VV and VH, dB, sampled at the same places; NaN = no data.

    Returns
    -------
    list of Notice
        W309 where neither sign is confirmed: the differences are of other images than the post bands.

    Raises
    ------
    InputError
        E307 where both fall while the other rises.
    """
    together = [_fine_correlation(*bands) for bands in zip(post, change, strict=True)]
    if max(together) < REVERSED:
        raise InputError(
            "E307",
            f"{where}: the differences are pre - post: the speckle of the post bands is in them with the "
            f"opposite sign. The correlation is {', '.join(f'{value:.2f}' for value in together)} in VV, VH; "
            "expected above 0. Write post - pre, or give the images themselves as pre: and post:",
        )
    if max(together) >= CONFIRMED or not any(together):
        return []
    return [
        Notice(
            "W309",
            f"{where}: whether the differences are post - pre is unknown, as they do not correlate with the "
            f"post bands. The correlation is {', '.join(f'{value:.2f}' for value in together)} in VV, VH; "
            "it is 0.2 or more where both are of one image. Make sure of the sign, or give the images "
            "themselves as pre: and post:",
        )
    ]


def _fine_correlation(one: Pixels, other: Pixels) -> float:
    """Return the correlation of differences between near pixels of a row; 0 where too few are valid."""
    steps = [(pixels[:, APART:] - pixels[:, :-APART]).ravel() for pixels in (one, other)]
    valid = np.isfinite(steps[0]) & np.isfinite(steps[1])
    if valid.sum() < ENOUGH:
        return 0.0
    a, b = (step[valid] for step in steps)
    return float(np.corrcoef(a, b)[0, 1]) if a.any() and b.any() else 0.0
