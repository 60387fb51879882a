"""Float32 that is float32: torch rounds the factors of products to fewer bits where it is allowed to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def true_float32() -> Iterator[None]:
    """Let float32 mean float32 everywhere, and leave torch's settings as they were.

    By default cuDNN rounds the factors of a float32 convolution to TensorFloat-32, 10 bits; users may have
    allowed the like for matrix products. The settings belong to the process, not to a thread.
    """
    backends: Any = torch.backends
    if hasattr(backends.cudnn, "conv"):  # torch 2.9
        places = (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv)
        exact: list[tuple[Any, str, Any]] = [(place, "fp32_precision", "ieee") for place in places]
    else:
        exact = [(backends.cudnn, "allow_tf32", False)]
    before = [getattr(place, name) for place, name, _ in exact]
    try:
        products = torch.get_float32_matmul_precision()
    except RuntimeError:  # the newer settings were used, and torch then refuses to read the older
        products = "highest"
    torch.set_float32_matmul_precision("highest")
    for place, name, value in exact:
        setattr(place, name, value)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        for (place, name, _), value in zip(exact, before, strict=True):
            setattr(place, name, value)
