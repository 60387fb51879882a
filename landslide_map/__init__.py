"""Landslide maps from post-event Sentinel-2 and pre/post Sentinel-1 scenes.

>>> import landslide_map
>>> landslide_map.map_scene("scene.yaml", out="results")  # doctest: +SKIP
>>> table = landslide_map.score(windows)  # doctest: +SKIP
>>> figures = landslide_map.evaluate(windows, labels)  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from landslide_map._version import __version__

if TYPE_CHECKING:
    from landslide_map.evaluation.windows import evaluate
    from landslide_map.inference.score import score
    from landslide_map.mapping.map_scene import map_scene
    from landslide_map.mapping.map_scenes import map_scenes
    from landslide_map.mapping.result import MapResult
    from landslide_map.training.windows.train import train

__all__ = ["MapResult", "__version__", "evaluate", "map_scene", "map_scenes", "score", "train"]

_HOMES = {
    "MapResult": "landslide_map.mapping.result",
    "evaluate": "landslide_map.evaluation.windows",
    "map_scene": "landslide_map.mapping.map_scene",
    "map_scenes": "landslide_map.mapping.map_scenes",
    "score": "landslide_map.inference.score",
    "train": "landslide_map.training.windows.train",
}


def __getattr__(name: str) -> Any:
    # Lazy, so that `landslide-map --help` does not wait for rasterio, dask and numba.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
