"""Bundles that decide elsewhere than at their default thresholds."""

from __future__ import annotations

from dataclasses import replace

from landslide_map.errors import BundleError, UsageError
from landslide_map.models.bundle import Bundle
from landslide_map.models.scenario import Scenario
from landslide_map.operating_points import OPERATING_POINTS, OperatingPoint


def decided_at(
    bundle: Bundle, threshold: float | None = None, operating_point: OperatingPoint | None = None
) -> Bundle:
    """Return `bundle` with other thresholds; neither given leaves them as they are.

    Parameters
    ----------
    bundle : Bundle
    threshold : float, optional
        For every scenario, on the calibrated probability.
    operating_point : str, optional
        A key of :data:`~landslide_map.operating_points.OPERATING_POINTS`: every scenario takes the
        threshold that was learned for it, out of fold.

    Raises
    ------
    UsageError
        E402 if both are given, or the operating point is unknown.
    BundleError
        E525 if no threshold for it was learned in some scenario.
    """
    if operating_point is None:
        if threshold is None:
            return bundle
        return replace(bundle, scenarios=tuple(replace(s, threshold=threshold) for s in bundle.scenarios))
    if threshold is not None:
        raise UsageError(
            "E402", f"give either threshold {threshold:g} or operating point {operating_point}, not both."
        )
    if operating_point not in OPERATING_POINTS:
        raise UsageError(
            "E402",
            f"there is no operating point {operating_point!r}; choose one of {', '.join(OPERATING_POINTS)}.",
        )
    return replace(bundle, scenarios=tuple(_moved(s, operating_point, bundle) for s in bundle.scenarios))


def _moved(scenario: Scenario, operating_point: OperatingPoint, bundle: Bundle) -> Scenario:
    if operating_point not in scenario.operating_points:
        known = ", ".join(scenario.operating_points) or "none"
        raise BundleError(
            "E525",
            f"{bundle.path}: scenario {scenario.name!r} has no operating point {operating_point!r} (it has "
            f"{known}): none was learned, or no threshold keeps what it promises. Use --threshold.",
        )
    return replace(scenario, threshold=scenario.operating_points[operating_point])
