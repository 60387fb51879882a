"""Loops compiled by numba, everywhere by the same settings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])
_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
"""No loop is called by its address from C. Without a function for that, compiling takes a tenth less."""


def compiled(function: _Function) -> _Function:
    """Compile for threads, once per machine if possible; division by zero is infinity or NaN, as in numpy.

    No `fastmath`: the order of sums is what is written, so that bits do not depend on the machine.
    """
    loop = numba.njit(**_OPTIONS)(function)
    # In many containers neither the package nor a home is writable: then every process compiles again.
    with suppress(RuntimeError):
        loop.enable_caching()
    return cast(_Function, loop)
