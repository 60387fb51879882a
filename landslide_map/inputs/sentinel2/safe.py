"""Sentinel-2 Level-2A product in ESA's SAFE layout, folder or zip: its XML.

``MTD_MSIL2A.xml`` names the images and the radiometric offset, ``MTD_TL.xml`` the tile's grid. File
names are matched without regard to case, because real products differ there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final
from xml.etree import ElementTree

from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from landslide_map.bands import BANDS_20M, BANDS_60M
from landslide_map.errors import InputError
from landslide_map.grid import Grid
from landslide_map.untrusted.files import ZIP_ERRORS, Member, read_bytes, read_member, zip_names
from landslide_map.untrusted.xml_tree import MOST_BYTES, parse_xml

PRODUCT_XML = "mtd_msil2a.xml"
LEVEL_1C_XML = "mtd_msil1c.xml"
LEVEL_1C_BANDS = tuple(f"b{number:02d}" for number in range(1, 13))
""":file:`B8A` is not among those of Landslide4Sense."""
IMAGES = {"red": "B04_10m", "green": "B03_10m", "blue": "B02_10m", "nir": "B08_10m"}
CLASSIFICATION = "SCL_20m"
FURTHER = {
    **{name: f"{name.upper()}_20m" for name in BANDS_20M},
    **{name: f"{name.upper()}_60m" for name in BANDS_60M},
}
MODEL_BAND_IDS = ("1", "2", "3", "7")
"""``band_id`` of B02, B03, B04 and B08 in the product metadata."""


@dataclass(frozen=True, slots=True)
class SafeProduct:
    """Metadata of one product, before any pixel is read."""

    name: str
    """``S2A_MSIL2A_..._T01KAB_....SAFE``."""
    baseline: str
    """Processing baseline, e.g. ``05.09``."""
    quantification: float
    """Digital numbers per unit of reflectance, 10000."""
    add_offset: float | None
    """BOA_ADD_OFFSET, -1000 from baseline 04.00 on; None where the product has none."""
    acquired: datetime
    """Start of the datatake, UTC."""
    grid: Grid | None
    """The tile's 10 m grid."""
    sun_zenith: float | None
    """Mean over the tile, degrees."""
    images: dict[str, str]
    """``red, green, blue, nir`` and, where there is one, ``scl`` -> path."""
    further: dict[str, str]
    """``b05`` ... -> path, those that there are."""
    metadata: tuple[Path, ...]
    """Files (or the zip) the metadata were read from."""


@dataclass(frozen=True, slots=True)
class LevelOneProduct:
    """Metadata of a Level-1C product."""

    name: str
    acquired: datetime
    """Start of the datatake, UTC."""
    add_offset: float
    """RADIO_ADD_OFFSET, -1000 from baseline 04.00 on; 0 where the product has none."""
    images: dict[str, str]
    """``b01`` ... ``b12`` -> path."""
    metadata: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Tree:
    """The files of a product below its top folder, in a folder or in a zip."""

    path: Path
    top: str
    """The product's folder inside the zip; empty for a folder."""
    names: dict[str, str]
    """Lower-case name below `top` -> true name."""

    def find(self, name: str) -> str | None:
        return self.names.get(name.lower())

    def location(self, name: str) -> str:
        return str(PurePosixPath(self.path.as_posix(), self.top, name))

    def xml(self, name: str) -> ElementTree.Element:
        try:
            if self.path.is_dir():
                return parse_xml(read_bytes(self.path / name, MOST_BYTES))
            member = Member(self.path, str(PurePosixPath(self.top, name)))
            return parse_xml(read_member(member, MOST_BYTES))
        except ZIP_ERRORS as error:
            raise InputError(
                "E101", f"{self.location(name)}: cannot be read ({error}); fetch it again{_OR_FILES}"
            ) from None


_OR_FILES: Final = (
    ", or unpack it and give its images as B02, B03, B04 and B08 in scene.yaml (lists of files where the "
    "image has several parts)"
)


def is_product(path: Path) -> bool:
    """Whether `path` is meant as a SAFE product: a folder, a zip, or the product's own XML."""
    return path.is_dir() or path.suffix.lower() in {".zip", ".xml"}


def read_product(path: Path) -> SafeProduct:
    """Read the metadata of a SAFE folder or zip.

    Raises
    ------
    InputError
        E101 no or damaged product, or an image missing; E201 Level-1C; E107 several tiles in one product.
    """
    tree = _tree(path.parent if path.suffix.lower() == ".xml" else path)
    product_name = next(name for low, name in tree.names.items() if low == PRODUCT_XML)
    product = tree.xml(product_name)
    kind = _text(product, "PRODUCT_TYPE") or ""
    if "1C" in kind:
        raise _level_1c(path, kind)
    tile_name = next((name for low, name in tree.names.items() if low.endswith("/mtd_tl.xml")), None)
    tile = tree.xml(tile_name) if tile_name else None
    try:
        return _described(path, tree, product, product_name, tile, tile_name)
    except InputError:
        raise
    except (ValueError, OverflowError) as error:
        raise InputError(
            "E101",
            f"{tree.location(product_name)}: a number or time is none ({error}); fetch the product again",
        ) from None


