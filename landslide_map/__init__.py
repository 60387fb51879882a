"""Landslide maps from post-event Sentinel-2 and pre/post Sentinel-1 scenes.

>>> import landslide_map
>>> landslide_map.map_scene("scene.yaml", out="results")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landslide_map.pipeline import MapResult, map_scene

__version__ = "0.1.0"
__all__ = ["MapResult", "__version__", "map_scene"]


def __getattr__(name: str) -> Any:
    # Lazy, so that `landslide-map --help` does not wait for rasterio, dask and numba.
    if name in ("MapResult", "map_scene"):
        from landslide_map import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
