"""Imports of large libraries, without Python's garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Import in this block what a command needs: the collector took a seventh of that time, for nothing.

    Modules stay until the end, and so do the objects that they make. Later collections leave them out, too.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
