"""Files from elsewhere: none causes a network request, an endless wait, or endless unpacking."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from shapely.geometry import box

from landslide_map.datasets.window_arrays import Windows, read_ids
from landslide_map.errors import InputError, LandslideMapError, ResourceError, SceneError
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.sentinel2.safe import read_product
from landslide_map.inputs.target_grid import decide_grid
from landslide_map.mapping.memory_plan import plan_memory
from landslide_map.raster.dataset import open_dataset
from landslide_map.raster.open import open_band
from landslide_map.runtime.memory_limit import MemoryPlan, memory_limited_to
from landslide_map.runtime.process_memory import resident_memory
from landslide_map.scene.model import GridSpec, Scene, load_scene
from landslide_map.vector.inventory import read_inventory
from tests.support.raised import raised
from tests.support.rasters import grid_at, write_band
from tests.support.safe_product import land, write_product

GRID = grid_at(32651, 300000, 2700000, (64, 64))


@dataclass
class Listener:
    """A server on loopback that counts connections, and closes them."""

    port: int
    calls: list[object] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def listener() -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = Listener(server.getsockname()[1])

        def count() -> None:
            while True:
                try:
                    connection, caller = server.accept()
                except OSError:
                    return
                found.calls.append(caller)
                connection.close()

        thread = threading.Thread(target=count, daemon=True)
        thread.start()
        yield found
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def wms(url: str) -> str:
    return (
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>{url}/${{z}}.png</ServerUrl></Service><DataWindow>'
        "<UpperLeftX>-20037508</UpperLeftX><UpperLeftY>20037508</UpperLeftY><LowerRightX>20037508</LowerRightX>"
        "<LowerRightY>-20037508</LowerRightY><TileLevel>5</TileLevel></DataWindow>"
        "<Projection>EPSG:3857</Projection><BandsCount>3</BandsCount></GDAL_WMS>"
    )


def vrt(source: str, attributes: str = "", srs: str = "EPSG:32651", more: str = "") -> str:
    return (
        f'<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>{srs}</SRS>'
        f"<GeoTransform>300000,10,0,2700000,0,-10</GeoTransform>{more}"
        '<VRTRasterBand dataType="Float32" band="1"><SimpleSource>'
        f"<SourceFilename{attributes}>{source}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )


def test_the_listener_counts_what_gdal_would_do(listener: Listener, tmp_path: Path) -> None:
    (tmp_path / "a.vrt").write_text(vrt(f"/vsicurl/{listener.url}/a.tif"))
    with rasterio.open(tmp_path / "a.vrt") as dataset, pytest.raises(rasterio.errors.RasterioError):
        dataset.read(1)
    assert listener.calls


@pytest.mark.parametrize(
    "content",
    [
        lambda url: vrt(f"/vsicurl/{url}/a.tif"),
        lambda url: vrt(f"{url}/a.tif"),
        lambda url: vrt(f"{url}/a.tif", ' relativeToVRT="1"'),
        lambda url: vrt(f"/vsicurl?url={url}/a.tif"),
        lambda url: vrt(f"/VSICURL/{url}/a.tif"),
        lambda url: vrt(f"<!-- x -->/vsicurl/{url}/a.tif"),
        lambda url: vrt(f"<a/>/vsicurl/{url}/a.tif"),
        lambda url: vrt(f"&#47;vsicurl/{url}/a.tif"),
        lambda url: vrt(f"<![CDATA[/vsicurl/{url}/a.tif]]>"),
        lambda url: vrt("local.tif", ' relativeToVRT="1"', srs=f"{url}/crs"),
        lambda url: vrt(
            "local.tif",
            ' relativeToVRT="1"',
            more='<Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">'
            f"/vsicurl/{url}/o.tif</MDI></Metadata>",
        ),
        lambda _: vrt("tiles.tif", ' relativeToVRT="1"'),
        lambda _: vrt("nested.vrt", ' relativeToVRT="1"'),
        lambda url: vrt("local.tif", ' relativeToVRT="1"').replace(
            "<SimpleSource>",
            f'<SimpleSource SourceFilename="/vsicurl/{url}/a.tif">',
        ),
        lambda url: wms(url),
        lambda url: f"<WMS_Capabilities/><!--{wms(url)}-->",
        lambda url: f'{{"type": "FeatureCollection", "stac_version": "1", "href": "{url}"}}',
        lambda url: (
            f"<MRF_META><CachedSource><Source>/vsicurl/{url}/a.tif</Source></CachedSource></MRF_META>"
        ),
    ],
)
@pytest.mark.parametrize("name", ["a.vrt", "a.tif"])
def test_no_raster_reaches_the_network(content, name: str, listener: Listener, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_band(tmp_path / "local.tif", np.ones((64, 64), np.float32), GRID)
    (tmp_path / "tiles.tif").write_text(wms(listener.url))
    (tmp_path / "nested.vrt").write_text(vrt(f"/vsicurl/{listener.url}/a.tif"))
    (tmp_path / name).write_text(content(listener.url))
    with pytest.raises(InputError) as caught:
        open_band(tmp_path / name)
    assert caught.value.code in {"E101", "E113"}
    assert listener.calls == []


@pytest.mark.parametrize("how", ["tag", "aux.xml", "ovr", "msk"])
def test_nothing_beside_a_raster_reaches_the_network(how: str, listener: Listener, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_band(path, np.ones((64, 64), np.float32), GRID)
    away = f"/vsicurl/{listener.url}/o.tif"
    if how == "tag":
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=away)
    elif how == "aux.xml":
        Path(f"{path}.aux.xml").write_text(
            f'<PAMDataset><SRS>{listener.url}/crs</SRS><Metadata domain="OVERVIEWS">'
            f'<MDI key="OVERVIEW_FILE">{away}</MDI></Metadata></PAMDataset>'
        )
    else:
        Path(f"{path}.{how}").write_text(wms(listener.url))
    with pytest.raises(InputError) as caught:
        open_band(path)
    assert caught.value.code in {"E101", "E113"}
    assert listener.calls == []


@pytest.mark.parametrize(
    "path",
    [
        "/vsicurl/http:/127.0.0.1/a.tif",
        "/vsicurl?url=http:/127.0.0.1/a.tif",
        "/vsis3/bucket/a.tif",
        "/vsitar//tmp/a.tar/a.tif",
        "http://127.0.0.1/a.tif",
    ],
)
def test_scenes_name_files_of_this_machine(path: str, tmp_path: Path) -> None:
    (tmp_path / "scene.yaml").write_text(
        f"event: {{time: 2024-04-02T23:58:00Z}}\ns2: {{post: {{path: '{path}'}}}}\n"
    )
    with pytest.raises(SceneError) as caught:
        load_scene(tmp_path / "scene.yaml")
    assert caught.value.code == "E003"


@pytest.mark.parametrize("root", ["", "/"])
def test_a_path_into_a_zip_may_be_written_as_gdal_does(root: str, tmp_path: Path) -> None:
    write_band(tmp_path / "a.tif", np.ones((64, 64), np.float32), GRID)
    with zipfile.ZipFile(tmp_path / "s2.zip", "w") as archive:
        archive.write(tmp_path / "a.tif", "s2/a.tif")
    folder = str(tmp_path) + "/" if root else ""
    (tmp_path / "scene.yaml").write_text(
        f"event: {{time: 2024-04-02T23:58:00Z}}\ns2: {{post: /vsizip/{folder}s2.zip/s2/a.tif}}\n"
    )
    scene = load_scene(tmp_path / "scene.yaml")
    assert scene.s2 is not None
    assert scene.s2.post.path == tmp_path / "s2.zip" / "s2" / "a.tif"
    assert open_band(scene.s2.post.path).grid == GRID


def test_a_folder_may_be_named_as_a_zip(tmp_path: Path) -> None:
    (tmp_path / "s2.zip").mkdir()
    write_band(tmp_path / "s2.zip" / "a.tif", np.ones((64, 64), np.float32), GRID)
    assert open_band(tmp_path / "s2.zip" / "a.tif").grid == GRID


def test_a_product_in_a_zip_does_not_reach_the_network(listener: Listener, tmp_path: Path) -> None:
    folder = write_product(tmp_path / "product", land(1000))
    band = next(folder.rglob("*B04_10m.jp2"))
    with zipfile.ZipFile(tmp_path / "s2.zip", "w") as archive:
        for file in folder.rglob("*"):
            if file == band:
                archive.writestr(str(file.relative_to(tmp_path)), vrt(f"/vsicurl/{listener.url}/a.tif"))
            elif file.is_file():
                archive.write(file, file.relative_to(tmp_path))
    product = read_product(tmp_path / "s2.zip")
    with pytest.raises(InputError) as caught:
        open_band(product.images["red"])
    assert caught.value.code == "E113"
    tile = next(folder.rglob("MTD_TL.xml"))
    tile.write_text(tile.read_text().replace("EPSG:32651", f"{listener.url}/crs"))
    with pytest.raises(InputError) as caught:
        read_product(folder)
    assert caught.value.code == "E101"
    assert listener.calls == []


@pytest.mark.parametrize(
    "content",
    [
        lambda url: (
            f'<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>/vsicurl/{url}/a.json</SrcDataSource>'
            "</OGRVRTLayer></OGRVRTDataSource>"
        ),
        lambda url: f"<OGRWFSDataSource><URL>{url}</URL></OGRWFSDataSource>",
        lambda url: (
            '{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline ! read '
            f'/vsicurl/{url}/a.json ! write x"}}'
        ),
        lambda url: f"<kml><NetworkLink><Link><href>{url}</href></Link></NetworkLink></kml>",
        lambda url: (
            f'<gml:FeatureCollection xmlns:gml="http://www.opengis.net/gml" schemaLocation="x {url}"/>'
        ),
        lambda url: wms(url),
    ],
)
@pytest.mark.parametrize("name", ["a.vrt", "a.gpkg", "a.geojson", "a.zip"])
def test_no_vector_file_reaches_the_network(content, name: str, listener: Listener, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / name
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.geojson", content(listener.url))
    else:
        path.write_text(content(listener.url))
    with pytest.raises(InputError) as caught:
        decide_grid(GridSpec(aoi=path), None, {})
    assert caught.value.code in {"E101", "E113"}
    with pytest.raises(InputError) as caught:
        read_inventory(path, GRID)
    assert caught.value.code in {"E150", "E113"}
    assert listener.calls == []


def test_a_geopackage_of_other_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "aoi.gpkg"
    gpd.GeoDataFrame(geometry=[box(300000, 2690000, 310000, 2700000)], crs=32651).to_file(path)
    with sqlite3.connect(path) as database:
        database.execute("CREATE VIEW v AS SELECT ogr_geocode('x', 'geometry', '/vsicurl/http://a') AS geom")
    database.close()
    with pytest.raises(InputError) as caught:
        decide_grid(GridSpec(aoi=path), None, {})
    assert caught.value.code == "E113"


@pytest.mark.parametrize("driver", ["GPKG", "ESRI Shapefile", "GeoJSON", "FlatGeobuf", "KML"])
@pytest.mark.parametrize("zipped", [False, True])
def test_formats_that_users_have_are_read(driver: str, zipped: bool, tmp_path: Path) -> None:
    ending = {"ESRI Shapefile": "shp", "FlatGeobuf": "fgb"}.get(driver, driver.lower())
    path = tmp_path / f"aoi.{ending}"
    outline = gpd.GeoDataFrame({"name": ["a"]}, geometry=[box(121, 24, 121.1, 24.1)], crs=4326)
    outline.to_file(path, driver=driver)
    if zipped:
        with zipfile.ZipFile(tmp_path / "aoi.zip", "w") as archive:
            for file in tmp_path.glob("aoi.*"):
                if file.suffix != ".zip":
                    archive.write(file, f"folder/{file.name}")
        path = tmp_path / "aoi.zip"
    grid = decide_grid(GridSpec(aoi=path), None, {})
    assert grid.crs.to_epsg() == 32651
    assert 1000 < grid.width < 1050


def test_a_missing_source_of_a_vrt_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.vrt").write_text(vrt("gone.tif", ' relativeToVRT="1"'))
    with raised("E101", "gone.tif"):
        open_band(tmp_path / "a.vrt")


def test_a_vrt_of_local_files_is_read(tmp_path: Path) -> None:
    values = np.arange(64 * 64, dtype=np.float32).reshape(64, 64)
    write_band(tmp_path / "local.tif", values, GRID)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.vrt").write_text(vrt("../local.tif", ' relativeToVRT="1"'))
    with open_dataset(tmp_path / "in" / "a.vrt") as dataset:
        assert np.array_equal(dataset.read(1), values)


def test_vrts_of_each_other_end(tmp_path: Path) -> None:
    (tmp_path / "a.vrt").write_text(vrt("b.vrt", ' relativeToVRT="1"'))
    (tmp_path / "b.vrt").write_text(vrt("a.vrt", ' relativeToVRT="1"'))
    with pytest.raises(InputError) as caught:
        open_band(tmp_path / "a.vrt")
    assert caught.value.code == "E113"


def test_vrts_that_multiply_each_other_are_refused(tmp_path: Path) -> None:
    write_band(tmp_path / "0.tif", np.ones((64, 64), np.float32), GRID)
    part = vrt("{}", ' relativeToVRT="1"').partition("<SimpleSource>")
    one = part[1] + part[2].partition("</VRTRasterBand>")[0]
    for name, source in (("1.vrt", "0.tif"), ("2.vrt", "1.vrt"), ("3.vrt", "2.vrt"), ("4.vrt", "3.vrt")):
        whole = vrt("{}", ' relativeToVRT="1"').replace(one, one * 100)
        (tmp_path / name).write_text(whole.replace("{}", source))
    with open_dataset(tmp_path / "2.vrt") as dataset:  # 10,000 reads: slow, and it ends
        assert dataset.shape == (64, 64)
    with pytest.raises(InputError) as caught:
        open_dataset(tmp_path / "4.vrt")
    assert caught.value.code == "E113"


def lines_of_aliases(depth: int, merge: bool) -> str:
    lines = ["a0: &a0 {k: 1}" if merge else "a0: &a0 [1]"]
    for i in range(depth):
        repeated = ", ".join([f"*a{i}"] * 9)
        lines.append(
            f"a{i + 1}: &a{i + 1} {{<<: [{repeated}]}}" if merge else f"a{i + 1}: &a{i + 1} [{repeated}]"
        )
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        lines_of_aliases(12, merge=False),
        lines_of_aliases(12, merge=True),
        "event: &a {time: *a}\n",
        "event: &a [*a]\n",
        "a: !!bool maybe\n",
        "a: !!int maybe\n",
        "a: !!float maybe\n",
        "a: !!timestamp maybe\n",
        "a: !!binary maybe\n",
        "a: !!python/object/apply:os.system [id]\n",
        "a: !!omap [1]\n",
        "a: " + "1" * 5000 + "\n",
        "a: " + "[" * 50000 + "\n",
        "a: \t- b\n\tc: d\n",
        'a: "C:\\Users\\me"\n',
        "? {a: b}\n: c\n",
        "? [a]\n: c\n",
        "a: 'x" * 200000,
        "\0",
    ],
)
def test_yaml_that_is_no_scene_is_refused_in_words(text: str, tmp_path: Path) -> None:
    (tmp_path / "scene.yaml").write_text(text)
    with pytest.raises(SceneError) as caught:
        load_scene(tmp_path / "scene.yaml")
    assert caught.value.code in {"E001", "E002", "E003"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_a_scene_may_be_written_by_powershell(encoding: str, tmp_path: Path) -> None:
    text = "event: {time: 2024-04-02T23:58:00Z}\r\ns2: {post: Überflug.tif}\r\n"
    (tmp_path / "scene.yaml").write_bytes(text.encode(encoding))
    scene = load_scene(tmp_path / "scene.yaml")
    assert scene.s2 is not None
    assert scene.s2.post.path == tmp_path / "Überflug.tif"


@pytest.mark.parametrize("what", ["scene", "raster", "zip", "aoi", "windows", "ids"])
def test_a_pipe_is_refused(what: str, tmp_path: Path) -> None:
    """Opened, it would wait for a writer."""
    path = tmp_path / {"zip": "pipe.zip"}.get(what, "pipe")
    os.mkfifo(path)
    reads = {
        "scene": lambda: load_scene(path),
        "raster": lambda: open_band(path),
        "zip": lambda: read_product(path),
        "aoi": lambda: decide_grid(GridSpec(aoi=path), None, {}),
        "windows": lambda: Windows.open(path),
        "ids": lambda: read_ids(path),
    }
    with pytest.raises(LandslideMapError) as caught:
        reads[what]()
    assert caught.value.code in {"E001", "E101", "E140", "E142"}


@pytest.mark.parametrize("bomb", ["size", "elements", "entities", "depth"])
def test_xml_that_blows_up_is_refused(bomb: str, tmp_path: Path) -> None:
    folder = write_product(tmp_path / "product", land(1000))
    content = {
        "size": b"<a>" + b" " * (40 * 2**20) + b"</a>",
        "elements": b"<a>" + b"<b/>" * 1_500_000 + b"</a>",
        "entities": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        "depth": b"<a>" * 5000,
    }[bomb]
    with zipfile.ZipFile(tmp_path / "s2.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.rglob("*"):
            if file.name == "MTD_TL.xml":
                archive.writestr(str(file.relative_to(tmp_path)), content)
            elif file.is_file():
                archive.write(file, file.relative_to(tmp_path))
    with pytest.raises(InputError) as caught:
        read_product(tmp_path / "s2.zip")
    assert caught.value.code == "E101"


def test_rasters_that_no_image_is_as_large_as_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    sparse = {"sparse_ok": True, "tiled": True, "blockxsize": 8192, "blockysize": 8192, "bigtiff": "yes"}
    for edge, kind in ((2_000_000, "uint8"), (500_000, "uint16")):
        profile = {"width": edge, "height": edge, "count": 1, "dtype": kind, "crs": 32651, **sparse}
        with rasterio.open(path, "w", driver="GTiff", transform=GRID.transform, **profile):
            pass
        scene = Scene.model_validate(
            {
                "event": {"time": "2024-04-02T23:58:00Z"},
                "s2": {"post": {"path": path, "bands": {"red": 1}}},
            }
        )
        with pytest.raises(InputError) as caught:
            open_inputs(scene)
        assert caught.value.code == "E112"


def test_a_limit_of_memory_counts_the_blocks_of_source_files(tmp_path: Path) -> None:
    """A file in one strip is decoded whole, however little of it is read."""
    grid = grid_at(32651, 300000, 2700000, (3000, 3000))
    strip = write_band(
        tmp_path / "strip.tif", np.ones(grid.shape, np.float32), grid, compress="deflate", blockysize=3000
    )
    tiles = write_band(tmp_path / "tiles.tif", np.ones(grid.shape, np.float32), grid, tiled=True)
    (tmp_path / "strip.vrt").write_text(vrt("strip.tif", ' relativeToVRT="1"'))
    with memory_limited_to(MemoryPlan(source_block=2**24)):
        open_band(tiles.path)
        for path in (strip.path, tmp_path / "strip.vrt"):
            with pytest.raises(ResourceError) as caught:
                open_band(path)
            assert caught.value.code == "E640"
    open_band(strip.path)
    limit = (resident_memory() or 0) + 2 * 10**9  # this process may hold much by now
    assert plan_memory(limit).source_block <= limit // 16
