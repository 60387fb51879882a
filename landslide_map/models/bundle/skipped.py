"""Skipped votes: options, counts and notices.

*Exact early exit* leaves out votes that cannot change a class. A *cascade* leaves out the networks where the
members on statistics are sure enough. Its rule was learned on windows that no member was trained on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from landslide_map.array_types import Bools
from landslide_map.errors import BundleError, Notice
from landslide_map.models.bundle.load import Bundle
from landslide_map.window_record import WindowRecord


def skipping(bundle: Bundle, *, early_exit: bool = False, cascade: bool = False) -> Bundle:
    """Return `bundle` with the votes set that it may skip.

    Raises
    ------
    BundleError
        E540 if a cascade is wanted and no scenario has a rule for its threshold.
    """
    if cascade and not any(scenario.rule for scenario in bundle.scenarios):
        rules = [rule for scenario in bundle.scenarios if scenario.cascade for rule in scenario.cascade.rules]
        thresholds = ", ".join(f"{value:g}" for value in sorted({rule.threshold for rule in rules}))
        reason = (
            f"its rules were learned for other thresholds than this run's ({thresholds})"
            if rules
            else "no scenario has networks, members on statistics, and evidence of what those would lose"
        )
        raise BundleError(
            "E540",
            f"{bundle.path}: has no cascade for this run: {reason}. Run without --cascade, or learn the rule "
            "from windows that no member has seen: landslide-map models learn-cascade BUNDLE DATA --out NEW",
        )
    return replace(bundle, early_exit=early_exit, cascade=cascade)


def vote_counts(bundle: Bundle, record: WindowRecord) -> dict[str, Any]:
    """Return, for ``run.json``, the options and in how many windows each member voted and was skipped."""
    voted, skipped = (votes.reshape(-1, votes.shape[-1]).sum(axis=0) for votes in _voted_and_skipped(record))
    return {
        "exact_early_exit": bundle.early_exit,
        "cascade": bundle.cascade,
        "members": {
            member.name: {"windows_predicted": int(voted[i]), "windows_skipped": int(skipped[i])}
            for i, member in enumerate(bundle.members)
        },
    }


def _voted_and_skipped(record: WindowRecord) -> tuple[Bools, Bools]:
    return np.isfinite(record.member_probability), record.skipped


def tags(bundle: Bundle) -> dict[str, str]:
    """Return metadata of rasters on skipped votes; empty if no vote is skipped."""
    modes = {"exact early exit": bundle.early_exit, "cascade": bundle.cascade}
    if not bundle.skips:
        return {}
    return {
        "skipped_votes": f"{' and '.join(name for name, on in modes.items() if on)}: some probabilities are "
        "means of fewer members; the vote of all lies from probability_low to probability_high in windows.nc"
    }


def skipped_notices(bundle: Bundle, record: WindowRecord) -> Iterator[Notice]:
    """Yield the notices on skipped votes."""
    if bundle.early_exit:
        yield Notice("I540", f"exact early exit: {_left_out(bundle, record)}")
    if bundle.cascade:
        for scenario in bundle.scenarios:
            if scenario.cascade and scenario.rule:
                rule = scenario.cascade.in_words(scenario.rule)
                yield Notice("W540", f"cascade, scenario {scenario.name!r}: {rule}")


def _left_out(bundle: Bundle, record: WindowRecord) -> str:
    networks = [i for i, member in enumerate(bundle.members) if member.input == "pixels"]
    if not networks:
        return "the bundle has no networks, and other members are never skipped: no vote was left out"
    voted, omitted = (int(votes[..., networks].sum()) for votes in _voted_and_skipped(record))
    windows = int(record.skipped.any(axis=-1).sum())
    return (
        f"{omitted} of {voted + omitted} votes of networks were skipped, in {windows} windows. Classes "
        "are those of a run without it; probabilities there lie from probability_low to probability_high"
    )
