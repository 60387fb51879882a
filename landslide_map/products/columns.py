"""Layers and columns of ``landslides.gpkg``: names, titles, descriptions and the words of a review."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

LANDSLIDES: Final = "landslides"
"""Layer with the outlines to review."""
WINDOWS: Final = "windows"
"""Layer with the outlines of windows above the threshold; absent where `landslides` holds these itself."""
CANDIDATES: Final = "candidates"
"""Layer with all objects that have a probability, those too that are below the threshold."""
ANALYSED: Final = "analysed"
"""Layer with the area analysed."""
INVENTORY: Final = "inventory"
"""Layer with known landslides, in a file of its own."""
REVIEWS_KEPT: Final = "reviews_kept"
"""Layer with verdicts on outlines that a later run did not find again."""

REVIEW: Final = "review"
REVIEW_COLUMNS: Final = (REVIEW, "comment", "reviewer", "reviewed_at")
"""Text columns that a person fills in."""
UNSEEN: Final = "unseen"
ADDED: Final = "added"
VERDICTS: Final[Mapping[str, str]] = {
    UNSEEN: "not reviewed yet",
    "confirmed": "landslide",
    "rejected": "not a landslide",
    "unsure": "unsure",
    ADDED: "drawn by hand",
}
"""Value of `review` -> words for a person."""
EVIDENCE: Final = "evidence_"
"""Start of the columns that say how far each sensor supports an outline."""
CONFIDENCES: Final = ("high", "medium", "low")
"""Values of `confidence`, best first."""

COLUMNS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    INVENTORY: {"source": ("Source", "File that the outline is from")},
    LANDSLIDES: {
        "uid": ("Identity", "Hash of the outline: the same outline has the same in every run"),
        "id": ("Number", "1 is the landslide with the highest probability"),
        "probability": ("Probability", "That at least half of the outline is landslide, 0 to 1"),
        "probability_low": ("Probability, lower", "Lowest of four models, each learned without some events"),
        "probability_high": ("Probability, upper", "Highest of the four models"),
        "confidence": (
            "Confidence",
            "high: every model gives at least 0.8, and a radar track or the vegetation changed; medium: the"
            " probability is at least 0.6; low: the others",
        ),
        "prob_mean": ("Probability, mean", "Mean over the pixels of the outline, 0 to 1"),
        "prob_max": ("Probability, highest", "Highest of the pixels of the outline, 0 to 1"),
        "area_m2": ("Area, m2", "True area of the outline on the ellipsoid"),
        "length_m": ("Length, m", "Longer side of the smallest rectangle around the outline"),
        "width_m": ("Width, m", "Shorter side of the smallest rectangle around the outline"),
        "direction_deg": (
            "Direction, degrees",
            "Bearing of the longer side: downslope where an elevation model is given, else 0 to 180",
        ),
        "slope_mean_deg": ("Slope, degrees", "Mean slope of the ground inside the outline"),
        "elevation_min_m": ("Lowest point, m", "Lowest elevation inside the outline"),
        "elevation_max_m": ("Highest point, m", "Highest elevation inside the outline"),
        "evidence_optical": (
            "Evidence, optical",
            "Probability that the image after the event gives alone, 0 to 1",
        ),
        "evidence_descending": (
            "Evidence, descending",
            "Probability that speckle alone changes backscatter less, 0 to 1",
        ),
        "evidence_ascending": (
            "Evidence, ascending",
            "Probability that speckle alone changes backscatter less, 0 to 1",
        ),
        "evidence_vegetation": (
            "Evidence, vegetation",
            "Share of the lack of vegetation that is new since the image before, 0 to 1",
        ),
        "pixel_probability": (
            "Probability, pixel members",
            "Mean probability of the bundle's pixel members over the outline; not part of that of an object",
        ),
        "water_share": ("Water", "Share of the outline that is water by index, 0 to 1"),
        "cloud_share": ("Cloud", "Share of the outline that is cloud by the scene classification (SCL)"),
        "snow_share": ("Snow", "Share of the outline that is snow by the scene classification (SCL)"),
        "shadow_share": (
            "Cloud shadow",
            "Share of the outline in the shadow of a cloud by the scene classification (SCL)",
        ),
        "window_probability": ("Probability of windows", "Mean probability of the windows that cover it"),
        "unlike_training": (
            "Unlike training",
            "Distance of window features from the range of the training windows, mean over the windows that"
            " cover it; above 0.1 is unlike",
        ),
        "method": ("Method", "How the outline was made"),
        "windows": ("Windows", "Analysed windows that share a pixel with the outline"),
        "windows_above": ("Windows above", "Those whose own probability is above the threshold"),
        "scenario": ("Scenario", "Set of channels that most of the windows above used"),
        "event_time": ("Event", "Time of the event, UTC"),
        "s2_pre": (
            "Sentinel-2 before",
            "Time of the (first) Sentinel-2 image before the event, UTC",
        ),
        "s2_post": ("Sentinel-2 after", "Time of the Sentinel-2 image after the event, UTC"),
        "descending_pre": ("Descending before", "Last descending image before the event, UTC"),
        "descending_post": ("Descending after", "First descending image after the event, UTC"),
        "ascending_pre": ("Ascending before", "Last ascending image before the event, UTC"),
        "ascending_post": ("Ascending after", "First ascending image after the event, UTC"),
        "scenes": ("Scenes", "Names of the scenes that its parts are from"),
        REVIEW: ("Review", "unseen, confirmed, rejected, unsure, or added by hand"),
        "comment": ("Comment", "Remarks of the reviewer"),
        "reviewer": ("Reviewed by", "Name of the reviewer"),
        "reviewed_at": ("Reviewed at", "Time of the last change by a reviewer, with time zone"),
    },
    ANALYSED: {
        "status": ("Status", "analysed or not analysed"),
        "reason": ("Reason", "Why this area was not analysed"),
        "scenario": ("Scenario", "Set of channels that predictions of this area used"),
        "area_m2": ("Area, m2", "True area on the ellipsoid"),
        "scenes": ("Scenes", "Names of the scenes that say so"),
    },
}
"""Layer -> column -> (title, description), where they need words."""


def titles_of(layer: str, columns: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return title and description of those of `columns` that have them, in their order."""
    words = COLUMNS.get(layer, COLUMNS[LANDSLIDES])
    return {column: words[column] for column in columns if column in words}


def probability_column(columns: Collection[str]) -> str:
    """Return the column that holds the probability of an outline.

    Examples
    --------
    >>> probability_column(["id", "prob_mean", "prob_max"])
    'prob_mean'
    """
    return "probability" if "probability" in columns else "prob_mean"
