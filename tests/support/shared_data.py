"""Location of the real data for tests, if it is on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "data"


def shared_data(*parts: str) -> Path:
    """Return a path below the shared data folder, or skip the test, saying what is absent."""
    path = Path(os.environ.get("LANDSLIDE_MAP_DATA", DEFAULT)).joinpath(*parts)
    if not path.exists():
        pytest.skip(f"real data absent: {'/'.join(parts)} (set LANDSLIDE_MAP_DATA to the data folder)")
    return path
