"""Length of a scale bar."""

from __future__ import annotations


def round_length(metres: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that is not above `metres`.

    Examples
    --------
    >>> [round_length(m) for m in (880, 2100, 13)]
    [500.0, 2000.0, 10.0]
    """
    power = 1.0
    while power * 10 <= metres:
        power *= 10
    return max(step * power for step in (1, 2, 5) if step * power <= max(metres, 1))
