"""Packed products against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from landslide_map.models.networks.speedups.packed_linear import PackedProducts, available

pytestmark = pytest.mark.skipif(not available(), reason="this torch has no packed products")


class Mixed(nn.Module):
    """Products computed by their module, by hand, and through a convolution of single pixels."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.pixels = nn.Conv2d(5, 7, 1, bias=bias)
        self.wide = nn.Conv2d(7, 7, 3, padding=1)
        self.own = nn.Linear(7, 6, bias=bias)
        self.by_hand = nn.Linear(6, 3, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = self.own(self.wide(self.pixels(images)).flatten(2).transpose(1, 2))
        bias = torch.ones(3)
        return functional.linear(found, weight=self.by_hand.weight, bias=bias)


def test_results_differ_in_rounding_only_and_every_product_is_packed() -> None:
    network = Mixed(bias=True).eval()
    images = torch.randn(2, 5, 9, 9, generator=torch.Generator().manual_seed(0))
    packed = PackedProducts(network)
    with torch.inference_mode():
        expected = network(images)
        for own in (images, images.contiguous(memory_format=torch.channels_last)):
            with packed:
                found = network(own)
            torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
        # Weights that are not there any more show what read them: only the convolution of 3 x 3 pixels.
        for module in (network.pixels, network.own, network.by_hand):
            module.weight.data = torch.full_like(module.weight, float("nan"))
        with packed:
            torch.testing.assert_close(network(images), expected, atol=1e-6, rtol=1e-6)
        assert network(images).isnan().all()


@pytest.mark.parametrize(
    "options", [{"kernel_size": 3}, {"kernel_size": 1, "stride": 2}, {"kernel_size": 1, "groups": 2}]
)
def test_other_convolutions_are_left_alone(options: dict[str, int]) -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, **options))
    images = torch.randn(1, 4, 8, 8)
    with torch.inference_mode():
        expected = network(images)
        with PackedProducts(network):
            assert torch.equal(network(images), expected)
