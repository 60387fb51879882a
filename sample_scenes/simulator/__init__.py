"""A physical simulator of a landslide event as Sentinel-1 and Sentinel-2 would see it.

``terrain`` (relief) -> ``cover`` (what grows and flows on it) -> ``scars`` (what slid) ->
``optical`` and ``radar`` (what the satellites measure) -> ``files`` (rasters and scene.yaml).
All maps are ``(row, col)`` arrays of 10 m pixels, row 0 in the north.
"""
