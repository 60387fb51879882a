"""Files of a map: rasters, polygons, record of windows, project and report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from landslide_map.runtime.own_files import Kind

PROBABILITY: Final = "probability.tif"
CLASSES: Final = "class.tif"
LANDSLIDES: Final = "landslides.gpkg"
INVENTORY: Final = "inventory.gpkg"
"""Known landslides that were compared with the map, shown in its project."""
CANDIDATES: Final = "candidates.gpkg"
OUTLINE_PROBABILITY: Final = "outline_probability.tif"
PIXEL_PROBABILITY: Final = "pixel_probability.tif"
OUTLINE_MANIFEST: Final = "outline.json"
"""Beside redrawn outlines: names the run that they are from."""
WINDOWS: Final = "windows.nc"
MANIFEST: Final = "run.json"
"""Appears last and disappears first: its presence means that the result is complete."""

SCENES: Final = "scenes.json"
"""Outcome of every scene; its presence means that the polygons beside it are merged ones."""

PROJECT: Final = "landslides.qgz"
QUICKLOOK: Final = "quicklook.png"
REPORT: Final = "report.html"
ITEM: Final = "item.json"
FORMAT_FILES: Final = (
    "landslides.geojson",
    "landslides.parquet",
    "landslides.fgb",
    "landslides.kml",
    "landslides_shp.zip",
    "landslides_cems.gpkg",
    "landslides_coolr.gpkg",
    "landslides_exchange.gpkg",
)
"""Outlines in other formats, written on request."""
IMAGE_AFTER: Final = "image_after.tif"
IMAGE_BEFORE: Final = "image_before.tif"


@dataclass(frozen=True, slots=True)
class Image:
    """An image for display."""

    title: str
    side: str
    """``before`` or ``after`` the event, ``change`` between them."""


IMAGES: Final = {
    IMAGE_AFTER: Image("After, true colour", "after"),
    "image_after_false_colour.tif": Image("After, false colour (NIR, red, green)", "after"),
    IMAGE_BEFORE: Image("Before, true colour", "before"),
    "image_before_false_colour.tif": Image("Before, false colour (NIR, red, green)", "before"),
    "image_change_descending.tif": Image("Radar change, descending (red: more backscatter)", "change"),
    "image_change_ascending.tif": Image("Radar change, ascending (red: more backscatter)", "change"),
}
"""File -> its content; those that the inputs allow are written."""

FILES: Final = (
    PROBABILITY,
    "probability.qml",
    CLASSES,
    "class.qml",
    "class.tif.aux.xml",
    LANDSLIDES,
    CANDIDATES,
    INVENTORY,
    OUTLINE_PROBABILITY,
    "outline_probability.qml",
    PIXEL_PROBABILITY,
    WINDOWS,
    PROJECT,
    QUICKLOOK,
    REPORT,
    ITEM,
    *FORMAT_FILES,
    *IMAGES,
    MANIFEST,
)
"""Every file name a run may write; nothing else in the output folder is ever touched."""

RESULT: Final = Kind(MANIFEST, FILES)
