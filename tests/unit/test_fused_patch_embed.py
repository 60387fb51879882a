"""Windows read without enlarging them, against enlarging them and plain timm."""

from __future__ import annotations

import pytest
import timm
import torch

from landslide_map.models.networks.preprocessing import enlarge
from landslide_map.models.networks.speedups.fused_patch_embed import KERNEL, fold_stem, folded_kernel

ENCODER = "test_vit.r160_in1k"
"""A patch is 16 pixels."""


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def encoder(image_size: int) -> torch.nn.Module:
    made = timm.create_model(ENCODER, in_chans=3, num_classes=2, img_size=image_size)
    assert isinstance(made, torch.nn.Module)
    return made.eval()


@pytest.mark.parametrize("image_size", [128, 256, 512])
def test_a_folded_encoder_says_the_same_of_a_window_as_timm_of_the_enlarged_one(image_size: int) -> None:
    windows = random(2, 3, 64, 64)
    plain = encoder(image_size)
    state = plain.state_dict()
    folded = encoder(image_size)
    assert fold_stem(folded, image_size)
    folded.load_state_dict(state | {KERNEL: folded_kernel(state[KERNEL], image_size)})
    with torch.inference_mode():
        torch.testing.assert_close(folded(windows), plain(enlarge(windows, image_size)), atol=2e-6, rtol=1e-5)


def test_a_ramp_is_embedded_by_hand() -> None:
    """A patch of 16 pixels, enlarged fourfold, and a kernel that picks its first and last column."""
    kernel = torch.zeros(2, 1, 16, 16)
    kernel[0, 0, 0, 0] = kernel[1, 0, 0, 15] = 1
    folded = folded_kernel(kernel, 256)
    assert folded.shape == (2, 1, 6, 6)
    columns = torch.arange(6.0)  # of which 0 is the pixel before the patch
    # The first enlarged column lies at pixel -0.375 of the patch, the last at 3.375.
    assert (folded[0, 0] @ columns).sum() == 1 - 0.375
    assert (folded[1, 0] @ columns).sum() == 1 + 3.375


@pytest.mark.parametrize(
    ("name", "image_size"),
    [
        (ENCODER, 64),  # nothing to enlarge
        (ENCODER, 160),  # no whole number
        (ENCODER, 2048),  # a patch is half a pixel
        ("test_convnext.r160_in1k", 128),  # a stem without patches
    ],
)
def test_other_encoders_are_left_as_they_are(name: str, image_size: int) -> None:
    made = timm.create_model(name, in_chans=3, num_classes=2)
    before = repr(made)
    assert not fold_stem(made, image_size)
    assert repr(made) == before
