"""Names of bands and channels, with order, group and unit.

Three stacks have the same length or overlap in meaning and must never be confused:

* the *acquisitions* (12): what the satellites measured, aligned to the grid;
* the *model bands* (12): the order of the labelled windows, with post-event backscatter and differences;
* the *channels* (18): the model bands followed by six optical indices.

Names, never positions, select a band anywhere outside this module.
"""

from __future__ import annotations

from typing import Final

ORBITS: Final = ("descending", "ascending")
"""Orbit directions, in the order of the published stack."""
POLARISATIONS: Final = ("vv", "vh")

OPTICAL: Final = ("red", "green", "blue", "nir")
"""Post-event Sentinel-2 as training DN: ``DN_PER_REFLECTANCE * reflectance + DN_OFFSET``."""
DN_PER_REFLECTANCE: Final = 10000.0
DN_OFFSET: Final = 1000.0
"""Training DN of zero reflectance: what Sentinel-2 products carry from processing baseline 04.00 on."""
MODEL_OPTICAL: Final = ("blue", "green", "red", "nir")
"""The same in the order of the labelled windows, whatever is published: docs/decisions/0020."""

BANDS_20M: Final = ("b05", "b06", "b07", "b8a", "b11", "b12")
"""Post-event Sentinel-2 bands of 20 m, as training DN; only pixel members read them."""
BANDS_60M: Final = ("b01", "b09")
"""The same of 60 m."""
FURTHER_BANDS: Final = BANDS_20M + BANDS_60M

PREFIX: Final = {"descending": "desc", "ascending": "asc"}
"""Orbit direction -> prefix of its band names."""


def acquisition(orbit: str, side: str, polarisation: str) -> str:
    """Return the name of one radar acquisition, e.g. ``desc_pre_vv`` (dB)."""
    return f"{PREFIX[orbit]}_{side}_{polarisation}"


def backscatter(orbit: str, polarisation: str) -> str:
    """Return the name of a post-event backscatter band, e.g. ``desc_vv`` (dB)."""
    return f"{PREFIX[orbit]}_{polarisation}"


def difference(orbit: str, polarisation: str) -> str:
    """Return the name of a difference band, e.g. ``desc_diff_vv`` (dB, post - pre)."""
    return f"{PREFIX[orbit]}_diff_{polarisation}"


ACQUISITIONS: Final = OPTICAL + tuple(
    acquisition(orbit, side, pol) for orbit in ORBITS for side in ("pre", "post") for pol in POLARISATIONS
)
MODEL_BANDS: Final = MODEL_OPTICAL + tuple(
    name(orbit, pol) for orbit in ORBITS for name in (backscatter, difference) for pol in POLARISATIONS
)

INDEX_PAIRS: Final = {
    "bndvi": ("nir", "blue"),
    "gndvi": ("nir", "green"),
    "ndvi": ("nir", "red"),
    "nd_red_green": ("red", "green"),
    "nd_red_blue": ("red", "blue"),
    "nd_green_blue": ("green", "blue"),
}
"""Index name -> (a, b) of ``(a - b) / (a + b + 1e-10) + 0.5``, published order by position.

The source, which takes position 0 for red, calls the first of them NDVI; ``gndvi`` it calls NDWI.
"""
INDICES: Final = tuple(INDEX_PAIRS)
CHANNELS: Final = MODEL_BANDS + INDICES

SNOW_OR_CLOUD: Final = "snow_or_cloud"
"""Quality channel (0 or 1, NaN where optical is invalid); never an input of a member."""
STEEP: Final = "steep"
"""Quality channel (0 or 1, NaN where there is no elevation); never an input of a member."""

SLOPE: Final = "slope"
"""Slope of the ground (degrees, NaN where there is no elevation); never an input of a member."""
NDVI_BEFORE: Final = "ndvi_before"
"""NDVI of reflectance before the event (NaN where there is none); never an input of a member."""
SHOWN_BEFORE: Final = {name: f"{name}_before" for name in OPTICAL}
"""Optical band -> the same before the event, for display; never an input of a member."""
WATER_CLASS: Final = "water_class"
"""Water by the scene classification (0 or 1, NaN where there is none); never an input of a member."""

CLOUD_CLASS: Final = "cloud_class"
SNOW_CLASS: Final = "snow_class"
SHADOW_CLASS: Final = "shadow_class"
HIDING_CLASSES: Final = (CLOUD_CLASS, SNOW_CLASS, SHADOW_CLASS)
"""Cloud, snow and shadow by the scene classification (0 or 1, NaN without one); no input of a member."""

BACKSCATTER: Final = tuple(backscatter(orbit, pol) for orbit in ORBITS for pol in POLARISATIONS)
"""Channels in absolute backscatter: outside the training domain for terrain-flattened products."""
DIFFERENCES: Final = tuple(difference(orbit, pol) for orbit in ORBITS for pol in POLARISATIONS)

GROUPS: Final = {
    "optical": OPTICAL + INDICES,
    "descending": tuple(n for n in MODEL_BANDS if n.startswith("desc_")),
    "ascending": tuple(n for n in MODEL_BANDS if n.startswith("asc_")),
}
"""Sensor group -> its channels. Validity of a window is decided group by group."""

TRAINING_QUANTILES: Final = {
    "blue": (1054, 1511, 4000),
    "green": (1141, 1656, 3942),
    "red": (1108, 1560, 3864),
    "nir": (1432, 2975, 5508),
    "desc_vv": (-23.84737916, -10.2171109, 2.51268458),
    "desc_vh": (-43.12207857, -16.5654301, -5.03906754),
    "desc_diff_vv": (-7.87792338, -0.284631043, 3.697295),
    "desc_diff_vh": (-11.21783106, -0.075794578, 5.10263839),
    "asc_vv": (-20.88170549, -11.4755997, -0.0337361028),
    "asc_vh": (-40.68729514, -17.7631617, -7.10041075),
    "asc_diff_vv": (-3.84420443, 0.388509645, 5.82530082),
    "asc_diff_vh": (-7.63233113, -0.0633488874, 6.01170365),
}
"""Model band -> (5 %, 50 %, 95 %) quantile of the training and test pixels (Nasios 2026)."""
TRAINING_MOMENTS: Final = {
    "blue": (1851.85963, 1341.69370135),
    "green": (1928.38193, 1273.92620502),
    "red": (1867.25082, 1278.76344252),
    "nir": (3117.47824, 1466.91812707),
    "desc_vv": (-10.558554, 8.34187043),
    "desc_vh": (-18.8282667, 10.65859149),
    "desc_diff_vv": (-0.96007893, 4.33202752),
    "desc_diff_vh": (-0.749858269, 5.08455682),
    "asc_vv": (-11.3484484, 6.43914294),
    "asc_vh": (-20.1162665, 9.9298614),
    "asc_diff_vv": (0.581196265, 2.93451315),
    "asc_diff_vh": (-0.275804596, 4.50931721),
}
"""Model band -> (mean, standard deviation) of the training and test pixels (Nasios 2026)."""


def group(channel: str) -> str:
    """Return the sensor group of `channel`: optical, descending or ascending."""
    return next(name for name, members in GROUPS.items() if channel in members)


def unit(name: str) -> str:
    """Return the unit of a band or channel, as written into files."""
    if name in OPTICAL:
        return f"{DN_PER_REFLECTANCE:.0f} * reflectance + {DN_OFFSET:.0f}"
    return "1" if name in (*INDICES, SNOW_OR_CLOUD, STEEP) else "dB"
