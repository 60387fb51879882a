"""Amounts of memory as people write and read them."""

from __future__ import annotations

import re
from typing import Final

from landslide_map.errors import UsageError

MIB: Final = 2**20
UNITS: Final = {
    f"{prefix}{infix}B": base**power
    for power, prefix in enumerate("KMGT", start=1)
    for infix, base in (("", 1000), ("I", 1024))
}
"""Unit in capitals -> bytes: GB is 10^9 as disks are sold, GiB is 2^30 as memory is counted."""


def amount(text: str | int) -> int:
    """Return an amount of memory in bytes.

    Parameters
    ----------
    text : str or int
        Bytes, or a number with a unit (:data:`UNITS`), capital or not, with or without a space.

    Raises
    ------
    UsageError
        E440 if it is neither.

    Examples
    --------
    >>> amount("2GB"), amount("1.5 GiB"), amount(10**9)
    (2000000000, 1610612736, 1000000000)
    """
    number: float = text if isinstance(text, int) else 0
    if isinstance(text, str) and (
        match := re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,15})?)\s*([a-z]+)\s*", text, re.IGNORECASE)
    ):
        number = float(match[1]) * UNITS.get(match[2].upper(), 0)
    if number < 1:
        raise UsageError(
            "E440",
            f"{str(text)[:40]!r} is not an amount of memory; expected a number and a unit, e.g. 2GB "
            "(2,000,000,000 bytes) or 1500MiB.",
        )
    return int(number)


def gigabytes(size: int) -> str:
    """Return bytes as an amount that may be given instead: decimal, rounded up.

    >>> gigabytes(1_234_000_001)
    '1.24 GB'
    """
    return f"{-(-size // 10**7) / 100:.2f} GB"
