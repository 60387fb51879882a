"""Products with weights on a CPU, the weights laid out beforehand for the library that multiplies.

Matrix products are nine tenths of a vision transformer. oneDNN, which comes with torch, multiplies float32
matrices faster than torch's default library once the weights are in its own layout (docs/decisions/0038).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_ONEDNN = torch.ops.mkldnn


def available() -> bool:
    """Whether this torch has the products; without them everything works, a little slower."""
    return hasattr(_ONEDNN, "_linear_pointwise") and hasattr(_ONEDNN, "_reorder_linear_weight")


class PackedProducts(TorchFunctionMode):
    """While entered, in the thread that entered it, products with a network's weights are the packed ones.

    A product is known by its weight, so it does not matter which module computes it, or how. Linear layers
    and convolutions of single pixels are products. The results differ from torch's own in rounding only.

    Parameters
    ----------
    network : Module
        With its weights, float32, on the CPU. They must stay the same objects.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        weights: list[Any] = [module.weight for module in network.modules() if _is_product(module)]
        self._packed = {id(weight): _ONEDNN._reorder_linear_weight(weight.flatten(1)) for weight in weights}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute a product as packed; let everything else be."""
        if func is functional.linear or func is functional.conv2d:
            return self._product(func, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _product(
        self, func: Any, input: Tensor, weight: Tensor, bias: Tensor | None = None, *rest: Any, **options: Any
    ) -> Tensor:
        packed = self._packed.get(id(weight))
        if packed is None:
            return torch.as_tensor(func(input, weight, bias, *rest, **options))
        if func is functional.linear:
            return _multiplied(input, packed, bias)
        return _multiplied(input.permute(0, 2, 3, 1), packed, bias).permute(0, 3, 1, 2)


def _multiplied(features: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    return torch.as_tensor(_ONEDNN._linear_pointwise(features, packed, bias, "none", [], ""))


def _is_product(module: nn.Module) -> bool:
    if isinstance(module, nn.Conv2d):
        single = module.kernel_size == module.stride == (1, 1) and module.padding in ((0, 0), "valid")
        return single and module.groups == 1
    return isinstance(module, nn.Linear)
