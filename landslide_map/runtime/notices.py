"""Notices of an operation, collected in one place: of a map run, a score, a training or an import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from landslide_map.errors import Notice


@dataclass
class Notices:
    """Collector that the steps of an operation add to; results, report and ``run.json`` read it at the end.

    Functions that read or check one thing return their notices. The operation adds them here.
    """

    announce: Callable[[Notice], object] = lambda _: None
    """Called before a long step, with an estimate of its duration; the collector does not keep that."""
    about_inputs: list[Notice] = field(default_factory=list)
    """The same in every run on the same inputs. The report shows these alone: its bytes never change."""
    about_run: list[Notice] = field(default_factory=list)
    """About this run: rows of an interrupted run, reads tried again, workers, the memory of a GPU."""

    @property
    def all(self) -> tuple[Notice, ...]:
        """All that were collected, each once: first those about the inputs."""
        return tuple(dict.fromkeys((*self.about_inputs, *self.about_run)))
