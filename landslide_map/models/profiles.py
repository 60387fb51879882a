"""Named choices of a bundle's members: the operating scenarios of the published ensemble.

A profile is defined by what members read and cost, not by their names, so that it means the same in an
imported ensemble, in one trained on one's own data, and in the default bundle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from landslide_map.bands import GROUPS
from landslide_map.errors import BundleError, UsageError
from landslide_map.models.bundle import Bundle
from landslide_map.models.bundle_format import MemberEntry
from landslide_map.models.calibration import IDENTITY
from landslide_map.models.ensemble import Scenario

_Rule = Callable[[MemberEntry], bool]


def _optical_only(entry: MemberEntry) -> bool:
    return set(entry.channels) <= set(GROUPS["optical"])


def _sar_only(entry: MemberEntry) -> bool:
    return not set(entry.channels) & set(GROUPS["optical"])


def _network(entry: MemberEntry) -> bool:
    return entry.kind == "network"


PROFILES: Final[dict[str, tuple[str, _Rule]]] = {
    "all": ("every member (the nine of the published ensemble)", lambda entry: True),  # noqa: ARG005
    "networks": ("the networks without the boosters (seven)", _network),
    "boosters": ("the boosters, which need no graphics card (two)", lambda entry: not _network(entry)),
    "fastest-network": ("the one network of the fewest operations (v10)", _network),
    "optical-only": ("members that read Sentinel-2 only (v10)", _optical_only),
    "sar-only": ("members that read Sentinel-1 only (none of the published nine)", _sar_only),
}
"""Name -> what it is (in the published ensemble), and whether a member belongs to it."""


def with_profile(bundle: Bundle, profile: str) -> Bundle:
    """Return `bundle` with the members of a profile only.

    A scenario keeps its threshold with fewer members, but not its operating points; one whose calibration was
    fitted to all of its members is left out unless the profile has them all.

    Raises
    ------
    UsageError
        E402 if there is no such profile.
    BundleError
        E523 if the bundle has no member for it.
    """
    if profile not in PROFILES:
        raise UsageError("E402", f"there is no profile {profile!r}; choose one of {', '.join(PROFILES)}.")
    description, belongs = PROFILES[profile]
    entries = [entry for entry in bundle.document.members if belongs(entry)]
    if profile == "fastest-network":
        entries = sorted(entries, key=_cost)[:1]
    names = {entry.name for entry in entries}
    scenarios = tuple(
        reduced for scenario in bundle.scenarios if (reduced := _reduced(scenario, names)) is not None
    )
    if not scenarios:
        found = ", ".join(entry.name for entry in bundle.document.members)
        raise BundleError(
            "E523",
            f"{bundle.path}: no members for profile {profile!r} ({description}) are voting together in this "
            f"bundle; it holds {found}. Choose another profile or bundle.",
        )
    members = tuple(member for member in bundle.members if member.name in names)
    return replace(bundle, members=members, scenarios=scenarios)


def _cost(entry: MemberEntry) -> float:
    return float(entry.settings.get("gflop", float("inf")))


def _reduced(scenario: Scenario, names: set[str]) -> Scenario | None:
    """Return `scenario` among the members `names`; None if nothing meaningful is left."""
    weights = {name: weight for name, weight in scenario.weights.items() if name in names}
    if len(weights) == len(scenario.weights):
        return scenario
    if not weights or scenario.calibration != IDENTITY:
        return None
    return replace(scenario, weights=weights, operating_points={}, metrics=None)


def describe(bundle: Bundle) -> list[str]:
    """Return what a bundle holds, line by line."""
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
    lines.append("profiles:")
    for name in PROFILES:
        try:
            voters = ", ".join(member.name for member in with_profile(bundle, name).members)
        except BundleError:
            voters = "none here"
        lines.append(f"  {name}: {voters}")
    return lines
