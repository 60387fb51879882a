"""Times that the metadata of satellite images declare."""

from __future__ import annotations

import re
from datetime import UTC, datetime


def utc_time(text: str) -> datetime:
    """Return a time in UTC, which it is in where it has no zone.

    Raises
    ------
    ValueError
        If it is no time, or one of no year.

    Examples
    --------
    >>> utc_time("2024-04-02T23:58:00.123456789"), utc_time("2024-04-03T01:58+02:00").hour
    (datetime.datetime(2024, 4, 2, 23, 58, 0, 123456, tzinfo=datetime.timezone.utc), 23)
    """
    # Nanoseconds (xarray writes them) are beyond what Python's parser takes.
    found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    try:
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except OverflowError:  # the first or last day of the calendar
        raise ValueError(f"{text} is in no year") from None


def utc_time_or_none(text: object) -> datetime | None:
    """Return :func:`utc_time` of a text; None of anything else."""
    try:
        return utc_time(text) if isinstance(text, str) else None
    except ValueError:
        return None
