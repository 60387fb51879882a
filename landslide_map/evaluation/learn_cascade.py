"""Cascades for existing bundles, learned on windows that no member was trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from shutil import copyfile

import numpy as np
import numpy.typing as npt

from landslide_map.array_types import Labels
from landslide_map.datasets.window_arrays import Windows
from landslide_map.errors import BundleError, Notice, UsageError
from landslide_map.evaluation.member_votes import MemberVotes, collect_votes
from landslide_map.evaluation.out_of_fold import kept_votes, training_folds
from landslide_map.models.bundle.folder import check_free, save_bundle
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.models.bundle.options import on_device
from landslide_map.models.voting.cascade import CASCADES, Cascade, cascades_file
from landslide_map.options import Device, Precision
from landslide_map.runtime.progress import Report, silent
from landslide_map.training.cascade import learned_cascade
from landslide_map.training.model_card import CARD, cascade_section


@dataclass(frozen=True, slots=True)
class LearnedCascades:
    """Result of :func:`learn_cascade`."""

    out: Path
    cascades: Mapping[str, Cascade]
    """Scenario -> its rules and their evidence."""
    notices: tuple[Notice, ...]


def learn_cascade(
    bundle: str | PathLike[str] | None,
    out: str | PathLike[str],
    windows: Windows | None = None,
    *,
    labels: Labels | None = None,
    folds: npt.NDArray[np.int64] | None = None,
    out_of_fold: bool = False,
    device: Device = "auto",
    precision: Precision = "float32",
    overwrite: bool = False,
    report: Report = silent,
) -> LearnedCascades:
    """Write a copy of a bundle with the losses of its members on statistics alone.

    Parameters
    ----------
    bundle : path, optional
    out : path
        Folder of the copy.
    windows : Windows, optional
        That no member has seen; without them the out-of-fold votes are taken that the bundle keeps.
    labels : ndarray, (window,), optional
        1 for landslides, 0 for others: of what all members find together, only landslides need be kept then.
    folds : ndarray, (window,), optional
        Of the bundle's own training windows, with `out_of_fold`: to divide them as they were then.
    out_of_fold : bool
        `windows` are those of the training: in each only those models vote that had not seen it.
    device, precision
        Of the networks.
    overwrite : bool
        Replace an existing bundle.
    report : Report

    Raises
    ------
    BundleError
        E501 to E506 the bundle, E541 if it has no scenario for a cascade, was trained on the windows, or
        finds nothing in them.
    InputError
        E141 windows that cannot be used.
    UsageError
        E402 no labels, E526 if it keeps no votes, or does not say how its training windows were divided.
    """
    out = Path(out)
    check_free(out, overwrite=overwrite)
    ready = load_bundle(bundle)
    _refuse_without_need(ready)
    notices: tuple[Notice, ...] = ()
    evidence = f"out of fold, {ready.document.training.get('division', 'given')} folds"
    if windows is None:
        votes, labels, _ = kept_votes(ready)
    else:
        left_out = None
        if out_of_fold:
            if labels is None:
                raise UsageError(
                    "E402", "out of fold, the labels of the windows are needed: give a folder with Train.csv."
                )
            left_out = training_folds(ready, labels, windows.ids, folds)
        else:
            evidence, notices = _unseen(ready, windows)
        placed = on_device(ready, device, precision, report=report)
        notices += placed.notices
        votes = collect_votes(windows, placed, folds=left_out)
    cascades = _learned(ready, votes, labels, evidence)
    save_bundle(out, ready.document.model_dump(mode="json"), _contents(ready, cascades), overwrite=overwrite)
    return LearnedCascades(out, cascades, notices)


def _refuse_without_need(bundle: Bundle) -> None:
    for scenario in bundle.scenarios:
        inputs = {member.input for member in bundle.members if member.name in scenario.weights}
        if scenario.needs_all and len(inputs) == 2:
            return
    raise BundleError(
        "E541",
        f"{bundle.path}: no scenario in which all members need to vote has both networks and members on "
        "statistics, so no network could be skipped.",
    )


def _unseen(bundle: Bundle, windows: Windows) -> tuple[str, tuple[Notice, ...]]:
    """Return why no member had seen the windows; a refusal if some had."""
    if seen := bundle.trained_on(windows.ids):
        raise BundleError(
            "E541",
            f"{bundle.path} was trained on {seen} of these {len(windows.ids)} windows, on which its members "
            "agree better than elsewhere. Give other windows, or these with --out-of-fold.",
        )
    if bundle.training_windows:
        return "not trained on", ()
    return "said to be not trained on", (
        Notice(
            "W541",
            f"{bundle.path} does not say on which windows it was trained. That it never saw these "
            f"{len(windows.ids)} is not checked. If it did, the cascade loses more than it states",
        ),
    )


def _learned(bundle: Bundle, votes: MemberVotes, labels: Labels | None, evidence: str) -> dict[str, Cascade]:
    cheap = [member.name for member in bundle.members if member.input == "statistics"]
    chosen = votes.select_scenario(bundle.scenarios)
    found = {}
    for number, scenario in enumerate(bundle.scenarios):
        rows = chosen == number
        known = None if labels is None else labels[rows]
        cascade = learned_cascade(scenario, votes.members, cheap, votes.predictions[rows], evidence, known)
        if cascade is not None:
            found[scenario.name] = cascade
    if not found:
        raise BundleError(
            "E541",
            f"{bundle.path} finds no landslide in these {len(votes.predictions)} windows where networks and "
            "other members vote together. What the others alone would lose is unknown; give more windows.",
        )
    return found


def _contents(bundle: Bundle, cascades: Mapping[str, Cascade]) -> dict[str, bytes | Callable[[Path], None]]:
    """Return the files of a copy of a bundle with other cascades."""
    contents: dict[str, bytes | Callable[[Path], None]] = {
        name: partial(copyfile, bundle.path / name) for name in bundle.document.files
    }
    contents[CASCADES] = cascades_file(cascades)
    before = (bundle.path / CARD).read_text("utf-8").split("\n## Cascade\n")[0] if CARD in contents else ""
    contents[CARD] = (before.rstrip() + "\n\n" + "\n".join(cascade_section(cascades))).encode()
    return contents
