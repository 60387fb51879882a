"""Descriptions of the published networks as pixel members."""

from __future__ import annotations

from collections.abc import Sequence

from landslide_map.models.published import ganerod, landslide4sense
from landslide_map.models.segmentation.spec import SIX_CHANNEL, ChannelScaling, SegmentationSpec


def ganerod_spec(
    network: str,
    setting: str,
    statistics: tuple[Sequence[float], Sequence[float]] | None,
    channels: Sequence[str] = ganerod.BAND_NAMES,
) -> SegmentationSpec:
    """Return the description of a network of the heterogeneous ensemble.

    Parameters
    ----------
    network : str
        Name in :data:`.ganerod.NETWORKS`.
    setting : str
        ``s1``, ``s2``, ``s1s2`` or ``all``.
    statistics : (mean, std), optional
        Of the 15 published bands; without them the member reads numbers that are scaled already.
    channels : sequence of str
        What each of the 15 published bands is.
    """
    bands = ganerod.SETTINGS[setting]
    scaling = ChannelScaling()
    if statistics is not None:
        mean, std = (tuple(float(numbers[i]) for i in bands) for numbers in statistics)
        scaling = ChannelScaling("standard", mean, std)
    return SegmentationSpec(
        ganerod.NETWORKS[network],
        ganerod.ENCODER,
        tuple(channels[i] for i in bands),
        scaling,
        tile=ganerod.TILE,
        overlap=ganerod.OVERLAP,
    )


def l4s_spec(name: str) -> SegmentationSpec:
    """Return the description of a published network on Landslide4Sense: a name in :data:`.ROWS`."""
    row = landslide4sense.ROWS[name]
    six = row.architecture == SIX_CHANNEL
    return SegmentationSpec(
        row.architecture,
        row.encoder,
        landslide4sense.SIX_BANDS if six else landslide4sense.BANDS,
        ChannelScaling("six-channel" if six else "none", missing=landslide4sense.MISSING),
        adapter=row.adapter,
        tile=landslide4sense.PATCH,
        overlap=landslide4sense.OVERLAP,
    )
