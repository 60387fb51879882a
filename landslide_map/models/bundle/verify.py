"""Verification of a bundle beyond its hashes: each member votes once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from landslide_map.bands import MODEL_BANDS
from landslide_map.errors import BundleError
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.segmentation.member import SegmentationMember
from landslide_map.models.statistics.boosters import ParsedFolds
from landslide_map.models.statistics.features import BASE_STATISTICS
from landslide_map.windows import SIZE


def verify_members(bundle: Bundle) -> int:
    """Let every member vote and return how many files there are; E506 names the first that cannot be used."""
    files = 0
    for member in bundle.members:
        if isinstance(member, ParsedFolds):
            files += len(member.predictors)
            votes = member.predict(_statistics(member.channels))
        else:
            files += _verify_network(member)
            votes = member.predict(np.zeros((1, SIZE, SIZE, len(MODEL_BANDS)), np.float32))
        if not ((votes >= 0) & (votes <= 1)).all():
            raise BundleError("E506", f"member {member.name!r}: gave {votes[0]:g} as a probability.")
    return files + sum(map(_verify_pixel_member, bundle.pixel_members))


def _statistics(channels: Sequence[str]) -> xr.DataArray:
    """Return statistics of windows of ones, with medians, as a member on statistics takes them."""
    names = (*BASE_STATISTICS, "median")
    return xr.DataArray(
        np.ones((2, len(channels), len(names))),
        dims=("window", "channel", "statistic"),
        coords={"channel": list(channels), "statistic": list(names)},
    )


def _verify_pixel_member(member: SegmentationMember) -> int:
    for fold in range(len(member.files)):
        try:
            member.network(fold)
        except ValueError as error:
            raise BundleError(
                "E506", f"member {member.name}, fold {fold}: does not fit its network ({str(error)[:200]})."
            ) from error
        edge = np.zeros((1, len(member.channels), 64, 64), np.float32)
        if not np.isfinite(member.logits(edge, fold)).all():
            raise BundleError("E506", f"member {member.name}, fold {fold}: gave no number.")
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
