"""Files on disk -> what they are: one small module per product family, and the checks on their pixels."""

from landslide_map.readers.inputs import open_inputs

__all__ = ["open_inputs"]
