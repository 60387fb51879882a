"""A physical simulator of a landslide event as Sentinel-1 and Sentinel-2 would see it.

``terrain`` (relief) -> ``cover`` and ``confusers`` (what grows, flows and is worked on it) -> ``scars``
(what slid) -> ``seasons``, ``sky``, ``optical`` and ``radar`` (what the satellites measure) -> ``files``
(rasters and scene.yaml); ``event`` runs it all from the ``options`` of one event.
All maps are ``(row, col)`` arrays of 10 m pixels, row 0 in the north.
"""

from sample_scenes.simulator.event import simulate_event
from sample_scenes.simulator.options import CONFUSERS, EventOptions, varied

__all__ = ["CONFUSERS", "EventOptions", "simulate_event", "varied"]
