"""Versions of installed libraries, by the name that they are imported by."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Final

_DISTRIBUTIONS: Final = {"xgboost": ("xgboost-cpu", "xgboost")}
"""Import name -> distributions that hold it; the one that is required first."""


@cache
def package_version(name: str) -> str:
    """Return the version of the library that is imported as `name`.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        No distribution of it is installed.
    """
    *others, last = _DISTRIBUTIONS.get(name, (name,))
    for distribution in others:
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return metadata.version(last)
