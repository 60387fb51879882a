"""Landslide objects as a GeoDataFrame: outlines on the ground, probability, size and evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from landslide_map.bands import CLOUD_CLASS, SHADOW_CLASS, SNOW_CLASS
from landslide_map.delineation.attributes import (
    axis_direction,
    column,
    confidence,
    evidence_columns,
    lengths_and_widths,
)
from landslide_map.delineation.displacement import Displacement
from landslide_map.delineation.objects import Objects
from landslide_map.delineation.polygons import outlines, paint
from landslide_map.delineation.score import OutlineModel
from landslide_map.delineation.terrain import ObjectHeights
from landslide_map.errors import Notice
from landslide_map.grid import Grid
from landslide_map.products import CANDIDATES
from landslide_map.products.polygons import area_notice, grid_crs, pixel_area, typed
from landslide_map.products.reviews import uids
from landslide_map.vector.areas import small_areas

OBJECT_COLUMNS: Final = {
    "uid": "str",
    "id": "int32",
    "probability": "float64",
    "probability_low": "float64",
    "probability_high": "float64",
    "confidence": "str",
    "area_m2": "float64",
    "length_m": "float64",
    "width_m": "float64",
    "direction_deg": "float64",
    "slope_mean_deg": "float64",
    "elevation_min_m": "float64",
    "elevation_max_m": "float64",
    "evidence_optical": "float64",
    "evidence_descending": "float64",
    "evidence_ascending": "float64",
    "evidence_vegetation": "float64",
    "water_share": "float64",
    "cloud_share": "float64",
    "snow_share": "float64",
    "shadow_share": "float64",
    "window_probability": "float64",
    "unlike_training": "float64",
    "method": "str",
}
"""Column -> dtype of the layer of objects, before the dates."""


PIXEL_COLUMN: Final = "pixel_probability"
"""Column that there is where pixel members computed."""


@dataclass(frozen=True)
class ObjectMap:
    """Objects of a scene as a table and as pixels, in the same order."""

    candidates: gpd.GeoDataFrame
    """Candidates, from :func:`candidates`."""
    objects: Objects
    thresholds: Mapping[str, float]
    """Variant of the model, the last word of `method` -> probability from which an outline is drawn."""
    model: str
    """Name of the model."""
    displacement: Displacement
    """Displacement of the image; outlines are moved back by it."""

    @property
    def notices(self) -> tuple[Notice, ...]:
        """A notice (I421) that outlines were moved, and how far, if they were."""
        if not self.displacement:
            return ()
        message = (
            f"the Sentinel-2 image lies {_way(self.displacement)} of where backscatter changed; outlines are "
            "moved back by so much, and images are shown as they are"
        )
        return (Notice("I421", message),)

    @property
    def tags(self) -> dict[str, str]:
        """Tags that say by which model outlines were drawn, and from which probability."""
        own = {"delineation": self.model, DISPLACEMENT_TAG: _way(self.displacement)}
        return {**own, **threshold_tags(self.thresholds)}

    def with_pixels(self, means: npt.NDArray[np.float64]) -> ObjectMap:
        """Return the map with the pixel members' mean probability ``(object,)`` beside the own evidence."""
        frame = self.candidates.copy()
        frame.insert(frame.columns.get_loc("window_probability"), PIXEL_COLUMN, means.round(3))
        return replace(self, candidates=frame)

    def paint(self, start: int, target: npt.NDArray[np.float32]) -> None:
        """Write the probability of each object onto its pixels, in rows of the grid from `start`."""
        probability = self.candidates["probability"].to_numpy(np.float32)
        runs = self.objects
        paint(runs.run_row, runs.run_first, runs.run_stop, probability[runs.run_object], start, target)


def _way(displacement: Displacement) -> str:
    """Return how far the image lies beside the ground, in pixels of the grid."""
    down, right = displacement.down, displacement.right
    vertical, horizontal = "south" if down >= 0 else "north", "east" if right >= 0 else "west"
    return f"{abs(down):.2f} px {vertical} and {abs(right):.2f} px {horizontal}"


def threshold_tags(thresholds: Mapping[str, float]) -> dict[str, str]:
    """Return tags with the probability from which each variant of the model draws an outline."""
    return {f"{THRESHOLD_TAG}{name}": f"{value:g}" for name, value in thresholds.items()}


