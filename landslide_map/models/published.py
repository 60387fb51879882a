"""The nine members of the published ensemble and the operating scenarios of its paper.

References
----------
Nasios, I. (2026), "Multi-modal landslide detection from Sentinel-1 SAR and Sentinel-2 optical imagery
using multi-encoder vision transformers and ensemble learning", Remote Sensing Applications 42, 102037,
arXiv 2604.05959.
"""

from __future__ import annotations

from typing import Final

from landslide_map.bands import BACKSCATTER, CHANNELS, DIFFERENCES, INDICES, OPTICAL
from landslide_map.models.network_spec import Head, NetworkSpec, Scaling

THRESHOLD: Final = 0.49
"""A window is a landslide where the mean of the members is above it."""
FOLDS: Final = 5

_PWEE: Final = "vit_pwee_patch16_reg1_gap_256.sbb_in1k"
_CAFORMER: Final = "caformer_s18.sail_in22k_ft_in1k"
_ROPE: Final = "vit_medium_patch16_rope_reg1_gap_256.sbb_in1k"
_OPTICAL_AND_CHANGE: Final = (OPTICAL, DIFFERENCES)
_WITH_INDICES: Final = (OPTICAL, DIFFERENCES, INDICES)


def _fusion(head: Head, encoder: str, groups: tuple[tuple[str, ...], ...], scaling: Scaling) -> NetworkSpec:
    return NetworkSpec(head, (encoder,) * len(groups), groups, scaling)


NETWORKS: Final[dict[str, NetworkSpec]] = {
    "v10": _fusion("single", "maxvit_rmlp_tiny_rw_256.sw_in1k", (OPTICAL,), "robust"),
    "v20": _fusion("single", "vit_medium_patch16_reg4_gap_256.sbb_in12k_ft_in1k", (CHANNELS[4:],), "robust"),
    "v31": _fusion("v2", _PWEE, _OPTICAL_AND_CHANGE, "standard"),
    "v33": _fusion("v2", _PWEE, _OPTICAL_AND_CHANGE, "robust"),
    "v37": _fusion("v3", _PWEE, _WITH_INDICES, "standard"),
    "v39": _fusion("v3", _CAFORMER, _WITH_INDICES, "standard"),
    "v46": _fusion("v3c", _ROPE, (OPTICAL, BACKSCATTER, DIFFERENCES), "standard"),
}
"""Version name -> network."""

BOOSTERS: Final = {"v18b": "lightgbm", "v44": "xgboost"}
"""Version name -> library; both read the 126 features of :data:`STATISTICS` of all 18 channels."""
STATISTICS: Final = ("mean", "median", "min", "max", "std", "skew", "kurtosis")
"""Order of the boosters' features within a channel; channels in the order of ``bands.CHANNELS``."""

MEMBERS: Final = (*NETWORKS, *BOOSTERS)
"""All nine version names; their probabilities are averaged with equal weights."""
