"""Files damaged at random: each must end in a result or a refusal with a code.

A child process reads one damaged file after another, so that a crash or a hang is counted and the next one
follows. Damage is drawn from a seed: bits, bytes, pieces left out, put in and repeated, extreme numbers.
"""

from __future__ import annotations

import io
import json
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn

import click
import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine

from landslide_map.errors import LandslideMapError

SECONDS: Final = 60
"""Time limit for one file: longer is a hang."""
ROOT: Final = Path(__file__).resolve().parents[1]
BUNDLE: Final = ROOT / "landslide_map" / "bundles" / "default"
_EXTREME: Final = (b"nan", b"1e999", b"-1", b"0", b"99999999999999999999", b"", b"true", b"[]", b"2024-13-45")

Read = Callable[[Path], object]
"""Reads a damaged file; raises LandslideMapError or returns."""


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return `content` with one to eight pieces of damage."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        at = rng.randrange(len(changed) + 1)
        length = rng.choice((1, 2, 8, 64))
        kind = rng.randrange(7)
        own = (
            bytes(rng.choices(content, k=length)) if content and rng.random() < 0.5 else rng.randbytes(length)
        )
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at : at + length] = own[: len(changed) - at]
        elif kind == 2:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = own
        elif kind == 4:
            changed[at:at] = changed[at : at + length] * rng.choice((1, 3))
        elif kind == 5 and rng.random() < 0.2:
            del changed[at:]
        elif numbers := [m.span() for m in re.finditer(rb"-?\d[\d.eE+-]*", bytes(changed[at : at + 4096]))]:
            first, last = rng.choice(numbers)
            changed[at + first : at + last] = rng.choice(_EXTREME)
    return bytes(changed)


def repacked(content: bytes, rng: random.Random) -> bytes:
    """Return a zip with damage inside a member, or in its own bytes."""
    if rng.random() < 0.3:
        return damaged(content, rng)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        hit = rng.choice(old.namelist())
        for name in old.namelist():
            held = old.read(name)
            new.writestr(name, damaged(held, rng) if name == hit else held)
    return out.getvalue()


_PRODUCT: Final = """<?xml version="1.0" encoding="UTF-8"?><n1:Level-2A_User_Product xmlns:n1="x">
<Product_Info>
<PRODUCT_START_TIME>2024-04-10T02:25:29.024Z</PRODUCT_START_TIME><PRODUCT_URI>A.SAFE</PRODUCT_URI>
<PRODUCT_TYPE>S2MSI2A</PRODUCT_TYPE><PROCESSING_BASELINE>05.10</PROCESSING_BASELINE></Product_Info>
<BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>{offsets}</n1:Level-2A_User_Product>"""
_TILE: Final = """<?xml version="1.0" encoding="UTF-8"?><n1:Level-2A_Tile_ID xmlns:n1="x"><Tile_Geocoding>
<HORIZONTAL_CS_CODE>EPSG:32651</HORIZONTAL_CS_CODE>
<Size resolution="10"><NROWS>64</NROWS><NCOLS>64</NCOLS></Size>
<Geoposition resolution="10"><ULX>300000</ULX><ULY>2700000</ULY><XDIM>10</XDIM><YDIM>-10</YDIM></Geoposition>
</Tile_Geocoding><Mean_Sun_Angle><ZENITH_ANGLE>30.5</ZENITH_ANGLE></Mean_Sun_Angle></n1:Level-2A_Tile_ID>"""


