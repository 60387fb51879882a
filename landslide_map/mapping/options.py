"""Run options: how a scene is mapped. Memory, overwriting, workers and reader leave the result the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.models.bundle.options import PredictionFields, PredictionOptions, with_fields
from landslide_map.options import Outline, Voters

if TYPE_CHECKING:
    from landslide_map.mapping.cluster.client import Cluster


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of a run."""

    stride: int | None = None
    """Step between windows, pixels; the scene's own if not given."""
    outline: Outline | None = None
    """Kind of outlines; by default that of the scene."""
    members: Voters | None = None
    """Members that vote on terrain-flattened backscatter; as the scene says if not given."""
    coregister: bool = False
    """Move displaced Sentinel-1 images of a track onto each other."""
    everywhere: bool = False
    """Compute the bundle's pixel members on the whole grid, not only near candidates."""
    memory: str | int | None = None
    """Limit of resident memory, such as ``"2GB"`` or bytes: of this process and the workers that it started
    together, of each worker elsewhere alone."""
    overwrite: bool = False
    """Replace an existing result, and discard the checkpoint of an interrupted run."""
    cluster: Cluster | None = None
    """Workers that predict the windows (:mod:`landslide_map.mapping.cluster.client`)."""
    load: Callable[[Path | None], Bundle] = load_bundle
    """Reader of bundles; a cached function shares bundles between scenes."""


class RunFields(PredictionFields, total=False):
    """Fields of :class:`PredictionOptions` and :class:`RunOptions`, as keywords of a call."""

    stride: int | None
    outline: Outline | None
    members: Voters | None
    coregister: bool
    everywhere: bool
    memory: str | int | None
    overwrite: bool
    cluster: Cluster | None
    load: Callable[[Path | None], Bundle]


def split_fields(
    prediction: PredictionOptions, run: RunOptions, given: Mapping[str, Any]
) -> tuple[PredictionOptions, RunOptions]:
    """Return both objects with the fields that a caller gave beside them.

    Raises
    ------
    TypeError
        If a field belongs to neither.
    """
    names = {field.name for field in fields(RunOptions)}
    return (
        with_fields(prediction, {name: value for name, value in given.items() if name not in names}),
        with_fields(run, {name: value for name, value in given.items() if name in names}),
    )