def without_outlines(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that do not depend on how outlines are drawn: those of windows alone."""
    own = ("outline", "delineation", DISPLACEMENT_TAG)
    return {k: v for k, v in tags.items() if k not in own and not k.startswith(THRESHOLD_TAG)}


THRESHOLD_TAG: Final = "outline_threshold_"
DISPLACEMENT_TAG: Final = "image_displacement"
LEAST_AREA_TAG: Final = "outline_least_area_m2"
LEAST_PROBABILITY: Final = 0.1
"""Candidates below this are dropped, unless they are water."""
WATER: Final = 0.5
"""Share of water from which a candidate is kept, to show outlines that were left out there."""

_HIDDEN_SHARES: Final = {
    "cloud_share": CLOUD_CLASS,
    "snow_share": SNOW_CLASS,
    "shadow_share": SHADOW_CLASS,
}
"""Column -> the channel of which it is the share."""


def candidates(
    objects: Objects,
    model: OutlineModel,
    grid: Grid,
    dates: Mapping[str, datetime | None],
    heights: ObjectHeights | None = None,
    unlike: npt.NDArray[np.float64] | None = None,
    hidden: Mapping[str, npt.NDArray[np.float64]] | None = None,
) -> tuple[gpd.GeoDataFrame, npt.NDArray[np.int64]]:
    """Return all objects of at least :data:`LEAST_PROBABILITY`, and those in water, the most probable first.

    Parameters
    ----------
    objects : Objects
    model : OutlineModel
        That scored them.
    grid : Grid
        Where the pixels lie.
    dates : mapping of str to datetime or None
        Columns that every object carries, UTC.
    heights : ObjectHeights, optional
        Where there is an elevation model.
    unlike : float, (object,), optional
        Mean `unlike_training` of the windows that cover each object.
    hidden : mapping of str to float, (object,), optional
        Share of each object in the channels of :data:`bands.HIDING_CLASSES`, with a scene classification.

    Returns
    -------
    GeoDataFrame
        MultiPolygons in ``grid.crs`` with :data:`OBJECT_COLUMNS` and the dates. Objects are sorted by
        probability, then area, both falling, then from north to south; `id` counts them from 1.
    int64, (object,)
        The number of each among `objects`.
    """
    each = model.probability(objects.shares, objects.features)
    probability = model.probability(objects.shares.mean(axis=1), objects.features)
    water = column(objects.features, "water")
    kept = np.flatnonzero((probability >= LEAST_PROBABILITY) | (water >= WATER))
    order = kept[np.lexsort((kept, -objects.shape[kept, 0], -probability[kept].round(3)))]
    some = objects.only(order)
    probability, each = probability[order], each[order]
    low = np.minimum(each.min(axis=1), probability)
    high = np.maximum(each.max(axis=1), probability)
    shapes = placed(outlines(some), grid)
    length, width = lengths_and_widths(shapes)
    evidence = evidence_columns(some, model)
    missing = np.full(len(order), np.nan)
    least, most, down = missing, missing, missing
    if heights is not None:
        least, most, down = heights.least[order], heights.most[order], heights.downslope[order]
    axis = axis_direction(some)
    slope = np.where(column(some.features, "has_slope") > 0, column(some.features, "slope"), np.nan)
    frame = gpd.GeoDataFrame(
        {
            "id": np.arange(1, len(order) + 1),
            "probability": probability.round(3),
            "probability_low": low.round(3),
            "probability_high": high.round(3),
            "confidence": confidence(probability, low, evidence),
            "area_m2": small_areas(some.shape[:, 0] * pixel_area(grid), list(shapes), grid_crs(grid)),
            "length_m": length.round(),
            "width_m": width.round(),
            "direction_deg": np.where(np.isnan(down), axis, down).round(),
            "slope_mean_deg": slope.astype(np.float64).round(1),
            "elevation_min_m": least.round(),
            "elevation_max_m": most.round(),
            **{name: values.round(3) for name, values in evidence.items()},
            "water_share": column(some.features, "water").astype(np.float64).round(3),
            **{
                name: missing if hidden is None else hidden[channel][order].round(3)
                for name, channel in _HIDDEN_SHARES.items()
            },
            "window_probability": column(some.features, "window_mean").astype(np.float64).round(3),
            "unlike_training": missing if unlike is None else unlike[order].round(3),
            "method": [f"{model.name} {variant}" for variant in model.variant_of(some.features)],
        },
        geometry=gpd.GeoSeries(list(shapes), crs=grid_crs(grid)),
    )
    frame["uid"] = uids(frame)
    return typed(frame, OBJECT_COLUMNS, dates), order


def no_candidates(grid: Grid, dates: Mapping[str, datetime | None]) -> gpd.GeoDataFrame:
    """Return the table of a scene in which no object can be outlined."""
    empty: dict[str, list[object]] = {name: [] for name in OBJECT_COLUMNS}
    return typed(gpd.GeoDataFrame(empty, geometry=[], crs=grid_crs(grid)), OBJECT_COLUMNS, dates)


def outlined(
    found: gpd.GeoDataFrame, thresholds: Mapping[str, float], min_area_m2: float = 0.0
) -> gpd.GeoDataFrame:
    """Return the candidates that count as landslides, `id` counted from 1 again.

    Parameters
    ----------
    found : GeoDataFrame
        As from :func:`candidates`.
    thresholds : mapping of str to float
        Last word of `method` -> least probability.
    min_area_m2 : float
        Smaller ones are left out.
    """
    chosen = found[_likely(found, thresholds) & (found["area_m2"] >= min_area_m2)]
    chosen = chosen.reset_index(drop=True)
    chosen["id"] = np.arange(1, len(chosen) + 1, dtype=np.int32)
    return chosen


def too_small(
    found: gpd.GeoDataFrame, thresholds: Mapping[str, float], min_area_m2: float, elsewhere: str = CANDIDATES
) -> tuple[Notice, ...]:
    """Return a notice (I420) of the landslides that :func:`outlined` leaves out for their area, if any.

    `elsewhere` is the file that has them.
    """
    small = int((_likely(found, thresholds) & (found["area_m2"] < min_area_m2)).sum())
    return (area_notice(small, min_area_m2, elsewhere),) if small else ()


def _likely(found: gpd.GeoDataFrame, thresholds: Mapping[str, float]) -> npt.NDArray[np.bool_]:
    """Return which candidates are landslides by the threshold of their method."""
    least = found["method"].str.rsplit(n=1).str[-1].map(dict(thresholds)).astype("float64")
    likely: npt.NDArray[np.bool_] = (found["probability"] >= least).to_numpy(dtype=bool)
    return likely


def placed(shapes: list[shapely.MultiPolygon], grid: Grid) -> npt.NDArray[np.object_]:
    """Move outlines from pixel corners to the grid's CRS."""
    transform = grid.transform

    def on_ground(corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        col, row = corners.T
        return np.column_stack([transform.c + col * transform.a, transform.f + row * transform.e])

    moved: npt.NDArray[np.object_] = shapely.transform(np.array(shapes, dtype=object), on_ground)
    return moved
