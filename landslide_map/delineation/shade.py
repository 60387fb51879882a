"""Cloud shadow taken off the bands, so that ground in it compares with the sunlit ground around.

The sky lights ground in the shadow of a cloud, more in blue than in the near infrared. The direct light
that is left follows from the near infrared and its surroundings, because a scar and a forest differ little
there. The other bands follow from that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from landslide_map.bands import OPTICAL, WATER_CLASS
from landslide_map.delineation.cells import at_pixels, cells_of, surroundings
from landslide_map.delineation.codes import FIRST, LOG_STEP, NDVI, SHADED, Codes, ndvi_codes

SKY_LIGHT: Final = {"red": 0.16, "green": 0.22, "blue": 0.30, "nir": 0.09}
"""Share of the light on flat ground that comes from a clear sky: it falls with wavelength."""
_DIRECT_LEAST: Final = 0.03
"""Least share of the direct light: no shadow is taken for a deeper one."""
_DARKEST: Final = round(-np.log(SKY_LIGHT["nir"] + (1 - SKY_LIGHT["nir"]) * _DIRECT_LEAST) / LOG_STEP)


def _lifts() -> dict[str, Codes]:
    """Return by how many code steps each band is lifted, by steps that the near infrared lies too low."""
    sky = SKY_LIGHT["nir"]
    direct = np.maximum((np.exp(-LOG_STEP * np.arange(_DARKEST + 1)) - sky) / (1 - sky), _DIRECT_LEAST)
    return {
        name: np.rint(-np.log(own + (1 - own) * direct) / LOG_STEP).astype(np.uint8)
        for name, own in SKY_LIGHT.items()
    }


def _ndvi_by_steps() -> Codes:
    """Return the code of NDVI by code steps that red lies below the near infrared, from -253 to 253."""
    ratio = np.exp(LOG_STEP * np.arange(-253, 254))
    return ndvi_codes(((ratio - 1) / (ratio + 1)).astype(np.float32))


_LIFTS: Final = _lifts()
_NDVI_BY_STEPS: Final = _ndvi_by_steps()


def take_off_shadow(layers: Mapping[str, Codes]) -> None:
    """Replace the optical codes of pixels in cloud shadow by those of the same ground in the sun, in place.

    Water keeps its codes: it is dark by itself, and products call it shadow now and then.

    Parameters
    ----------
    layers : mapping of str to uint8, (row, col)
        Codes of a strip of the grid; its first row and column begin a cell.
    """
    if WATER_CLASS not in layers:
        return
    rows, cols = np.nonzero(layers[WATER_CLASS] == SHADED)
    if not len(rows):
        return
    codes = {name: layers[name][rows, cols] for name in (NDVI, *OPTICAL)}
    dry = (codes[NDVI] >= FIRST) & (codes["green"] < codes["nir"])
    rows, cols = rows[dry], cols[dry]
    around = surroundings(cells_of({"nir": layers["nir"]})["nir"])[:, :, np.newaxis]
    near = at_pixels(np.ascontiguousarray(around), rows, cols)[:, 0]
    steps = np.clip(np.rint(near - codes["nir"][dry]), 0, _DARKEST).astype(np.intp)
    lit = {}
    for name in OPTICAL:
        lit[name] = np.minimum(codes[name][dry].astype(np.int16) + _LIFTS[name][steps], 255)
        layers[name][rows, cols] = lit[name]
    layers[NDVI][rows, cols] = _NDVI_BY_STEPS[lit["nir"] - lit["red"] + 253]
