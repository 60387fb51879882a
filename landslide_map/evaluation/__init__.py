"""How good an ensemble is: figures of windows (window level) and of mapped landslides (object level)."""

from landslide_map.evaluation.windows import evaluate

__all__ = ["evaluate"]
