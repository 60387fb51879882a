"""Every band and channel name, its order, group and unit, written once.

Three stacks have the same length or overlap in meaning and must never be confused:

* the *acquisitions* (12): what the satellites measured, aligned to the grid;
* the *model bands* (12): the published order, with post-event backscatter and differences;
* the *channels* (18): the model bands followed by six optical indices.

Names, never positions, select a band anywhere outside this module.
"""

from __future__ import annotations

from typing import Final

ORBITS: Final = ("descending", "ascending")
"""Orbit directions, in the order of the published stack."""
POLARISATIONS: Final = ("vv", "vh")

OPTICAL: Final = ("red", "green", "blue", "nir")
"""Post-event Sentinel-2 as training DN: 10000 * reflectance + 1000."""

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
    acquisition(orbit, side, pol)
    for orbit in ORBITS
    for side in ("pre", "post")
    for pol in POLARISATIONS
)
MODEL_BANDS: Final = OPTICAL + tuple(
    name(orbit, pol) for orbit in ORBITS for name in (backscatter, difference) for pol in POLARISATIONS
)

INDEX_PAIRS: Final = {
    "ndvi": ("nir", "red"),
    "gndvi": ("nir", "green"),
    "bndvi": ("nir", "blue"),
    "nd_blue_green": ("blue", "green"),
    "nd_blue_red": ("blue", "red"),
    "nd_green_red": ("green", "red"),
}
"""Index name -> (a, b) of ``(a - b) / (a + b + 1e-10) + 0.5``, published order.

The source calls ``gndvi`` "NDWI"; the standard name is used here.
"""
INDICES: Final = tuple(INDEX_PAIRS)
CHANNELS: Final = MODEL_BANDS + INDICES

SNOW_OR_CLOUD: Final = "snow_or_cloud"
"""Quality channel (0 or 1, NaN where optical is invalid); never an input of a member."""

BACKSCATTER: Final = tuple(backscatter(orbit, pol) for orbit in ORBITS for pol in POLARISATIONS)
"""Channels in absolute backscatter: outside the training domain for terrain-flattened products."""
DIFFERENCES: Final = tuple(difference(orbit, pol) for orbit in ORBITS for pol in POLARISATIONS)

GROUPS: Final = {
    "optical": OPTICAL + INDICES,
    "descending": tuple(n for n in MODEL_BANDS if n.startswith("desc_")),
    "ascending": tuple(n for n in MODEL_BANDS if n.startswith("asc_")),
}
"""Sensor group -> its channels. A window is judged for validity group by group."""

TRAINING_QUANTILES: Final = dict(
    zip(
        MODEL_BANDS,
        zip(
            (1054, 1141, 1108, 1432, -23.84737916, -43.12207857, -7.87792338, -11.21783106)
            + (-20.88170549, -40.68729514, -3.84420443, -7.63233113),
            (1511, 1656, 1560, 2975, -10.2171109, -16.5654301, -0.284631043, -0.0757945780)
            + (-11.4755997, -17.7631617, 0.388509645, -0.0633488874),
            (4000, 3942, 3864, 5508, 2.51268458, -5.03906754, 3.69729500, 5.10263839)
            + (-0.0337361028, -7.10041075, 5.82530082, 6.01170365),
            strict=True,
        ),
        strict=True,
    )
)
"""Model band -> (5 %, 50 %, 95 %) quantile of the training and test pixels (Nasios 2026)."""


def group(channel: str) -> str:
    """Return the sensor group of `channel`: optical, descending or ascending."""
    return next(name for name, members in GROUPS.items() if channel in members)


def unit(name: str) -> str:
    """Return the unit of a band or channel, as written into files."""
    if name in OPTICAL:
        return "10000 * reflectance + 1000"
    return "1" if name in INDICES or name == SNOW_OR_CLOUD else "dB"
