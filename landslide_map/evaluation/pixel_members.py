"""Pixel figures of the pixel members of a bundle on images with masks, by region and by ensemble size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from landslide_map.datasets.pixel_data import PixelData
from landslide_map.errors import InputError
from landslide_map.inference.pixels import PixelOptions, predict_image
from landslide_map.models.published import ganerod, landslide4sense
from landslide_map.models.segmentation.ensemble import is_landslide
from landslide_map.models.segmentation.member import SegmentationMember
from landslide_map.models.segmentation.metrics import PixelCounts, boundary_f1
from landslide_map.runtime import progress as reporting

STAGE: Final = reporting.Stage("evaluate pixels", "images")
BOUNDARY_PX: Final = (1, 2, 3)
"""Distances of the boundary F1, pixels."""
BATCH: Final = 16
"""Images in a batch of the batch-mean F1, as published for Landslide4Sense."""


@dataclass(frozen=True, slots=True)
class PixelFigures:
    """Figures at pixel level, threshold 0.5."""

    counts: PixelCounts
    batch_mean_f1: float
    """Mean of the F1 of batches of 16 images."""
    boundary: dict[int, float]
    """Distance in pixels -> mean over images with a labelled or predicted pixel."""
    regions: dict[str, PixelCounts]
    sizes: dict[int, float]
    """Members in the mean, best first -> pooled F1."""

    def as_json(self) -> dict[str, Any]:
        """Return plain values, each figure under its full name."""
        return {
            "level": "pixel",
            "threshold": 0.5,
            **_named(self.counts),
            "f1_mean_of_batches": self.batch_mean_f1,
            "boundary_f1_px": {str(px): value for px, value in self.boundary.items()},
            "regions": {name: _named(counts) for name, counts in self.regions.items()},
            "f1_pooled_by_ensemble_size": {str(k): value for k, value in self.sizes.items()},
        }


def evaluate_pixels(
    data: PixelData,
    members: Sequence[SegmentationMember],
    *,
    device: str = "cpu",
    progress: reporting.Report = reporting.silent,
) -> PixelFigures:
    """Return the figures of the mean of `members`, best first, on images with masks.

    Parameters
    ----------
    data : PixelData
    members : sequence of SegmentationMember
        Their channels are among those of `data`.
    device : str
    progress : callable

    Raises
    ------
    InputError
        E180 to E184 for the data.
    """
    wanted = {name for own in members for name in own.channels}
    if lacking := sorted(wanted - set(data.channels)):
        raise InputError("E180", f"the data holds no channel {lacking[0]!r}, which a member reads.")
    sizes = [PixelCounts()] * len(members)
    regions: dict[str, PixelCounts] = {}
    batches: list[PixelCounts] = []
    edges: dict[int, list[float]] = {px: [] for px in BOUNDARY_PX}
    for i, (image, mask) in enumerate(data):
        progress(STAGE, i, len(data))
        means = _means(image, data.channels, members, device)
        for k, mean in enumerate(means):
            sizes[k] += PixelCounts.of(is_landslide(mean), mask)
        predicted = is_landslide(means[-1])
        own = PixelCounts.of(predicted, mask)
        regions[data.regions[i]] = regions.get(data.regions[i], PixelCounts()) + own
        if i % BATCH == 0:
            batches.append(PixelCounts())
        batches[-1] += own
        if own.predicted or own.labelled:
            for px, values in edges.items():
                values.append(boundary_f1(predicted, mask, px))
    progress(STAGE, len(data), len(data))
    if not sizes[-1].labelled:
        raise InputError("E184", "no pixel of the masks is a landslide; figures need some.")
    return PixelFigures(
        sizes[-1],
        float(np.mean([batch.f1 for batch in batches])),
        {px: float(np.mean(values)) for px, values in edges.items()},
        regions,
        {k: counts.f1 for k, counts in enumerate(sizes, 1)},
    )


def published_beside(members: Sequence[SegmentationMember], layout: str) -> list[str]:
    """Return the published figures of such members, with their meaning."""
    if layout == "l4s":
        return [
            f"published for {own.name}: {landslide4sense.ROWS[own.name].batch_f1:.4f}, the mean of "
            "batches of a random fifth of the training patches; not comparable with another region"
            for own in members
            if own.name in landslide4sense.ROWS
        ]
    if layout != "ganerod":
        return []
    planes = {len(own.channels) for own in members}
    settings = [name for name, bands in ganerod.SETTINGS.items() if {len(bands)} == planes]
    return [
        "published for setting "
        f"{name}: pooled F1 of one area in Norway by members in the mean: "
        + ", ".join(f"{k}: {value:.3f}" for k, value in ganerod.TEST_F1[name].items())
        for name in settings
    ]


def _means(
    image: npt.NDArray[Any], channels: tuple[str, ...], members: Sequence[SegmentationMember], device: str
) -> list[npt.NDArray[np.float64]]:
    """Return the mean probability of the first 1, 2, ... members."""
    total = np.zeros(image.shape[1:])
    means = []
    for k, own in enumerate(members, 1):
        chosen = image[[channels.index(name) for name in own.channels]]
        total = total + predict_image(chosen, own, PixelOptions(device=device))
        means.append(total / k)
    return means


def _named(counts: PixelCounts) -> dict[str, Any]:
    return {
        "f1_pooled": counts.f1,
        "precision": counts.precision,
        "recall": counts.recall,
        "iou": counts.iou,
        "pixels": counts.all,
        "landslide_pixels": counts.labelled,
        "predicted_pixels": counts.predicted,
    }
