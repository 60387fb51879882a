"""What a run writes: rasters, polygons, per-window record, manifest, and their appearing all at once."""

from __future__ import annotations

from typing import Final

PROBABILITY: Final = "probability.tif"
CLASSES: Final = "class.tif"
LANDSLIDES: Final = "landslides.gpkg"
WINDOWS: Final = "windows.nc"
MANIFEST: Final = "run.json"
"""Appears last and disappears first: its presence says that the result is complete."""

FILES: Final = (
    PROBABILITY,
    "probability.qml",
    CLASSES,
    "class.qml",
    "class.tif.aux.xml",
    LANDSLIDES,
    WINDOWS,
    MANIFEST,
)
"""Every file name a run may write; nothing else in the output folder is ever touched."""
