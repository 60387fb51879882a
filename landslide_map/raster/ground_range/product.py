"""Files of a Sentinel-1 GRD product, a SAFE folder or a zip with one, and the name of a band on a grid."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from landslide_map.errors import InputError
from landslide_map.grid import RESOLUTION_M, Grid
from landslide_map.raster.ground_range.annotation import (
    Annotation,
    StateVectors,
    read_annotation,
    read_orbit_file,
)
from landslide_map.untrusted.files import ZIP_ERRORS, inside_zip, read_bytes, read_member, zip_names
from landslide_map.untrusted.xml_tree import MOST_BYTES

_PRODUCT: Final = re.compile(r"S1[ABCD]_(?:IW|EW|S[1-6])_GRD[FHM]_", re.IGNORECASE)
_ANNOTATION: Final = re.compile(r"annotation/s1[abcd]-\w+-grd-(vv|vh)-[^/]+\.xml", re.IGNORECASE)
_LOOK_UP: Final = re.compile(
    r"annotation/calibration/(calibration|noise)-s1[abcd]-\w+-grd-(vv|vh)-[^/]+\.xml", re.IGNORECASE
)
_MEASUREMENT: Final = re.compile(r"measurement/s1[abcd]-\w+-grd-(vv|vh)-[^/]+\.tiff?", re.IGNORECASE)
_ORBIT_FILE: Final = re.compile(
    r"(?P<platform>S1[ABCD])_OPER_AUX_(?P<kind>POE|RES)ORB_OPOD_\d{8}T\d{6}_V(?P<start>\d{8}T\d{6})_"
    r"(?P<stop>\d{8}T\d{6})\.EOF",
    re.IGNORECASE,
)
_MOST_ORBIT: Final = 64 * 2**20
_MOST_FILES: Final = 5_000
GROUND_RANGE: Final = "GRD:"
INCIDENCE: Final = "incidence"
"""Name in place of a polarisation: angles from the normal of the ellipsoid, from the annotation of VV."""
_NAME: Final = re.compile(
    r'GRD:"(?P<product>[^"]+)":"(?P<orbit>[^"]*)":"(?P<dem>.+)":(?P<polarisation>vv|vh|incidence):(?P<left>[^,:]+),(?P<top>[^,:]+),'
    r"(?P<width>\d+),(?P<height>\d+):(?P<crs>.+)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class GroundRangeBand:
    """One polarisation of a GRD product, geocoded on a grid with the heights of an elevation model."""

    product: Path
    polarisation: str
    """``vv``, ``vh``, or :data:`INCIDENCE`."""
    dem: str
    """Name by which the elevation model is opened."""
    grid: Grid
    orbit: Path | None = None
    """The orbit file; None for one beside the product, or else the orbit of the product."""

    @property
    def annotated(self) -> str:
        """Polarisation of the annotation that it is made with."""
        return "vv" if self.polarisation == INCIDENCE else self.polarisation

    @property
    def name(self) -> str:
        """Name for :func:`~landslide_map.raster.dataset.open_dataset`."""
        t, g = self.grid.transform, self.grid
        place = f"{t.c!r},{t.f!r},{g.width},{g.height}"
        orbit = "" if self.orbit is None else str(self.orbit)
        return f'GRD:"{self.product}":"{orbit}":"{self.dem}":{self.polarisation}:{place}:{g.crs.to_string()}'


def ground_range_band(name: str | Path) -> GroundRangeBand | None:
    """Return the band that a name means; None for any other name."""
    if not str(name).startswith(GROUND_RANGE) or (found := _NAME.fullmatch(str(name))) is None:
        return None
    transform = Affine(RESOLUTION_M, 0, float(found["left"]), 0, -RESOLUTION_M, float(found["top"]))
    grid = Grid(CRS.from_string(found["crs"]), transform, int(found["width"]), int(found["height"]))
    orbit = Path(found["orbit"]) if found["orbit"] else None
    return GroundRangeBand(Path(found["product"]), found["polarisation"], found["dem"], grid, orbit)


def is_ground_range(path: Path) -> bool:
    """Return whether a path is a SAFE folder of a GRD product, or a zip of one, by its name."""
    if not _PRODUCT.match(path.name):
        return False
    if path.is_dir():
        return (path / "manifest.safe").exists() or (path / "annotation").is_dir()
    return path.suffix.lower() == ".zip" and path.is_file()


@dataclass(frozen=True, slots=True)
class ProductFiles:
    """Paths of one polarisation; into the zip, where the product is one."""

    annotation: Path
    calibration: Path
    noise: Path
    measurement: Path


def product_files(product: Path, polarisation: str) -> ProductFiles:
    """Return where one polarisation of a product is.

    Raises
    ------
    InputError
        E101 where a file of it is missing, E305 where there is no such polarisation.
    """
    found: dict[str, Path] = {}
    for path, inner in _members(product):
        if (one := _ANNOTATION.fullmatch(inner)) and one[1].lower() == polarisation:
            found["annotation"] = path
        elif (one := _LOOK_UP.fullmatch(inner)) and one[2].lower() == polarisation:
            found[one[1].lower()] = path
        elif (one := _MEASUREMENT.fullmatch(inner)) and one[1].lower() == polarisation:
            found["measurement"] = path
    if "annotation" not in found:
        raise InputError(
            "E305",
            f"{product}: has no {polarisation.upper()}; expected a product with VV and VH (1SDV in its name)",
        )
    if missing := {"calibration", "noise", "measurement"} - set(found):
        raise InputError(
            "E101",
            f"{product}: lacks the {' and '.join(sorted(missing))} file of {polarisation.upper()}; fetch the "
            "whole product again",
        )
    return ProductFiles(**found)


def source_paths(band: GroundRangeBand) -> tuple[Path, ...]:
    """Return the files on disk that a band is made from, but the elevation model: of a zip, the zip."""
    files = product_files(band.product, band.annotated)
    orbit = band.orbit or orbit_file_of(band.product, annotation_of(band.product, band.annotated))
    own = (files.measurement, files.annotation, files.calibration, files.noise)
    return (*((band.product,) if band.product.is_file() else own), *((orbit,) if orbit else ()))


def annotation_of(product: Path, polarisation: str) -> Annotation:
    """Return the annotation of one polarisation, read once.

    Raises
    ------
    InputError
        As :func:`product_files`; E101 where it is damaged.
    """
    files = product_files(product, polarisation)
    return _annotation(product, files, _state(product))


def orbit_files(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the orbit files among files and folders, by their names.

    Raises
    ------
    InputError
        E101 for a file of another name, and for a folder without any.
    """
    found: list[Path] = []
    for path in paths:
        own = sorted(path.rglob("S1*.EOF")) if path.is_dir() else [path]
        named = [one for one in own if _ORBIT_FILE.fullmatch(one.name)]
        if not named:
            raise InputError(
                "E101",
                f"{path}: {'holds' if path.is_dir() else 'is'} no orbit file; expected "
                "S1A_OPER_AUX_POEORB_OPOD_....EOF or S1A_OPER_AUX_RESORB_OPOD_....EOF, unpacked",
            )
        found += named
    return tuple(found)


