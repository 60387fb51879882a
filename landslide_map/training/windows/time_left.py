"""Remaining time of a training, from its first batches on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from landslide_map.runtime.progress import Report, duration

_log = logging.getLogger(__name__)

STAGE: Final = "training networks"
_FIRST: Final = 5
"""Batches after which the first estimate is made; the very first, slower, does not count."""


@dataclass
class Pace:
    """Measures the work done per second; work is windows seen times the cost of the network."""

    costs: Mapping[str, float]
    """Member -> work of learning from one window."""
    total: float
    """Work of all that is still to be done."""
    progress: Report
    clock: Callable[[], float] = time.monotonic
    """Returns seconds."""
    done: float = 0.0
    _batches: int = 0
    _begin: float = 0.0
    _before: float = 0.0
    _announced: set[str] = field(default_factory=set)

    def stepped(self, member: str, windows: int) -> None:
        """Count a batch; say the first estimate, and one for every further member."""
        if member not in self._announced and self._batches > _FIRST:
            self._batches = 0
        self._batches += 1
        self.done += windows * self.costs[member]
        if self._batches == 1:
            self._begin, self._before = self.clock(), self.done
        elif self._batches == _FIRST and member not in self._announced:
            self._announced.add(member)
            _log.info(f"{member}: at this pace {self.remaining()} more for all networks")
        self.progress(STAGE, round(self.done), max(round(self.total), round(self.done)))

    def remaining(self) -> str:
        """Return how long the rest will take."""
        worked = self.done - self._before
        if not worked:
            return "an unknown time"
        rate = worked / (self.clock() - self._begin)
        return duration(max(self.total - self.done, 0) / rate)
