"""Normalised differences of optical bands, as the models learned them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def normalised_difference(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return ``(a - b) / (a + b + 1e-10) + 0.5``.

    Parameters
    ----------
    a, b : ndarray, equal shape
        Optical bands in training DN, offset included: the models learned indices of these numbers,
        although the standard definition uses reflectance.

    Returns
    -------
    ndarray, same shape, float32
        Index, shifted by 0.5; NaN where a band is NaN. Computed in float64 and rounded once.

    References
    ----------
    Nasios, I. (2026), Remote Sensing Applications 42, 102037, arXiv 2604.05959, section on indices.

    Examples
    --------
    >>> normalised_difference(np.array([3000.0]), np.array([1000.0]))
    array([1.], dtype=float32)
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return ((x - y) / (x + y + 1e-10) + 0.5).astype(np.float32)