def orbit_file_of(product: Path, annotation: Annotation, others: Sequence[Path] = ()) -> Path | None:
    """Return the orbit file that covers a product: a precise one before a restituted one.

    Parameters
    ----------
    others : sequence of Path
        Orbit files beside those that lie beside the product.
    """
    timing = annotation.timing
    first = timing.first_line.astype("datetime64[s]")
    last = first + np.timedelta64(int(timing.lines * timing.line_s) + 1, "s")
    found = []
    for path in (*sorted(product.parent.glob("S1*.EOF")), *others):
        one = _ORBIT_FILE.fullmatch(path.name)
        if one and one["platform"].upper() == annotation.platform:
            start, stop = (_compact(one[key]) for key in ("start", "stop"))
            if start <= first and last <= stop:
                found.append((one["kind"].upper(), path))
    return min(found, key=lambda one: one[0])[1] if found else None


def state_vectors(path: Path) -> StateVectors:
    """Return the state vectors of an orbit file; E101 where it is damaged."""
    try:
        return read_orbit_file(read_bytes(path, _MOST_ORBIT))
    except (OSError, ValueError) as error:
        raise InputError(
            "E101", f"{path}: cannot be read as an orbit file ({error}); fetch it again"
        ) from None


@lru_cache(maxsize=64)
def _annotation(product: Path, files: ProductFiles, changed: tuple[int, int]) -> Annotation:
    del changed
    try:
        return read_annotation(*(_bytes(path) for path in (files.annotation, files.calibration, files.noise)))
    except ZIP_ERRORS as error:
        raise InputError(
            "E101", f"{product}: its annotation cannot be read ({error}); fetch the product again"
        ) from None


def _state(product: Path) -> tuple[int, int]:
    status = product.stat()
    return status.st_mtime_ns, status.st_size


def _bytes(path: Path) -> bytes:
    member = inside_zip(path)
    return read_bytes(path, MOST_BYTES) if member is None else read_member(member, MOST_BYTES)


def _members(product: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file of a product, and its path below the SAFE folder."""
    if product.is_dir():
        for count, (folder, _, files) in enumerate(os.walk(product)):
            if count > _MOST_FILES:
                return
            for name in files:
                path = Path(folder, name)
                yield path, path.relative_to(product).as_posix()
        return
    try:
        names = zip_names(product)
    except ZIP_ERRORS as error:
        raise InputError("E101", f"{product}: is not a whole zip file ({error}); fetch it again") from None
    for name in names:
        yield product / name, name.partition("/")[2] if ".safe/" in name.lower() else name


def _compact(text: str) -> np.datetime64:
    day, clock = text.split("T")
    return np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}", "s")
