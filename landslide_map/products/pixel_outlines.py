"""Outlines drawn from the stored probability of pixel members, alone or joined with that of objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Self

import geopandas as gpd
import numpy as np
from pydantic import ValidationError

from landslide_map.array_types import Floats32
from landslide_map.delineation.attributes import MEDIUM, axis_direction, lengths_and_widths
from landslide_map.delineation.polygons import outlines
from landslide_map.delineation.regions import region_means, regions_above
from landslide_map.errors import InputError
from landslide_map.grid import Grid
from landslide_map.models.segmentation.fusion import Fusion
from landslide_map.products import OUTLINE_PROBABILITY, PIXEL_PROBABILITY, PROBABILITY
from landslide_map.products.objects import (
    OBJECT_COLUMNS,
    PIXEL_COLUMN,
    THRESHOLD_TAG,
    placed,
    threshold_tags,
)
from landslide_map.products.polygons import grid_crs, pixel_area, typed
from landslide_map.products.rasters import strips_of
from landslide_map.products.reviews import uids
from landslide_map.raster.dataset import open_dataset
from landslide_map.vector.areas import small_areas

PIXELS: Final = "pixels"
BOTH: Final = "both"
KINDS: Final = (PIXELS, BOTH)
"""Kinds of outlines that are drawn here: the last word of `method`, and the name of their threshold."""
MEMBERS_TAG: Final = "pixel_members"
"""Tag with the names of the pixel members that computed."""
FUSION_TAG: Final = "pixel_fusion"
"""Tag with how their probability is joined with that of outlines, JSON; where it was measured."""
THRESHOLD: Final = 0.5
"""Probability of pixel members above which a pixel is landslide, as published."""
SURE: Final = 0.5
"""Least height of the highest pixel of an outline between the threshold (0) and 1. Without such a pixel it is
not drawn."""


@dataclass(frozen=True, slots=True)
class PixelDrawing:
    """Options of outlines from the probability of pixels."""

    kind: str
    """One of :data:`KINDS`."""
    members: str
    """Names of the pixel members."""
    fusion: Fusion | None
    threshold: float
    """Probability above which a pixel is in an outline."""

    @classmethod
    def of(cls, kind: str, tags: Mapping[str, str], threshold: float | None = None) -> Self:
        """Return the drawing that the tags of a map allow.

        Raises
        ------
        InputError
            E176 if the map has no pixel members, or for `both` nothing that says how they are joined.
        """
        if MEMBERS_TAG not in tags:
            raise InputError(
                "E176",
                "the result holds no probability of pixel members. Map the scene with a bundle that has some "
                "(landslide-map models add-pixels).",
            )
        try:
            fusion = Fusion.model_validate_json(tags[FUSION_TAG]) if FUSION_TAG in tags else None
        except ValidationError as error:
            raise InputError("E176", f"the tag {FUSION_TAG} of the result is damaged ({error}).") from None
        if kind == BOTH and fusion is None:
            raise InputError(
                "E176",
                "the reliability of pixel members beside outlines was not measured for the bundle of the "
                "result. Measure it with landslide-map models add-pixels --evidence and map the scene again.",
            )
        usual = fusion.threshold if kind == BOTH and fusion is not None else THRESHOLD
        return cls(kind, tags[MEMBERS_TAG], fusion, usual if threshold is None else threshold)

    @property
    def seed(self) -> float:
        """Probability that the highest pixel of an outline exceeds."""
        return self.threshold + SURE * (1 - self.threshold)

    @property
    def thresholds(self) -> dict[str, float]:
        """The threshold under the name of the kind."""
        return {self.kind: self.threshold}

    def strips(self, folder: Path) -> Iterator[Floats32]:
        """Yield the probability of the pixels of a map, ``(rows, width)``, from the top downwards."""
        pixels = strips_of(folder / PIXEL_PROBABILITY)
        if self.kind == PIXELS or self.fusion is None:
            yield from pixels
            return
        for own, other in zip(pixels, strips_of(folder / OUTLINE_PROBABILITY), strict=True):
            yield self.fusion(own, other)


def pixel_outlines(
    folder: Path, dates: Mapping[str, datetime | None], drawing: PixelDrawing
) -> gpd.GeoDataFrame:
    """Return outlines of connected pixels of a map above a threshold, the most probable first.

    Parameters
    ----------
    folder : path
        With ``pixel_probability.tif``, ``probability.tif``, and for `both` ``outline_probability.tif``.
    dates : mapping of str to datetime or None
        Columns that every outline carries, UTC.
    drawing : PixelDrawing

    Returns
    -------
    GeoDataFrame
        MultiPolygons with :data:`.objects.OBJECT_COLUMNS`, the mean of the pixel members, and the dates.
        `probability` is the mean over the outline. What needs other pixels than these is null: evidence of
        sensors, slope, elevation, water. Equal ones are sorted by area, then from north to south.
    """
    with open_dataset(folder / PIXEL_PROBABILITY) as source:
        grid = Grid(source.crs, source.transform, source.width, source.height)
    regions = regions_above(drawing.strips(folder), drawing.threshold, drawing.seed)
    probability = region_means(drawing.strips(folder), regions).round(3)
    order = np.lexsort((np.arange(len(probability)), -regions.shape[:, 0], -probability))
    regions, probability = regions.only(order), probability[order]
    shapes = placed(outlines(regions), grid)
    length, width = lengths_and_widths(shapes)
    own = region_means(strips_of(folder / PIXEL_PROBABILITY), regions)
    windows = region_means(strips_of(folder / PROBABILITY), regions)
    frame = gpd.GeoDataFrame(
        {
            "id": np.arange(1, len(order) + 1),
            "probability": probability,
            "confidence": np.where(probability >= MEDIUM, "medium", "low"),
            "area_m2": small_areas(regions.shape[:, 0] * pixel_area(grid), list(shapes), grid_crs(grid)),
            "length_m": length.round(),
            "width_m": width.round(),
            "direction_deg": axis_direction(regions).round(),
            PIXEL_COLUMN: own.round(3),
            "window_probability": windows.round(3),
            "method": [f"{drawing.members} {drawing.kind}"] * len(order),
        },
        geometry=gpd.GeoSeries(list(shapes), crs=grid_crs(grid)),
    )
    frame["uid"] = uids(frame)
    columns = dict(OBJECT_COLUMNS)
    for name in columns.keys() - set(frame.columns):
        frame[name] = np.nan
    place = list(columns).index("window_probability")
    ordered = [*list(columns)[:place], PIXEL_COLUMN, *list(columns)[place:]]
    return typed(frame, {name: columns.get(name, "float64") for name in ordered}, dates)


def drawn_tags(tags: Mapping[str, str], drawing: PixelDrawing) -> dict[str, str]:
    """Return the tags of a map as the layer of these outlines has them."""
    others = {name: value for name, value in tags.items() if not name.startswith(THRESHOLD_TAG)}
    own = {"outline": drawing.kind, "delineation": f"{drawing.members} {drawing.kind}"}
    return others | own | threshold_tags(drawing.thresholds)
