"""Pixel figures: pooled against batch mean, counts of parts, boundaries."""

from __future__ import annotations

import numpy as np
import pytest

from landslide_map.models.segmentation.metrics import PixelCounts, batch_mean_f1, boundary_f1, pooled_f1


def test_counts_of_parts_add_up_to_those_of_all() -> None:
    rng = np.random.default_rng(1)
    predicted, labelled = rng.random((2, 6, 50)) > 0.6
    parts = [PixelCounts.of(p, t) for p, t in zip(predicted, labelled, strict=True)]
    total = sum(parts, PixelCounts())
    assert total == PixelCounts.of(predicted, labelled)
    assert total.f1 == pooled_f1(predicted, labelled)
    assert total.iou == pytest.approx(total.f1 / (2 - total.f1))
    assert total.f1 == pytest.approx(2 / (1 / total.precision + 1 / total.recall))


def test_the_mean_of_batches_is_another_figure() -> None:
    predicted = np.array([[1, 1, 1, 1], [0, 0, 0, 0]], bool)
    labelled = np.array([[1, 1, 1, 1], [1, 0, 0, 0]], bool)
    assert pooled_f1(predicted, labelled) == pytest.approx(8 / 9)
    assert batch_mean_f1(zip(predicted, labelled, strict=True)) == 0.5


def test_boundaries_agree_within_the_tolerance_only() -> None:
    mask = np.zeros((30, 30), bool)
    mask[5:15, 5:15] = True
    moved = np.roll(mask, 2, axis=1)
    assert boundary_f1(mask, mask, 0) == 1
    assert boundary_f1(mask, moved, 2) == 1
    assert 0 < boundary_f1(mask, moved, 1) < 1
    empty = np.zeros_like(mask)
    assert boundary_f1(empty, empty, 1) == 1
    assert boundary_f1(mask, empty, 1) == 0
