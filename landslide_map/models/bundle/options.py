"""Prediction options: bundle, profile, threshold, device, and skipped votes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

from landslide_map.errors import BundleError, Notice, UsageError
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.models.bundle.profiles import with_profile
from landslide_map.models.bundle.skipped import skipping
from landslide_map.models.voting.scenario import Scenario
from landslide_map.options import OPERATING_POINTS, Device, OperatingPoint, Precision
from landslide_map.runtime.progress import Report, silent

if TYPE_CHECKING:
    from landslide_map.models.networks.runtime import Runtime

PLACEMENT: Final = ("device", "precision", "batch_size")
"""Requested device, precision and batch size; :func:`placed_on` returns the values in use."""


@dataclass(frozen=True, slots=True)
class PredictionOptions:
    """Options that decide the predictions of a run; a value that other processes can receive.

    :meth:`apply` sets a loaded bundle to them.
    """

    bundle: str | PathLike[str] | None = None
    """Folder of the bundle; the default bundle if not given."""
    profile: str | None = None
    """Which members vote; a key of :data:`~landslide_map.models.bundle.profiles.PROFILES`."""
    threshold: float | None = None
    """Threshold for every scenario, instead of its own; excludes `operating_point`."""
    operating_point: OperatingPoint | None = None
    """A key of :data:`~landslide_map.options.OPERATING_POINTS`."""
    device: Device = "auto"
    """Device for networks."""
    precision: Precision = "float32"
    """Precision of the networks' matrix products."""
    batch_size: int | None = None
    """Windows in one forward pass of a network; by default chosen for the device."""
    exact_early_exit: bool = False
    """Skip members where their vote cannot change a class."""
    cascade: bool = False
    """Skip networks where the bundle's rule accepts the other members; loses a little recall."""

    def load(self, report: Report = silent) -> Bundle:
        """Read the bundle and return it as chosen; `report` receives the networks' progress.

        Raises
        ------
        LandslideMapError
            E402 unknown profile or operating point, E501 to E506 the bundle, E523 no such members. E525 no
            such operating point, E540 no rule for a cascade, E610 no such device.
        """
        return self.apply(load_bundle(self.bundle), report)

    def apply(self, bundle: Bundle, report: Report = silent) -> Bundle:
        """Return a bundle that was loaded before as chosen; see :meth:`load`."""
        if self.profile is not None:
            bundle = with_profile(bundle, self.profile)
        bundle = decided_at(bundle, self.threshold, self.operating_point)
        bundle = skipping(bundle, early_exit=self.exact_early_exit, cascade=self.cascade)
        return on_device(bundle, self.device, self.precision, self.batch_size, report)


class BundleFields(TypedDict, total=False):
    """Fields of :class:`PredictionOptions` for a bundle that is given beside them, as keywords of a call."""

    profile: str | None
    threshold: float | None
    operating_point: OperatingPoint | None
    device: Device
    precision: Precision
    batch_size: int | None
    exact_early_exit: bool
    cascade: bool


class PredictionFields(BundleFields, total=False):
    """Fields of :class:`PredictionOptions`, as keywords of a call."""

    bundle: str | PathLike[str] | None


Options = TypeVar("Options")


def with_fields(options: Options, given: Mapping[str, Any]) -> Options:
    """Return an options object with the fields that a caller gave beside it.

    Raises
    ------
    TypeError
        If the object has no such field, as Python does for an unknown keyword.
    """
    return replace(options, **given) if given else options  # type: ignore[type-var]


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
        A key of :data:`~landslide_map.options.OPERATING_POINTS`: every scenario takes the
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


def on_device(
    bundle: Bundle,
    device: Device = "auto",
    precision: Precision = "float32",
    batch_size: int | None = None,
    report: Report = silent,
) -> Bundle:
    """Return `bundle` with the device and precision of its networks set; E610 before any work.

    A reduced precision is tried first. Where one network is wrong in it, all are computed in float32, and the
    bundle's notices have W613.
    """
    if not bundle.needs_pixels:
        return bundle
    from landslide_map.models.networks.network_member import NetworkMember
    from landslide_map.models.networks.runtime import Runtime

    runtime = Runtime(device, precision, batch_size, report)
    runtime.torch_device()  # refuse before any work
    placed = _placed(bundle, runtime)
    for member in placed.members:
        if isinstance(member, NetworkMember) and (fault := member.fault()):
            notice = Notice(
                "W613",
                f"{member.name} cannot be computed in {precision} on this {runtime.torch_device().type}: "
                f"{fault}. All networks are computed in float32 instead",
            )
            exact = _placed(bundle, replace(runtime, precision="float32"))
            return replace(exact, notices=(*bundle.notices, notice))
    return placed


def _placed(bundle: Bundle, runtime: Runtime) -> Bundle:
    from landslide_map.models.networks.network_member import NetworkMember

    members = tuple(
        replace(member, runtime=runtime) if isinstance(member, NetworkMember) else member
        for member in bundle.members
    )
    return replace(bundle, members=members)


def placed_on(bundle: Bundle) -> dict[str, Any] | None:
    """Return the kind of device, precision and batch of a bundle's networks; None if it has none."""
    if not bundle.needs_pixels:
        return None
    from landslide_map.models.networks.network_member import NetworkMember

    for member in bundle.members:
        if isinstance(member, NetworkMember):
            runtime = member.runtime
            device = runtime.torch_device().type
            return {"device": device, "precision": runtime.precision, "batch_size": runtime.batch_size}
    return None
