"""Time of an event and its uncertainty: images certainly before it, and certainly after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from landslide_map.errors import SearchError
from landslide_map.scene.fields import read_time


@dataclass(frozen=True, slots=True)
class EventTime:
    """When the ground moved: at `time`, give or take `uncertainty`."""

    time: datetime
    uncertainty: timedelta = timedelta(0)

    @classmethod
    def read(cls, text: str, hours: float = 0.0, now: datetime | None = None) -> EventTime:
        """Return the time that a user wrote.

        Parameters
        ----------
        text : str
            With a zone, e.g. ``2024-04-02T23:58:00Z``.
        hours : float
            Uncertainty to both sides.
        now : datetime, optional
            For tests.

        Raises
        ------
        SceneError
            E390 without a zone.
        UsageError
            E402 where it is no time.
        SearchError
            E703 in the future.
        """
        time = read_time(text, "--event-time")
        now = now or datetime.now(UTC)
        if time > now:
            raise SearchError(
                "E703",
                f"--event-time {time:%Y-%m-%dT%H:%MZ}: lies in the future (now is {now:%Y-%m-%dT%H:%MZ}); no "
                "image shows it yet. Check day, month and zone.",
            )
        return cls(time, timedelta(hours=hours))

    @property
    def earliest(self) -> datetime:
        """First moment at which the event may have happened."""
        return self.time - self.uncertainty

    @property
    def latest(self) -> datetime:
        """Last moment at which the event may have happened."""
        return self.time + self.uncertainty

    def before(self, end: datetime) -> bool:
        """Whether an image that ended then surely shows the ground before."""
        return end < self.earliest

    def after(self, start: datetime) -> bool:
        """Whether an image that began then surely shows the ground after."""
        return start > self.latest

    def unclear(self, start: datetime, end: datetime) -> bool:
        """Whether an image of that interval may show either."""
        return not self.before(end) and not self.after(start)

    def days(self, time: datetime) -> float:
        """Return the time from or to the event, days."""
        return abs((time - self.time).total_seconds()) / 86400
