"""Channels of pixel members by name: unit, group and the inputs of a scene that they are made of.

The 18 channels of window members (:data:`landslide_map.bands.CHANNELS`) are among them, unchanged. A new
group only adds names, so that bundles keep their hashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from landslide_map.bands import BANDS_20M, BANDS_60M, CHANNELS, GROUPS, ORBITS, POLARISATIONS, PREFIX, unit

_DN: Final = unit("red")


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel by name."""

    name: str
    unit: str
    group: str
    source: tuple[str, ...]
    """Keys of ``scene.yaml`` that it is made of; none for bands that only ready arrays hold."""
    meaning: str


def _window_channels() -> list[Channel]:
    source = {"optical": ("s2.post",), "descending": ("s1.descending",), "ascending": ("s1.ascending",)}
    return [
        Channel(name, unit(name), group, source[group], "channel of window members")
        for group, names in GROUPS.items()
        for name in CHANNELS
        if name in names
    ]


def _l4s() -> list[Channel]:
    bands = [*(f"B{i}" for i in range(1, 13))]
    return [
        *(
            Channel(
                f"l4s_{band[0].lower()}{int(band[1:]):02d}",
                "DN / divisor",
                "l4s",
                ("s2.post_l1c",),
                f"{band} as in Landslide4Sense",
            )
            for band in bands
        ),
        Channel("l4s_slope", "deg / divisor", "l4s", ("dem",), "slope as in Landslide4Sense"),
        Channel("l4s_elevation", "m / divisor", "l4s", ("dem",), "elevation as in Landslide4Sense"),
    ]


_ADDED: Final = (
    *(
        Channel(f"pre_{name}", _DN, "optical_pre", ("s2.pre",), f"{name} before the event")
        for name in ("blue", "green", "red", "nir")
    ),
    Channel("ndvi_post", "1", "vegetation", ("s2.post",), "(nir - red) / (nir + red) of reflectance"),
    Channel("ndvi_pre", "1", "vegetation", ("s2.pre",), "the same before the event"),
    Channel("dndvi", "1", "vegetation", ("s2.pre", "s2.post"), "ndvi_post - ndvi_pre; loss is negative"),
    Channel("neg_dndvi", "1", "vegetation", ("s2.pre", "s2.post"), "-dndvi"),
    Channel("rdndvi", "1", "vegetation", ("s2.pre", "s2.post"), "dndvi / sqrt(|ndvi_pre + ndvi_post|)"),
    *(
        Channel(f"both_{side}_{pol}", "dB", "both", ("s1",), f"{pol} {side}: mean over directions present")
        for pol in POLARISATIONS
        for side in ("pre", "post", "diff")
    ),
    Channel("elevation", "m", "terrain", ("dem",), "elevation"),
    Channel("slope", "deg", "terrain", ("dem",), "slope"),
    Channel("aspect", "deg", "terrain", ("dem",), "aspect clockwise from north; missing where flat"),
    Channel("hillshade", "1", "terrain", ("dem",), "hillshade of 0 to 255, sun at 270 deg, 45 deg high"),
    *(
        Channel(name, _DN, "optical_20m", ("s2.post",), f"{name.upper()} at 10 m, bilinear")
        for name in BANDS_20M
    ),
    *(
        Channel(name, _DN, "optical_60m", ("s2.post",), f"{name.upper()} at 10 m, bilinear")
        for name in BANDS_60M
    ),
    *_l4s(),
    *(
        Channel(f"{PREFIX[orbit]}_{kind}", "deg", "incidence", (f"s1.{orbit}.{kind}",), meaning)
        for orbit in ORBITS
        for kind, meaning in (
            ("incidence", "angle between the beam and the normal of the ellipsoid"),
            ("local_incidence", "angle between the beam and the normal of the ground"),
        )
    ),
    *(
        Channel(f"ganerod_{i:02d}", "unknown", "ganerod", (), f"band {i} of the published 15")
        for i in range(15)
    ),
)
PIXEL_CHANNELS: Final = {channel.name: channel for channel in (*_window_channels(), *_ADDED)}
"""Name -> channel, all that pixel members may read."""


def unknown(names: tuple[str, ...]) -> list[str]:
    """Return which of `names` are no channels."""
    return [name for name in names if name not in PIXEL_CHANNELS]
