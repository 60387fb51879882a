"""Batches of training samples and of validation images, scaled as the network reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from landslide_map.models.segmentation.scaling import scale
from landslide_map.models.segmentation.spec import MULTIPLE, SegmentationSpec
from landslide_map.training.pixels.crops import augmented, crop_corner, jittered, random_crop
from landslide_map.training.pixels.recipe import Sampling

Images = list[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]]
"""Image ``(plane, y, x)`` and mask ``(y, x)`` of each."""
Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Planes ``(n, plane, y, x)`` and labels ``(n, 1, y, x)``."""


def scaled(images: Images, spec: SegmentationSpec) -> Images:
    """Return images as the network reads them."""
    return [(scale(pixels[None], spec.scaling)[0], mask) for pixels, mask in images]


@dataclass
class Samples:
    """Endless training samples; areas are cycled in shuffled order, so that each weighs the same."""

    images: Images
    sampling: Sampling
    rng: np.random.Generator

    def epoch(self) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        wanted = self.sampling.per_epoch or len(self.images)
        order: list[int] = []
        while len(order) < wanted:
            order += [int(i) for i in self.rng.permutation(len(self.images))]
        size = self.sampling.batch
        for start in range(0, wanted, size):
            yield _stacked([self._sample(i) for i in order[start : min(start + size, wanted)]])

    def _sample(self, index: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        image, mask = self.images[index]
        if self.sampling.per_epoch is not None:
            anywhere = self.rng.random() < self.sampling.anywhere
            image, mask = self._crop(image, mask) if anywhere else self._anchored(image, mask)
        if self.sampling.augment:
            image, mask = augmented(image, mask, self.rng)
        return jittered(image, self.sampling.jitter, self.rng) if self.sampling.jitter else image, mask

    def _anchored(self, image: npt.NDArray[Any], mask: npt.NDArray[Any]) -> Any:
        return random_crop(image, mask, self.sampling.crop, self.rng)

    def _crop(self, image: npt.NDArray[Any], mask: npt.NDArray[Any]) -> Any:
        size = self.sampling.crop
        anchor = divmod(int(self.rng.integers(mask.size)), mask.shape[1])
        top, left = crop_corner(mask.shape[0], mask.shape[1], size, *anchor)
        window = np.s_[top : top + size, left : left + size]
        return image[(slice(None), *window)], mask[window]


def validation_batches(images: Images, batch: int) -> Iterator[Batch]:
    """Yield all images, those of equal size together, cropped in the centre to multiples of 32 px."""
    together: Images = []
    for image, mask in images:
        cropped = _centre(image, mask)
        if together and (len(together) == batch or together[0][1].shape != cropped[1].shape):
            yield _stacked(together)
            together = []
        together.append(cropped)
    if together:
        yield _stacked(together)


def _centre(image: npt.NDArray[Any], mask: npt.NDArray[Any]) -> Any:
    sizes = [n // MULTIPLE * MULTIPLE for n in mask.shape]
    top, left = ((n - size) // 2 for n, size in zip(mask.shape, sizes, strict=True))
    window = np.s_[top : top + sizes[0], left : left + sizes[1]]
    return image[(slice(None), *window)], mask[window]


def _stacked(samples: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]) -> Batch:
    planes = np.stack([image for image, _ in samples]).astype(np.float32)
    labels = np.stack([mask for _, mask in samples])[:, None].astype(np.float32)
    return planes, labels
