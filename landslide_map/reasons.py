"""Reasons why a window or pixel has no probability: one code everywhere.

The same numbers are used in votes, in ``windows.nc``, in ``class.tif`` and in the ``analysed`` layer.
They lie above every class and every scenario index, and the smaller one wins where windows overlap.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Reason(IntEnum):
    """Outcome of a window: analysed, or why not."""

    ANALYSED = 0
    FLAT = 250
    """The ground is flat, as the elevation model says: landslides need slopes."""
    SNOW_OR_CLOUD = 251
    """The optical image is mostly snow or cloud, which the classifier cannot separate from bare ground."""
    MISSING_CHANNELS = 252
    """Some sensor has data here, but no scenario of the bundle has all its channels."""
    NO_DATA = 255
    """No sensor has enough valid pixels here."""


REASON_NAMES: Final = {
    Reason.ANALYSED: "analysed",
    Reason.FLAT: "flat ground",
    Reason.SNOW_OR_CLOUD: "snow or cloud",
    Reason.MISSING_CHANNELS: "no usable combination of sensors",
    Reason.NO_DATA: "no data",
}
"""Reason -> words for a person."""
