"""Patches and a bundle of random weights: ``python -m tests.browser.make_patches FOLDER BUNDLE``."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from landslide_map.models.bundle.folder import save_bundle
from landslide_map.models.published.landslide4sense import BANDS
from landslide_map.models.segmentation.spec import ChannelScaling, SegmentationSpec
from tests.support.published_segmentation import seeded


def patch(seed: int, edge: int = 128) -> npt.NDArray[np.float64]:
    """Return smooth ground with a bright scar, ``(y, x, 14)``, as Landslide4Sense divides it."""
    rng = np.random.default_rng(seed)
    ground = 1 + ndimage.gaussian_filter(rng.normal(0, 1, (edge, edge, len(BANDS))), (6, 6, 0)) * 2
    y, x = np.mgrid[:edge, :edge]
    scar = np.hypot(y - edge * rng.uniform(0.3, 0.7), (x - edge * rng.uniform(0.3, 0.7)) * 2) < edge / 6
    ground[scar, :4] += 1.2
    return ground


def write_patches(folder: Path) -> None:
    """Write an .h5 of one patch and an .npy of two."""
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "image_1.h5", "w") as file:
        file["img"] = patch(1)
    np.save(folder / "two.npy", np.stack([patch(2), patch(3)]).astype(np.float32))


def write_bundle(folder: Path) -> Path:
    """Write a bundle of two small members on the bands of Landslide4Sense."""
    from safetensors.torch import save

    spec = SegmentationSpec(
        "unet", "resnet18", BANDS, ChannelScaling(missing=1e-6), decoder_channels=(16, 8, 4)
    )
    names = ("one", "other")
    files = {
        f"{name}.safetensors": save({k: v.contiguous() for k, v in seeded(spec, n).state_dict().items()})
        for n, name in enumerate(names)
    }
    members = [
        {
            "name": name,
            "kind": "segmentation",
            "input": "tiles",
            "channels": list(BANDS),
            "files": [f"{name}.safetensors"],
            "settings": {"segmentation": spec.as_json()},
        }
        for name in names
    ]
    document = {
        "name": "random-pixels",
        "version": "1",
        "description": "random weights",
        "unit": "pixel level",
        "licence": "none",
        "members": members,
        "scenarios": [{"name": "both", "weights": dict.fromkeys(names, 1.0), "threshold": 0.5}],
    }
    save_bundle(folder, document, files)
    return folder


if __name__ == "__main__":
    write_patches(Path(sys.argv[1]))
    write_bundle(Path(sys.argv[2]))