def _bands(path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.normal((1300, 1500, 1400, 3500), 90, (64, 64, 4)).transpose(2, 0, 1).astype(np.uint16)
    place = Affine(10, 0, 300000, 0, -10, 2700000)
    with rasterio.open(
        path, "w", driver="GTiff", width=64, height=64, count=4, dtype="uint16", crs=32651, transform=place
    ) as dataset:
        dataset.write(pixels)


def _scene(folder: Path) -> bytes:
    _bands(folder / "s2.tif")
    return (
        b"event: {time: 2024-04-02T23:58:00Z, name: a}\ns2:\n  post:\n    path: s2.tif\n"
        b"    bands: {blue: 1, green: 2, red: 3, nir: 4}\n    datetime: 2024-04-10T02:25:00Z\n"
        b"    offset: present\ngrid: {epsg: 32651, ulx: 300000, uly: 2700000, width: 64, height: 64}\n"
        b"stride: 64\nthreshold: 0.5\nmin_valid_fraction: 0.75\n"
    )


def _safe(folder: Path) -> Path:
    product = folder / "A.SAFE"
    images = product / "GRANULE" / "L2A" / "IMG_DATA" / "R10m"
    images.mkdir(parents=True)
    for band in ("B02", "B03", "B04", "B08"):
        (images / f"T_{band}_10m.jp2").write_bytes(b"\0" * 64)
    offsets = "".join(f'<BOA_ADD_OFFSET band_id="{i}">-1000</BOA_ADD_OFFSET>' for i in range(13))
    (product / "MTD_MSIL2A.xml").write_text(_PRODUCT.format(offsets=offsets))
    (product / "GRANULE" / "L2A" / "MTD_TL.xml").write_text(_TILE)
    return product


def _zip(folder: Path) -> bytes:
    product = _safe(folder)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(product.rglob("*")):
            archive.write(file, file.relative_to(folder))  # folders have entries of their own
    return out.getvalue()


def _read_product(path: Path) -> object:
    from landslide_map.inputs.sentinel2.safe import read_product

    return read_product(path)


def _read_scene(path: Path) -> object:
    from landslide_map.check.check_scene import check_scene

    return check_scene(path)


def _member(file: str) -> Read:
    """Return what reads a damaged file of the default bundle as the member that it belongs to."""
    listed = json.loads((BUNDLE / "bundle.json").read_text())["members"]
    entry = next(member for member in listed if file in member["files"])

    def read(path: Path) -> object:
        from landslide_map.models.statistics.boosters import StatisticsMember

        content = path.read_bytes()
        return StatisticsMember("damaged", entry["kind"], tuple(entry["channels"]), (content,)).predictors

    return read


def _read_bundle(path: Path) -> object:
    from landslide_map.models.bundle.load import load_bundle

    return load_bundle(path.parent)


def _read_windows(path: Path) -> object:
    from landslide_map.datasets.window_arrays import Windows

    windows = Windows.open(path)
    return windows.read(0, 2)


def _read_table(path: Path) -> object:
    from landslide_map.datasets.statistics_table import read_statistics_table

    return read_statistics_table(path)


def _read_ids(path: Path) -> object:
    from landslide_map.datasets.window_arrays import read_ids

    return read_ids(path)


def _read_raster(path: Path) -> object:
    from landslide_map.raster.nodata import read_valid
    from landslide_map.raster.open import open_band, opened

    band = open_band(path)
    with opened(path) as dataset:
        return read_valid(dataset, band)


def _read_polygons(path: Path) -> object:
    from landslide_map.vector.inventory import read_polygons

    return read_polygons(path)


def _read_reviews(path: Path) -> object:
    """Read a GeoPackage as the layer of a map, as a record of it, and as one with verdicts."""
    from landslide_map.products.reviews import previous_reviews
    from landslide_map.runtime.own_files import file_record

    try:
        record = file_record(path)
    except (OSError, sqlite3.Error):
        record = {}
    return previous_reviews(path), record


def _read_catalogue(path: Path) -> object:
    from landslide_map.search.area import Area
    from landslide_map.search.catalogues import Found, search
    from landslide_map.search.network import Network

    found = Found()
    search(str(path), Area.of_box(121.2, 23.9, 121.5, 24.1), {}, Network(lambda _: None), found)
    return found


def _read_store(path: Path) -> object:
    from landslide_map.inputs.sentinel2.image import open_optical
    from landslide_map.raster.open import opened
    from landslide_map.scene.model import OpticalSpec

    image, *_ = open_optical(OpticalSpec(path=path), datetime(2025, 9, 30, tzinfo=UTC))
    for band in image.bands.values():
        with opened(band.path) as dataset:
            dataset.read(1)
    return image


def _read_profile(path: Path) -> object:
    from landslide_map.products.exchange import load_profile

    return load_profile(path)


def _read_manifest(path: Path) -> object:
    from landslide_map.products.compare import compare_results

    return compare_results(path.parent, path.parent)


def _outlines() -> gpd.GeoDataFrame:
    boxes = [shapely.box(3e5 + 100 * i, 2.69e6, 3e5 + 100 * i + 70, 2.69e6 + 50) for i in range(20)]
    columns = {
        "id": range(20),
        "uid": [f"{i:08x}" for i in range(20)],
        "review": ["confirmed", "rejected", "unseen", "", "added"] * 4,
        "comment": ["seen in the field"] * 20,
    }
    return gpd.GeoDataFrame(columns, geometry=boxes, crs=32651)


def _vector(name: str, **options: str) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        path = folder / f"made_{name}"
        frame = _outlines()
        if name.endswith("json"):
            frame = frame.to_crs(4326)
        frame.to_file(path, engine="pyogrio", **options)
        return path.read_bytes()

    return make


def _shapefile(folder: Path) -> bytes:
    _outlines().to_file(folder / "a.shp", engine="pyogrio")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for ending in (".shp", ".shx", ".dbf", ".prj"):
            archive.write(folder / f"a{ending}", f"a{ending}")
    return out.getvalue()


def _raster(folder: Path) -> bytes:
    _bands(folder / "s2.tif")
    return (folder / "s2.tif").read_bytes()


def _vrt(folder: Path) -> bytes:
    _bands(folder / "s2.tif")
    band = (
        '<VRTRasterBand dataType="UInt16" band="1"><NoDataValue>0</NoDataValue><SimpleSource>'
        '<SourceFilename relativeToVRT="1">s2.tif</SourceFilename><SourceBand>1</SourceBand>'
        '<SrcRect xOff="0" yOff="0" xSize="64" ySize="64"/><DstRect xOff="0" yOff="0" xSize="64" ySize="64"/>'
        "</SimpleSource></VRTRasterBand>"
    )
    return (
        '<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:32651</SRS>'
        f"<GeoTransform>300000,10,0,2700000,0,-10</GeoTransform>{band}</VRTDataset>"
    ).encode()


def _catalogue(_folder: Path) -> bytes:
    corners = [[120.9, 23.4], [122.0, 23.4], [122.0, 24.4], [120.9, 24.4], [120.9, 23.4]]
    shared = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "geometry": {"type": "Polygon", "coordinates": [corners]},
    }
    optical = {
        "id": "S2B_MSIL2A_20240410T022529_R046_T51RUH_20240410T082529",
        "collection": "sentinel-2-l2a",
        "properties": {
            "datetime": "2024-04-10T02:25:29.024000Z",
            "platform": "Sentinel-2B",
            "s2:mgrs_tile": "51RUH",
            "s2:processing_baseline": "05.10",
            "sat:relative_orbit": 46,
            "eo:cloud_cover": 5.0,
        },
        "assets": {band: {"href": f"./{band}.tif"} for band in ("B02", "B03", "B04", "B08")},
    }
    radar = {
        "id": "S1A_IW_GRDH_1SDV_20240405T215218_20240405T215243_053303_067680_rtc",
        "collection": "sentinel-1-rtc",
        "properties": {
            "datetime": "2024-04-05T21:52:30Z",
            "start_datetime": "2024-04-05T21:52:18Z",
            "end_datetime": "2024-04-05T21:52:43Z",
            "platform": "SENTINEL-1A",
            "sat:orbit_state": "descending",
            "sat:relative_orbit": 105,
            "sat:absolute_orbit": 53303,
        },
        "assets": {name: {"href": f"./{name}.tif"} for name in ("vv", "vh")},
    }
    return json.dumps({"type": "FeatureCollection", "features": [shared | optical, shared | radar]}).encode()


