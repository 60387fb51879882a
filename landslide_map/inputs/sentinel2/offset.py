"""Offset of a Sentinel-2 image, read from its pixels. Pure, arrays in.

The offset is read from vegetation, because plants are dark in blue and red everywhere. A pixel is
vegetated where NIR exceeds red by 0.15 in reflectance; that difference does not depend on the offset.
Dark quantiles of the whole image can prove that the offset is absent, but not that it is present.
Bare, bright or snowy land has no dark pixels (docs/decisions/0012).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from landslide_map.bands import DN_OFFSET
from landslide_map.errors import InputError, Notice

FloatArray = npt.NDArray[np.float32]
Verdict = Literal["present", "absent", "undecided"]

PRESENT_FROM, ABSENT_TO = 900.0, 700.0
"""A dark quantile from / up to which the offset is there / is not there (DN)."""
PLANTS_TO = 1500.0
"""Plants that are brighter in blue or red even with the offset stand in haze or snow, and prove nothing."""
VEGETATION_STEP_DN = 1500.0
"""NIR - red of dense vegetation is larger, whatever the offset."""
BRIGHT_DN = 6000.0
"""Above it in red: cloud or snow, whatever the offset."""
MIN_SHARE = 0.01
"""Fewer vegetated pixels than this share of the valid ones prove nothing."""
CLOUD_CLASSES, SNOW_CLASS, CLEAR_CLASSES = (3, 8, 9, 10), 11, (2, 4, 5, 6, 7, 11)
"""Classes of the scene classification (SCL)."""


@dataclass(frozen=True, slots=True)
class BandSample:
    """Thinned sample of one image: bands as stored, of one shape, NaN = missing."""

    bands: dict[str, FloatArray]
    """Bands among ``red, green, blue, nir``."""
    classes: FloatArray | None = None
    """Scene classification (SCL) on the same pixels."""

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """Pixels with a value in every band."""
        return ~np.isnan(sum(self.bands.values()))

    @property
    def clear(self) -> npt.NDArray[np.bool_]:
        """Valid pixels that the classification, where there is one, does not call cloud or defective."""
        return self.valid if self.classes is None else self.valid & np.isin(self.classes, CLEAR_CLASSES)

    def without_clouds(self) -> BandSample:
        """Return the sample without clouds of the classification: high ones lie elsewhere in each band."""
        if self.classes is None:
            return self
        cloud = np.isin(self.classes, CLOUD_CLASSES)
        seen = {name: np.where(cloud, np.float32(np.nan), band) for name, band in self.bands.items()}
        return BandSample(seen, self.classes)


@dataclass(frozen=True, slots=True)
class OffsetDecision:
    """Training DN = stored * `scale` + `offset`."""

    scale: float
    offset: float
    reason: str
    notices: tuple[Notice, ...] = ()
    own: bool = False
    """Whether the metadata of the product itself say so, not a name or a catalogue."""


def offset_verdict(sample: BandSample, scale: float = 1.0) -> tuple[Verdict, str]:
    """Return whether the pixels carry the baseline-04.00 offset, and the numbers behind it.

    Parameters
    ----------
    sample : BandSample
    scale : float
        Stored number -> DN; 1 unless the product has another quantification.
    """
    clear = sample.clear
    dark: dict[str, FloatArray] = {
        name: sample.bands[name] * np.float32(scale) for name in ("blue", "red") if name in sample.bands
    }
    if not clear.any() or not dark:
        return "undecided", "no clear pixel in blue or red"
    lowest: dict[str, float] = {name: float(np.quantile(band[clear], 0.01)) for name, band in dark.items()}
    recorded = "P1 of " + ", ".join(f"{name} {value:.0f}" for name, value in lowest.items())
    if "nir" in sample.bands and "red" in sample.bands:
        plants = clear & (sample.bands["nir"] * scale - dark["red"] > VEGETATION_STEP_DN)
        plants &= dark["red"] < BRIGHT_DN
        if plants.sum() >= max(MIN_SHARE * clear.sum(), 20):
            greens: dict[str, float] = {
                name: float(np.quantile(band[plants], 0.05)) for name, band in dark.items()
            }
            recorded += "; P5 over vegetation of " + ", ".join(
                f"{name} {value:.0f}" for name, value in greens.items()
            )
            return _verdict(lowest, greens), recorded
    return _verdict(lowest, None), recorded


def _verdict(lowest: dict[str, float], plants: dict[str, float] | None) -> Verdict:
    if min((plants or lowest).values()) <= ABSENT_TO:
        return "absent"
    proven = plants is not None and max(plants.values()) <= PLANTS_TO
    return "present" if proven and min(lowest.values()) >= PRESENT_FROM else "undecided"


def decide_offset(
    name: str,
    stated: Literal["auto", "present", "absent"],
    metadata: OffsetDecision | None,
    sample: BandSample,
) -> OffsetDecision:
    """Decide how stored digital numbers become training DN.

    Parameters
    ----------
    name : str
        Product or file, for messages.
    stated : str
        ``offset`` of scene.yaml.
    metadata : OffsetDecision or None
        By baseline or BOA_ADD_OFFSET, if there is any.

    Raises
    ------
    InputError
        E204 where the statement is contradicted by the pixels, or nothing decides.
    """
    scale = metadata.scale if metadata else 1.0
    verdict, numbers = offset_verdict(sample, scale)
    if stated != "auto":
        if verdict not in (stated, "undecided"):
            raise InputError(
                "E204",
                f"{name}: scene.yaml says offset: {stated}, the pixels say {verdict} ({numbers}); "
                f"write offset: auto or {verdict}",
            )
        return _decision(scale, stated, f"scene.yaml says offset: {stated}; {numbers}", name)
    if metadata is None:
        if verdict == "undecided":
            raise InputError(
                "E204",
                f"{name}: neither its name nor its pixels show whether the +1000 offset of baseline 04.00 is "
                f"in the numbers ({numbers}). Write offset: present or offset: absent in scene.yaml",
            )
        return _decision(scale, verdict, f"decided on pixels: {numbers}", name)
    recorded: Verdict = "present" if metadata.offset < DN_OFFSET / 2 else "absent"
    if verdict in (recorded, "undecided"):
        unsure = (
            (Notice("W203", f"{name}: the pixels do not confirm that the offset is {recorded} ({numbers})"),)
            if verdict == "undecided"
            else ()
        )
        reason = f"{metadata.reason}; {numbers}"
        return OffsetDecision(scale, metadata.offset, reason, _added(name, metadata.offset, reason) + unsure)
    if metadata.own and verdict == "present":
        # Haze over all plants can lift them so far; dark pixels below the offset have no such cause.
        reason = f"{metadata.reason}; {numbers}"
        doubt = Notice(
            "W203",
            f"{name}: the pixels look as if the offset were present ({numbers}), as in haze; the product's "
            f"own metadata are followed ({metadata.reason})",
        )
        return OffsetDecision(
            scale, metadata.offset, reason, (*_added(name, metadata.offset, reason), doubt), own=True
        )
    decision = _decision(scale, verdict, f"pixels against metadata: {numbers}; {metadata.reason}", name)
    conflict = Notice(
        "W203",
        f"{name}: {metadata.reason}, but by the pixels, which decide, the offset is {verdict} ({numbers})",
    )
    return OffsetDecision(decision.scale, decision.offset, decision.reason, (*decision.notices, conflict))


def _decision(scale: float, verdict: str, reason: str, name: str) -> OffsetDecision:
    offset = 0.0 if verdict == "present" else DN_OFFSET
    return OffsetDecision(scale, offset, reason, _added(name, offset, reason))


def _added(name: str, offset: float, reason: str) -> tuple[Notice, ...]:
    if not offset:
        return ()
    return (Notice("W202", f"{name}: {offset:+.0f} DN added, to match the training data ({reason})"),)
