"""Zips of Zarr stores."""

from __future__ import annotations

import zipfile
from pathlib import Path


def zipped(store: Path, top: str) -> Path:
    """Zip the files of a store beside it, their names after `top`."""
    path = store.with_name(store.name + ".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(store.rglob("*")):
            if file.is_file():
                archive.write(file, f"{top}{file.relative_to(store)}")
    return path
