"""Sentinel-2 images without their SAFE: the band files in a folder.

Recognised are the layouts of AWS, the Planetary Computer, Earth Search and MAJA (Theia), and any folder with
one file for each band. A folder with a SAFE product in it is that product.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from landslide_map.bands import BANDS_20M, FURTHER_BANDS
from landslide_map.errors import InputError
from landslide_map.scene.model import OpticalSpec
from landslide_map.untrusted.files import read_bytes
from landslide_map.untrusted.json_text import read_json
from landslide_map.untrusted.times import utc_time

MOST_FILES: Final = 20_000
"""Most names of a folder that are read."""
_BANDS: Final = {
    "B02": ("B0?2", "blue"),
    "B03": ("B0?3", "green"),
    "B04": ("B0?4", "red"),
    "B08": ("B0?8", "nir"),
    "SCL": ("SCL", "scl"),
}
_COLOURS: Final = {
    "b05": "rededge1",
    "b06": "rededge2",
    "b07": "rededge3",
    "b8a": "nir08",
    "b11": "swir16",
    "b12": "swir22",
    "b01": "coastal",
    "b09": "nir09",
}
"""Names of the bands of 20 m and 60 m in Earth Search."""
_COARSE: Final = re.compile(r"_(20|60)m|(?:^|[/\\])R(20|60)m[/\\]", re.IGNORECASE)
_MAJA: Final = re.compile(
    r"SENTINEL2[A-D]_(?P<day>\d{8})-(?P<clock>\d{6})-\d+_L2A_T\d{2}[A-Z]{3}", re.IGNORECASE
)
_METADATA_LIMIT: Final = 8 << 20
"""Longest metadata file that is read, bytes."""
_SENSED: Final = re.compile(r"<SENSING_TIME[^>]*>\s*([0-9T:.-]+Z?)\s*</SENSING_TIME>")


def resolved(spec: OpticalSpec) -> OpticalSpec:
    """Return the band files of a spec if its `path` is a folder without a SAFE product; any other as it is.

    Raises
    ------
    InputError
        E101 a band has no file, or several, in the folder.
    """
    folder = spec.path
    if folder is None or not folder.is_dir():
        return spec
    files = _files(folder)
    if any(path.name.lower() in {"mtd_msil2a.xml", "mtd_msil1c.xml"} for path in files):
        return spec
    archives = [path for path in files if re.match(r"S2[A-D]_MSIL2A_.*\.zip$", path.name, re.IGNORECASE)]
    if len(archives) == 1:
        return spec.model_copy(update={"path": archives[0]})
    found = {band: _file_of(band, files, folder) for band in _BANDS}
    given = {band: path for band, path in found.items() if path is not None}
    if not set(given) - {"SCL"}:
        return spec  # refused as no product, with a clearer message
    further = {name.upper(): _further_file(name, files) for name in FURTHER_BANDS}
    listed = {key: path for key, path in further.items() if path and getattr(spec, key) is None}
    facts: dict[str, Any] = {"path": None, **given, **listed}
    facts["datetime"] = spec.datetime or _sensed(files)
    if maja := next((m for path in files if (m := _MAJA.search(path.name))), None):
        facts |= _of_maja(spec, maja)
    return spec.model_copy(update=facts)


def _of_maja(spec: OpticalSpec, name: re.Match[str]) -> dict[str, Any]:
    """Return the conventions of MAJA: reflectance times 10000 without an offset, no data -10000."""
    taken = datetime.strptime(name["day"] + name["clock"], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return {
        "offset": "absent" if spec.offset == "auto" else spec.offset,
        "nodata": spec.nodata if spec.nodata is not None else (-10000.0,),
        "datetime": spec.datetime or taken,
        "SCL": None,
    }


def _files(folder: Path) -> list[Path]:
    files = []
    for count, path in enumerate(sorted(folder.rglob("*"))):
        if count >= MOST_FILES:
            raise InputError(
                "E101", f"{folder}: has more than {MOST_FILES:,} files; name the image's own folder"
            )
        if path.is_file():
            files.append(path)
    return files


def _file_of(band: str, files: list[Path], folder: Path) -> Path | None:
    code, colour = _BANDS[band]
    pattern = re.compile(rf"(?:(?:^|[_.-]){code}(?:_[12]0m)?|^{colour})\.(?:tif|tiff|jp2)$", re.IGNORECASE)
    hits = [path for path in files if pattern.search(path.name)]
    if band != "SCL":
        hits = [path for path in hits if not _COARSE.search(path.relative_to(folder).as_posix())]
    flat = [path for path in hits if "_FRE_" in path.name.upper()]  # MAJA: with slopes taken into account
    hits = flat or hits
    if band == "SCL" and len(hits) > 1:
        hits = [path for path in hits if "20m" in path.as_posix()] or hits
    if len(hits) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in hits[:4])
        raise InputError(
            "E101",
            f"{folder}: has {len(hits)} files of {band} ({names}); name the folder of one image, or give the "
            "files as B02, B03, B04 and B08 in scene.yaml",
        )
    return hits[0] if hits else None


def _further_file(band: str, files: list[Path]) -> Path | None:
    """Return the one file of a band of 20 m or 60 m; None where it has none, or several."""
    number = band[1:].upper().lstrip("0")
    codes = rf"(?:(?:^|[_.-])B0?{number}(?:_[26]0m)?|^{_COLOURS[band]})\.(?:tif|tiff|jp2)$"
    hits = [path for path in files if re.search(codes, path.name, re.IGNORECASE)]
    hits = [path for path in hits if "_FRE_" in path.name.upper()] or hits
    if len(hits) > 1:
        own = "20m" if band in BANDS_20M else "60m"
        hits = [path for path in hits if own in path.as_posix()]
    return hits[0] if len(hits) == 1 else None


def _sensed(files: list[Path]) -> datetime | None:
    """Return when the tile was sensed, by AWS's and ESA's metadata of tiles; None where they are absent."""
    for path in files:
        try:
            if path.name == "tileInfo.json":
                return utc_time(str(read_json(path, _METADATA_LIMIT)["timestamp"]))
            if path.name.lower() not in {"metadata.xml", "mtd_tl.xml", "granule_metadata.xml"}:
                continue
            if recorded := _SENSED.search(read_bytes(path, _METADATA_LIMIT).decode("utf-8", "replace")):
                return utc_time(recorded.group(1))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None
