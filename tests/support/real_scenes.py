"""The real scenes at hand, each as a ``scene.yaml`` with the channels it has."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import rasterio
from rasterio.warp import transform

from tests.support.shared_data import shared_data

TERRAMIND = ("282D_485L_3_3", "38D_378R_2_3", "433D_629L_3_1", "609U_541L_3_0", "637U_59R_1_3")
BIGEARTHNET = {
    "S2A_MSIL2A_20170613T101031_87_48": "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_87_48",
    "S2A_MSIL2A_20170617T113321_36_85": "S1A_IW_GRDH_1SDV_20170617T064724_29UPU_36_85",
    "S2A_MSIL2A_20170617T113321_4_55": "S1A_IW_GRDH_1SDV_20170617T064724_29UPU_4_55",
    "S2A_MSIL2A_20171221T112501_56_35": "S1A_IW_GRDH_1SDV_20171221T064238_29SND_56_35",
    "S2B_MSIL2A_20170924T93020_69_24": "S1A_IW_GRDH_1SDV_20170925T043256_35VPK_69_24",
    "S2B_MSIL2A_20180204T94161_57_38": "S1A_IW_GRDH_1SDV_20180204T043253_35VPK_57_38",
}
SNOWY = ("609U_541L_3_0", "S2B_MSIL2A_20180204T94161_57_38")
"""Where no vegetation shows whether the offset is there; it is absent (decision 0012)."""
EVENT = "2016-01-01T00:00:01Z"
"""There was no event: any time before the images will do."""


def orbit_of(raster: Path, acquired: datetime) -> str:
    """Return the orbit direction by local solar time: evening passes ascend."""
    with rasterio.open(raster) as source:
        (longitude,), _ = transform(source.crs, "EPSG:4326", [source.bounds.left], [source.bounds.top])
    hour = (acquired.hour + acquired.minute / 60 + longitude / 15) % 24
    return "ascending" if hour > 12 else "descending"


def write_scene(folder: Path, name: str, *, dem: bool = False) -> Path:
    """Write the scene called `name` below `folder`, with its `dem` where it has one.

    A single radar date has no differences.
    """
    text = f"event: {{time: {EVENT}}}\n" + (_terramind(name) if name in TERRAMIND else _bigearthnet(name))
    if dem and name in TERRAMIND:
        text += f"dem: {shared_data('real', 'terramind', 'DEM', f'{name}.tif')}\n"
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def _offset(name: str) -> str:
    return "absent" if name in SNOWY else "auto"


def _terramind(name: str) -> str:
    optical = shared_data("real", "terramind", "S2L2A", f"{name}.tif")
    radar = shared_data("real", "terramind", "S1RTC", f"{name}.tif")
    with rasterio.open(radar) as source:
        acquired = datetime.fromisoformat(source.tags()["datetime"][:19]).replace(tzinfo=UTC)
    return (
        f"s2: {{post: {{path: {optical}, bands: {{blue: 2, green: 3, red: 4, nir: 8}}, "
        f"offset: {_offset(name)}}}}}\n"
        f"s1: {{{orbit_of(radar, acquired)}: {{post: [{{path: {radar}, bands: {{vv: 1, vh: 2}}, units: db, "
        f"quantity: gamma0_rtc, datetime: {acquired.isoformat()}}}]}}}}\n"
    )


def _bigearthnet(name: str) -> str:
    radar = BIGEARTHNET[name]
    optical = {
        band: shared_data("real", "bigearthnet", "BigEarthNet-S2-Example", name, f"{name}_{band}.tif")
        for band in ("B02", "B03", "B04", "B08")
    }
    vv, vh = (
        shared_data("real", "bigearthnet", "BigEarthNet-S1-Example", radar, f"{radar}_{pol}.tif")
        for pol in ("VV", "VH")
    )
    acquired = datetime.strptime(radar.split("_")[4], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    files = ", ".join(f"{band}: {path}" for band, path in optical.items())
    return (
        f"s2: {{post: {{{files}, offset: {_offset(name)}}}}}\n"
        f"s1: {{{orbit_of(vv, acquired)}: {{post: [{{vv: {vv}, vh: {vh}, units: db}}]}}}}\n"
    )
