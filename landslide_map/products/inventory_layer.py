"""Known landslides beside a finished map, as a layer of its QGIS project."""

from __future__ import annotations

import shutil
from datetime import datetime
from os import PathLike
from pathlib import Path

import geopandas as gpd
import shapely

from landslide_map.errors import Notice
from landslide_map.products import INVENTORY, LANDSLIDES, MANIFEST, PROJECT, SCENES
from landslide_map.products import columns as names
from landslide_map.products.formats import name_in
from landslide_map.products.geopackage import read_layer, write_geopackage
from landslide_map.products.mosaic import mosaics_in
from landslide_map.products.project import RASTERS, write_project
from landslide_map.products.saved_project import saved_by_person
from landslide_map.runtime.own_files import Kind
from landslide_map.runtime.transaction import outputs
from landslide_map.vector.inventory import read_polygons
from landslide_map.vector.reproject import projected


def show_inventory(
    results: Path, inventory: str | PathLike[str], layer: str | None = None
) -> tuple[Notice, ...]:
    """Write ``inventory.gpkg`` into a finished result, and its project again with a layer of it.

    Parameters
    ----------
    results : Path
        Folder of a finished map.
    inventory : path
        Polygons, in any CRS.
    layer : str, optional
        Of `inventory`; by default the first that has shapes.

    Returns
    -------
    tuple of Notice
        W150 repaired outlines; I431: a project that a person saved is kept as it is.

    Raises
    ------
    InputError
        E150 to E152: the inventory cannot be used.
    OutputExistsError
        E404: a file in the place of ours is not of a run.
    """
    known, notices = read_polygons(inventory, layer)
    outlines, tags = read_layer(results / LANDSLIDES, names.LANDSLIDES)
    shapes = shapely.force_2d(projected(known.geometry, outlines.crs).to_numpy())
    multi = [shapely.multipolygons(shapely.get_parts(shape)) for shape in shapes]
    frame = gpd.GeoDataFrame(
        {"source": [Path(inventory).name] * len(multi)}, geometry=multi, crs=outlines.crs
    )
    kept = saved_by_person(results / PROJECT)
    if kept:
        message = f"{PROJECT} was saved by a person and is kept; drag {INVENTORY} into it"
        notices = [*notices, Notice("I431", message)]
    threshold, event_time = float(tags["threshold_lowest"]), datetime.fromisoformat(tags["event_time"])
    several = not (results / MANIFEST).is_file()
    kind = Kind(SCENES if several else MANIFEST, (INVENTORY, *([] if kept else [PROJECT])), adds=True)
    with outputs(results, kind, overwrite=True) as staging:
        write_geopackage(staging / INVENTORY, {names.INVENTORY: frame}, event_time, tags, threshold)
        if not kept:
            shutil.copyfile(results / LANDSLIDES, staging / LANDSLIDES)
            mosaics = mosaics_in(results, RASTERS) if several else None
            write_project(
                *(staging / PROJECT, results),
                mosaics=mosaics,
                threshold=threshold,
                tags=tags,
                event_time=event_time,
            )
            (staging / LANDSLIDES).unlink()
        name_in(results / kind.manifest, staging)
    return tuple(notices)
