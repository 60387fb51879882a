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
    from landslide_map.check.check_scene import check_scene
    from landslide_map.errors import LandslideMapError
    from landslide_map.evaluation.windows import evaluate
    from landslide_map.inference.score import score
    from landslide_map.mapping.map_scene import map_scene
    from landslide_map.mapping.map_scenes import map_scenes
    from landslide_map.mapping.options import RunOptions
    from landslide_map.mapping.result import MapResult
    from landslide_map.models.bundle.options import PredictionOptions
    from landslide_map.products.stack_file import stack_scene
    from landslide_map.training.windows.train import TrainingOptions as TrainingOptions
    from landslide_map.training.windows.train import train as train

_HOMES = {
    "LandslideMapError": "errors",
    "MapResult": "mapping.result",
    "PredictionOptions": "models.bundle.options",
    "RunOptions": "mapping.options",
    "TrainingOptions": "training.windows.train",
    "check_scene": "check.check_scene",
    "evaluate": "evaluation.windows",
    "map_scene": "mapping.map_scene",
    "map_scenes": "mapping.map_scenes",
    "score": "inference.score",
    "stack_scene": "products.stack_file",
    "train": "training.windows.train",
}
"""Public name -> its module."""

__all__ = [  # `train` and `TrainingOptions` need the extra `networks`: a star import leaves them out
    "LandslideMapError",
    "MapResult",
    "PredictionOptions",
    "RunOptions",
    "__version__",
    "check_scene",
    "evaluate",
    "map_scene",
    "map_scenes",
    "score",
    "stack_scene",
]


def __getattr__(name: str) -> Any:
    # Lazy, so that `landslide-map --help` does not wait for rasterio, dask and numba.
    if name in _HOMES:
        return getattr(import_module(f"landslide_map.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({"__version__", *_HOMES})
