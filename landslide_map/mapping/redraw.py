"""Landslides drawn anew from what a run stored: another threshold, a mask, an earlier map taken off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataSourceError

from landslide_map.delineation.attributes import lengths_and_widths
from landslide_map.errors import InputError, Notice, UsageError
from landslide_map.mapping.coarser_windows import coarser_layers
from landslide_map.mapping.file_hashes import versions
from landslide_map.mapping.provenance import FORMAT_VERSION, write_manifest
from landslide_map.products import (
    CANDIDATES,
    LANDSLIDES,
    MANIFEST,
    OUTLINE_MANIFEST,
    OUTLINE_PROBABILITY,
)
from landslide_map.products import columns as layers
from landslide_map.products.added_content import refuse_added, take_over_styles
from landslide_map.products.formats import name_in
from landslide_map.products.geopackage import read_layer, write_geopackage
from landslide_map.products.objects import THRESHOLD_TAG, outlined, threshold_tags
from landslide_map.products.reviews import (
    previous_reviews,
    refuse_new_verdicts,
    reviewed_layers,
    uids,
    unreviewed,
)
from landslide_map.runtime.own_files import Kind, file_record, tree_records, unchanged
from landslide_map.runtime.transaction import outputs
from landslide_map.untrusted.files import read_bytes
from landslide_map.vector.areas import ellipsoidal_areas
from landslide_map.vector.inventory import read_polygons
from landslide_map.vector.reproject import projected

REDRAWN: Final = OUTLINE_MANIFEST
"""Manifest of outlines drawn anew: it names the run that they are from."""
FILES: Final = (LANDSLIDES, REDRAWN)
SMALLEST_PART_M2: Final = 100.0
"""Parts that a mask leaves are dropped below one pixel."""
_LONGEST: Final = 64 * 2**20
"""Bytes of a manifest."""
_AGAIN: Final = "Map the scene again."


@dataclass(frozen=True, slots=True)
class Redrawn:
    """What drawing anew made."""

    out: Path
    landslides: int
    """Outlines drawn."""
    before: int
    """Outlines of the map in `results` before, without those drawn by hand."""
    notices: tuple[Notice, ...] = ()


def redraw(
    results: str | PathLike[str],
    out: str | PathLike[str] | None = None,
    *,
    threshold: float | None = None,
    min_area_m2: float = 0.0,
    mask: str | PathLike[str] | None = None,
    subtract: str | PathLike[str] | None = None,
    stride: int | None = None,
    overwrite: bool = False,
) -> Redrawn:
    """Draw the landslides of a result anew, without reading a pixel or loading a model.

    Parameters
    ----------
    results : path
        Folder of a run that outlined objects.
    out : path, optional
        Folder for ``landslides.gpkg`` and ``outline.json``; by default `results` itself, with `overwrite`.
    threshold : float, optional
        Least probability, in (0, 1); by default what the run used.
    min_area_m2 : float
        Smaller outlines are left out.
    mask : path, optional
        Polygons, in any CRS, whose inside is cut out of the outlines: water, say.
    subtract : path, optional
        A GeoPackage of an earlier result, or polygons in any CRS: outlines of which at least half was there
        already are left out.
    stride : int, optional
        Of the windows in the layers ``windows`` and ``analysed``, pixels: a multiple of the run's. Outlines
        were scored at the run's own stride and stay.
    overwrite : bool
        Replace ``landslides.gpkg`` in `out`; reviews are kept.

    Raises
    ------
    UsageError
        E431 the threshold is not in (0, 1), E432 neither `out` nor `overwrite`, E433 no such stride.
    InputError
        E174 the folder holds no objects of this version, E175 a file of it was changed since the run, E150 to
        E152 polygons that are unusable.
    """
    results = Path(results).absolute()
    out = results if out is None else Path(out).absolute()
    if threshold is not None and not 0 < threshold < 1:
        raise UsageError("E431", f"the threshold is {threshold:g}; it must lie between 0 and 1")
    if out == results and not overwrite:
        raise UsageError("E432", f"{results} has outlines already. Give --overwrite, or another --out.")
    parent = _parent(results)
    found, tags = read_layer(results / CANDIDATES, layers.CANDIDATES)
    thresholds = _thresholds(tags, threshold)
    tags = {**tags, **threshold_tags(thresholds), "outline_least_area_m2": f"{min_area_m2:g}"}
    drawn = outlined(found, thresholds, min_area_m2)
    before = len(unreviewed(read_layer(results / LANDSLIDES, layers.LANDSLIDES)[0]))
    notices: list[Notice] = []
    if mask is not None:
        shapes, found_broken = read_polygons(mask)
        notices += found_broken
        drawn = _cut_out(drawn, shapes.geometry, min_area_m2)
    if subtract is not None:
        shapes, found_broken = read_polygons(subtract, _layer_of(Path(subtract)))
        notices += found_broken
        drawn = _new_ones(drawn, shapes.geometry)
    drawn["id"] = np.arange(1, len(drawn) + 1, dtype=np.int32)
    reviews = previous_reviews(out / LANDSLIDES)
    in_place = out == results
    kind = Kind(MANIFEST, FILES, adds=True) if in_place else Kind(REDRAWN, FILES)
    refuse_added(out / LANDSLIDES, kind)
    with outputs(out, kind, overwrite=overwrite, carried=(LANDSLIDES,)) as stage:
        kept, of_reviews = reviewed_layers(unreviewed(drawn), reviews)
        notices += of_reviews
        of_windows = {
            name: read_layer(results / LANDSLIDES, name)[0] for name in (layers.WINDOWS, layers.ANALYSED)
        }
        if stride is not None:
            of_windows = coarser_layers(results, parent, tags, of_windows[layers.WINDOWS], stride)
            tags["stride"] = f"{stride} px ({stride * 10} m)"
        kept |= of_windows
        lowest = float(tags["threshold_lowest"])
        event_time = datetime.fromisoformat(tags["event_time"])
        write_geopackage(stage / LANDSLIDES, kept, event_time, tags, lowest)
        take_over_styles(out / LANDSLIDES, stage / LANDSLIDES, kind)
        account = _account(results, parent, threshold, min_area_m2, mask, subtract)
        account["stride"] = stride
        files = tree_records(stage)
        write_manifest(stage / REDRAWN, {**account, "landslides": len(drawn), "outputs": files})
        if in_place:
            name_in(results / MANIFEST, stage)
        refuse_new_verdicts(out / LANDSLIDES, reviews)
    return Redrawn(out, len(drawn), before, tuple(notices))


def _parent(results: Path) -> dict[str, Any]:
    """Return the run's manifest; refuse a folder without objects, of another version, or edited since."""
    try:
        parent: dict[str, Any] = json.loads(read_bytes(results / MANIFEST, _LONGEST))
        version, files = parent["format_version"], dict(parent["outputs"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError("E174", f"{results} is no finished result ({error}). {_AGAIN}") from None
    if version != FORMAT_VERSION or CANDIDATES not in files or not (results / CANDIDATES).exists():
        raise InputError(
            "E174",
            f"{results} holds no outlines of objects of this version (format {version}, this one is "
            f"{FORMAT_VERSION}). {_AGAIN}",
        )
    for name in (CANDIDATES, OUTLINE_PROBABILITY):
        path = results / name
        if not unchanged(path, files.get(name)):
            raise InputError("E175", f"{path} was changed since the run that made it. {_AGAIN}")
    return parent


def _thresholds(tags: Mapping[str, str], threshold: float | None) -> dict[str, float]:
    stored = {
        name.removeprefix(THRESHOLD_TAG): float(value)
        for name, value in tags.items()
        if name.startswith(THRESHOLD_TAG)
    }
    return stored if threshold is None else dict.fromkeys(stored, threshold)


def _layer_of(path: Path) -> str | None:
    """Return the layer of outlines where the file is one of ours, else None."""
    with suppress(DataSourceError):
        if layers.LANDSLIDES in {str(name) for name, _ in pyogrio.list_layers(path)}:
            return layers.LANDSLIDES
    return None


def _cut_out(drawn: gpd.GeoDataFrame, mask: gpd.GeoSeries, min_area_m2: float) -> gpd.GeoDataFrame:
    """Take the inside of a mask off outlines, and measure what is left."""
    shapes = projected(mask, drawn.crs).make_valid()
    hit = np.unique(drawn.sindex.query(shapes, predicate="intersects")[1])
    if not len(hit):
        return drawn
    rest = drawn.geometry.to_numpy().copy()
    rest[hit] = [_polygons(shape) for shape in shapely.difference(rest[hit], shapely.union_all(shapes))]
    cut = drawn.set_geometry(gpd.GeoSeries(rest, index=drawn.index, crs=drawn.crs))
    cut.loc[cut.index[hit], "area_m2"] = ellipsoidal_areas(cut.geometry.iloc[hit])
    left = ~cut.geometry.is_empty & (cut["area_m2"] >= max(min_area_m2, SMALLEST_PART_M2))
    changed = np.isin(np.arange(len(cut)), hit) & left.to_numpy()
    length, width = lengths_and_widths(cut.geometry.to_numpy()[changed])
    cut.loc[changed, "length_m"], cut.loc[changed, "width_m"] = length.round(), width.round()
    cut = cut[left].reset_index(drop=True)
    cut["uid"] = uids(cut)
    return cut


def _polygons(shape: Any) -> shapely.MultiPolygon:
    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.MultiPolygon(
        [part for part in parts if part.geom_type == "Polygon" and part.area >= SMALLEST_PART_M2]
    )


def _new_ones(drawn: gpd.GeoDataFrame, earlier: gpd.GeoSeries) -> gpd.GeoDataFrame:
    """Leave out outlines of which at least half was outlined earlier."""
    shapes = projected(earlier, drawn.crs).make_valid().to_numpy()
    theirs, mine = drawn.sindex.query(shapes, predicate="intersects")
    shared = shapely.area(shapely.intersection(drawn.geometry.to_numpy()[mine], shapes[theirs]))
    known = np.bincount(mine, shared, minlength=len(drawn)) >= 0.5 * drawn.geometry.area.to_numpy()
    return drawn[~known].reset_index(drop=True)


def _account(
    results: Path,
    parent: Mapping[str, Any],
    threshold: float | None,
    min_area_m2: float,
    mask: str | PathLike[str] | None,
    subtract: str | PathLike[str] | None,
) -> dict[str, Any]:
    """Return what ``outline.json`` says besides the number of landslides."""
    return {
        "format_version": FORMAT_VERSION,
        "written": datetime.now(UTC),
        "parent": {
            "path": results,
            "manifest": file_record(results / MANIFEST),
            "started": parent.get("started"),
            "candidates": parent["outputs"][CANDIDATES],
        },
        "threshold": threshold,
        "min_area_m2": min_area_m2,
        "mask": None if mask is None else {"path": Path(mask), **file_record(Path(mask))},
        "subtract": None if subtract is None else {"path": Path(subtract), **file_record(Path(subtract))},
        "versions": versions(),
    }
