"""STAC items with the property and asset names of real catalogues."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import shapely

BOX = (121.2, 23.9, 121.5, 24.1)
"""An area inside the footprints below, degrees."""
TILE = (120.9, 23.4, 122.0, 24.4)
SWATH = (119.8, 22.9, 122.6, 24.9)


def utc(text: str) -> datetime:
    """Return a time such as ``2024-04-03T00:00``."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _item(name: str, collection: str, box: tuple[float, ...], properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": collection,
        "bbox": list(box),
        "geometry": shapely.geometry.mapping(shapely.box(*box)),
        "properties": properties,
        "links": [],
    }


def sentinel2(
    time: datetime,
    *,
    cloud: float = 5.0,
    box: tuple[float, ...] = TILE,
    tile: str = "51RUH",
    platform: str = "S2B",
    baseline: str = "05.10",
    orbit: int = 46,
    files: str = "https://assets.example",
    **more: Any,
) -> dict[str, Any]:
    """Return an item as the Planetary Computer writes it; `time` is the start of its datatake."""
    stamp, made = f"{time:%Y%m%dT%H%M%S}", f"{time + timedelta(hours=6):%Y%m%dT%H%M%S}"
    product = f"{platform}_MSIL2A_{stamp}_N{baseline.replace('.', '')}_R{orbit:03}_T{tile}_{made}"
    item = _item(
        product.replace(f"_N{baseline.replace('.', '')}", ""),
        "sentinel-2-l2a",
        box,
        {
            "datetime": f"{time:%Y-%m-%dT%H:%M:%S}.024000Z",
            "platform": f"Sentinel-{platform[1:]}",
            "s2:mgrs_tile": tile,
            "s2:product_uri": f"{product}.SAFE",
            "s2:datatake_id": f"G{platform}_{stamp}_037185_N{baseline}",
            "s2:datastrip_id": f"{platform}_OPER_MSI_L2A_DS_MSFT_{made}_S{stamp}_N{baseline}",
            "s2:processing_baseline": baseline,
            "s2:generation_time": f"{time + timedelta(hours=6):%Y-%m-%dT%H:%M:%SZ}",
            "sat:relative_orbit": orbit,
            "sat:orbit_state": "descending",
            "eo:cloud_cover": cloud,
            "s2:nodata_pixel_percentage": 0.0,
            **more,
        },
    )
    folder = f"{files}/{product}.SAFE"
    item["assets"] = {
        band: {"href": f"{folder}/T{tile}_{stamp}_{band}_10m.tif"} for band in ("B02", "B03", "B04", "B08")
    }
    return item


def sentinel1(
    time: datetime,
    *,
    orbit: int,
    platform: str = "S1A",
    relative: int | None = 105,
    state: str = "descending",
    box: tuple[float, ...] = SWATH,
    rtc: bool = True,
    length: float = 25.0,
    files: str = "https://assets.example",
) -> dict[str, Any]:
    """Return an item as the Planetary Computer writes it: a slice of `length` seconds from `time` on."""
    end = time + timedelta(seconds=length)
    product = f"{platform}_IW_GRDH_1SDV_{time:%Y%m%dT%H%M%S}_{end:%Y%m%dT%H%M%S}_{orbit:06}_067DF2"
    name = product + "_rtc" * rtc
    middle = time + timedelta(seconds=length / 2)
    properties: dict[str, Any] = {
        "datetime": f"{middle:%Y-%m-%dT%H:%M:%S.%fZ}",
        "start_datetime": f"{time:%Y-%m-%d %H:%M:%S}+00:00",
        "end_datetime": f"{end:%Y-%m-%d %H:%M:%S}+00:00",
        "platform": f"SENTINEL-{platform[1:]}",
        "sar:instrument_mode": "IW",
        "sat:absolute_orbit": orbit,
        "sat:orbit_state": state,
    }
    if relative is not None:
        properties["sat:relative_orbit"] = relative
    item = _item(name, "sentinel-1-rtc" if rtc else "sentinel-1-grd", box, properties)
    ending = ".rtc.tiff" if rtc else ".tiff"
    item["assets"] = {
        band: {"href": f"{files}/{product}/measurement/iw-{band}{ending}"} for band in ("vv", "vh")
    }
    return item
