"""The thirteen published networks on Landslide4Sense: rows of the table, files, bands.

References
----------
Burange, P., Shinde, H., Mutyalwar, A., arXiv 2507.01123; Ghorbanzadeh et al., arXiv 2209.02556 (the data).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BANDS: Final = (*(f"l4s_b{i:02d}" for i in range(1, 13)), "l4s_slope", "l4s_elevation")
"""Bands of a patch in file order: Sentinel-2 B1 to B12 without B8A, slope, elevation."""
SIX_BANDS: Final = ("l4s_b02", "l4s_b03", "l4s_b04", "l4s_b08", "l4s_slope", "l4s_elevation")
"""Bands that the six-channel U-Net is made of."""
MISSING: Final = 1e-6
"""Number that stands for a missing pixel, as published."""
PATCH: Final = 128
OVERLAP: Final = 32


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the published table."""

    label: str
    architecture: str
    encoder: str
    batch_f1: float
    """Mean over validation batches of the batch's F1, on a random fifth of the *training* patches."""
    parameters: int
    file: str | None
    bytes: int | None
    sha256_start: str | None
    adapter: int | None = None


ROWS: Final = {
    "resnet34": Row("ResNet34", "unet", "resnet34", 0.7470, 24470865, "resnet34.pth", 98060464, "38886708"),
    "vgg16": Row("VGG16", "unet", "vgg16", 0.7357, 23754577, "vgg16.pth", 95074124, "b3238114"),
    "efficientnet_b0": Row(
        "EfficientNet-B0",
        "unet",
        "efficientnet-b0",
        0.7341,
        6254637,
        "effucientnetb0.pth",
        25351884,
        "0c877a1e",
    ),
    "resnext50": Row(
        "ResNeXt50", "unet", "resnext50_32x4d", 0.7330, 32027473, "resnext50-32x4d.pth", 128526588, "594a3bd1"
    ),
    "se_resnet50": Row(
        "SE-ResNet50", "unet", "se_resnet50", 0.7328, 35086593, "se_resnet50.pth", 140730492, "a356e88e"
    ),
    "densenet121": Row(
        "DenseNet121", "unet", "densenet121", 0.7290, 13642129, "densenet121.pth", 55221482, "0e1e021e"
    ),
    "se_resnext50": Row(
        "SE-ResNeXt50",
        "unet",
        "se_resnext50_32x4d",
        0.7279,
        34558465,
        "se_resnext50_32x4d.pth",
        138678396,
        "37a6f634",
    ),
    "inceptionv4": Row(
        "InceptionV4", "unet", "inceptionv4", 0.7246, 48795089, "inceptionv4.pth", 195807804, "661a86a7"
    ),
    "inceptionresnetv2": Row(
        "InceptionResNetV2",
        "unet",
        "inceptionresnetv2",
        0.7151,
        62032465,
        "inceptionresnetv2.pth",
        248900191,
        "972a29be",
    ),
    "deeplabv3plus": Row(
        "DeepLabV3+", "deeplabv3plus", "resnet50", 0.7141, 26712081, "deeplabv3.pth", 107211834, "e053f69a"
    ),
    "mobilenet_v2": Row(
        "MobileNetV2", "unet", "mobilenet_v2", 0.7119, 6632113, "mobilenetv2.pth", 26813172, "a743e627"
    ),
    "unet6": Row("U-Net", "unet6", "none", 0.7012, 1941537, None, None, None),
    "mit_b1": Row("MiT-B1", "unet", "mit_b1", 0.6989, 16432190, "mitb1.pth", 65829476, "326fb7a7", adapter=3),
}
"""Name of a network -> its row."""
