"""``item.json``: a STAC item of a result, with projection, raster, processing and machine-learning fields."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyogrio
import pyproj
import rasterio
import shapely

from landslide_map import products
from landslide_map.products import columns as names

VERSION: Final = "1.1.0"
EXTENSIONS: Final = (
    "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.0.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.1.0/schema.json",
    "https://stac-extensions.github.io/ml-model/v1.0.0/schema.json",
)
_TYPES: Final = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".gpkg": "application/geopackage+sqlite3",
    ".nc": "application/x-netcdf",
    ".json": "application/json",
    ".png": "image/png",
    ".html": "text/html",
    ".qgz": "application/x-qgis-project",
}
_TITLES: Final = {
    products.PROBABILITY: "Probability of a landslide",
    products.CLASSES: "Landslide, no landslide, or why not analysed",
    products.OUTLINE_PROBABILITY: "Probability of outlines, 10 m",
    products.PIXEL_PROBABILITY: "Probability by pixel members",
    products.LANDSLIDES: "Outlines and area analysed",
    products.CANDIDATES: "Outlines of any probability",
    products.WINDOWS: "Record of every window",
    products.PROJECT: "QGIS project",
    products.QUICKLOOK: "Quicklook",
    products.REPORT: "Report",
    **{name: image.title for name, image in products.IMAGES.items()},
}
_ROLES: Final = {
    products.PROBABILITY: ["data"],
    products.CLASSES: ["data"],
    products.OUTLINE_PROBABILITY: ["data"],
    products.PIXEL_PROBABILITY: ["data"],
    products.LANDSLIDES: ["data"],
    products.CANDIDATES: ["data"],
    products.QUICKLOOK: ["thumbnail"],
    products.REPORT: ["metadata"],
    products.WINDOWS: ["data"],
    products.PROJECT: ["metadata"],
}
_EDGE_POINTS: Final = 20
"""Points on each edge of the footprint: straight edges of a projection are curves in degrees."""


def write_item(
    path: Path,
    folder: Path,
    *,
    tags: Mapping[str, str],
    event_time: datetime,
    outlines: Path | None = None,
) -> None:
    """Write the item of a result; paths are relative, and the same result makes the same bytes.

    Parameters
    ----------
    path : Path
        The JSON file to write.
    folder : Path
        With the files of the result.
    tags : mapping of str to str
        About the run; dates of the images span the item's time.
    event_time : datetime
        Time of the event, with time zone.
    outlines : Path, optional
        GeoPackage to count instead of ``landslides.gpkg`` in `folder`.
    """
    item = stac_item(folder, tags, event_time, outlines)
    text = json.dumps(item, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def stac_item(
    folder: Path, tags: Mapping[str, str], event_time: datetime, outlines: Path | None = None
) -> dict[str, Any]:
    """Return the item as JSON values; parameters as of :func:`write_item`."""
    with rasterio.open(folder / products.PROBABILITY) as source:
        epsg, wkt, shape = source.crs.to_epsg(), source.crs.to_wkt(), list(source.shape)
        transform, bounds = list(source.transform)[:6], source.bounds
    footprint = _footprint(pyproj.CRS.from_epsg(epsg) if epsg else pyproj.CRS.from_wkt(wkt), bounds)
    dates = sorted(tags[key] for key in _DATES if tags.get(key))
    count = pyogrio.read_info(outlines or folder / products.LANDSLIDES, layer=names.LANDSLIDES)["features"]
    properties: dict[str, Any] = {
        "datetime": _utc(event_time.isoformat()),
        "start_datetime": _utc(dates[0] if dates else event_time.isoformat()),
        "end_datetime": _utc(dates[-1] if dates else event_time.isoformat()),
        "title": f"Landslides, {tags.get('event') or event_time.date().isoformat()}",
        "proj:epsg": epsg,
        "proj:shape": shape,
        "proj:transform": transform,
        "processing:software": dict([tags["software"].split(" ", 1)]) if tags.get("software") else {},
        "processing:lineage": f"Sentinel-1 and Sentinel-2 images: {tags.get('products', '')}",
        "ml-model:type": "ml-model",
        "ml-model:learning_approach": "supervised",
        "ml-model:prediction_type": "classification",
        "ml-model:architecture": tags.get("bundle", ""),
        "landslide_map:bundle_sha256": tags.get("bundle_sha256", ""),
        "landslide_map:thresholds": tags.get("thresholds", ""),
        "landslide_map:outlines": int(count),
        **({} if epsg else {"proj:wkt2": wkt}),
    }
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": list(EXTENSIONS),
        "id": _identifier(tags, event_time),
        "geometry": json.loads(shapely.to_geojson(footprint)),
        "bbox": [round(value, 6) for value in footprint.bounds],
        "properties": properties,
        "links": [],
        "assets": {
            name.replace(".", "_"): _asset(folder, name, shape)
            for name in _TITLES
            if (folder / name).exists()
        },
    }


_DATES: Final = ("s2_pre", "s2_post", "descending_pre", "descending_post", "ascending_pre", "ascending_post")


def _footprint(crs: pyproj.CRS, bounds: Any) -> shapely.Polygon:
    """Return the grid's outline in degrees."""
    edge = shapely.box(*bounds).exterior
    points = shapely.segmentize(edge, edge.length / (4 * _EDGE_POINTS))
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    corners = shapely.get_coordinates(points)
    x, y = to_degrees.transform(corners[:, 0], corners[:, 1])
    ring = shapely.Polygon(list(zip(x.round(6).tolist(), y.round(6).tolist(), strict=True)))
    return shapely.geometry.polygon.orient(ring)


def _utc(text: str) -> str:
    return text.replace("+00:00", "Z")


def _identifier(tags: Mapping[str, str], event_time: datetime) -> str:
    """Return an identifier from event, time, and the inputs of the map."""
    made_from = json.dumps(dict(sorted(tags.items())))
    digest = hashlib.sha256(made_from.encode()).hexdigest()[:10]
    name = "".join(c if c.isalnum() else "-" for c in tags.get("event", "")).strip("-").lower()
    return "-".join(part for part in ("landslides", name, f"{event_time:%Y%m%dT%H%M}", digest) if part)


def _asset(folder: Path, name: str, shape: list[int]) -> dict[str, Any]:
    """Return an asset; a raster of other pixels than the item's `shape` says which."""
    asset: dict[str, Any] = {
        "href": f"./{name}",
        "type": _TYPES[Path(name).suffix],
        "title": _TITLES[name],
        "roles": _ROLES.get(name, ["visual"]),
    }
    if name.endswith(".tif"):
        with rasterio.open(folder / name) as source:
            nodata = source.nodata
            if list(source.shape) != shape:
                asset["proj:shape"] = list(source.shape)
                asset["proj:transform"] = list(source.transform)[:6]
            asset["raster:bands"] = [
                {
                    "data_type": dtype,
                    "spatial_resolution": abs(source.transform.a),
                    **({} if nodata is None else {"nodata": "nan" if nodata != nodata else nodata}),
                }
                for dtype in source.dtypes
            ]
    return asset
