"""Loops compiled by numba, everywhere by the same settings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile for threads, once per machine if possible; division by zero is infinity or NaN, as in numpy.

    No `fastmath`: the order of sums is what is written, so that bits do not depend on the machine.
    """
    loop = numba.njit(nogil=True, error_model="numpy")(function)
    # In many containers neither the package nor a home is writable: then every process compiles again.
    with suppress(RuntimeError):
        loop.enable_caching()
    return cast(_Function, loop)
