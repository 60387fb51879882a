"""An event so dense that half of its ground slid."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_scenes.make_scene import make_scene
from tests.support.made_once import made_once


def dense_event(factory: pytest.TempPathFactory) -> Path:
    """Return its scene, for several modules to read."""
    return made_once(factory, "dense-event", lambda folder: make_scene(folder, seed=7, size=640))
