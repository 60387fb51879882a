"""Vector files with shapes that lie nowhere, and databases that have no end."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyproj
import pytest
import shapely

from landslide_map.errors import LandslideMapError
from landslide_map.evaluation.match_inputs import read_known
from landslide_map.search.area import Area
from landslide_map.vector.inventory import read_inventory
from tests.support.rasters import grid_at

GRID = grid_at(32651, 300000, 2700000, (2000, 2000))
READERS: dict[str, Callable[[Path], Any]] = {
    "inventory": lambda path: read_inventory(path, GRID),
    "area": Area.of_file,
    "known": lambda path: read_known(path, None, None, False, pyproj.CRS(32651)),
}


@pytest.mark.parametrize("reader", sorted(READERS))
@pytest.mark.parametrize("far", [1e12, 1e15, 1e300])
def test_shapes_that_lie_nowhere_are_refused(reader: str, far: float, tmp_path: Path) -> None:
    ring = [[0, 0], [far, 0], [far, far], [0, 0]]
    near = [[310000, 2690000], [310100, 2690000], [310100, 2690100], [310000, 2690000]]
    (tmp_path / "a.geojson").write_text(
        json.dumps(
            {
                "type": "Feature",
                "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32652"}},
                "properties": {},
                "geometry": {"type": "MultiPolygon", "coordinates": [[near], [ring]]},
            }
        )
    )
    with pytest.raises(LandslideMapError) as caught:
        READERS[reader](tmp_path / "a.geojson")
    assert caught.value.code in {"E150", "E153", "E704"}


def geopackage(path: Path, *statements: str) -> Path:
    frame = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.box(310000, 2690000, 310900, 2690900)], crs=32651)
    frame.to_file(path, layer="landslides", engine="pyogrio")
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)
    return path


@pytest.mark.parametrize("reader", sorted(READERS))
def test_coordinates_that_are_no_numbers_are_refused(reader: str, tmp_path: Path) -> None:
    ring = "121.0,24.0 121.1,24.0 121.1,nan 121.0,24.0"
    (tmp_path / "a.kml").write_text(
        '<kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark><name>a</name><Polygon>'
        f"<outerBoundaryIs><LinearRing><coordinates>{ring}</coordinates></LinearRing></outerBoundaryIs>"
        "</Polygon></Placemark></Document></kml>"
    )
    with pytest.raises(LandslideMapError) as caught:
        READERS[reader](tmp_path / "a.kml")
    assert caught.value.code == "E150"


ENDLESS = "with recursive c(x) as (select 1 union all select x + 1 from c)"
MANY = ", ".join(f"(select 1 union all select 2) as t{i}" for i in range(40))
SLOW = f"create view v as select 1 as fid, geom from landslides, {MANY}"
VIEWS = (
    f"create view v as {ENDLESS} select x as fid, (select geom from landslides) as geom from c",
    "create view v as select fid, no_such_function(geom) as geom from landslides",
    f"create view v as {ENDLESS[:-1]} where ST_Area(1) = 1) select x as fid, geom from c, landslides",
)


@pytest.mark.parametrize(
    ("reader", "view"), [("area", SLOW), *((reader, view) for reader in sorted(READERS) for view in VIEWS)]
)
def test_views_without_end_are_refused(reader: str, view: str, tmp_path: Path) -> None:
    path = geopackage(
        tmp_path / "a.gpkg",
        view,
        "update gpkg_contents set table_name = 'v'",
        "update gpkg_geometry_columns set table_name = 'v'",
    )
    with pytest.raises(LandslideMapError) as caught:
        READERS[reader](path)
    assert caught.value.code == "E150"


@pytest.mark.parametrize("reader", sorted(READERS))
def test_plain_views_and_triggers_are_no_harm(reader: str, tmp_path: Path) -> None:
    READERS[reader](
        geopackage(
            tmp_path / "a.gpkg",
            "create view v as select * from landslides where a > 0",
            "create view w as select fid, ST_Area(geom) / ST_Length(geom) as width from landslides",
            "create trigger t after update on landslides begin select load_extension('/tmp/x'); end",
        )
    )


def test_a_projection_that_is_no_text_is_refused(tmp_path: Path) -> None:
    gpd.read_file(geopackage(tmp_path / "a.gpkg")).to_file(tmp_path / "a.shp")
    projection = (tmp_path / "a.prj").read_bytes()
    (tmp_path / "a.prj").write_bytes(projection.replace(b'PROJCS["', b'PROJCS["\xd9'))
    with pytest.raises(LandslideMapError) as caught:
        read_inventory(tmp_path / "a.shp", GRID)
    assert caught.value.code == "E150"
