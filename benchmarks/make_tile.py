"""Simulated Sentinel tile of any size, for timing and memory, not for accuracy.

``python -m benchmarks.make_tile OUT --size 10980`` writes four optical rasters (COG or JPEG 2000), eight
float32 radar rasters (power) in the neighbouring UTM zone, and the scene description that maps them. Pixels
are plausible in level and texture, so that decoding, warping and statistics cost what real scenes cost. A
full tile holds 6,400 scars, bright in the image and changed in both tracks, and a fifth of it is fields, some
of them bare: outlines cost what they cost after an event. What is in OUT already is kept, so the second
optical format costs no second set of radar rasters.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.shutil import copy as copy_raster
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window
from scipy.ndimage import gaussian_filter, zoom

from landslide_map.array_types import Floats32

EPSG, NEIGHBOUR = 32632, 32633
ORIGIN = (300000.0, 5100000.0)
STRIP = 1024
TERRAIN, NOISE = 1098, 2048
"""Periods of what is simulated, pixels: longer than a block of a file, which so compresses as usual."""
OPTICAL = {"red": "B04", "green": "B03", "blue": "B02", "nir": "B08"}
MEDIANS = {"red": (1330, 60), "green": (1440, 60), "blue": (1200, 40), "nir": (3700, 500)}
COVER = 2745
"""Period of fields and scars, pixels: a quarter of a full tile."""
SCARS = 400
"""Number in one period: 0.5 per km2."""
FIELD = 15
"""Edge of a parcel, pixels."""
SCAR, BARE = 1, 2
GROUND = {
    "red": {SCAR: 2550, BARE: 1850},
    "green": {SCAR: 2260, BARE: 1700},
    "blue": {SCAR: 1980, BARE: 1500},
    "nir": {SCAR: 3280, BARE: 2700},
}
"""Training DN of what is no forest."""
CHANGE_DB = {"descending": 2.5, "ascending": -2.5}
"""Backscatter of a scar after the event, less that before."""
BACKSCATTER_DB = {"vv": -11.0, "vh": -18.0}
RADAR = [
    (orbit, side, pol)
    for orbit in ("descending", "ascending")
    for side in ("pre", "post")
    for pol in BACKSCATTER_DB
]

Format = Literal["cog", "jp2"]
Strip = Callable[[int, int], npt.NDArray[Any]]
"""Returns the pixels of the rows from the first number on, as many as the second says."""


def terrain(seed: int) -> Floats32:
    """Return a smooth random field, (TERRAIN, TERRAIN) float32, zero mean and unit spread."""
    rng = np.random.default_rng(seed)
    coarse = gaussian_filter(rng.standard_normal((TERRAIN // 16 + 8,) * 2), 2)
    field = zoom(coarse, 16.5, order=1)[:TERRAIN, :TERRAIN]
    scaled: Floats32 = ((field - field.mean()) / field.std()).astype("float32")
    return scaled


def cover(seed: int) -> npt.NDArray[np.uint8]:
    """Return what the ground is, (COVER, COVER) uint8: 0 forest, :data:`SCAR` or :data:`BARE`."""
    rng = np.random.default_rng([seed, 1])
    parcels = rng.random((COVER // FIELD,) * 2) < 0.3
    farmed = np.linspace(0, 1, len(parcels))[:, np.newaxis] + 0.1 * rng.standard_normal(parcels.shape) > 0.8
    found = np.where(np.kron(parcels & farmed, np.ones((FIELD, FIELD), bool)), BARE, 0).astype(np.uint8)
    areas = np.minimum(20 * (1 - rng.random(SCARS)) ** (-1 / 1.4), 3000)  # pixels; many small, few large
    for area, angle, row, col in zip(
        areas, *rng.random((3, SCARS)) * [[np.pi], [COVER], [COVER]], strict=True
    ):
        width = np.sqrt(area / np.pi / 3)
        reach = np.arange(-int(3 * width) - 1, int(3 * width) + 2)
        y, x = reach[:, np.newaxis], reach[np.newaxis]
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        inside = (along / (3 * width)) ** 2 + (across / width) ** 2 <= 1
        rows, cols = np.nonzero(inside)
        found[(rows + int(row)) % COVER, (cols + int(col)) % COVER] = SCAR
    return found


def repeated(pattern: npt.NDArray[Any], row: int, height: int, width: int) -> npt.NDArray[Any]:
    """Return rows `row` and below of `pattern` laid side by side."""
    rows = np.arange(row, row + height) % len(pattern)
    found: npt.NDArray[Any] = np.take(pattern[rows], np.arange(width) % pattern.shape[1], axis=1)
    return found


def write_strips(path: Path, profile: dict[str, Any], strip_of: Strip) -> None:
    with rasterio.open(path, "w", **profile) as dataset:
        for row in range(0, profile["height"], STRIP):
            height = min(STRIP, profile["height"] - row)
            dataset.write(strip_of(row, height), 1, window=Window(0, row, profile["width"], height))


def profile(width: int, height: int, epsg: int, corner: tuple[float, float], **own: Any) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "count": 1,
        "width": width,
        "height": height,
        "crs": CRS.from_epsg(epsg),
        "transform": from_origin(*corner, 10, 10),
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "BIGTIFF": "IF_SAFER",
        **own,
    }


def write_optical(path: Path, size: int, band: str, seed: int) -> None:
    """Write one band as its file's name says: JPEG 2000 in tiles of 1024 px, or a COG."""
    level, spread = MEDIANS[band]
    ground = level + spread * terrain(seed)
    noise = np.random.default_rng([seed, *band.encode()]).standard_normal((NOISE, NOISE), "float32")
    noise *= spread / 4
    kinds = cover(seed)

    def strip(row: int, height: int) -> npt.NDArray[Any]:
        values, kind = repeated(ground, row, height, size), repeated(kinds, row, height, size)
        for number, bare in GROUND[band].items():
            values[kind == number] = bare
        values += repeated(noise, row, height, size)
        dn: npt.NDArray[Any] = np.clip(values, 1010, 20000).astype("uint16")
        return dn

    plain, partial = (path.with_suffix(f".{kind}{path.suffix}") for kind in ("plain", "partial"))
    write_strips(plain, profile(size, size, EPSG, ORIGIN, dtype="uint16"), strip)
    if path.suffix == ".jp2":
        options = {"QUALITY": 100, "REVERSIBLE": "YES", "BLOCKXSIZE": 1024, "BLOCKYSIZE": 1024}
        copy_raster(plain, partial, driver="JP2OpenJPEG", **options)
    else:
        copy_raster(plain, partial, driver="COG", COMPRESS="DEFLATE", PREDICTOR=2, OVERVIEWS="NONE")
    plain.unlink()
    partial.replace(path)


