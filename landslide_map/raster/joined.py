"""Several raster files as one: parts of an export that was cut, or of one pass, on one lattice of pixels."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from affine import Affine
from rasterio.enums import MaskFlags
from rasterio.io import DatasetReader

from landslide_map.errors import InputError

PREFIX: Final = "JOIN:"
_PART: Final = re.compile(r'"([^"]+)"')
_TYPES: Final = {
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "float32": "Float32",
    "float64": "Float64",
}
_MISALIGNED: Final = 1e-2
"""Greatest distance of parts from a common lattice, in pixels."""


def joined_name(paths: Sequence[str | Path]) -> str:
    """Return the one name of several files, the first on top where they overlap; a file keeps its own.

    >>> joined_name(["/a.tif", "/b.tif"])
    'JOIN:"/a.tif":"/b.tif"'
    """
    names = list(dict.fromkeys(map(str, paths)))
    if len(names) == 1:
        return names[0]
    if quoted := next((name for name in names if '"' in name), None):
        raise InputError("E101", f"{quoted}: has a quotation mark in its name; rename the file")
    return PREFIX + ":".join(f'"{name}"' for name in names)


def joined_files(name: str | Path) -> tuple[str, ...]:
    """Return the files that :func:`joined_name` made a name of; none for any other name."""
    return tuple(_PART.findall(str(name))) if str(name).startswith(PREFIX) else ()


def joined_document(sources: Sequence[tuple[str, DatasetReader]]) -> str:
    """Return the VRT of several open files.

    Parameters
    ----------
    sources : sequence of (str, DatasetReader)
        What GDAL opens, and the open file; the first lies on top.

    Raises
    ------
    InputError
        E109 where they differ in projection, pixel size, bands or type of number, or lie between each
        other's pixels.
    """
    _, first = sources[0]
    places = [_place(name, dataset, first) for name, dataset in sources]
    left, top = (min(place[i] for place in places) for i in (0, 1))
    right = max(x + dataset.width for (x, _), (_, dataset) in zip(places, sources, strict=True))
    bottom = max(y + dataset.height for (_, y), (_, dataset) in zip(places, sources, strict=True))
    root = Element("VRTDataset", rasterXSize=str(right - left), rasterYSize=str(bottom - top))
    SubElement(root, "SRS").text = first.crs.to_wkt() if first.crs else ""
    corner = first.transform @ Affine.translation(left, top)
    SubElement(root, "GeoTransform").text = ", ".join(repr(float(v)) for v in corner.to_gdal())
    for number in first.indexes:
        band = _band(root, number, first)
        for (name, dataset), (x, y) in reversed(list(zip(sources, places, strict=True))):
            _source(band, number, name, dataset, (x - left, y - top))
    return ElementTree.tostring(root, encoding="unicode")


def same_pixels(ours: Affine, own: Affine) -> bool:
    """Return whether pixels of two rasters have one size and direction."""
    return all(math.isclose(getattr(ours, k), getattr(own, k), rel_tol=1e-6, abs_tol=1e-12) for k in "abde")


def whole_pixels(ours: Affine, own: Affine) -> tuple[int, int] | None:
    """Return how many columns and rows the second of two begins from the first; None between pixels."""
    column, row = ~ours @ (own.c, own.f)
    aligned = max(abs(column - round(column)), abs(row - round(row))) <= _MISALIGNED
    return (round(column), round(row)) if aligned else None


def _place(name: str, dataset: DatasetReader, first: DatasetReader) -> tuple[int, int]:
    """Return how many columns and rows a part begins right of and below the first one."""
    ours, own = first.transform, dataset.transform
    same = (
        dataset.crs == first.crs,
        (dataset.count, dataset.dtypes) == (first.count, first.dtypes),
        same_pixels(ours, own),
    )
    unlike = [
        what for what, alike in zip(("projection", "bands", "pixel size"), same, strict=True) if not alike
    ]
    if not unlike:
        place = whole_pixels(ours, own)
        if place is not None:
            return place
        unlike = ["lattice of pixels"]
    raise InputError(
        "E109",
        f"{name}: has another {' and '.join(unlike)} than {first.name}, so that both cannot be one image. "
        "Join them with gdalwarp first, or map each as a scene of its own: "
        "landslide-map a.yaml b.yaml --out results",
    )


def _band(root: Element, number: int, first: DatasetReader) -> Element:
    kind = first.dtypes[number - 1]
    if kind not in _TYPES:
        raise InputError(
            "E108", f"{first.name}: has pixels of type {kind}; expected integers or real numbers"
        )
    band = SubElement(root, "VRTRasterBand", dataType=_TYPES[kind], band=str(number))
    if text := first.descriptions[number - 1]:
        SubElement(band, "Description").text = text
    tag = first.nodatavals[number - 1]
    if tag is None and _is_real(kind):
        tag = math.nan
    if tag is not None:
        SubElement(band, "NoDataValue").text = repr(tag)
    SubElement(band, "ColorInterp").text = first.colorinterp[number - 1].name.capitalize()
    SubElement(band, "Offset").text = repr(first.offsets[number - 1])
    SubElement(band, "Scale").text = repr(first.scales[number - 1])
    return band


def _source(band: Element, number: int, name: str, dataset: DatasetReader, place: tuple[int, int]) -> None:
    source = SubElement(band, "ComplexSource")
    SubElement(source, "SourceFilename", relativeToVRT="0").text = name
    SubElement(source, "SourceBand").text = str(number)
    size = {"xSize": str(dataset.width), "ySize": str(dataset.height)}
    SubElement(source, "SrcRect", {"xOff": "0", "yOff": "0", **size})
    SubElement(source, "DstRect", {"xOff": str(place[0]), "yOff": str(place[1]), **size})
    tag = dataset.nodatavals[number - 1]
    if tag is not None:
        SubElement(source, "NODATA").text = repr(tag)
    elif MaskFlags.per_dataset in dataset.mask_flag_enums[number - 1]:  # a mask, or an alpha band
        SubElement(source, "UseMaskBand").text = "true"
    elif not _is_real(dataset.dtypes[number - 1]):
        SubElement(source, "NODATA").text = "0"  # as Sentinel-2 has it; where no part lies there is 0, too


def _is_real(kind: str) -> bool:
    return bool(np.issubdtype(np.dtype(kind), np.floating))
