"""Reliability of pixel members beside outlines, measured on maps of events with known landslides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rasterio.features import rasterize
from scipy.optimize import minimize

from landslide_map.array_types import Floats32
from landslide_map.errors import BundleError, Notice
from landslide_map.grid import Grid
from landslide_map.models.segmentation.fusion import Fusion, planes
from landslide_map.products import CANDIDATES, OUTLINE_PROBABILITY, PIXEL_PROBABILITY
from landslide_map.products.columns import CANDIDATES as LAYER
from landslide_map.products.geopackage import read_layer
from landslide_map.products.pixel_outlines import MEMBERS_TAG
from landslide_map.products.rasters import strips_of
from landslide_map.raster.dataset import open_dataset
from landslide_map.vector.inventory import read_inventory

STEPS: Final = 1000
"""Probabilities are counted in thousandths: all that outlines store."""
LEAST_EVENTS: Final = 2
LEAST_PIXELS: Final = 100
"""Least number of landslide pixels in each event."""

Counts = npt.NDArray[np.int64]
"""``(landslide, pixel thousandths, outline thousandths)``."""


@dataclass(frozen=True, slots=True)
class Learned:
    """Result of the comparison of maps with inventories."""

    fusion: Fusion | None
    """None where joining is not better on events that were left out."""
    figures: dict[str, Any]
    """F1 of pixels on events that were left out: ``f1_joint``, ``f1_pixels``, ``f1_outlines``, ``events``.
    Each has the threshold of its best F1 on the other events."""
    notices: tuple[Notice, ...] = ()


def learn_fusion(evidence: Sequence[tuple[Path, Path]], members: Sequence[str]) -> Learned:
    """Learn how to join two probabilities of a pixel, each event in turn left out for the figures.

    Parameters
    ----------
    evidence : sequence of (path, path)
        Folder of a finished map by these pixel members, and the complete inventory of its event. Neither the
        members nor the outlines may have been trained on them.
    members : sequence of str
        Names of the pixel members.

    Raises
    ------
    BundleError
        E557: fewer than two events, one without 100 pixels of landslide, or a map by other pixel members.
    InputError
        Those of maps and inventories that cannot be read.
    """
    notices: list[Notice] = []
    counts = [_counts(results, known, members, notices.append) for results, known in evidence]
    if len(counts) < LEAST_EVENTS:
        raise BundleError("E557", f"one event cannot be left out of itself; give {LEAST_EVENTS} or more.")
    unseen = {name: np.zeros(3, np.int64) for name in ("joint", "pixels", "outlines")}
    for number, own in enumerate(counts):
        others = np.add.reduce([other for i, other in enumerate(counts) if i != number])
        fusion = _fit(others)
        rules = {
            "joint": fusion(_OWN, _OTHER) > fusion.threshold,
            "pixels": _best(others, _OWN),
            "outlines": _best(others, _OTHER),
        }
        for name, positive in rules.items():
            unseen[name] += _confusion(own, positive)
    f1 = {f"f1_{name}": round(_f1(cells), 4) for name, cells in unseen.items()}
    pixels = np.add.reduce(counts)
    figures = {**f1, "events": len(counts), "pixels": int(pixels.sum()), "landslide": int(pixels[1].sum())}
    better = f1["f1_joint"] > max(f1["f1_pixels"], f1["f1_outlines"])
    learned = _fit(pixels).model_copy(update={"measured": figures}) if better else None
    return Learned(learned, figures, tuple(notices))


_THOUSANDTHS: Final = (np.arange(STEPS + 1) / STEPS).astype(np.float32)
_OWN, _OTHER = np.meshgrid(_THOUSANDTHS, _THOUSANDTHS, indexing="ij")
_CHOICES: Final = np.arange(0.05, 0.96, 0.01).round(2)
"""Thresholds that are tried."""


def _counts(results: Path, known: Path, members: Sequence[str], add: Callable[[Notice], object]) -> Counts:
    """Return how often each pair of probabilities occurs, on landslide and elsewhere."""
    named = read_layer(results / CANDIDATES, LAYER)[1].get(MEMBERS_TAG, "")
    if named != ", ".join(members):
        raise BundleError(
            "E557",
            f"{results} is a map by the pixel members {named or 'of none'}, not by {', '.join(members)}.",
        )
    with open_dataset(results / PIXEL_PROBABILITY) as source:
        grid = Grid(source.crs, source.transform, source.width, source.height)
    shapes, notices = read_inventory(known, grid)
    for notice in notices:
        add(notice)
    truth = rasterize(list(shapes), out_shape=grid.shape, transform=grid.transform, dtype="uint8")
    found, top = np.zeros((2, STEPS + 1, STEPS + 1), np.int64), 0
    for pixels, outlines in zip(
        strips_of(results / PIXEL_PROBABILITY), strips_of(results / OUTLINE_PROBABILITY), strict=True
    ):
        valid = np.isfinite(pixels)
        inside = truth[top : top + len(pixels)][valid].astype(np.int64)
        own, other = (
            np.rint(np.nan_to_num(values[valid]) * STEPS).astype(np.int64) for values in (pixels, outlines)
        )
        np.add.at(found, (inside, own, other), 1)
        top += len(pixels)
    if found[1].sum() < LEAST_PIXELS:
        raise BundleError(
            "E557", f"{results}: {found[1].sum()} landslide pixels; expected at least {LEAST_PIXELS}."
        )
    return found


def _fit(counts: Counts) -> Fusion:
    """Return the logistic regression of landslide on both logits, and the threshold of the best F1."""
    at = np.nonzero(counts.sum(axis=0))
    inside, (own, other) = planes(_THOUSANDTHS[at[0]], _THOUSANDTHS[at[1]])
    no, yes = counts[0][at].astype(np.float64), counts[1][at].astype(np.float64)
    columns = np.stack([np.ones(len(own)), own, inside.astype(np.float64), inside * other])
    total = no.sum() + yes.sum()

    def loss(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        z = weights @ columns
        slope = (no + yes) / (1 + np.exp(-z)) - yes
        return float(((no + yes) * np.logaddexp(0, z) - yes * z).sum() / total), columns @ slope / total

    bounds = [(None, None), (0, None), (None, None), (0, None)]
    shift, pixels, outlined, outlines = minimize(
        loss, np.array([0.0, 1.0, 0.0, 1.0]), jac=True, bounds=bounds, method="L-BFGS-B"
    ).x.round(4)
    drawn = Fusion(
        shift=float(shift),
        pixels=float(pixels),
        outlined=float(outlined),
        outlines=float(outlines),
        threshold=0.5,
    )
    return drawn.model_copy(update={"threshold": _best_threshold(counts, drawn(_OWN, _OTHER))})


def _best(counts: Counts, probability: Floats32) -> npt.NDArray[np.bool_]:
    """Return which pairs a probability alone calls landslide, by the threshold of its best F1."""
    return np.asarray(probability > _best_threshold(counts, probability))


def _best_threshold(counts: Counts, probability: Floats32) -> float:
    above = np.searchsorted(_CHOICES, probability.ravel(), side="left")  # how many thresholds it is above
    no, yes = (np.bincount(above, own.ravel(), len(_CHOICES) + 1)[::-1].cumsum()[::-1][1:] for own in counts)
    f1 = 2 * yes / np.maximum(yes + no + counts[1].sum(), 1)
    return float(_CHOICES[int(np.argmax(f1))])


def _confusion(counts: Counts, positive: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return right, false and missed pixels."""
    return np.array([counts[1][positive].sum(), counts[0][positive].sum(), counts[1][~positive].sum()])


def _f1(cells: npt.NDArray[np.int64]) -> float:
    right, false, missed = map(int, cells)
    return 2 * right / max(2 * right + false + missed, 1)
