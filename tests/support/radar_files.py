"""Small Sentinel-1 GeoTIFFs with the statistics of real land: fully developed speckle on a textured mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine

LOOKS = 4.4
ZONE_51 = "EPSG:32651"
CORNER = (400_000.0, 2_650_000.0)  # Taiwan, 122 degrees east: 10:00 UTC is 18.1 h solar time
SAFE = {
    "pre": "S1A_IW_GRDH_1SDV_20240315T100000_20240315T100025_052990_066A00_AAAA",
    "post": "S1A_IW_GRDH_1SDV_20240408T100001_20240408T100026_053340_067800_BBBB",
}
"""Two passes of one track, 350 orbits (24 days) apart."""


def land(seed: int, mean_db: float, shape: tuple[int, int] = (80, 90)) -> npt.NDArray[np.float32]:
    """Return power of land around `mean_db`: 2 dB of texture and speckle of 4.4 looks."""
    random = np.random.default_rng(seed)
    texture = 10 ** ((mean_db + random.normal(0, 2.0, shape)) / 10)
    return (texture * random.gamma(LOOKS, 1 / LOOKS, shape)).astype(np.float32)


def decibels(power: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return (10 * np.log10(power)).astype(np.float32)


def write(
    path: Path,
    *bands: npt.NDArray[np.generic],
    crs: str | None = ZONE_51,
    resolution: float = 10.0,
    nodata: float | None = None,
    tags: dict[str, str] | None = None,
    descriptions: tuple[str, ...] = (),
) -> Path:
    """Write `bands` as one GeoTIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = bands[0].shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=rows,
        width=columns,
        count=len(bands),
        dtype=bands[0].dtype,
        crs=crs,
        transform=Affine(resolution, 0, CORNER[0], 0, -resolution, CORNER[1]),
        nodata=nodata,
    ) as dataset:
        dataset.write(np.stack(bands))
        for index, text in enumerate(descriptions, start=1):
            dataset.set_band_description(index, text)
        dataset.update_tags(**(tags or {}))
    return path


def passes(folder: Path, units: str = "db", **options: object) -> dict[str, dict[str, object]]:
    """Write one pass before and one after; return their items for ``scene.yaml``, units declared."""
    encode = {"db": decibels, "power": lambda p: p, "amplitude": np.sqrt}[units]
    items: dict[str, dict[str, object]] = {}
    for seed, (side, name) in enumerate(SAFE.items()):
        vv = write(folder / name / "vv.tif", encode(land(10 + seed, -10.0)), **options)  # type: ignore[arg-type]
        vh = write(folder / name / "vh.tif", encode(land(20 + seed, -16.5)), **options)  # type: ignore[arg-type]
        items[side] = {"vv": vv, "vh": vh, "units": units}
    return items
