"""Files of a result, for comparisons to the byte."""

from __future__ import annotations

from pathlib import Path


def made(out: Path) -> dict[str, bytes]:
    """Return name -> bytes of all files of a result but run.json, which holds times."""
    return {
        path.name: path.read_bytes() for path in out.iterdir() if path.is_file() and path.name != "run.json"
    }
