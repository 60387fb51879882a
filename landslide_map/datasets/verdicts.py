"""Verdicts of reviewers as labels: outlines that are landslides, that are none, and undecided ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely

from landslide_map.array_types import Bools, Floats, Labels, Shapes
from landslide_map.errors import InputError
from landslide_map.grid import Grid
from landslide_map.vector.inventory import covered_fraction
from landslide_map.vector.reproject import projected
from landslide_map.windows import WindowPlan


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Reviewed outlines of a map, by verdict."""

    landslides: gpd.GeoSeries
    """Confirmed, or drawn by hand."""
    others: gpd.GeoSeries
    """Rejected."""
    undecided: gpd.GeoSeries
    """Not reviewed, or unsure."""
    source: Path
    """The file they are from."""

    def label(
        self, plan: WindowPlan, grid: Grid, positive: float, negative: float
    ) -> tuple[Floats, Labels, Bools]:
        """Label windows by the verdicts on the outlines in them.

        Parameters
        ----------
        plan : WindowPlan
            For `grid`.
        grid : Grid
        positive, negative : float
            Covered shares from which a window is a landslide, and up to which it is none.

        Returns
        -------
        covered : (window,)
            Share of each window that landslides cover.
        labels : (window,)
            1 landslide; 0 none, where an outline was rejected and nothing is undecided; -1 otherwise.
        touched : (window,)
            Whether some outline of the map, decided or not, lies in the window.

        Raises
        ------
        InputError
            E172: no outline on the grid is decided.
        """
        yes, no, open_ = (
            covered_fraction(_on_grid(shapes, grid), plan, grid)
            for shapes in (self.landslides, self.others, self.undecided)
        )
        if not (yes.any() or no.any()):
            raise InputError(
                "E172",
                f"{self.source}: no outline on the scene's grid is confirmed, rejected or drawn by hand. "
                "Review the map in QGIS first.",
            )
        none = (no > 0) & (open_ == 0) & (yes <= negative)
        labels = np.select([yes >= positive, none], [1, 0], -1).astype(np.int8)
        return yes, labels, (yes > 0) | (no > 0) | (open_ > 0)


def _on_grid(shapes: gpd.GeoSeries, grid: Grid) -> Shapes:
    """Return the parts of outlines on a grid, in its CRS, disjoint."""
    if not len(shapes):
        return np.empty(0, dtype=object)
    placed = projected(shapes.make_valid(), grid.crs)
    inside = placed[placed.intersects(shapely.box(*grid.bounds))]
    parts: Shapes = shapely.get_parts(shapely.union_all(inside.to_numpy()))
    held: Shapes = parts[shapely.area(parts) > 0]
    return held
