"""Make a simulated Sentinel tile of any size, for timing and memory, not for accuracy.

``python -m benchmarks.make_tile OUT --size 10980`` writes four optical rasters (COG or JPEG 2000), eight
float32 radar rasters (power) in the neighbouring UTM zone, and the ``scene.yaml`` that maps them. Pixels
are plausible in level and texture, so that decoding, warping and statistics cost what real scenes cost.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.shutil import copy as copy_raster
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds
from rasterio.windows import Window
from scipy.ndimage import gaussian_filter, zoom

EPSG, NEIGHBOUR = 32632, 32633
ORIGIN = (300000.0, 5100000.0)
STRIP = 1024
MEDIANS = {"red": (1500, 300), "green": (1650, 250), "blue": (1560, 230), "nir": (3000, 700)}
BACKSCATTER_DB = {"vv": -11.0, "vh": -18.0}


def surface(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return a smooth random field, (size, size) float32, zero mean and unit spread."""
    coarse = gaussian_filter(rng.standard_normal((size // 16 + 8, size // 16 + 8)), 2)
    field = zoom(coarse, 16.5, order=1)[:size, :size]
    return ((field - field.mean()) / field.std()).astype("float32")


def write_strips(path: Path, profile: dict, strip_of) -> None:
    """Write `path` strip by strip; `strip_of(row, height)` returns the pixels of one strip."""
    with rasterio.open(path, "w", **profile) as dataset:
        for row in range(0, profile["height"], STRIP):
            height = min(STRIP, profile["height"] - row)
            dataset.write(strip_of(row, height), 1, window=Window(0, row, profile["width"], height))


def optical(out: Path, size: int, driver: str, rng: np.random.Generator) -> dict[str, str]:
    """Write B02, B03, B04, B08; return their names."""
    tile = surface(rng, 1098)
    profile = {
        "driver": "GTiff",
        "dtype": "uint16",
        "count": 1,
        "width": size,
        "height": size,
        "nodata": 0,
        "crs": CRS.from_epsg(EPSG),
        "transform": from_origin(*ORIGIN, 10, 10),
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "predictor": 2,
    }
    names = {}
    for band, key in {"red": "B04", "green": "B03", "blue": "B02", "nir": "B08"}.items():
        level, spread = MEDIANS[band]

        def strip(row: int, height: int, level: int = level, spread: int = spread) -> np.ndarray:
            rows = np.arange(row, row + height) % 1098
            base = tile[rows][:, np.arange(size) % 1098]
            noise = rng.standard_normal((height, size), dtype="float32") * (spread / 8)
            return np.clip(level + spread * base + noise, 1010, 20000).astype("uint16")

        plain = out / f"{key}_plain.tif"
        write_strips(plain, profile, strip)
        name = f"{key}.{'jp2' if driver == 'jp2' else 'tif'}"
        if driver == "jp2":
            options = {"QUALITY": 100, "REVERSIBLE": "YES", "BLOCKXSIZE": 1024, "BLOCKYSIZE": 1024}
            copy_raster(plain, out / name, driver="JP2OpenJPEG", **options)
        else:
            copy_raster(plain, out / name, driver="COG", COMPRESS="DEFLATE", PREDICTOR=2, OVERVIEWS="NONE")
        plain.unlink()
        names[key] = name
    return names


def radar(out: Path, size: int, rng: np.random.Generator) -> dict[str, dict[str, dict[str, str]]]:
    """Write eight power rasters in the neighbouring zone; return orbit -> side -> polarisation -> name."""
    left, top = ORIGIN
    extent = (left, top - 10 * size, left + 10 * size, top)
    west, south, east, north = transform_bounds(EPSG, NEIGHBOUR, *extent, densify_pts=101)
    width, height = int((east - west) / 10) + 3, int((north - south) / 10) + 3
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "count": 1,
        "width": width,
        "height": height,
        "nodata": 0,
        "crs": CRS.from_epsg(NEIGHBOUR),
        "transform": from_origin(west - 10, north + 10, 10, 10),
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "zstd",
        "predictor": 3,
        "BIGTIFF": "IF_SAFER",
    }
    tile = surface(rng, 1098)
    names: dict[str, dict[str, dict[str, str]]] = {}
    for orbit in ("descending", "ascending"):
        for side in ("pre", "post"):
            for pol, level in BACKSCATTER_DB.items():

                def strip(row: int, rows: int, level: float = level) -> np.ndarray:
                    base = tile[np.arange(row, row + rows) % 1098][:, np.arange(width) % 1098]
                    speckle = rng.standard_gamma(4.4, (rows, width), dtype="float32") / 4.4
                    return 10 ** ((level + 2.5 * base) / 10) * speckle

                name = f"{orbit}_{side}_{pol}.tif"
                write_strips(out / name, profile, strip)
                names.setdefault(orbit, {}).setdefault(side, {})[pol] = name
    return names


def scene_yaml(bands: dict[str, str], tracks: dict[str, dict[str, dict[str, str]]]) -> str:
    """Return the scene description of the simulated tile."""
    day = {"pre": "01", "post": "13"}
    hour = {"descending": ("05:30:00Z", 95), "ascending": ("17:10:00Z", 117)}
    lines = ["event: {time: 2024-06-07T12:00:00Z, name: simulated tile for timing}", "s2:", "  post:"]
    lines += [f"    {key}: {name}" for key, name in bands.items()]
    lines += ["    units: dn", "    offset: present", "    datetime: 2024-06-10T10:10:00Z", "s1:"]
    for orbit, sides in tracks.items():
        lines.append(f"  {orbit}:")
        for side, names in sides.items():
            time, track = hour[orbit]
            lines.append(
                f"    {side}: [{{vv: {names['vv']}, vh: {names['vh']}, units: power, quantity: sigma0, "
                f"datetime: 2024-06-{day[side]}T{time}, relative_orbit: {track}}}]"
            )
    return "\n".join(lines) + "\n"


def make_tile(out: Path, size: int, optical_driver: str = "cog", seed: int = 7) -> Path:
    """Write the tile below `out` and return its ``scene.yaml``."""
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    scene = out / "scene.yaml"
    bands = optical(out, size, optical_driver, rng)
    scene.write_text(scene_yaml(bands, radar(out, size, rng)))
    return scene


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--size", default=10980, show_default=True, help="Edge of the tile, pixels.")
@click.option(
    "--optical", "optical_driver", type=click.Choice(["cog", "jp2"]), default="cog", show_default=True
)
def main(out: Path, size: int, optical_driver: str) -> None:
    """Make a simulated tile for timing."""
    click.echo(make_tile(out, size, optical_driver))


if __name__ == "__main__":
    main()
