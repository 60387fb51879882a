"""Names of tensors in the published files, and the same in our networks."""

from __future__ import annotations

from typing import Final, Literal

from landslide_map.models.segmentation.spec import SIX_CHANNEL, SegmentationSpec

System = Literal["ganerod", "landslide4sense"]

PREFIX: Final[dict[System, str]] = {"ganerod": "net.", "landslide4sense": "model."}
"""System -> prefix of every key: of Lightning's module, of the published wrapper."""
LOSS_WEIGHT: Final = "wce.weight"
"""Tensor of the published loss that the files of Landslide4Sense hold beside the network."""
_OLD_DEEPLAB: Final = {
    "decoder.0.": "decoder.aspp.",
    "decoder.1.": "decoder.conv.",
    "decoder.2.": "decoder.bn.",
}
"""Names of DeepLabV3's decoder in segmentation-models-pytorch before 0.4 -> since."""


def own_key(key: str, spec: SegmentationSpec, system: System) -> str:
    """Return the name in our network of a tensor in a published file; unknown names come back as they are.

    Files of Landslide4Sense: ``model.model.<name>``, behind a 1 x 1 convolution also ``model.conv.<name>``.
    The six-channel U-Net was never published as a torch file: its names may have no prefix.
    """
    key = key.removeprefix(PREFIX[system])
    if system == "landslide4sense" and spec.adapter is None and spec.architecture != SIX_CHANNEL:
        key = key.removeprefix("model.")
    if spec.architecture == "deeplabv3":
        for old, new in _OLD_DEEPLAB.items():
            if key.startswith(old):
                return new + key.removeprefix(old)
    return key