def _store(folder: Path) -> Path:
    """Write an EOPF product of version 2, its chunks packed by zlib; return its folder."""
    from landslide_map.inputs.sentinel2.eopf import ARRAYS

    store = folder / _STORE
    discovered = {"id": store.stem, "properties": {"start_datetime": "2025-10-08T10:00:41.024Z"}}
    entries: dict[str, object] = {".zgroup": {"zarr_format": 2}, ".zattrs": {"stac_discovery": discovered}}
    rng = np.random.default_rng(0)
    for band, array in ARRAYS.items():
        edge, pixel = (32, 20) if band == "scl" else (64, 10)
        values = np.full((edge, edge), 4, "<u2") if band == "scl" else rng.normal(2500, 90, (edge, edge))
        for parent in [p.as_posix() for p in Path(array).parents if p.as_posix() != "."]:
            entries[f"{parent}/.zgroup"] = {"zarr_format": 2}
        entries[f"{array}/.zarray"] = {
            **{"zarr_format": 2, "shape": [edge, edge], "chunks": [edge, edge], "dtype": "<u2"},
            **{"compressor": {"id": "zlib", "level": 1}, "fill_value": 0, "filters": None, "order": "C"},
        }
        entries[f"{array}/.zattrs"] = {
            **{"_ARRAY_DIMENSIONS": ["y", "x"], "proj:epsg": 32651, "scale_factor": 1e-4},
            **{"add_offset": -0.1, "proj:transform": [pixel, 0, 300000, 0, -pixel, 2700000, 0, 0, 1]},
        }
        (store / array).mkdir(parents=True)
        (store / array / "0.0").write_bytes(zlib.compress(values.astype("<u2").tobytes()))
    for name, content in entries.items():
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_text(json.dumps(content))
    document = {"zarr_consolidated_format": 1, "metadata": entries}
    (store / ".zmetadata").write_text(json.dumps(document))
    return store


