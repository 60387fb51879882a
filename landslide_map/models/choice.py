"""Which bundle judges, with which of its members, where, and from which probability on."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

from landslide_map.models.bundle import Bundle, load_bundle
from landslide_map.models.placement import Device, Precision, on_device
from landslide_map.models.profiles import with_profile
from landslide_map.models.skipping import skipping
from landslide_map.models.thresholds import decided_at
from landslide_map.operating_points import OperatingPoint
from landslide_map.progress import Report, silent


@dataclass(frozen=True, slots=True)
class Choice:
    """What makes two runs judge alike, in one small value that another process can be handed."""

    bundle: str | PathLike[str] | None = None
    """Folder of the bundle; the default bundle if not given."""
    profile: str | None = None
    """Which members vote; a key of :data:`~landslide_map.models.profiles.PROFILES`."""
    threshold: float | None = None
    """For every scenario, instead of its own; excludes `operating_point`."""
    operating_point: OperatingPoint | None = None
    """A key of :data:`~landslide_map.operating_points.OPERATING_POINTS`."""
    device: Device = "auto"
    """Where networks are computed."""
    precision: Precision = "float32"
    """Of the networks' matrix products."""
    batch_size: int | None = None
    """Windows in one forward pass of a network; by default what suits the device."""
    exact_early_exit: bool = False
    """Leave members unasked where no vote of theirs can change a class."""
    cascade: bool = False
    """Leave networks unasked where the bundle's rule trusts the other members; loses a little recall."""

    def load(self, report: Report = silent) -> Bundle:
        """Read the bundle and return it as chosen; `report` is told of the networks' progress.

        Raises
        ------
        LandslideMapError
            E402 unknown profile or operating point, E501 to E506 the bundle, E523 no such members, E525 no
            such operating point, E540 no rule for a cascade, E610 no such device.
        """
        return self.of(load_bundle(self.bundle), report)

    def of(self, bundle: Bundle, report: Report = silent) -> Bundle:
        """Return a bundle that was loaded before as chosen; see :meth:`load`."""
        if self.profile is not None:
            bundle = with_profile(bundle, self.profile)
        bundle = decided_at(bundle, self.threshold, self.operating_point)
        bundle = skipping(bundle, early_exit=self.exact_early_exit, cascade=self.cascade)
        return on_device(bundle, self.device, self.precision, self.batch_size, report)
