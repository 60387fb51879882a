"""What torch allows of float32, before, inside and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from landslide_map.models.networks.speedups.exact_float32 import true_float32

BACKENDS: Any = torch.backends
NEWER = hasattr(BACKENDS.cudnn, "conv")


def allowed() -> list[object]:
    if not NEWER:
        return [BACKENDS.cudnn.allow_tf32, torch.get_float32_matmul_precision()]
    places = (BACKENDS.cuda.matmul, BACKENDS.cudnn.conv, BACKENDS.mkldnn.matmul, BACKENDS.mkldnn.conv)
    return [place.fp32_precision for place in places]


EXACT = ["ieee"] * 4 if NEWER else [False, "highest"]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    torch.set_float32_matmul_precision("highest")
    BACKENDS.cudnn.allow_tf32 = True


def nothing() -> None:
    """Leave torch as it comes: convolutions may be rounded."""


def products_by_the_older_setting() -> None:
    torch.set_float32_matmul_precision("medium")


def products_by_the_newer_setting() -> None:
    BACKENDS.cuda.matmul.fp32_precision = "tf32"


@pytest.mark.parametrize(
    "user",
    [
        nothing,
        products_by_the_older_setting,
        pytest.param(
            products_by_the_newer_setting, marks=pytest.mark.skipif(not NEWER, reason="not in this torch")
        ),
    ],
)
def test_float32_is_exact_inside_and_as_it_was_outside_even_after_an_error(user: Callable[[], None]) -> None:
    user()
    before = allowed()
    assert before != EXACT
    with true_float32():
        assert allowed() == EXACT
        torch.nn.functional.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3))  # reads the settings
    assert allowed() == before
    with pytest.raises(KeyError), true_float32():
        raise KeyError
    assert allowed() == before


@pytest.mark.gpu
def test_a_convolution_on_a_gpu_is_as_exact_as_on_a_cpu() -> None:
    images = torch.randn(1, 64, 32, 32, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(64, 64, 3, 3, generator=torch.Generator().manual_seed(1))
    exact = torch.nn.functional.conv2d(images.double(), weights.double())
    with true_float32():
        found = torch.nn.functional.conv2d(images.cuda(), weights.cuda()).cpu()
    assert (found - exact).abs().max() < 1e-4  # TensorFloat-32 is wrong by about 0.03