def _of_store(name: str) -> Callable[[Path], bytes]:
    """Return what writes a store and returns one of its files."""

    def make(folder: Path) -> bytes:
        return (_store(folder) / name).read_bytes()

    return make


def _zipped_store(folder: Path) -> bytes:
    store = _store(folder)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for file in sorted(store.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(store))
    return out.getvalue()


def _profile(_folder: Path) -> bytes:
    from landslide_map.products.exchange import PROFILES

    return PROFILES["cems"].read_bytes()


def _manifest(_folder: Path) -> bytes:
    inputs = [{"path": "/data/B04.tif", "bytes": 7, "header_sha256": "00"}]
    document = {"configuration": {"stride": 64}, "versions": {"a": "1"}, "inputs": inputs, "bundle": {}}
    return json.dumps(document, indent=1).encode()


def _windows(_folder: Path) -> bytes:
    out = io.BytesIO()
    np.save(out, np.zeros((2, 64, 64, 12), np.float32))
    return out.getvalue()


def _table(_folder: Path) -> bytes:
    from landslide_map.datasets.statistics_table import _columns

    rows = [["ID", "label", *_columns()]]
    rows += [[f"w{i}", str(i % 2), *[f"{i + j / 7:.3f}" for j in range(len(_columns()))]] for i in range(5)]
    return "\n".join(",".join(row) for row in rows).encode()


def _document(folder: Path) -> bytes:
    for file in BUNDLE.iterdir():
        if file.name != "bundle.json":
            (folder / file.name).symlink_to(file)
    return (BUNDLE / "bundle.json").read_bytes()


def _of_bundle(name: str) -> Callable[[Path], bytes]:
    return lambda _folder: (BUNDLE / name).read_bytes()


def _of_product(name: str) -> Callable[[Path], bytes]:
    return lambda folder: next(_safe(folder).rglob(name)).read_bytes()


_STORE: Final = "S2A_MSIL2A_20251008T100041_N0511_R122_T51RUH_20251008T122613.zarr"
_CHUNK: Final = "measurements/reflectance/r10m/b02/0.0"
_PERCEPTRON: Final = "ascending.short-perceptron.fold0.npz"
_XGBOOST: Final = "optical.xgboost.fold0.ubj"
_LIGHTGBM: Final = "ascending.short-lightgbm.fold0.txt"
KINDS: Final[dict[str, tuple[str, Callable[[Path], bytes], Read]]] = {
    "scene.yaml": ("scene.yaml", _scene, _read_scene),
    "MTD_MSIL2A.xml": (
        "A.SAFE/MTD_MSIL2A.xml",
        _of_product("MTD_MSIL2A.xml"),
        lambda p: _read_product(p.parent),
    ),
    "MTD_TL.xml": (
        "A.SAFE/GRANULE/L2A/MTD_TL.xml",
        _of_product("MTD_TL.xml"),
        lambda path: _read_product(path.parents[2]),
    ),
    "zip": ("A.zip", _zip, _read_product),
    "npz": ("a.npz", _of_bundle(_PERCEPTRON), _member(_PERCEPTRON)),
    "ubj": ("a.ubj", _of_bundle(_XGBOOST), _member(_XGBOOST)),
    "lightgbm": ("a.txt", _of_bundle(_LIGHTGBM), _member(_LIGHTGBM)),
    "bundle.json": ("bundle.json", _document, _read_bundle),
    "npy": ("a.npy", _windows, _read_windows),
    "csv": ("a.csv", _table, _read_table),
    "tif": ("a.tif", _raster, _read_raster),
    "vrt": ("a.vrt", _vrt, _read_raster),
    "gpkg": ("a.gpkg", _vector("a.gpkg", layer="landslides"), _read_polygons),
    "reviews": ("landslides.gpkg", _vector("a.gpkg", layer="landslides"), _read_reviews),
    "geojson": ("a.geojson", _vector("a.geojson"), _read_polygons),
    "kml": ("a.kml", _vector("a.kml", driver="KML"), _read_polygons),
    "shapefile": ("a.zip", _shapefile, _read_polygons),
    "catalogue": ("items.json", _catalogue, _read_catalogue),
    "zarr": (f"{_STORE}/.zmetadata", _of_store(".zmetadata"), lambda path: _read_store(path.parent)),
    "chunk": (f"{_STORE}/{_CHUNK}", _of_store(_CHUNK), lambda path: _read_store(path.parents[4])),
    "zarr.zip": (f"{_STORE}.zip", _zipped_store, _read_store),
    "profile": ("own.yaml", _profile, _read_profile),
    "run.json": ("run.json", _manifest, _read_manifest),
    "ids": ("ids.csv", lambda _folder: b"ID,label\n" + b"".join(b"w%d,1\n" % i for i in range(9)), _read_ids),
}
"""Kind of file -> its name, its writer into a folder, and its reader."""


