"""Classes in which outlines are drawn and counted: by review, confidence or band of probability."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt

from landslide_map.products.columns import ADDED, CONFIDENCES, REVIEW, UNSEEN, probability_column
from landslide_map.products.styles import BAND_COLOURS, probability_bands

VERDICT_COLOURS: Final = {
    "confirmed": "0,158,115",
    "rejected": "119,119,119",
    "unsure": "204,121,167",
    ADDED: "0,114,178",
}
"""Verdict -> colour (Okabe and Ito)."""


@dataclass(frozen=True, slots=True)
class OutlineClass:
    """One class of outlines; an outline is in the first class that takes it."""

    key: str
    label: str
    colour: str
    """``r,g,b``."""
    confidence: str = ""
    band: tuple[float, float] | None = None
    verdict: str = ""

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Colour as numbers."""
        red, green, blue = map(int, self.colour.split(","))
        return red, green, blue

    def mask(self, frame: gpd.GeoDataFrame) -> npt.NDArray[np.bool_]:
        """Return which outlines are of this class."""
        review = frame[REVIEW].to_numpy() if REVIEW in frame else np.full(len(frame), UNSEEN)
        if self.verdict:
            return np.asarray(review == self.verdict)
        unseen = ~np.isin(review, list(VERDICT_COLOURS))
        if self.confidence:
            return np.asarray(unseen & (frame["confidence"].to_numpy() == self.confidence))
        assert self.band is not None
        values = frame[probability_column(frame.columns)].to_numpy()
        low, high = self.band
        return np.asarray(unseen & (values >= low) & (values < high))


def classes_of(columns: Collection[str], threshold: float) -> list[OutlineClass]:
    """Return the classes of a layer, the best first, then the verdicts."""
    made: list[OutlineClass] = []
    if "confidence" in columns:
        for name, colour in zip(CONFIDENCES, reversed(BAND_COLOURS), strict=True):
            made.append(OutlineClass(name, f"{name} confidence", colour, confidence=name))
    else:
        bands = list(zip(probability_bands(threshold), BAND_COLOURS, strict=True))
        for index, ((low, high), colour) in reversed(list(enumerate(bands))):
            # The mean over an outline may lie below the lowest threshold where windows overlap.
            band = (0.0 if index == 0 else low, 2.0 if high >= 1 else high)
            label = f"probability {low:g} to {high:g}"
            made.append(OutlineClass(f"band{index}", label, colour, band=band))
    if REVIEW in columns:
        words = {ADDED: "drawn by hand"}
        made += [
            OutlineClass(verdict, words.get(verdict, verdict), colour, verdict=verdict)
            for verdict, colour in VERDICT_COLOURS.items()
        ]
    return made


def present_classes(frame: gpd.GeoDataFrame, classes: Sequence[OutlineClass]) -> list[OutlineClass]:
    """Return the classes that have an outline, and all that are not verdicts."""
    return [one for one in classes if not one.verdict or one.mask(frame).any()]
