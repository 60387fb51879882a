"""Address space of the process, where a batch system limits it (``ulimit -v``)."""

from __future__ import annotations

import importlib
from typing import Final

from landslide_map.errors import ResourceError

NEEDED: Final = 2_400_000 * 1024
"""Bytes that the libraries and the sample scene fit in. At 2,000,000 KiB the compiler of numba aborts the
process, and at 1,600,000 it ends in a segmentation fault: neither can be caught."""


def refuse_small_address_space() -> None:
    """Refuse to begin in an address space that libraries would crash in.

    Raises
    ------
    ResourceError
        E602 with the limit, and the one that is needed.
    """
    try:
        resource = importlib.import_module("resource")
    except ModuleNotFoundError:  # Windows has no such limit
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY or limit >= NEEDED:
        return
    raise ResourceError(
        "E602",
        f"the address space of this process is limited to {limit / 1e9:.2f} GB (ulimit -v, or h_vmem of a "
        f"batch system). landslide-map needs at least {NEEDED / 1e9:.1f} GB of it. Raise that limit. "
        "--memory is the limit of what a run really uses.",
    )