def read_level_1c(path: Path) -> LevelOneProduct:
    """Read the metadata of a Level-1C SAFE folder or zip.

    Raises
    ------
    InputError
        E101 no or damaged product, or an image missing; E107 several in one; E201 another level.
    """
    tree = _tree(path, LEVEL_1C_XML)
    name = next(name for low, name in tree.names.items() if low == LEVEL_1C_XML)
    product = tree.xml(name)
    if "1C" not in (_text(product, "PRODUCT_TYPE") or ""):
        raise InputError("E201", f"{path}: is not Level-1C; s2.post_l1c is the Level-1C product of s2.post")
    images = {}
    for band in LEVEL_1C_BANDS:
        pattern = re.compile(rf"granule/.*_{band}\.jp2$")
        found = sorted(true for low, true in tree.names.items() if pattern.match(low))
        if len(found) != 1:
            raise InputError("E101", f"{path}: has {len(found)} images of {band.upper()}, expected one")
        images[band] = tree.location(found[0])
    try:
        offsets = {_number(e.text or "", -1e6, 1e6) for e in product.iter("RADIO_ADD_OFFSET")}
        if len(offsets) > 1:
            raise ValueError(f"RADIO_ADD_OFFSET differs between bands: {sorted(offsets)}")
        acquired = _time(_required(product, "PRODUCT_START_TIME", tree, name))
    except (ValueError, OverflowError) as error:
        raise InputError("E101", f"{tree.location(name)}: {error}; fetch the product again") from None
    title = _text(product, "PRODUCT_URI") or path.name
    metadata = _metadata_files(tree, name)
    return LevelOneProduct(title, acquired, offsets.pop() if offsets else 0.0, images, metadata)


def _described(
    path: Path,
    tree: _Tree,
    product: ElementTree.Element,
    product_name: str,
    tile: ElementTree.Element | None,
    tile_name: str | None,
) -> SafeProduct:
    return SafeProduct(
        name=_text(product, "PRODUCT_URI") or path.name,
        baseline=_required(product, "PROCESSING_BASELINE", tree, product_name),
        quantification=_number(_text(product, "BOA_QUANTIFICATION_VALUE") or "10000", 1, 1e6),
        add_offset=_add_offset(product, tree.location(product_name)),
        acquired=_time(_required(product, "PRODUCT_START_TIME", tree, product_name)),
        grid=None if tile is None else _grid(tile, tree.location(str(tile_name))),
        sun_zenith=_sun_zenith(tile),
        images=_images(product, tree),
        further=_further(tree),
        metadata=_metadata_files(tree, product_name, tile_name),
    )


def _tree(path: Path, xml: str = PRODUCT_XML) -> _Tree:
    if not path.exists():
        raise InputError("E101", f"{path}: no such file or folder; correct s2.post in scene.yaml")
    if path.is_dir():
        names = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
    else:
        try:
            names = zip_names(path)
        except ZIP_ERRORS as error:
            raise InputError(
                "E101", f"{path}: is not a whole zip file that can be read ({error}); fetch it again"
            ) from None
    found = sorted((name for name in names if PurePosixPath(name).name.lower() == xml), key=len)
    if not found and xml == LEVEL_1C_XML:
        raise InputError(
            "E101", f"{path}: there is no MTD_MSIL1C.xml; expected a Level-1C product (SAFE folder or zip)"
        )
    if not found:
        if any("msil1c" in name.lower() for name in [*names, path.name]):
            raise _level_1c(path, "MSIL1C")
        raise InputError(
            "E101",
            f"{path}: there is no MTD_MSIL2A.xml; expected a Level-2A product (SAFE folder or zip); fetch it "
            f"again{_OR_FILES}",
        )
    if len(found) > 1:
        raise InputError("E107", f"{path}: holds {len(found)} products; name one of {', '.join(found)}")
    top = str(PurePosixPath(found[0]).parent).removeprefix(".")
    if path.is_dir() and top:
        return _tree(path / top, xml)
    prefix = f"{top}/" if top else ""
    inside = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    return _Tree(path, top, {name.lower(): name for name in inside})


def _level_1c(path: Path, found: str) -> InputError:
    return InputError(
        "E201",
        f"{path}: is Level-1C (top of atmosphere, {found}); Level-2A is needed: fetch MSIL2A or run sen2cor",
    )


