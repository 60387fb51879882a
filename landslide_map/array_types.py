"""Names for types of arrays that many modules take; the docstring of each function names its axes."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Floats32: TypeAlias = npt.NDArray[np.float32]
Bools: TypeAlias = npt.NDArray[np.bool_]
Labels: TypeAlias = npt.NDArray[np.integer[Any]]
"""1 where there is a landslide, else 0."""
Rows: TypeAlias = npt.NDArray[np.intp]
"""Rows of another array, by number."""
Indices: TypeAlias = npt.NDArray[np.int64]
"""Pixels or cells along an axis, by number."""
Shapes: TypeAlias = npt.NDArray[np.object_]
"""Shapely geometries."""