class HangError(BaseException):
    """Reading one file took longer than :data:`SECONDS`."""


def outcomes(kind: str, seed: int, start: int, stop: int) -> Iterator[tuple[int, str]]:
    """Yield the number of each damaged file and how reading it ended: ``read``, a code, or what is wrong."""
    name, make, read = KINDS[kind]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        content = make(folder)
        (folder / name).write_bytes(content)
        _ended(read, folder / name)  # whole: what is imported and compiled once counts for no damaged file
        for number in range(start, stop):
            rng = random.Random(f"{kind} {seed} {number}")
            change = repacked if name.endswith((".zip", ".npz")) else damaged
            (folder / name).write_bytes(change(content, rng))
            yield number, _ended(read, folder / name)


def _ended(read: Read, path: Path) -> str:
    signal.signal(signal.SIGALRM, _hang)
    signal.alarm(SECONDS)
    try:
        read(path)
        return "read"
    except LandslideMapError as error:
        return error.code
    except HangError:
        return "HANG"
    except MemoryError:
        return "E602"
    except Exception as error:
        return f"E999 {type(error).__name__}: {str(error)[:120]}"
    finally:
        signal.alarm(0)


def _hang(*_: object) -> NoReturn:
    raise HangError


def _supervised(kind: str, seed: int, count: int) -> Iterator[tuple[int, str]]:
    """Yield outcomes of a child process, started again after each crash."""
    start = 0
    while start < count:
        command = [
            sys.executable,
            "-m",
            "benchmarks.mutations",
            "--child",
            kind,
            str(seed),
            str(start),
            str(count),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
            for line in child.stdout or ():
                number, ended = json.loads(line)
                yield number, ended
                start = number + 1
        if start < count:
            yield start, f"CRASH {child.returncode}"
            start += 1


def is_wrong(ended: str) -> bool:
    """Whether an ending is none that a user should see."""
    return ended.startswith(("E999", "HANG", "CRASH"))


@click.command()
@click.option("--count", default=10_000, show_default=True, help="Files of each kind.")
@click.option("--seed", default=1, show_default=True)
@click.option("--kind", "kinds", multiple=True, type=click.Choice(list(KINDS)), help="Only these.")
@click.option("--child", nargs=4, hidden=True)
def main(count: int, seed: int, kinds: tuple[str, ...], child: tuple[str, str, str, str] | None) -> None:
    """Damage files at random, read them, and count how that ends."""
    if child is not None:
        for number, ended in outcomes(child[0], *map(int, child[1:])):
            print(json.dumps([number, ended]), flush=True)
        return
    wrong = 0
    for kind in kinds or KINDS:
        found: Counter[str] = Counter()
        for number, ended in _supervised(kind, seed, count):
            found[ended.split(" ")[0]] += 1
            if is_wrong(ended):
                wrong += 1
                print(f"{kind} {number}: {ended}", flush=True)
        print(f"{kind}: " + ", ".join(f"{name} {times}" for name, times in found.most_common()), flush=True)
    print(f"{wrong} ended in E999, a crash or a hang")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
