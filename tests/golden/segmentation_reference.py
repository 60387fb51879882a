"""The independent reference numbers of the two published segmentation systems, where they are at hand."""

from __future__ import annotations

import importlib.util
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.support.shared_data import shared_data


@cache
def reference() -> ModuleType:
    """Return the module that makes inputs and weights of the reference; skip where it is absent."""
    path = shared_data("..", "reference", "segmentation_golden.py")
    found = importlib.util.spec_from_file_location("segmentation_golden", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@cache
def golden() -> dict[str, npt.NDArray[Any]]:
    """Return the stored arrays of the reference; skip where they are absent."""
    with np.load(shared_data("..", "reference", "segmentation_golden.npz")) as archive:
        return dict(archive)


def close(found: npt.NDArray[Any] | float, expected: npt.NDArray[Any] | float) -> None:
    """Assert equality to 1e-4 absolute plus 1e-4 relative."""
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


def ganerod_state(net: str, planes: int) -> dict[str, Any]:
    """Return the tensors of a checkpoint of the first system, named as published: ``net.`` and old names."""
    renamed = reference().deeplab_renames() if net == "deeplab" else str
    network = reference().fill(reference().s1_network(net, planes), int(golden()["seed"]), renamed)
    return {f"net.{renamed(key)}": tensor for key, tensor in network.state_dict().items()}


def l4s_state(net: str) -> dict[str, Any]:
    """Return the tensors of a file of the second system, named as published, without its loss."""

    def renamed(key: str) -> str:
        return key.removeprefix("model.") if net == "mit_b1" else key

    gain = reference().GAIN.get(net, np.float32(1))
    network = reference().fill(reference().s2_network(net), int(golden()["seed"]), renamed, gain)
    prefix = "model." if net in ("mit_b1", "unet6") else "model.model."
    return {prefix + key: tensor for key, tensor in network.state_dict().items()}
