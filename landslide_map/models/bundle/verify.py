"""Whether every model file of a bundle can be loaded, beyond its hash."""

from __future__ import annotations

from landslide_map.errors import BundleError
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.segmentation.member import SegmentationMember
from landslide_map.models.statistics.boosters import ParsedFolds


def verify_members(bundle: Bundle) -> int:
    """Load every member's files and return how many there are; E506 names the first that cannot be used."""
    files = 0
    for member in bundle.members:
        if isinstance(member, ParsedFolds):
            files += len(member.predictors)
        else:
            files += _verify_network(member)
    return files + sum(map(_verify_pixel_member, bundle.pixel_members))


def _verify_pixel_member(member: SegmentationMember) -> int:
    for fold in range(len(member.files)):
        try:
            member.network(fold)
        except ValueError as error:
            raise BundleError(
                "E506", f"member {member.name}, fold {fold}: does not fit its network ({str(error)[:200]})."
            ) from error
        member.unloaded()
    return len(member.files)


def _verify_network(member: object) -> int:
    from safetensors import SafetensorError, safe_open

    from landslide_map.models.networks.architecture import misfits
    from landslide_map.models.networks.network_member import NetworkMember

    assert isinstance(member, NetworkMember)
    for path in member.folds:
        try:
            with safe_open(path, framework="pt") as file:
                found = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise BundleError("E506", f"{path}: is no safetensors file ({error}).") from error
        if wrong := misfits(found, member.spec):
            raise BundleError(
                "E506", f"{path}: does not fit its network: {wrong[0]} ({len(wrong)} differences)."
            )
    return len(member.folds)
