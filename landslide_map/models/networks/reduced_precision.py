"""Reduced precision that is checked first: stems stay in float32, other products are compared with float32.

Libraries choose other kernels on other CPUs, and some of them were wrong. On CPUs with AMX, oneDNN's bfloat16
convolution of few channels gave errors as large as its values (docs/decisions/0043).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import interpolate
from torch.overrides import TorchFunctionMode

from landslide_map.bands import CHANNELS
from landslide_map.windows import SIZE

FEW: Final = 32
"""Channels up to which a convolution counts as a stem; no network has as many input planes."""
ROUNDINGS: Final = 8
"""Rounding errors by which a product may differ from float32 of the same rounded factors; one is usual."""
FARTHEST: Final = 0.1
"""Difference of a probability to float32 that no rounding of a whole network reaches."""
_SEED: Final = 20
_ATTENTION: Final = functional.scaled_dot_product_attention
_FACTORS: Final[dict[Any, tuple[str, ...]]] = {
    functional.linear: ("input", "weight"),
    functional.conv2d: ("input", "weight"),
    _ATTENTION: ("query", "key", "value"),
}
_PRODUCTS: Final = (*_FACTORS, torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm)


def keep_stems_in_float32(network: nn.Module) -> None:
    """Let convolutions of few channels, and those of patches that do not overlap, ignore autocast.

    They are a hundredth of a network's work. The pixels that they read are not rounded either.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and _is_stem(module):
            module.forward = partial(_in_float32, module.forward)  # type: ignore[method-assign]


def _is_stem(conv: nn.Conv2d) -> bool:
    if conv.groups > 1 or max(conv.kernel_size) == 1:
        return False
    return conv.in_channels <= FEW or conv.kernel_size == conv.stride


def _in_float32(forward: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    with torch.autocast(images.device.type, enabled=False):
        return forward(images.float())


def some_windows(count: int, device: torch.device) -> Tensor:
    """Return seeded windows as if scaled, noise upon smooth ground; ``(count, 18, 64, 64)`` float32."""
    chance = torch.Generator().manual_seed(_SEED)
    ground = torch.randn(count, len(CHANNELS), SIZE // 8, SIZE // 8, generator=chance)
    noise = torch.randn(count, len(CHANNELS), SIZE, SIZE, generator=chance)
    return (interpolate(ground, (SIZE, SIZE), mode="bilinear") + 0.3 * noise).to(device)


def fault(probability: Callable[[Tensor], Tensor], windows: Tensor, kind: torch.dtype) -> str | None:
    """Return the first difference of a network in reduced precision to float32; None without one.

    Every product of matrices, convolution and attention of another shape is computed in float32, too, from
    the same rounded factors. Then the probabilities are compared.

    Parameters
    ----------
    probability : callable
        Windows to probabilities ``(n,)``, by a network in evaluation mode, in the precision of autocast.
    windows : Tensor
        What it is tried on, on the device.
    kind : torch.dtype
        ``torch.bfloat16`` or ``torch.float16``.
    """
    with torch.inference_mode():
        with torch.autocast(windows.device.type, kind), ComparedProducts(kind) as compared:
            reduced = probability(windows)
        if compared.fault is not None:
            return str(compared.fault)
        difference = float((reduced - probability(windows)).abs().max())
    if difference <= FARTHEST:  # False for NaN
        return None
    return f"a probability differs by {difference:.2g}"


class ComparedProducts(TorchFunctionMode):
    """While entered, in the thread that entered it, products in reduced precision are compared with float32.

    Parameters
    ----------
    kind : torch.dtype
        Products that result in another type are let be.
    """

    def __init__(self, kind: torch.dtype) -> None:
        super().__init__()
        self.fault: str | None = None
        """The first product that was wrong."""
        self._kind = kind
        self._seen: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute a function, and check its result where it is a product not yet checked."""
        options = kwargs or {}
        found = func(*args, **options)
        if func in _PRODUCTS and found.dtype is self._kind and self.fault is None:
            shapes = [_shape(value) for value in (*args, *options.items())]
            if (key := f"{func.__name__} {shapes}") not in self._seen:
                self._seen.add(key)
                self._compare(func, found, args, options)
        return found

    def _compare(self, func: Any, found: Tensor, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        args = tuple(self._rounded(value) for value in args)
        options = {name: self._rounded(value) for name, value in options.items()}
        with torch.autocast(found.device.type, enabled=False):
            expected = func(*args, **options)
            scale = _spread(func, args, options) + expected.abs()
        limits = torch.finfo(self._kind)
        allowed = ROUNDINGS * limits.eps * (scale + limits.tiny)
        difference = (found.float() - expected).abs()
        if not bool((difference <= allowed).all()):  # NaN is no agreement
            worst = float((difference / allowed).nan_to_num(torch.inf).max()) * ROUNDINGS
            shape = "x".join(map(str, found.shape))
            self.fault = f"{func.__name__} of shape {shape} is off by {worst:.3g} rounding errors"

    def _rounded(self, value: Any) -> Any:
        if isinstance(value, Tensor) and value.is_floating_point():
            return value.to(self._kind).float()
        return value


def _spread(func: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Tensor:
    """Return the error of a product if the error of each term were as large as the term.

    They have either sign, so they add up as squares do. Attention is a mean of its values.
    """
    named = dict(options)
    names = _FACTORS.get(func, ())
    factors = [named.pop(name) if name in named else args[i] for i, name in enumerate(names)] or args
    rest = args[len(factors) :]
    if func is _ATTENTION:
        query, key, value = factors
        return torch.as_tensor(func(query, key, value.abs(), *rest, **named))
    if func in _FACTORS:
        named.pop("bias", None)
        rest = (None, *rest[1:])
    return torch.as_tensor(func(*(factor.square() for factor in factors), *rest, **named)).sqrt()


def _shape(value: Any) -> Any:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Tensor):
        return value[0], _shape(value[1])
    return (tuple(value.shape), value.dtype) if isinstance(value, Tensor) else value
