"""Registration of the bands of a Sentinel-2 image: displaced or turned bands.

Bands of one image show the same edges. In five real images blue, green and red correlate with 0.74 or more in
their fine structure, turned ones with 0.17 at most, and a displacement of 2 pixels is found exactly. Near
infrared may show other things than red (0.01 to 0.99): only a clear displacement counts there.
"""

from __future__ import annotations

from itertools import combinations
from typing import Final

import numpy as np

from landslide_map.errors import InputError, Notice
from landslide_map.inputs.sentinel1.coregistration import (
    REFUSED_PX,
    cross_correlation,
    displacement,
    much_to_see,
    spectra,
)
from landslide_map.inputs.sentinel2.offset import BandSample, FloatArray

PART: Final = 64
"""Edge of the squares that are compared: those of which a sample consists, pixels."""
ALIKE: Final = 0.3
"""Correlation that two visible bands of one image reach at least."""
_FEWEST: Final = 2
_VISIBLE: Final = ("red", "green", "blue")


def registration_notices(name: str, sample: BandSample) -> list[Notice]:
    """Compare the bands of an image with each other.

    Parameters
    ----------
    name : str
        Product or file, for messages.
    sample : BandSample
        Pixels of the bands at the same places.

    Returns
    -------
    list of Notice
        W215 where visible bands show nothing in common.

    Raises
    ------
    InputError
        E209 where one is displaced by 2 pixels or more.
    """
    parts = {band: _squares(values) for band, values in sample.bands.items()}
    if not parts or len(next(iter(parts.values()))) < _FEWEST:
        return []
    known = {band: spectra(squares) for band, squares in parts.items()}
    for one, other in combinations(parts, 2):
        common = cross_correlation(known[one], known[other])
        if common is None:
            continue
        rows, columns = displacement(np.abs(common)) or (0, 0)
        if max(abs(rows), abs(columns)) >= REFUSED_PX:
            raise InputError(
                "E209",
                f"{name}: {other} lies {columns:+d} columns and {rows:+d} rows from {one}; the bands of an "
                "image must show the ground at the same place. Fetch them again from one source; if the "
                "image is mostly high cloud, which lies elsewhere in each band, give its SCL",
            )
        visible = one in _VISIBLE and other in _VISIBLE
        middle = len(common) // 2
        near = common[
            middle - REFUSED_PX : middle + REFUSED_PX + 1, middle - REFUSED_PX : middle + REFUSED_PX + 1
        ]
        if visible and near.max() < ALIKE and much_to_see(parts[one], parts[one]):
            return [
                Notice(
                    "W215",
                    f"{name}: {one} and {other} show nothing in common: one of them is turned over, of "
                    "another image or place, or empty. See both over a map",
                )
            ]
    return []


def _squares(values: FloatArray) -> list[FloatArray]:
    """Cut a sample into squares; small images are one square, the largest that fits."""
    edge = min(PART, *values.shape)
    rows, cols = (range(0, length - edge + 1, edge) for length in values.shape)
    return [values[i : i + edge, j : j + edge] for i in rows for j in cols]