def write_radar(path: Path, size: int, name: tuple[str, str, str], seed: int) -> None:
    """Write one power raster in the neighbouring zone that covers the tile."""
    left, top = ORIGIN
    extent = (left, top - 10 * size, left + 10 * size, top)
    west, south, east, north = transform_bounds(EPSG, NEIGHBOUR, *extent, densify_pts=101)
    width, height = int((east - west) / 10) + 3, int((north - south) / 10) + 3
    power = 10 ** ((BACKSCATTER_DB[name[2]] + 2.5 * terrain(seed)) / 10)
    speckle = np.random.default_rng([seed, *"".join(name).encode()])
    gain = speckle.standard_gamma(4.4, (NOISE, NOISE), "float32") / np.float32(4.4)
    changed = np.float32(10 ** (CHANGE_DB[name[0]] / 10) if name[1] == "post" else 1)
    options = {"dtype": "float32", "nodata": 0, "compress": "zstd", "zstd_level": 1, "predictor": 3}
    own = profile(width, height, NEIGHBOUR, (west - 10, north + 10), **options)
    partial, kinds = path.with_suffix(".partial.tif"), path.with_suffix(".cover.tif")
    here = repeated(cover(seed), 0, size, size)
    with rasterio.open(
        kinds, "w", **profile(size, size, EPSG, ORIGIN, dtype="uint8", compress="zstd")
    ) as file:
        file.write(here, 1)
    there = {key: own[key] for key in ("crs", "transform", "width", "height")}
    with rasterio.open(kinds) as file, WarpedVRT(file, **there, resampling=Resampling.nearest) as warped:

        def strip(row: int, rows: int) -> npt.NDArray[Any]:
            kind = warped.read(1, window=Window(0, row, width, rows))
            values: npt.NDArray[Any] = repeated(power, row, rows, width) * repeated(gain, row, rows, width)
            values[kind == SCAR] *= changed
            return values

        write_strips(partial, own, strip)
    kinds.unlink()
    partial.replace(path)


def scene_yaml(suffix: str) -> str:
    """Return the scene description of the simulated tile."""
    day = {"pre": "01", "post": "13"}
    hour = {"descending": ("05:30:00Z", 95), "ascending": ("17:10:00Z", 117)}
    lines = ["event: {time: 2024-06-07T12:00:00Z, name: simulated tile for timing}", "s2:", "  post:"]
    lines += [f"    {key}: {key}{suffix}" for key in OPTICAL.values()]
    lines += ["    units: dn", "    offset: present", "    datetime: 2024-06-10T10:10:00Z", "s1:"]
    for orbit, (time, track) in hour.items():
        lines.append(f"  {orbit}:")
        lines += [
            f"    {side}: [{{vv: {orbit}_{side}_vv.tif, vh: {orbit}_{side}_vh.tif, units: power, "
            f"quantity: sigma0, datetime: 2024-06-{date}T{time}, relative_orbit: {track}}}]"
            for side, date in day.items()
        ]
    return "\n".join(lines) + "\n"


def make_tile(out: Path, size: int, optical: Format = "cog", seed: int = 7) -> Path:
    """Write what is missing of the tile below `out`; return the scene description."""
    out.mkdir(parents=True, exist_ok=True)
    suffix = ".jp2" if optical == "jp2" else ".tif"
    work: dict[Path, Callable[[Path], None]] = {}
    for name in RADAR:
        path = out / f"{'_'.join(name)}.tif"
        work[path] = functools.partial(write_radar, size=size, name=name, seed=seed)
    for band, key in OPTICAL.items():
        path = out / f"{key}{suffix}"
        work[path] = functools.partial(write_optical, size=size, band=band, seed=seed)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda path: work[path](path), [path for path in work if not path.exists()]))
    scene = out / f"scene_{optical}.yaml"
    scene.write_text(scene_yaml(suffix))
    without_images(scene).write_text(scene_yaml(suffix) + "output: {images: false}\n")
    return scene


def without_images(scene: Path) -> Path:
    """Return the description of the same tile of which no image for display is written."""
    return scene.with_name(f"{scene.stem}_without_images.yaml")


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--size", default=10980, show_default=True, help="Edge of the tile, pixels.")
@click.option("--optical", type=click.Choice(["cog", "jp2"]), default="cog", show_default=True)
def main(out: Path, size: int, optical: Format) -> None:
    """Make a simulated tile for timing in folder OUT."""
    click.echo(make_tile(out, size, optical))


if __name__ == "__main__":
    main()