def _images(product: ElementTree.Element, tree: _Tree) -> dict[str, str]:
    listed = [f"{(element.text or '').strip()}.jp2" for element in product.iter("IMAGE_FILE")]
    present = [name for name in map(tree.find, listed) if name] or list(tree.names.values())
    parts = [PurePosixPath(name).parts for name in present if name.upper().startswith("GRANULE/")]
    granules = {part[1] for part in parts if len(part) > 1}  # zips may list the folder itself
    if len(granules) > 1:
        raise InputError(
            "E107",
            f"{tree.location('')}: holds {len(granules)} tiles (it is from before December 2016); give the "
            "files of one tile as B04, B03, B02, B08 in scene.yaml",
        )
    images = {}
    for band, ending in {**IMAGES, "scl": CLASSIFICATION}.items():
        pattern = re.compile(rf"_{ending}\.jp2$", re.IGNORECASE)
        name = next((name for name in present if pattern.search(name)), None)
        if name is not None:
            images[band] = tree.location(name)
        elif band != "scl":
            raise InputError(
                "E101", f"{tree.location('')}: {ending} not found; looked for *_{ending}.jp2 below GRANULE"
            )
    return images


def _further(tree: _Tree) -> dict[str, str]:
    """Return the images of 20 m and 60 m, which a product may lack."""
    found = {}
    for band, ending in FURTHER.items():
        pattern = re.compile(rf"granule/.*_{ending}\.jp2$", re.IGNORECASE)
        names = sorted(name for low, name in tree.names.items() if pattern.match(low))
        if len(names) == 1:
            found[band] = tree.location(names[0])
    return found


def _metadata_files(tree: _Tree, *names: str | None) -> tuple[Path, ...]:
    if not tree.path.is_dir():
        return (tree.path,)
    return tuple(tree.path / name for name in names if name)


def _add_offset(product: ElementTree.Element, where: str) -> float | None:
    offsets = {e.get("band_id"): _number(e.text or "", -1e6, 1e6) for e in product.iter("BOA_ADD_OFFSET")}
    if not offsets:
        return None
    used = {offsets.get(band) for band in MODEL_BAND_IDS}
    if len(used) > 1 or None in used:
        raise InputError("E101", f"{where}: BOA_ADD_OFFSET differs between B02, B03, B04 and B08: {offsets}")
    return used.pop()


def _grid(tile: ElementTree.Element, where: str) -> Grid:
    try:
        size = next(e for e in tile.iter("Size") if e.get("resolution") == "10")
        corner = next(e for e in tile.iter("Geoposition") if e.get("resolution") == "10")
        x, y, dx, dy = (
            _number(_text(corner, key) or "", -1e8, 1e8) for key in ("ULX", "ULY", "XDIM", "YDIM")
        )
        columns, rows = (int(_number(_text(size, key) or "", 1, 1e6)) for key in ("NCOLS", "NROWS"))
        code = re.fullmatch(
            r"EPSG:(\d{4,6})", _text(tile, "HORIZONTAL_CS_CODE") or "", re.ASCII | re.IGNORECASE
        )
        if code is None:
            raise ValueError("HORIZONTAL_CS_CODE")
        crs = CRS.from_epsg(int(code[1]))
        return Grid(crs, Affine(dx, 0, x, 0, dy, y), columns, rows)
    except (StopIteration, ValueError, CRSError):
        raise InputError("E101", f"{where}: lacks the tile's 10 m grid; fetch the product again") from None


def _sun_zenith(tile: ElementTree.Element | None) -> float | None:
    mean = None if tile is None else next(tile.iter("Mean_Sun_Angle"), None)
    zenith = None if mean is None else _text(mean, "ZENITH_ANGLE")
    return None if zenith is None else _number(zenith, 0, 180)


def _number(text: str, least: float, most: float) -> float:
    found = float(text)
    if not least <= found <= most:  # false for NaN, too
        raise ValueError(f"{text[:40]!r}, expected {least:g} to {most:g}")
    return found


def _time(text: str) -> datetime:
    """Return a time in UTC, which these products mean also where they do not say so."""
    found = datetime.fromisoformat(text)
    if not 2015 <= found.year <= 2100:  # the first Sentinel-2 was launched in 2015
        raise ValueError(f"the year {found.year}")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _text(element: ElementTree.Element, tag: str) -> str | None:
    found = next(element.iter(tag), None)
    return found.text.strip() if found is not None and found.text else None


def _required(element: ElementTree.Element, tag: str, tree: _Tree, name: str) -> str:
    text = _text(element, tag)
    if text is None:
        raise InputError("E101", f"{tree.location(name)}: {tag} is missing; fetch the product again")
    return text
