"""Virtual mosaics (VRT) of the rasters of several scenes: one file for each raster and reference system."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import rasterio
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags

_TYPES: Final = {"uint8": "Byte", "float32": "Float32"}


@dataclass(frozen=True, slots=True)
class Mosaic:
    """A virtual raster beside the folders of scenes."""

    path: Path
    raster: str
    """File name of its parts, such as ``probability.tif``."""
    crs: CRS
    suffix: str = ""
    """Suffix of the name where a raster has mosaics in several reference systems, such as ``EPSG:32652``."""


@dataclass(frozen=True, slots=True)
class _Part:
    source: str
    """Relative to the mosaic."""
    about: dict[str, Any]
    bounds: tuple[float, float, float, float]


def write_mosaics(target: Path, scenes: Mapping[str, Path], rasters: Iterable[str]) -> list[Mosaic]:
    """Write a mosaic of each raster that scenes have; where scenes overlap, the later one is on top.

    Parameters
    ----------
    target : Path
        Folder for the ``.vrt`` files.
    scenes : mapping of str to Path
        Folder of a scene relative to where the mosaics will lie -> where it lies now.
    rasters : iterable of str
        File names, such as ``probability.tif``; those that no scene has are left out.
    """
    made = []
    for raster in rasters:
        parts: dict[str, list[_Part]] = {}
        for relative, folder in scenes.items():
            if (folder / raster).is_file():
                part = _part(f"{relative}/{raster}", folder / raster)
                parts.setdefault(part.about["crs"].to_wkt(), []).append(part)
        for group in parts.values():
            crs = group[0].about["crs"]
            suffix = f"EPSG:{crs.to_epsg()}" if len(parts) > 1 else ""
            stem = Path(raster).stem + (f"_{crs.to_epsg()}" if len(parts) > 1 else "")
            path = target / f"{stem}.vrt"
            path.write_text(_document(group), encoding="utf-8")
            made.append(Mosaic(path, raster, crs, suffix))
    return made


def mosaics_in(folder: Path, rasters: Iterable[str]) -> list[Mosaic]:
    """Return the mosaics that a run wrote."""
    found = []
    for raster in rasters:
        stem = re.escape(Path(raster).stem)
        for path in sorted(folder.glob("*.vrt")):
            if named := re.fullmatch(rf"{stem}(?:_(\d+))?\.vrt", path.name):
                with rasterio.open(path) as mosaic:
                    found.append(Mosaic(path, raster, mosaic.crs, f"EPSG:{named[1]}" if named[1] else ""))
    return found


def _part(source: str, path: Path) -> _Part:
    with rasterio.open(path) as raster:
        masked = raster.mask_flag_enums[0] == [MaskFlags.per_dataset]
        about = {
            **{name: raster.profile[name] for name in ("crs", "count", "dtype", "nodata", "width", "height")},
            "pixel": raster.transform.a,
            "masked": masked,
            "colours": raster.colorinterp,
            "table": raster.colormap(1) if raster.colorinterp[0] == ColorInterp.palette else {},
        }
        return _Part(source, about, tuple(raster.bounds))


def _document(parts: list[_Part]) -> str:
    """Return the XML of a mosaic of parts in one reference system."""
    first = parts[0].about
    pixel = min(part.about["pixel"] for part in parts)
    west, north = min(part.bounds[0] for part in parts), max(part.bounds[3] for part in parts)
    east, south = max(part.bounds[2] for part in parts), min(part.bounds[1] for part in parts)
    root = Element(
        "VRTDataset",
        rasterXSize=str(round((east - west) / pixel)),
        rasterYSize=str(round((north - south) / pixel)),
    )
    SubElement(root, "SRS").text = first["crs"].to_wkt()
    SubElement(root, "GeoTransform").text = f"{west!r}, {pixel!r}, 0.0, {north!r}, 0.0, {-pixel!r}"
    for number in range(1, first["count"] + 1):
        band = SubElement(root, "VRTRasterBand", dataType=_TYPES[first["dtype"]], band=str(number))
        if first["nodata"] is not None:
            SubElement(band, "NoDataValue").text = f"{first['nodata']:g}"
        SubElement(band, "ColorInterp").text = first["colours"][number - 1].name.capitalize()
        if first["table"]:
            _add_table(band, first["table"])
        for part in parts:
            _add_source(band, part, str(number), (west, north, pixel))
    if first["masked"]:
        mask = SubElement(SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte")
        for part in parts:
            _add_source(mask, part, "mask,1", (west, north, pixel))
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _add_table(band: Element, table: Mapping[int, Any]) -> None:
    colours = SubElement(band, "ColorTable")
    for value in range(256):
        red, green, blue, opaque = map(str, table.get(value, (0, 0, 0, 255)))
        SubElement(colours, "Entry", c1=red, c2=green, c3=blue, c4=opaque)


def _add_source(band: Element, part: _Part, number: str, origin: tuple[float, float, float]) -> None:
    west, north, pixel = origin
    about = part.about
    source = SubElement(band, "ComplexSource")
    SubElement(source, "SourceFilename", relativeToVRT="1").text = part.source
    SubElement(source, "SourceBand").text = number
    width, height = str(about["width"]), str(about["height"])
    SubElement(source, "SrcRect", xOff="0", yOff="0", xSize=width, ySize=height)
    step = about["pixel"] / pixel
    SubElement(
        source,
        "DstRect",
        xOff=f"{(part.bounds[0] - west) / pixel:.9g}",
        yOff=f"{(north - part.bounds[3]) / pixel:.9g}",
        xSize=f"{about['width'] * step:.9g}",
        ySize=f"{about['height'] * step:.9g}",
    )
    if about["nodata"] is not None:
        SubElement(source, "NODATA").text = f"{about['nodata']:g}"
    elif number.isdigit() and about["masked"]:
        SubElement(source, "UseMaskBand").text = "true"
