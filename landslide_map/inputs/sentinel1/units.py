"""Checks of backscatter units and quantity: pure functions on samples of pixels.

They refuse what is clearly wrong and warn of what is doubtful. The limits come from the 6,075 labelled
training windows and from the real scenes named in docs/decisions/0013-backscatter-limits.md.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from landslide_map.errors import InputError, Notice
from landslide_map.inputs.sentinel1.backscatter import to_db, to_power
from landslide_map.options import BackscatterUnits

Pixels = npt.NDArray[np.float64]

SPIKE: Final = 0.005
"""Share of pixels that one exact value but 0 must exceed to be suspicious; real data reach 0.0032."""
BESIDE: Final = 10
"""Values on each side that a frequent value is compared with."""
MOSTLY: Final = 0.2
ENOUGH: Final = 100
"""Fewer valid pixels than this decide nothing."""
_LOWEST: Final = (float(np.finfo(np.float32).min), float(np.finfo(float).min))
SENTINELS: Final = (-99.0, -999.0, -9999.0, -32768.0, *_LOWEST)
"""Values that are fill wherever they occur; 0 is fill where it is far more frequent than its neighbours."""
VH_AMPLITUDE_DB, RATIO_AMPLITUDE_DB = -10.5, 4.0
"""Amplitude read as power halves every dB value. VH above the one and VV - VH below the other occur together
in fewer than 1 in 5,000 real windows."""
RATIO_REFUSED_DB, RATIO_DOUBTFUL_DB = -2.0, 2.0
"""VV - VH: real windows span -0.8 (both at the noise floor) to 22, scenes 4.9 to 13.3."""


def fill_values(pixels: Pixels, where: str, integer: bool = False) -> tuple[tuple[float, ...], list[Notice]]:
    """Find the values that mean "no data" although no tag declares them.

    Parameters
    ----------
    pixels : ndarray, any shape, float64
        Stored values, declared nodata already NaN.
    where : str
        File and band, for the message.
    integer : bool
        Whether whole numbers are stored, where frequent values are natural.

    Returns
    -------
    values : tuple of float
        To be added to the nodata of the band.
    notices : list of Notice
        I350 for each of them; W350 for a frequent value that may be clipping.

    Raises
    ------
    InputError
        E350 where one value that is no known fill makes up a fifth of the pixels.
    """
    finite = pixels[np.isfinite(pixels)]
    if finite.size == 0:
        return (), []
    values, counts = np.unique(finite, return_counts=True)
    apart = _stand_out(counts, np.isin(values, (*SENTINELS, 0.0)) | (counts > SPIKE * finite.size))
    spike = (counts > SPIKE * finite.size) & apart
    # Of measured dB hardly one is exactly 0, so a few are the edge of a swath; in power 0 is none anyway.
    known = np.isin(values, SENTINELS) | ((values == 0) & apart)
    notices = [
        Notice(
            "I350",
            f"{where}: the value {value + 0.0:g} fills {count} of {finite.size} sampled pixels "
            f"({count / finite.size:.1%}) and is taken as no data",
        )
        for value, count in zip(values[known], counts[known], strict=True)
    ]
    unknown = spike & ~known & (not integer)
    for value, count in zip(values[unknown], counts[unknown], strict=True):
        share = count / finite.size
        found = f"{where}: the value {value:g} fills {share:.1%} of the sampled pixels"
        if share > MOSTLY:
            raise InputError(
                "E350", f"{found} and no nodata value is declared for it; add nodata: {value:g} in scene.yaml"
            )
        notices.append(Notice("W350", f"{found}: clipped data, or a nodata value that must be declared"))
    return tuple(float(value) for value in values[known]), notices


def _stand_out(counts: npt.NDArray[np.intp], tested: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which of some values are far more frequent than the values next to them.

    Quantised data repeat every value, those in the middle most: 0 dB is compared with what is around 0 dB.
    """
    apart = np.zeros(counts.size, bool)
    for i in np.flatnonzero(tested):
        near = np.sort(np.concatenate([counts[max(i - BESIDE, 0) : i], counts[i + 1 : i + 1 + BESIDE]]))
        usual = near[-3] if near.size > 2 else 0  # two others may be fill themselves
        apart[i] = counts[i] >= 8 * max(int(usual), 1)
    return apart


def infer_units(vv: Pixels, vh: Pixels, where: str) -> tuple[BackscatterUnits, Notice]:
    """Return dB where the pixels leave no doubt.

    Raises
    ------
    InputError
        E301: power and amplitude cannot be distinguished safely, so they must be declared.
    """
    medians = [float(np.median(band[np.isfinite(band)])) for band in (vv, vh) if np.isfinite(band).any()]
    if medians and max(share_negative(vv), share_negative(vh)) > 0.95 and min(medians) > -50:
        return "db", Notice("I301", f"{where}: units not declared; values are negative, taken as dB")
    raise InputError(
        "E301",
        f"{where}: the units are neither declared nor known from the product name (median VV, VH "
        f"{', '.join(f'{m:.4g}' for m in medians) or 'none'}); set units: db, power or amplitude",
    )


