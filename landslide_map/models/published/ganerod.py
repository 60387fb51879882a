"""The published heterogeneous ensemble: nine networks, five losses, two learning rates, four settings.

References
----------
Ganerod, A. J., Franch, G., Lindsay, E., Calovi, M., "Automating global landslide detection with
heterogeneous ensemble deep-learning classification", arXiv 2310.05959; weights: Zenodo record 13471162.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SETTINGS: Final = {
    "s1": tuple(range(9)),
    "s2": (13, 14),
    "s1s2": (*range(9), 13, 14),
    "all": tuple(range(15)),
}
"""Setting -> which of the 15 published bands: 0-8 radar, 9-12 terrain, 13-14 optical change."""
BANDS: Final = 15
FOLDERS: Final = {
    "s1": "sentinel1_ensemble",
    "s2": "sentinel2_ensemble",
    "s1s2": "sentinel1_and_2_ensemble",
    "all": "all_ch_ensemble",
}
"""Setting -> folder of the published weights."""
NETWORKS: Final = {
    "deeplab": "deeplabv3",
    "deeplabplus": "deeplabv3plus",
    "fpn": "fpn",
    "linknet": "linknet",
    "manet": "manet",
    "pan": "pan",
    "pspnet": "pspnet",
    "unet": "unet",
    "unetplusplus": "unetplusplus",
}
"""Published name -> architecture, in the order of the published grid."""
LOSSES: Final = ("bce", "dice", "focal", "jaccard", "lovasz")
LEARNING_RATES: Final = (0.001, 0.01)
ENCODER: Final = "resnet34"
RUNS: Final = len(NETWORKS) * len(LOSSES) * len(LEARNING_RATES)
TILE: Final = 256
"""Edge of a training crop, pixels."""
OVERLAP: Final = 64
TEST_F1: Final = {
    "s1": {1: 0.288, 5: 0.446, 10: 0.436, 15: 0.398, 20: 0.405, 30: 0.416, 40: 0.434, 60: 0.422, 90: 0.393},
    "s2": {1: 0.525, 5: 0.574, 10: 0.569, 15: 0.597, 20: 0.614, 30: 0.611, 40: 0.603, 60: 0.593, 90: 0.604},
    "s1s2": {1: 0.644, 5: 0.683, 10: 0.679, 15: 0.688, 20: 0.691, 30: 0.691, 40: 0.688, 60: 0.685, 90: 0.672},
    "all": {1: 0.650, 5: 0.669, 10: 0.661, 15: 0.674, 20: 0.666, 30: 0.673, 40: 0.677, 60: 0.676, 90: 0.672},
}
"""Setting -> members in the mean -> pixel F1 of the Norwegian test area, as published.

Partly read off the published figures: +-0.004, one member +-0.01.
"""


@dataclass(frozen=True, slots=True)
class PublishedRun:
    """One of the 90 trained networks of a setting."""

    number: int
    network: str
    loss: str
    learning_rate: float


def run(number: int) -> PublishedRun:
    """Return the run of a published number, ``10 * network + 2 * loss + learning rate``.

    Raises
    ------
    ValueError
        If `number` is not from 0 to 89.
    """
    if not 0 <= number < RUNS:
        raise ValueError(f"run {number} is not from 0 to {RUNS - 1}")
    network, rest = divmod(number, 10)
    loss, rate = divmod(rest, 2)
    return PublishedRun(number, tuple(NETWORKS)[network], LOSSES[loss], LEARNING_RATES[rate])


def setting_of(planes: int) -> str:
    """Return the setting of a network of so many input planes; ``ValueError`` for none of them."""
    for name, bands in SETTINGS.items():
        if len(bands) == planes:
            return name
    raise ValueError(f"{planes} input planes are those of no published setting (9, 2, 11 or 15)")


def band_name(position: int) -> str:
    """Return the name of a published band; its authors do not state its content."""
    return f"ganerod_{position:02d}"


BAND_NAMES: Final = tuple(band_name(i) for i in range(BANDS))
