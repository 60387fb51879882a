"""Loops compiled by numba, everywhere by the same settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile for threads, once per machine; division by zero gives infinity or NaN, as in numpy.

    No `fastmath`: the order of sums is what is written, so that bits do not depend on the machine.
    """
    return cast(_Function, numba.njit(nogil=True, cache=True, error_model="numpy")(function))
