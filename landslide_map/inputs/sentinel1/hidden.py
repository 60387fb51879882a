"""Layover and shadow: pixels of a radar image without a measurement, by masks of products."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from landslide_map.errors import Notice
from landslide_map.inputs.scene_inputs import HiddenGround
from landslide_map.inputs.sentinel1.files import sample
from landslide_map.raster.open import open_band
from landslide_map.untrusted.files import ZIP_ERRORS, inside_zip, zip_names

_BAND: Final = r"_(?:VV|VH|HH|HV)\.tiff?$"
_OPERA: Final = re.compile(rf"(?P<stem>OPERA_L2_RTC-S1_.+){_BAND}", re.IGNORECASE)
_HYP3: Final = re.compile(rf"(?P<stem>S1[ABCD]_.+_RTC\d\d_G_.+){_BAND}", re.IGNORECASE)
OPERA_CODES: Final = (1.0, 2.0, 3.0)
"""Shadow, layover, both; 255 is beyond the burst (OPERA RTC-S1 product specification)."""
HYP3_CODES: Final = tuple(float(code) for code in range(32) if code & (2 | 4 | 8 | 16))
"""Bits of layover (2, 4) and shadow (8, 16); bit 1: a pixel was tested (ASF's RTC product guide)."""


def hidden_ground(path: Path) -> HiddenGround | None:
    """Return the mask of layover and shadow beside a band of HyP3 or OPERA; None where there is none.

    Raises
    ------
    InputError
        As :func:`~landslide_map.raster.open.open_band`, of a mask that is damaged.
    """
    for pattern, ending, codes in ((_OPERA, "mask", OPERA_CODES), (_HYP3, "ls_map", HYP3_CODES)):
        if found := pattern.fullmatch(path.name):
            beside = path.with_name(f"{found['stem']}_{ending}.tif")
            return HiddenGround(open_band(beside, nodata=()), codes) if _exists(beside) else None
    return None


def hidden_notices(orbit: str, masks: Sequence[HiddenGround | None]) -> list[Notice]:
    """Return the notice (I322) that layover and shadow are left out, with their greatest share."""
    shares = [float(np.isin(sample(one.mask)[0], one.codes).mean()) for one in masks if one is not None]
    if not shares:
        return []
    message = f"{max(shares):.1%} of an image at most are layover or shadow by the masks of the products"
    return [Notice("I322", f"{orbit}: {message}, and are left out")]


def _exists(path: Path) -> bool:
    member = inside_zip(path)
    if member is None:
        return path.is_file()
    try:
        return member.name in zip_names(member.zip)
    except ZIP_ERRORS:
        return False