def check_units(vv: Pixels, vh: Pixels, units: BackscatterUnits, where: str) -> list[Notice]:
    """Refuse pixels that cannot be backscatter in `units`.

    Parameters
    ----------
    vv, vh : ndarray, float64
        Stored values, NaN = no data; not necessarily of the same shape.

    Returns
    -------
    list of Notice
        W301 where power and amplitude may be confused, or values lie outside what is possible.

    Raises
    ------
    InputError
        E301, with the units that the pixels look like.
    """
    for name, band in (("VV", vv), ("VH", vh)):
        finite = band[np.isfinite(band)]
        if finite.size >= ENOUGH:
            _check_band_units(finite, name, units, where)
    if min(np.isfinite(vv).sum(), np.isfinite(vh).sum()) < ENOUGH:
        return []
    vv_db, vh_db = median_db(vv, units), median_db(vh, units)
    ratio = vv_db - vh_db
    measured = f"median VV {vv_db:.1f} dB, VH {vh_db:.1f} dB as {units}"
    if units == "power" and 0 < ratio < RATIO_AMPLITUDE_DB and vh_db > VH_AMPLITUDE_DB:
        raise InputError(
            "E301",
            f"{where}: declared power, but the pixels look like amplitude ({measured}; VV/VH is 5-8 dB in "
            "power over land); set units: amplitude",
        )
    doubled = {"amplitude": "the pixels are power", "db": "the pixels are 20 log10 of power, twice the dB"}
    if units in doubled and ratio > 9.5 and vh_db < -28:
        return [
            Notice(
                "W301",
                f"{where}: declared {units}, {measured}: only water looks like that; if the scene is "
                f"mostly land, {doubled[units]}",
            )
        ]
    return []


def _check_band_units(finite: Pixels, name: str, units: BackscatterUnits, where: str) -> None:
    """Check one band, at least ENOUGH finite values."""
    median = float(np.median(finite))
    span = f"{name} {finite.min():.4g} to {finite.max():.4g}, median {median:.4g}"
    negative = share_negative(finite)

    def refuse(appearance: str, remedy: str) -> InputError:
        return InputError("E301", f"{where}: declared {units}, but {appearance} ({span}); {remedy}")

    if units == "db":
        # Training windows: mean VH never above -1.6 dB, and no scene without a single negative VV.
        if negative == 0 or (name == "VH" and median >= 0):
            if median > 100:
                raise refuse("the values are digital numbers", "give calibrated backscatter")
            raise refuse("the values are not negative as dB are", "set units: power or amplitude")
        if not -50 <= median <= 30:
            raise refuse(
                "no backscatter is like that; values scaled by 100?", "write plain dB as floating point"
            )
    elif negative > (MOSTLY if units == "power" else 0.01):
        raise refuse(f"{negative:.0%} of the values are negative", "set units: db if they are dB")
    elif median > 10:
        raise refuse("the values are digital numbers, not calibrated", "give calibrated backscatter")


def check_polarisations(vv: Pixels, vh: Pixels, units: BackscatterUnits, where: str) -> list[Notice]:
    """Refuse VV and VH that are swapped or the same.

    Returns
    -------
    list of Notice
        W305 where VV is hardly brighter than VH.

    Raises
    ------
    InputError
        E305.
    """
    if vv.shape == vh.shape:
        both = np.isfinite(vv) & np.isfinite(vh)
        if both.sum() >= ENOUGH and np.mean(vv[both] == vh[both]) > 0.5:
            raise InputError("E305", f"{where}: VV and VH hold the same values; give one file of each")
    if min(np.isfinite(vv).sum(), np.isfinite(vh).sum()) < ENOUGH:
        return []
    vv_db, vh_db = median_db(vv, units), median_db(vh, units)
    found = f"median VV {vv_db:.1f} dB and VH {vh_db:.1f} dB; expected VV 5-8 dB brighter over land"
    if vv_db - vh_db < RATIO_REFUSED_DB:
        raise InputError("E305", f"{where}: VV is weaker than VH ({found}); swap vv and vh in scene.yaml")
    if vv_db - vh_db < RATIO_DOUBTFUL_DB:
        return [Notice("W305", f"{where}: {found}; check that both are what their names say")]
    return []


def median_db(pixels: Pixels, units: BackscatterUnits) -> float:
    """Return the median of the valid pixels in dB; NaN if there are none."""
    decibels = decibels_of(pixels, units)
    finite = decibels[np.isfinite(decibels)]
    return float(np.median(finite)) if finite.size else float("nan")


def decibels_of(pixels: Pixels, units: BackscatterUnits) -> Pixels:
    """Return stored `pixels` in `units` as dB, NaN where they are no measurement."""
    return to_db(to_power(pixels, units)).astype(np.float64)


def share_negative(pixels: npt.NDArray[Any]) -> float:
    """Return the share of the valid pixels that are below 0; 0 if there are none."""
    finite = pixels[np.isfinite(pixels)]
    return float(np.mean(finite < 0)) if finite.size else 0.0
