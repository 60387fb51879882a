"""Named choices of a bundle's members: the operating scenarios of the published ensemble.

A profile is defined by what members read and cost, not by their names, so that it means the same in an
imported ensemble, in one trained on one's own data, and in the default bundle. ``docs/profiles.md`` says
which row of the paper's table each is, and what is assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from landslide_map.bands import GROUPS
from landslide_map.errors import BundleError, UsageError
from landslide_map.models.bundle.format import MemberEntry, by_cost
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.voting.calibration import IDENTITY
from landslide_map.models.voting.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Profile:
    """One choice of members."""

    row: str
    """Row in the paper's table of operating scenarios."""
    members: str
    """Description of its members."""
    choose: Callable[[Sequence[MemberEntry]], list[MemberEntry]]
    cure: str = "Choose another profile or bundle."
    """Remedy where a bundle has no such member."""


def _networks(entries: Sequence[MemberEntry]) -> list[MemberEntry]:
    return [entry for entry in entries if entry.kind == "network"]


def _boosters(entries: Sequence[MemberEntry]) -> list[MemberEntry]:
    return [entry for entry in entries if entry.kind != "network"]


def _optical_only(entries: Sequence[MemberEntry]) -> list[MemberEntry]:
    return [entry for entry in entries if set(entry.channels) <= set(GROUPS["optical"])]


def _sar_only(entries: Sequence[MemberEntry]) -> list[MemberEntry]:
    return [entry for entry in entries if not set(entry.channels) & set(GROUPS["optical"])]


PROFILES: Final[dict[str, Profile]] = {
    "all": Profile("nine members", "every member", list),
    "networks": Profile("seven networks", "the networks without the boosters", _networks),
    "boosters": Profile("two boosters on CPU", "members on statistics, which need no GPU", _boosters),
    "fastest-network": Profile(
        "fastest network", "the network of the least time", lambda entries: by_cost(_networks(entries))[:1]
    ),
    "optical-only": Profile("optical only", "members that read Sentinel-2 alone", _optical_only),
    "sar-only": Profile(
        "SAR only",
        "members that read Sentinel-1 alone",
        _sar_only,
        "None of the published nine does: the default bundle has such members, and the recipe nasios-9-radar "
        "trains one beside the nine.",
    ),
}


def with_profile(bundle: Bundle, profile: str) -> Bundle:
    """Return `bundle` with the members of a profile only.

    A scenario keeps its threshold with fewer members, but neither its operating points nor its cascade. A
    scenario with a calibration fitted to all of its members is left out unless the profile has them all.

    Raises
    ------
    UsageError
        E402 if there is no such profile.
    BundleError
        E523 if the bundle has no member for it.
    """
    if profile not in PROFILES:
        raise UsageError("E402", f"there is no profile {profile!r}; choose one of {', '.join(PROFILES)}.")
    own = PROFILES[profile]
    names = {entry.name for entry in own.choose(bundle.document.members)}
    scenarios = tuple(
        reduced for scenario in bundle.scenarios if (reduced := _reduced(scenario, names)) is not None
    )
    if not scenarios:
        found = ", ".join(entry.name for entry in bundle.document.members)
        raise BundleError(
            "E523",
            f"{bundle.path}: no members for profile {profile!r} ({own.members}) are voting together in this "
            f"bundle; it holds {found}. {own.cure}",
        )
    members = tuple(member for member in bundle.members if member.name in names)
    return replace(bundle, members=members, scenarios=scenarios)


def _reduced(scenario: Scenario, names: set[str]) -> Scenario | None:
    """Return `scenario` among the members `names`; None if nothing meaningful is left."""
    weights = {name: weight for name, weight in scenario.weights.items() if name in names}
    if len(weights) == len(scenario.weights):
        return scenario
    if not weights or scenario.calibration != IDENTITY:
        return None
    return replace(scenario, weights=weights, operating_points={}, metrics=None, cascade=None)


def describe(bundle: Bundle) -> list[str]:
    """Return the content of a bundle, line by line."""
    document = bundle.document
    lines = [
        f"{bundle.name}: {document.description}",
        f"one probability is {document.unit}; licence {document.licence}",
        "members:",
    ]
    for entry in document.members:
        lines.append(f"  {entry.name} ({entry.kind}, {len(entry.files)} folds): {', '.join(entry.channels)}")
    lines.append("scenarios, best first:")
    for scenario in bundle.scenarios:
        join = "" if scenario.needs_all else " (as many as can)"
        lines.append(
            f"  {scenario.name}, threshold {scenario.threshold:g}: {', '.join(scenario.weights)}{join}"
        )
        if scenario.cascade and scenario.rule:
            lines.append(f"    cascade: {scenario.cascade.in_words(scenario.rule)}")
    for own in bundle.pixel_scenarios:
        lines.append(f"  {own.name} (pixels), threshold {own.threshold:g}: {', '.join(own.weights)}")
    if not bundle.scenarios:
        return lines
    lines.append("profiles, and the row of the published table of operating scenarios that each is:")
    for name, profile in PROFILES.items():
        try:
            voters = ", ".join(member.name for member in with_profile(bundle, name).members)
        except BundleError:
            voters = f"nothing in this bundle; it takes {profile.members}. {profile.cure}"
        lines.append(f"  {name} ({profile.row}): {voters}")
    return lines
