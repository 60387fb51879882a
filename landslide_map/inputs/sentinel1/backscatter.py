"""Conversion of backscatter between dB, power and amplitude; other values become NaN.

Averages and interpolation in space are taken in power, medians over dates in dB (they commute with the
logarithm). So every image passes through these two conversions once on its way to the grid.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from landslide_map.options import BackscatterUnits

DB_LIMITS: Final = (-90.0, 60.0)
"""dB outside this range is a fill value (-99, -9999, -32768, -3.4e38, -inf ...), never a measurement."""
FLOOR_DB: Final = -65.0
"""Lower limit of :func:`to_db`, for the deepest radar shadow; training pixels reach -63.4 dB, none lower."""


def mask_db(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return dB `values` as float32, NaN where they are fill.

    Parameters
    ----------
    values : ndarray, any shape, any real type
        Backscatter or difference of backscatter, dB.

    Returns
    -------
    ndarray, float32, same shape
        `values`; NaN where they are NaN, infinite or outside :data:`DB_LIMITS`.

    Examples
    --------
    >>> mask_db(np.array([-12.5, -9999.0, -np.inf, 0.0]))
    array([-12.5,   nan,   nan,   0. ], dtype=float32)
    """
    return _within(values, *DB_LIMITS)


def to_power(values: npt.NDArray[Any], units: BackscatterUnits) -> npt.NDArray[np.float32]:
    """Return backscatter `values` as linear power.

    Parameters
    ----------
    values : ndarray, any shape, any real type
        Backscatter in `units`; NaN = missing. Declared nodata is masked by the caller.
    units : {"db", "power", "amplitude"}
        Amplitude is the square root of power.

    Returns
    -------
    ndarray, float32, same shape
        Power; NaN where `values` are missing, fill, or not positive in power or amplitude. Terrain products
        write 0 where there is nothing, and the logarithm of 0 must not become a number.

    Raises
    ------
    ValueError
        If `units` is none of the three.

    Examples
    --------
    >>> to_power(np.array([-10.0, 0.0, -32768.0]), "db")
    array([0.1, 1. , nan], dtype=float32)
    >>> to_power(np.array([2.0, -2.0, 0.0]), "amplitude")
    array([ 4., nan, nan], dtype=float32)
    """
    # The range check comes first: squaring would make a negative fill value positive.
    stored = _within(values, *stored_limits(units))
    if units == "db":
        return np.asarray(10.0 ** (stored / np.float32(10.0)), np.float32)
    return stored * stored if units == "amplitude" else stored


def stored_limits(units: BackscatterUnits) -> tuple[float, float]:
    """Return :data:`DB_LIMITS` in the units of a file: what is beyond is no measurement.

    >>> stored_limits("power")
    (1e-09, 1000000.0)

    Raises
    ------
    ValueError
        If `units` is none of the three.
    """
    if units == "db":
        return DB_LIMITS
    if units not in ("power", "amplitude"):
        raise ValueError(f"units={units!r} must be db, power or amplitude")
    per_decade = 10.0 if units == "power" else 20.0
    low, high = (10.0 ** (limit / per_decade) for limit in DB_LIMITS)
    return low, high


def to_db(power: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return linear `power` in dB.

    Parameters
    ----------
    power : ndarray, any shape, any real type
        Linear power; NaN = missing.

    Returns
    -------
    ndarray, float32, same shape
        ``10 log10(power)``, not below :data:`FLOOR_DB`; NaN where `power` is missing, infinite or not
        positive.

    Examples
    --------
    >>> to_db(np.array([10.0, 100.0, 0.0, -1.0, np.nan])).round(3)
    array([10., 20., nan, nan, nan], dtype=float32)
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        decibels = np.asarray(power).astype(np.float32)
        np.log10(decibels, out=decibels)
    decibels *= np.float32(10.0)
    np.copyto(decibels, np.float32(np.nan), where=~np.isfinite(decibels))
    return np.maximum(decibels, np.float32(FLOOR_DB), out=decibels)


def _within(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.float32]:
    """Float32 copy of `values`, NaN outside ``[low, high]``; compared first, so no cast overflows."""
    array = np.asarray(values)
    within = (array >= low) & (array <= high)
    return np.where(within, array, np.nan).astype(np.float32, copy=False)
