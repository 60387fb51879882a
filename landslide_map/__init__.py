"""Landslide maps from post-event Sentinel-2 and pre/post Sentinel-1 scenes."""

__version__ = "0.1.0"
