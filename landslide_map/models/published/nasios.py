"""The nine members of the published ensemble and the operating scenarios of its paper.

References
----------
Nasios, I. (2026), "Multi-modal landslide detection from Sentinel-1 SAR and Sentinel-2 optical imagery
using multi-encoder vision transformers and ensemble learning", Remote Sensing Applications 42, 102037,
arXiv 2604.05959.
"""

from __future__ import annotations

from typing import Final

from landslide_map.bands import BACKSCATTER, CHANNELS, DIFFERENCES, MODEL_BANDS
from landslide_map.models.networks.spec import Head, NetworkSpec, Scaling

THRESHOLD: Final = 0.49
"""A window is a landslide where the mean of the members is above it."""
FOLDS: Final = 5

_PWEE: Final = "vit_pwee_patch16_reg1_gap_256.sbb_in1k"
_CAFORMER: Final = "caformer_s18.sail_in22k_ft_in1k"
_ROPE: Final = "vit_medium_patch16_rope_reg1_gap_256.sbb_in1k"
# By position, as published: an encoder's planes are in the order of the labelled windows.
_OPTICAL: Final = MODEL_BANDS[:4]
_OPTICAL_AND_CHANGE: Final = (_OPTICAL, DIFFERENCES)
_WITH_INDICES: Final = (_OPTICAL, DIFFERENCES, CHANNELS[12:])


def _fusion(head: Head, encoder: str, groups: tuple[tuple[str, ...], ...], scaling: Scaling) -> NetworkSpec:
    return NetworkSpec(head, (encoder,) * len(groups), groups, scaling)


NETWORKS: Final[dict[str, NetworkSpec]] = {
    "v10": _fusion("single", "maxvit_rmlp_tiny_rw_256.sw_in1k", (_OPTICAL,), "robust"),
    "v20": _fusion("single", "vit_medium_patch16_reg4_gap_256.sbb_in12k_ft_in1k", (CHANNELS[4:],), "robust"),
    "v31": _fusion("v2", _PWEE, _OPTICAL_AND_CHANGE, "standard"),
    "v33": _fusion("v2", _PWEE, _OPTICAL_AND_CHANGE, "robust"),
    "v37": _fusion("v3", _PWEE, _WITH_INDICES, "standard"),
    "v39": _fusion("v3", _CAFORMER, _WITH_INDICES, "standard"),
    "v46": _fusion("v3c", _ROPE, (_OPTICAL, BACKSCATTER, DIFFERENCES), "standard"),
}
"""Version name -> network."""

BOOSTERS: Final = {"v18b": "lightgbm", "v44": "xgboost"}
"""Version name -> library; both read 126 statistics of all 18 channels."""
MEMBERS: Final = (*NETWORKS, *BOOSTERS)
"""All nine version names; their probabilities are averaged with equal weights."""

GFLOP: Final = {"v10": 13.4, "v20": 21.6, "v31": 17.5, "v33": 17.5, "v37": 26.3, "v39": 32.8, "v46": 63.9}
"""Network -> cost of one forward pass of one window, one fold, one flip."""
MILLISECONDS: Final = {
    "v10": 0.78,
    "v20": 0.49,
    "v31": 0.47,
    "v33": 0.47,
    "v37": 0.71,
    "v39": 2.53,
    "v46": 1.96,
}
"""Network -> time of that pass on a GPU (RTX 3090, mixed precision). The times are those of its encoders in
timm's own table ``results/benchmark-infer-amp-nhwc-pt240-cu124-rtx3090.csv``, v39's scaled from 224 to
256 px. Operations alone mislead: v10 has the fewest and is slower than four others."""
PUBLISHED_F1: Final = {
    "v10": 0.8744,
    "v20": 0.8496,
    "v31": 0.8976,
    "v33": 0.8963,
    "v37": 0.9003,
    "v39": 0.8986,
    "v46": 0.8943,
    "v18b": 0.8740,
    "v44": 0.8708,
}
"""Member -> out-of-fold F1 (window level) that the author reports for five folds."""
ENSEMBLE_F1: Final = 0.9216
"""Published F1 of all nine, as :data:`PUBLISHED_F1`."""
