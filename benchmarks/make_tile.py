"""Make a simulated Sentinel tile of any size, for timing and memory, not for accuracy.

``python -m benchmarks.make_tile OUT --size 10980`` writes four optical rasters (COG or JPEG 2000), eight
float32 radar rasters (power) in the neighbouring UTM zone, and the scene description that maps them. Pixels
are plausible in level and texture, so that decoding, warping and statistics cost what real scenes cost. What
is in OUT already is kept, so the second optical format costs no second set of radar rasters.
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
from rasterio.shutil import copy as copy_raster
from rasterio.transform import from_origin
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
MEDIANS = {"red": (1500, 300), "green": (1650, 250), "blue": (1560, 230), "nir": (3000, 700)}
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
    noise *= spread / 8

    def strip(row: int, height: int) -> npt.NDArray[Any]:
        values = repeated(ground, row, height, size) + repeated(noise, row, height, size)
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

    def strip(row: int, rows: int) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = repeated(power, row, rows, width) * repeated(gain, row, rows, width)
        return values

    options = {"dtype": "float32", "nodata": 0, "compress": "zstd", "zstd_level": 1, "predictor": 3}
    partial = path.with_suffix(".partial.tif")
    write_strips(partial, profile(width, height, NEIGHBOUR, (west - 10, north + 10), **options), strip)
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
    return scene


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--size", default=10980, show_default=True, help="Edge of the tile, pixels.")
@click.option("--optical", type=click.Choice(["cog", "jp2"]), default="cog", show_default=True)
def main(out: Path, size: int, optical: Format) -> None:
    """Make a simulated tile for timing in folder OUT."""
    click.echo(make_tile(out, size, optical))


if __name__ == "__main__":
    main()
