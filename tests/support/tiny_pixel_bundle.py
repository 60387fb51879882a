"""A bundle with a small pixel member of random weights."""

from __future__ import annotations

from pathlib import Path

from landslide_map.models.bundle.folder import save_bundle
from landslide_map.models.segmentation.spec import ChannelScaling, SegmentationSpec
from tests.support.published_segmentation import seeded

CHANNELS = ("red", "nir", "ndvi_post", "both_diff_vv", "both_diff_vh")


def tiny_spec(channels: tuple[str, ...] = CHANNELS, tile: int = 64) -> SegmentationSpec:
    scaling = ChannelScaling("standard", (0.5,) * len(channels), (400.0,) * len(channels))
    return SegmentationSpec(
        "unet", "resnet18", channels, scaling, tile=tile, overlap=16, decoder_channels=(16, 8, 4)
    )


def tiny_pixel_bundle(folder: Path, spec: SegmentationSpec | None = None) -> Path:
    """Write the bundle and return its folder."""
    from safetensors.torch import save

    spec = spec or tiny_spec()
    weights = save({key: value.contiguous() for key, value in seeded(spec).state_dict().items()})
    member = {
        "name": "tiny",
        "kind": "segmentation",
        "input": "tiles",
        "channels": list(spec.channels),
        "files": ["tiny.safetensors"],
        "settings": {"segmentation": spec.as_json()},
    }
    scenario = {"name": "tiny", "weights": {"tiny": 1.0}, "threshold": 0.5}
    document = {
        "name": "tiny-pixels",
        "version": "1",
        "description": "random weights",
        "unit": "pixel level",
        "licence": "none",
        "members": [member],
        "scenarios": [scenario],
    }
    save_bundle(folder, document, {"tiny.safetensors": weights})
    return folder
