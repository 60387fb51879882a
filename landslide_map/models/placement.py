"""Where and how a bundle's networks are computed, said without importing torch until there is one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from landslide_map.errors import Notice
from landslide_map.models.bundle import Bundle
from landslide_map.progress import Report, silent

if TYPE_CHECKING:
    from landslide_map.models.networks.member import Runtime

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bfloat16", "float16"]

PLACEMENT: Final = ("device", "precision", "batch_size")
"""What is asked of a network's computer; what comes of it says :func:`placed_on`."""


def on_device(
    bundle: Bundle,
    device: Device = "auto",
    precision: Precision = "float32",
    batch_size: int | None = None,
    report: Report = silent,
) -> Bundle:
    """Return `bundle` with its networks told where and how to compute; E610 before any work.

    A reduced precision is tried first. Where one network is wrong in it, all are computed in float32, and the
    bundle's notices have W613.
    """
    if not bundle.needs_pixels:
        return bundle
    from landslide_map.models.networks.member import NetworkMember, Runtime

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
    from landslide_map.models.networks.member import NetworkMember

    members = tuple(
        replace(member, runtime=runtime) if isinstance(member, NetworkMember) else member
        for member in bundle.members
    )
    return replace(bundle, members=members)


def placed_on(bundle: Bundle) -> dict[str, Any] | None:
    """Return the kind of device, precision and batch of a bundle's networks; None if it has none."""
    if not bundle.needs_pixels:
        return None
    from landslide_map.models.networks.member import NetworkMember

    for member in bundle.members:
        if isinstance(member, NetworkMember):
            runtime = member.runtime
            device = runtime.torch_device().type
            return {"device": device, "precision": runtime.precision, "batch_size": runtime.batch_size}
    return None
