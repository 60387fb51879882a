"""Pixel figures of predicted against labelled landslides: pooled, as a mean of batches, along boundaries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion, distance_transform_edt


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Numbers of pixels by prediction and label; the counts of parts may be added."""

    both: int = 0
    """Landslide in prediction and label."""
    predicted: int = 0
    labelled: int = 0
    all: int = 0

    @classmethod
    def of(cls, predicted: npt.NDArray[Any], labelled: npt.NDArray[Any]) -> PixelCounts:
        """Return the counts of two boolean arrays of equal shape."""
        positive, truth = np.asarray(predicted, dtype=bool), np.asarray(labelled, dtype=bool)
        if positive.shape != truth.shape:
            raise ValueError(f"a prediction of shape {positive.shape} and labels of {truth.shape}")
        return cls(int((positive & truth).sum()), int(positive.sum()), int(truth.sum()), positive.size)

    def __add__(self, other: PixelCounts) -> PixelCounts:
        return PixelCounts(
            self.both + other.both,
            self.predicted + other.predicted,
            self.labelled + other.labelled,
            self.all + other.all,
        )

    @property
    def precision(self) -> float:
        """Share of predicted pixels that are labelled; 0 where none is predicted."""
        return self.both / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of labelled pixels that are predicted; 0 where none is labelled."""
        return self.both / self.labelled if self.labelled else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where neither has a pixel."""
        total = self.predicted + self.labelled
        return 2 * self.both / total if total else 0.0

    @property
    def iou(self) -> float:
        """Intersection over union; 0 where neither has a pixel."""
        union = self.predicted + self.labelled - self.both
        return self.both / union if union else 0.0


def pooled_f1(predicted: npt.NDArray[Any], labelled: npt.NDArray[Any]) -> float:
    """Return F1 of all pixels at once."""
    return PixelCounts.of(predicted, labelled).f1


def batch_mean_f1(batches: Iterable[tuple[npt.NDArray[Any], npt.NDArray[Any]]]) -> float:
    """Return the mean over batches of the batch's F1; a batch where it is undefined counts as 0.

    This is what the published Landslide4Sense table states. It is not the pooled F1.
    """
    each = [pooled_f1(predicted, labelled) for predicted, labelled in batches]
    if not each:
        raise ValueError("a mean of batches needs at least one batch")
    return float(np.mean(each))


def boundary_f1(predicted: npt.NDArray[Any], labelled: npt.NDArray[Any], tolerance_px: float) -> float:
    """Return F1 of boundary pixels that have a boundary pixel of the other within `tolerance_px`.

    1 where neither has a boundary, 0 where only one has.

    Parameters
    ----------
    predicted, labelled : array of bool
        ``(y, x)``.
    tolerance_px : float
        Euclidean distance between pixel centres, pixels.
    """
    edges = [_boundary(np.asarray(mask, dtype=bool)) for mask in (predicted, labelled)]
    found = [bool(edge.any()) for edge in edges]
    if not all(found):
        return float(not any(found))
    near = [
        float((distance_transform_edt(~other)[edge] <= tolerance_px).mean())
        for edge, other in (edges, edges[::-1])
    ]
    return 2 * near[0] * near[1] / (near[0] + near[1]) if sum(near) else 0.0


def _boundary(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    return np.asarray(mask & ~binary_erosion(mask))
