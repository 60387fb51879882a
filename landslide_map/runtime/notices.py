"""Notices of a run, collected in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from landslide_map.errors import Notice


@dataclass
class Notices:
    """Collector that the steps of a run add to; the report and ``run.json`` read it at the end."""

    announce: Callable[[Notice], object] = lambda _: None
    """Called before a long step, with an estimate of its duration; the collector does not keep that."""
    about_scene: list[Notice] = field(default_factory=list)
    """The same in every run of a scene. The report shows these alone: its bytes are the same in every run."""
    about_run: list[Notice] = field(default_factory=list)
    """About this run: rows of an interrupted run, reads tried again, workers."""

    @property
    def all(self) -> tuple[Notice, ...]:
        """All that were collected, each once: first those about the scene."""
        return tuple(dict.fromkeys((*self.about_scene, *self.about_run)))
