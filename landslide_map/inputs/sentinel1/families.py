"""Product families of Sentinel-1: the passes in a folder or zip.

A product is a pair of rasters, VV and VH, or one raster with both. Its tags and name declare
units, radiometry and date (:mod:`~landslide_map.inputs.sentinel1.metadata`). Other files beside it are
left out. Products that one satellite took within ten minutes are slices, bursts or frames of one pass.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from landslide_map.errors import InputError
from landslide_map.grid import Grid
from landslide_map.inputs.sentinel1.dimap import HEADER_TAG, read_dimap
from landslide_map.inputs.sentinel1.files import RadarFile, inspect_file, polarisation_of
from landslide_map.inputs.sentinel1.ground_range import identity_of, not_geocoded, rough_grid
from landslide_map.inputs.sentinel1.metadata import Identity, identify, relative_orbit
from landslide_map.inputs.sentinel1.sentinel_hub import is_response
from landslide_map.inputs.shards import shards_of
from landslide_map.raster.ground_range.geometry import has_sarsen
from landslide_map.raster.ground_range.product import is_ground_range
from landslide_map.raster.open import open_band
from landslide_map.scene.model import RadarBands, RadarSpec
from landslide_map.untrusted.files import ZIP_ERRORS, zip_names
from landslide_map.untrusted.tiff_tag import tiff_text
from landslide_map.untrusted.xml_tree import MOST_BYTES

SAME_PASS_S: Final = 600.0
"""Slices, bursts and frames of one pass over a scene start within this time."""
MOST_FILES: Final = 20_000
"""Names of a folder or zip that are read."""
_RASTER: Final = re.compile(r"\.(tif|tiff|dim)$", re.IGNORECASE)
_COMPANION: Final = re.compile(
    r"(?:^|[_.-])(?:ls_map|inc_map|area|dem|rgb|mask|angle|lia|local_incidence_angle|diff\w*|composite)\.tiff?$",
    re.IGNORECASE,
)
"""Rasters that come along with backscatter."""
_OPTICAL: Final = re.compile(r"S2[A-D]_MSI|SENTINEL2[A-D]_|_T\d{2}[C-X][A-Z]{2}_|^T\d{2}[C-X][A-Z]{2}_")


@dataclass(frozen=True, slots=True)
class Product:
    """The rasters of one Sentinel-1 product."""

    files: dict[str, Path]
    """``vv`` and ``vh``; both the same file where it has both bands."""
    bands: RadarBands | None
    """Numbers of the bands in a file that has both."""
    identity: Identity
    grid: Grid

    @property
    def acquired(self) -> datetime:
        """Start of sensing, UTC."""
        if self.identity.acquired is None:
            raise InputError(
                "E309",
                f"{self.files['vv']}: when it was taken is neither in its tags nor in its name; list it in "
                "scene.yaml with datetime:",
            )
        return self.identity.acquired

    @property
    def relative_orbit(self) -> int | None:
        """Track, as declared or by the absolute orbit."""
        recorded = self.identity
        return recorded.relative_orbit or relative_orbit(recorded.platform, recorded.absolute_orbit)


def is_collection(path: Path) -> bool:
    """Whether a path is a folder or zip that may hold products."""
    return path.is_dir() or (path.suffix.lower() == ".zip" and path.is_file())


def products_in(path: Path) -> list[Product]:
    """Return the products in a folder (and its folders and zips) or in a zip, in order of time.

    Raises
    ------
    InputError
        E101 unreadable, E305 a product lacks a polarisation, E309 without a date; as
        :func:`~landslide_map.inputs.sentinel1.files.inspect_file` for rasters that are no geocoded
        backscatter.
    """
    pairs: dict[str, dict[str, RadarFile]] = {}
    both: list[Product] = []
    for raster in _rasters(path):
        if is_ground_range(raster):
            if not has_sarsen():
                raise not_geocoded(raster)
            both.append(Product({"vv": raster, "vh": raster}, None, identity_of(raster), rough_grid(raster)))
            continue
        if raster.suffix.lower() == ".dim":
            both.append(_product(files_of_dimap(raster), None, raster))
            continue
        polarisation = _polarisation(raster.name)
        if polarisation is not None:
            key = str(raster.with_name(_without(raster.name)))
            pairs.setdefault(key, {})[polarisation] = inspect_file(raster)
        elif _may_hold_both(raster) and raster == shards_of(raster)[0]:
            file = inspect_file(raster)
            recorded = [polarisation_of(text) for text in file.descriptions]
            if recorded.count("vv") == 1 and recorded.count("vh") == 1:
                numbers = RadarBands(vv=recorded.index("vv") + 1, vh=recorded.index("vh") + 1)
                both.append(_product({"vv": file, "vh": file}, numbers))
            elif len(recorded) == 2 and not any(recorded) and is_response(raster):
                both.append(_product({"vv": file, "vh": file}, RadarBands(vv=1, vh=2)))
    return sorted([*both, *map(_pair, pairs.values())], key=lambda p: (p.acquired, str(p.files["vv"])))


def passes(products: Sequence[Product]) -> list[list[Product]]:
    """Group products, in order of time, by pass: the same satellite, family and track within ten minutes."""
    groups: list[list[Product]] = []
    latest: dict[tuple[str | None, str | None, int | None], list[Product]] = {}
    for one in products:
        key = one.identity.platform, one.identity.family, one.relative_orbit
        group = latest.get(key)
        if group is None or (one.acquired - group[0].acquired).total_seconds() > SAME_PASS_S:
            group = latest[key] = []
            groups.append(group)
        group.append(one)
    return groups


def as_specs(group: Sequence[Product], declared: RadarSpec | None = None) -> list[RadarSpec]:
    """Return a pass as scene.yaml would list it, with the declarations of its folder."""
    facts = {} if declared is None else declared.model_dump(include=set(_DECLARED), exclude_unset=True)
    pairs = [one for one in group if one.files["vv"] != one.files["vh"]]
    specs = [
        RadarSpec(path=one.files["vv"], bands=one.bands).model_copy(update=facts)
        for one in group
        if one.files["vv"] == one.files["vh"]
    ]
    if pairs:
        vv, vh = (tuple(one.files[name] for one in pairs) for name in ("vv", "vh"))
        specs.append(RadarSpec(vv=vv, vh=vh).model_copy(update=facts))
    return specs


_DECLARED: Final = ("units", "quantity", "datetime", "orbit", "relative_orbit", "platform", "nodata")


def expanded(spec: RadarSpec) -> list[RadarSpec]:
    """Return the passes of an item if its `path` is a folder or zip; any other item as it is.

    Raises
    ------
    InputError
        E101 nothing in it is Sentinel-1 backscatter.
    """
    if spec.path is None or not is_collection(spec.path) or (spec.path / "manifest.safe").exists():
        return [spec]
    if re.search(r"_(GRD|SLC)[FHM_]_.*\.(SAFE|ZIP)$", spec.path.name.upper()):
        return [spec]  # geocoded, or refused with a clearer message
    found = products_in(spec.path)
    if not found:
        raise InputError(
            "E101",
            f"{spec.path}: holds no raster that is named VV and VH; expected an RTC product (HyP3, OPERA, "
            "Planetary Computer). Or give its GeoTIFFs as vv: and vh: in scene.yaml",
        )
    return [one for group in passes(found) for one in as_specs(group, spec)]


def _pair(files: dict[str, RadarFile]) -> Product:
    if set(files) != {"vv", "vh"}:
        (name, file), *_ = files.items()
        other = "VH" if name == "vv" else "VV"
        raise InputError("E305", f"{file.path}: has no {other} beside it; both polarisations are needed")
    return _product(files, None)


def _product(files: dict[str, RadarFile], bands: RadarBands | None, whole: Path | None = None) -> Product:
    """Return a product; `whole` is the one file that stands for both polarisations."""
    first = files["vv"]
    grid = first.placed or open_band(first.path, bands.vv if bands else 1).grid
    return Product({name: whole or file.path for name, file in files.items()}, bands, first.identity, grid)


def files_of_dimap(path: Path) -> dict[str, RadarFile]:
    """Return VV and VH of a SNAP product (BEAM-DIMAP).

    Raises
    ------
    InputError
        E305 one of them is missing; as :func:`~landslide_map.inputs.sentinel1.dimap.read_dimap`.
    """
    found = read_dimap(path)
    if set(found) != {"vv", "vh"}:
        there = ", ".join(sorted(found)).upper() or "neither"
        raise InputError("E305", f"{path}: has {there} of VV and VH as Sigma0 or Gamma0; both are needed")
    return {
        name: RadarFile(
            band.path, band.identity, ("",), band.grid, band.nodata, ((path.name, band.identity),)
        )
        for name, band in sorted(found.items(), reverse=True)
    }


def _polarisation(name: str) -> str | None:
    recorded = identify([name]).polarisation
    return recorded.lower() if recorded in {"VV", "VH"} else None


def _without(name: str) -> str:
    """Return a name without its polarisation: equal for the rasters of one product."""
    return re.sub(
        r"(?<![A-Za-z0-9])(?:vv|vh)(?![A-Za-z0-9])", "", name.replace("_", " "), flags=re.IGNORECASE
    )


def _may_hold_both(raster: Path) -> bool:
    """Whether a raster with another name may be an export of both bands: one named after a SAFE product."""
    named = identify([raster.name]).acquired is not None or is_response(raster)
    return (named or _is_of_snap(raster)) and not _OPTICAL.search(raster.name)


def _is_of_snap(raster: Path) -> bool:
    """Whether a GeoTIFF has any header of SNAP."""
    try:
        return tiff_text(raster, HEADER_TAG, MOST_BYTES) is not None
    except OSError:
        return False  # reported when the file is opened


def _rasters(path: Path) -> Iterator[Path]:
    """Yield the GeoTIFFs of a folder or zip that may be backscatter; links are not followed."""
    for count, name in enumerate(_names(path)):
        if is_ground_range(name):
            yield name
            continue
        if count >= MOST_FILES:
            raise InputError(
                "E101",
                f"{path}: has more than {MOST_FILES:,} files; name a folder that holds the images only",
            )
        if name.suffix.lower() == ".zip" and path.is_dir():
            yield from _rasters(name)
        elif (
            _RASTER.search(name.name) and not _COMPANION.search(name.name) and not _OPTICAL.search(name.name)
        ):
            yield name


def _names(path: Path) -> Iterator[Path]:
    if is_ground_range(path):
        yield path
        return
    if path.is_dir():
        for folder, folders, files in os.walk(path):
            yield from (Path(folder, name) for name in sorted(folders) if is_ground_range(Path(folder, name)))
            folders[:] = sorted(name for name in folders if not is_ground_range(Path(folder, name)))
            yield from (Path(folder, name) for name in sorted(files))
        return
    try:
        names = sorted(zip_names(path))
    except ZIP_ERRORS as error:
        raise InputError("E101", f"{path}: is not a whole zip file ({error}); fetch it again") from None
    yield from (path / name for name in names)
