"""Folders and zips of Sentinel-1 products: what each family is, and how a folder is sorted."""

from __future__ import annotations

import re
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from landslide_map.bands import acquisition
from landslide_map.check.check_scene import describe_inputs
from landslide_map.errors import InputError
from landslide_map.grid import Block
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import RadarTrack, SceneInputs
from landslide_map.inputs.sentinel1.families import passes, products_in
from landslide_map.raster.nodata import read_valid
from landslide_map.raster.open import opened
from landslide_map.scene.model import Scene
from landslide_map.stack.acquisitions import read_acquisition
from tests.support.radar_files import SAFE, decibels, land, write
from tests.support.shared_data import shared_data

EVENT = "2024-04-02T23:58:00Z"
GRID = {"epsg": 32651, "ulx": 400_000, "uly": 2_650_000, "width": 80, "height": 70}
TIMES = {"pre": "20240315T100000", "post": "20240408T100001"}
ORBITS = {"pre": 52990, "post": 53340}


def pair(folder: Path, name: Callable[[str], str], side: str, *, db: bool = False, **options: object) -> None:
    """Write VV and VH of one product under the names that `name` makes of them."""
    seed = list(TIMES).index(side)
    for band, mean in (("VV", -10.0), ("VH", -16.5)):
        power = land((10 if band == "VV" else 20) + seed, mean)
        write(folder / name(band), decibels(power) if db else power, **options)  # type: ignore[arg-type]


def hyp3(folder: Path) -> None:
    for side, time in TIMES.items():
        stem = f"S1A_IW_{time}_DVP_RTC10_G_gpuned_{'AB'[side == 'post'] * 4}"
        pair(folder / stem, lambda band, stem=stem: f"{stem}_{band}.tif", side, nodata=0)
        for companion in ("ls_map", "inc_map", "area", "dem"):
            write(folder / stem / f"{stem}_{companion}.tif", np.ones((80, 90), np.float32))
        (folder / stem / f"{stem}.README.md.txt").write_text(f"made from:\n{SAFE[side]}\n")


def hyp3_zips(folder: Path) -> None:
    hyp3(folder / "open")
    for product in (folder / "open").iterdir():
        with zipfile.ZipFile(folder / f"{product.name}.zip", "w") as archive:
            for file in sorted(product.iterdir()):
                archive.write(file, f"{product.name}/{file.name}")
    shutil.rmtree(folder / "open")


def planetary_computer(folder: Path) -> None:
    for side in TIMES:
        pair(
            folder / SAFE[side] / "measurement",
            lambda band: f"iw-{band.lower()}.rtc.tiff",
            side,
            nodata=-32768,
        )


def opera(folder: Path) -> None:
    for side, time in TIMES.items():
        stem = f"OPERA_L2_RTC-S1_T068-144790-IW1_{time}Z_20240409T000000Z_S1A_30_v1.0"
        pair(folder, lambda band, stem=stem: f"{stem}_{band}.tif", side, nodata=float("nan"))
        write(folder / f"{stem}_mask.tif", np.zeros((80, 90), np.uint8))


def pyrosar(folder: Path) -> None:
    for side, time in TIMES.items():
        pair(folder, lambda band, time=time: f"S1A__IW___A_{time}_{band}_gamma0-rtc_db.tif", side, db=True)


def s1tiling(folder: Path) -> None:
    for side, time in TIMES.items():
        name = f"s1a_51RUH_{{}}_ASC_068_{time.lower()}_GammaNaughtRTC.tif"
        pair(folder, lambda band, name=name: name.format(band.lower()), side, nodata=0)


def earth_engine(folder: Path) -> None:
    for seed, side in enumerate(TIMES):
        bands = (decibels(land(10 + seed, -10.0)), decibels(land(20 + seed, -16.5)))
        angle = np.full((80, 90), 38.0, np.float32)
        write(folder / f"{SAFE[side]}.tif", *bands, angle, descriptions=("VV", "VH", "angle"))


DIM = """<?xml version="1.0" encoding="ISO-8859-1"?>
<Dimap_Document name="x.dim"><Coordinate_Reference_System><WKT>{wkt}</WKT></Coordinate_Reference_System>
<Geoposition><IMAGE_TO_MODEL_TRANSFORM>10.0,0.0,0.0,-10.0,400000.0,2650000.0</IMAGE_TO_MODEL_TRANSFORM></Geoposition>
<Raster_Dimensions><NCOLS>90</NCOLS><NROWS>80</NROWS><NBANDS>2</NBANDS></Raster_Dimensions>
<Data_Access>{files}</Data_Access><Image_Interpretation>{bands}</Image_Interpretation>
<Dataset_Sources><MDElem name="metadata"><MDElem name="Abstracted_Metadata">
<MDATTR name="PRODUCT">{product}</MDATTR><MDATTR name="MISSION">SENTINEL-1A</MDATTR>
<MDATTR name="PASS">ASCENDING</MDATTR><MDATTR name="REL_ORBIT">68</MDATTR>
<MDATTR name="ABS_ORBIT">99999</MDATTR>
<MDATTR name="first_line_time">{time}.491675</MDATTR></MDElem></MDElem>
<MDElem name="Processing_Graph"><MDElem name="node"><operator>{operator}</operator></MDElem></MDElem>
</Dataset_Sources></Dimap_Document>"""
FILE = '<Data_File><DATA_FILE_PATH href="{0}.data/{1}.hdr"/><BAND_INDEX>{2}</BAND_INDEX></Data_File>'
BAND = """<Spectral_Band_Info><BAND_INDEX>{0}</BAND_INDEX><BAND_NAME>{1}</BAND_NAME>
<PHYSICAL_UNIT>{2}</PHYSICAL_UNIT><SCALING_FACTOR>1.0</SCALING_FACTOR><SCALING_OFFSET>0.0</SCALING_OFFSET>
<LOG10_SCALED>false</LOG10_SCALED><NO_DATA_VALUE_USED>true</NO_DATA_VALUE_USED><NO_DATA_VALUE>0.0</NO_DATA_VALUE>
</Spectral_Band_Info>"""


def snap(
    folder: Path, *, db: bool = True, operator: str = "Terrain-Correction", name: str = "Sigma0"
) -> None:
    """Write BEAM-DIMAP as SNAP does: big-endian ENVI rasters without a projection, which the XML has."""
    wkt = CRS.from_epsg(32651).to_wkt().replace("<", "&lt;")
    for side, day in (("pre", "15-MAR-2024 10:00:00"), ("post", "08-APR-2024 10:00:01")):
        stem = f"subset_{side}"
        (folder / f"{stem}.data").mkdir(parents=True, exist_ok=True)
        files = bands = ""
        for i, (band, mean) in enumerate((("VV", -10.0), ("VH", -16.5))):
            power = land((10, 20)[i] + (side == "post"), mean)
            power[:5] = 0
            pixels = np.where(power > 0, 10 * np.log10(np.maximum(power, 1e-9)), 0) if db else power
            if db:
                pixels[10, 10] = -1e-30
            title = f"{name}_{band}{'_db' if db else ''}"
            (folder / f"{stem}.data" / f"{title}.img").write_bytes(pixels.astype(">f4").tobytes())
            (folder / f"{stem}.data" / f"{title}.hdr").write_text(
                "ENVI\nsamples = 90\nlines = 80\nbands = 1\nheader offset = 0\nfile type = ENVI Standard\n"
                "data type = 4\ninterleave = bsq\nbyte order = 1\n"
            )
            files += FILE.format(stem, title, i)
            bands += BAND.format(i, title, "intensity_db" if db else "intensity")
        text = DIM.format(wkt=wkt, files=files, bands=bands, product=SAFE[side], time=day, operator=operator)
        (folder / f"{stem}.dim").write_text(text)


def with_tag(path: Path, tag: int, text: bytes) -> None:
    """Write the first directory of a TIFF again, at its end, with one more tag."""
    old = path.read_bytes()
    (place,) = struct.unpack("<I", old[4:8])
    (count,) = struct.unpack("<H", old[place : place + 2])
    entries = old[place + 2 : place + 2 + 12 * count]
    added = struct.pack("<HHII", tag, 2, len(text), len(old))
    directory = struct.pack("<H", count + 1) + entries + added + bytes(4)
    begin = len(old) + len(text)
    path.write_bytes(old[:4] + struct.pack("<I", begin) + old[8:] + text + directory)


def snap_geotiff(folder: Path, name: str = "Sigma0", **spoiled: str) -> None:
    """Write GeoTIFFs as SNAP does: no names of bands, no nodata; the XML is in a tag."""
    for side, day in (("pre", "15-MAR-2024 10:00:00"), ("post", "08-APR-2024 10:00:01")):
        decibel = [decibels(land(base + (side == "post"), mean)) for base, mean in ((20, -16.5), (10, -10.0))]
        decibel[0][:5] = decibel[1][:5] = 0
        path = write(folder / f"subset_{side}.tif", *(band.astype(np.float32) for band in decibel))
        bands = "".join(
            BAND.format(i, f"{name}_{pol}_db", "intensity_db") for i, pol in enumerate(("VH", "VV"))
        )
        text = DIM.format(
            wkt="", files="", bands=bands, product=SAFE[side], time=day, operator="Terrain-Correction"
        )
        for before, after in spoiled.items():
            text = text.replace(before, after)
        with_tag(path, 65000, text.encode() + b"\0")


def earth_engine_shards(folder: Path) -> None:
    for seed, side in enumerate(TIMES):
        vv, vh = (decibels(land(base + seed, mean)) for base, mean in ((10, -10.0), (20, -16.5)))
        for col, width in ((0, 60), (60, 30)):
            path = folder / f"{SAFE[side]}-0000000000-{col:010}.tif"
            part = np.s_[:, col : col + width]
            write(path, vv[part], vh[part], descriptions=("VV", "VH"))
            with rasterio.open(path, "r+") as out:
                out.transform = Affine(10, 0, 400_000 + 10 * col, 0, -10, 2_650_000)


FAMILIES = {
    "HyP3": (hyp3, "power", "gamma0_rtc", 68),
    "HyP3 zips": (hyp3_zips, "power", "gamma0_rtc", 68),
    "Planetary Computer": (planetary_computer, "power", "gamma0_rtc", 68),
    "OPERA": (opera, "power", "gamma0_rtc", 68),
    "pyroSAR": (pyrosar, "db", "gamma0_rtc", None),
    "S1Tiling": (s1tiling, "power", "gamma0_rtc", 68),
    "Earth Engine": (earth_engine, "db", "sigma0", 68),
    "Earth Engine shards": (earth_engine_shards, "db", "sigma0", 68),
    "SNAP": (snap, "db", "sigma0", 68),
    "SNAP GeoTIFF": (snap_geotiff, "db", "sigma0", 68),
}


def inputs(s1: object, event: str = EVENT) -> SceneInputs:
    return open_inputs(Scene.model_validate({"event": {"time": event}, "s1": s1, "grid": GRID}))


def facts(track: RadarTrack) -> set[tuple[object, ...]]:
    return {(i.units, i.quantity, i.relative_orbit, i.platform) for i in (*track.pre, *track.post)}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_is_sorted_and_each_product_is_known_for_what_it_is(tmp_path: Path, family: str):
    make, units, quantity, orbit = FAMILIES[family]
    make(tmp_path)
    found = inputs(str(tmp_path))
    (track,) = found.tracks.values()
    assert track.orbit == "ascending"
    assert (len(track.pre), len(track.post)) == (1, 1)
    assert track.pre[0].acquired < found.event_time < track.post[0].acquired
    assert facts(track) == {(units, quantity, orbit, "S1A")}


@pytest.mark.parametrize("family", ["HyP3", "HyP3 zips", "Planetary Computer"])
def test_a_product_stands_for_its_files_in_a_list(tmp_path: Path, family: str):
    FAMILIES[family][0](tmp_path)
    before, after = sorted(tmp_path.iterdir())
    found = inputs(
        {"ascending": {"pre": [str(before)], "post": [{"path": str(after), "relative_orbit": 68}]}}
    )
    assert facts(found.tracks["ascending"]) == {("power", "gamma0_rtc", 68, "S1A")}


def test_real_bursts_are_one_pass_each():
    folder = shared_data("fixtures", "opera_rtc_s1_cropped", "10SGD_T137")
    groups = passes(products_in(folder))
    assert [len(group) for group in groups] == [4, 4]
    assert {group[0].relative_orbit for group in groups} == {137}


def test_both_directions_are_separated_by_the_local_time_of_the_day(tmp_path: Path):
    planetary_computer(tmp_path)
    for side, time in (("pre", "20240314T215500"), ("post", "20240407T215501")):
        name = SAFE[side].replace(TIMES[side], time).replace(TIMES[side][:-2], time[:-2])
        name = re.sub(r"_(\d{6})_", f"_{ORBITS[side] - 8:06}_", name)
        pair(tmp_path / name / "measurement", lambda band: f"iw-{band.lower()}.rtc.tiff", side)
    assert set(inputs(str(tmp_path)).tracks) == {"ascending", "descending"}


def test_of_two_tracks_the_one_with_both_sides_is_taken_and_the_other_said(tmp_path: Path):
    planetary_computer(tmp_path)
    name = SAFE["post"].replace("20240408T1000", "20240403T1008").replace("053340", "053267")
    pair(tmp_path / name / "measurement", lambda band: f"iw-{band.lower()}.rtc.tiff", "post")
    found = inputs(str(tmp_path))
    assert found.tracks["ascending"].post[0].relative_orbit == 68
    assert [n.message for n in found.notices if n.code == "I320" and "170" in n.message]


def test_passes_far_from_the_event_are_left_out(tmp_path: Path):
    planetary_computer(tmp_path)
    name = SAFE["pre"].replace("20240315", "20230315").replace("052990", "047740")
    pair(tmp_path / name / "measurement", lambda band: f"iw-{band.lower()}.rtc.tiff", "pre")
    found = inputs(str(tmp_path))
    assert len(found.tracks["ascending"].pre) == 1
    assert "I320" in {n.code for n in found.notices}


def test_a_folder_without_a_pass_after_the_event(tmp_path: Path):
    planetary_computer(tmp_path)
    with pytest.raises(InputError) as error:
        inputs(str(tmp_path), "2024-07-01T00:00:00Z")
    assert error.value.code == "E302"


def test_other_files_do_not_disturb(tmp_path: Path):
    planetary_computer(tmp_path)
    (tmp_path / "notes.txt").write_text("VV")
    (tmp_path / "broken.tif").write_bytes(b"no image")
    write(
        tmp_path / "S2A_MSIL2A_20240410T022531_N0510_R046_T51RUH_20240410T061500_B04.tif",
        np.ones((9, 9), np.uint16),
    )
    assert len(products_in(tmp_path)) == 2


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda f: next(f.rglob("iw-vh.rtc.tiff")).unlink(), "E305"),
        (lambda f: next(f.rglob("iw-vv.rtc.tiff")).write_bytes(b"II*\0"), "E101"),
        (lambda f: [shutil.rmtree(p) for p in f.iterdir()], "E101"),
        (lambda f: write(f / "my_VV.tif", land(1, -10)) and write(f / "my_VH.tif", land(2, -16)), "E309"),
        (
            lambda f: [
                write(f / f"my_{b}.tif", land(1, m), tags={"DATE": "2024-03-15"})
                for b, m in (("VV", -10), ("VH", -16))
            ],
            "E318",
        ),
        (lambda f: (f / "x.zip").write_bytes(b"PK no zip"), "E101"),
    ],
    ids=["VH missing", "truncated", "empty", "no date", "no direction", "broken zip"],
)
def test_a_spoiled_folder_has_its_code(tmp_path: Path, spoil: Callable[[Path], object], code: str):
    planetary_computer(tmp_path)
    spoil(tmp_path)
    with pytest.raises(InputError) as error:
        inputs(str(tmp_path))
    assert error.value.code == code


def test_names_in_a_zip_that_leave_it_are_not_read(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../../S1A_IW_20240315T100000_DVP_RTC10_G_gpuned_AAAA_VV.tif", b"II*\0")
        archive.writestr("/S1A_IW_20240315T100000_DVP_RTC10_G_gpuned_AAAA_VH.tif", b"II*\0")
    assert products_in(tmp_path / "evil.zip") == []


@pytest.mark.parametrize(
    ("operator", "name", "quantity"),
    [
        ("Terrain-Correction", "Sigma0", "sigma0"),
        ("Terrain-Correction", "Gamma0", "gamma0"),
        ("Terrain-Flattening", "Gamma0", "gamma0_rtc"),
    ],
)
def test_snap_says_in_its_graph_what_gamma0_is(tmp_path: Path, operator: str, name: str, quantity: str):
    snap(tmp_path, db=False, operator=operator, name=name)
    (track,) = inputs(str(tmp_path)).tracks.values()
    assert facts(track) == {("power", quantity, 68, "S1A")}


def test_pixels_of_snap_are_read_as_stored_and_its_false_zeros_are_no_data(tmp_path: Path):
    snap(tmp_path)
    band = inputs(str(tmp_path)).tracks["ascending"].pre[0].bands["vv"][0]
    assert band.grid.crs.to_epsg() == 32651
    with opened(band.path) as dataset:
        pixels = read_valid(dataset, band)
    assert np.isnan(pixels[:5]).all(), "0, as the product says"
    assert np.isnan(pixels[10, 10]), "-1e-30"
    assert pixels[20, 20] == pytest.approx(decibels(land(10, -10.0))[20, 20], abs=1e-4)


def test_bands_of_a_geotiff_of_snap_are_named_by_its_header(tmp_path: Path):
    snap_geotiff(tmp_path)
    image = inputs(str(tmp_path)).tracks["ascending"].post[0]
    assert (image.bands["vv"][0].index, image.bands["vh"][0].index) == (2, 1)
    assert image.sources["units"] == "header of SNAP"
    band = image.bands["vv"][0]
    with opened(band.path) as dataset:
        assert np.isnan(read_valid(dataset, band)[:5]).all(), "0, as the header says"


@pytest.mark.parametrize(
    ("spoiled", "code"),
    [
        ({"<?xml": "<!DOCTYPE a><?xml"}, "E101"),
        ({"Sigma0": "Beta0"}, "E301"),
        ({"Sigma0_VH": "Sigma0_HH"}, "E305"),
    ],
)
def test_a_spoiled_header_of_snap_has_its_code(tmp_path: Path, spoiled: dict[str, str], code: str):
    snap_geotiff(tmp_path, **spoiled)
    with pytest.raises(InputError) as error:
        inputs({"ascending": {side: [{"path": str(tmp_path / f"subset_{side}.tif")}] for side in TIMES}})
    assert error.value.code == code


def test_both_shards_are_one_image_without_a_seam(tmp_path: Path):
    earth_engine_shards(tmp_path)
    found = inputs(str(tmp_path))
    (band,) = found.tracks["ascending"].pre[0].bands["vv"]
    assert band.grid.width == 90
    assert [file.exists() for file in found.files] == [True] * len(found.files)
    assert sum("-00000000" in file.name for file in found.files) == 4


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda t: t.replace("IMAGE_TO_MODEL", "OTHER"), "E311"),
        (lambda t: t.replace("subset_post.data/", "../../secret/"), "E113"),
        (lambda t: t.replace('<?xml version="1.0" encoding="ISO-8859-1"?>', "<!DOCTYPE a>"), "E101"),
        (lambda t: t.replace("<LOG10_SCALED>false", "<LOG10_SCALED>true"), "E301"),
        (lambda t: t.replace("<PHYSICAL_UNIT>", "<VIRTUAL_BAND>true</VIRTUAL_BAND><PHYSICAL_UNIT>"), "E301"),
        (lambda t: t.replace("Sigma0_VH_db", "Other"), "E305"),
        (lambda t: t.replace("<NCOLS>90", "<NCOLS>91"), "E109"),
        (lambda t: t.replace("ASCENDING", "DESCENDING"), "E303"),
    ],
)
def test_a_spoiled_product_of_snap_has_its_code(tmp_path: Path, spoil: Callable[[str], str], code: str):
    snap(tmp_path)
    path = tmp_path / "subset_post.dim"
    path.write_text(spoil(path.read_text()))
    items = {side: [{"path": str(tmp_path / f"subset_{side}.dim")}] for side in TIMES}
    with pytest.raises(InputError) as error:
        inputs({"ascending": items})
    assert error.value.code == code


def test_a_missing_shard_is_no_missing_data(tmp_path: Path):
    earth_engine_shards(tmp_path)
    next(tmp_path.glob("*-0000000060.tif")).rename(tmp_path / f"{SAFE['pre']}-0000000050-0000000060.tif")
    with pytest.raises(InputError) as error:
        inputs(str(tmp_path))
    assert error.value.code == "E101"


def test_check_says_where_each_fact_comes_from(tmp_path: Path):
    hyp3(tmp_path)
    (image,) = inputs(str(tmp_path)).tracks["ascending"].post
    assert image.sources == {
        "acquired": "name",
        "nodata": "file and pixels",
        "orbit": "time of day",
        "platform": "name",
        "polarisation": "name",
        "quantity": "name",
        "relative_orbit": "absolute orbit",
        "units": "name",
    }
    snap(tmp_path / "snap")
    items = {s: [{"path": tmp_path / "snap" / f"subset_{s}.dim", "platform": "S1A"}] for s in TIMES}
    found = inputs({"ascending": items})
    (image,) = found.tracks["ascending"].post
    assert image.sources["relative_orbit"] == "subset_post.dim"
    assert image.sources["platform"] == "scene.yaml"
    report = describe_inputs(found)["sentinel1"]["ascending"]["post"][0]
    assert report["sources"]["units"] == "subset_post.dim"


@pytest.mark.parametrize(
    ("family", "ending", "code", "kept"),
    [("HyP3", "ls_map", 4, 1), ("HyP3 zips", "ls_map", 17, 1), ("OPERA", "mask", 2, 0)],
)
def test_layover_and_shadow_are_left_out(tmp_path: Path, family: str, ending: str, code: int, kept: int):
    """Rows 20 to 29 are hidden in the image after the event; bit 1 of HyP3 says only that a pixel was
    tested."""
    plain, zips = family.removesuffix(" zips"), family.endswith("zips")
    FAMILIES[plain][0](tmp_path)
    hidden = np.full((80, 90), kept, np.uint8)
    hidden[20:30] = code
    masks = sorted(tmp_path.rglob(f"*{TIMES['post']}*_{ending}.tif"))
    assert len(masks) == 1
    write(masks[0], hidden)
    if zips:
        for folder in [path for path in tmp_path.iterdir() if path.is_dir()]:
            with zipfile.ZipFile(tmp_path / f"{folder.name}.zip", "w") as archive:
                for file in sorted(folder.iterdir()):
                    archive.write(file, f"{folder.name}/{file.name}")
            shutil.rmtree(folder)
    found = inputs(str(tmp_path))
    assert "I322" in {notice.code for notice in found.notices}
    whole = Block(0, 0, 70, 80)
    for name in ("vv", "vh"):
        missing = np.isnan(read_acquisition(found, acquisition("ascending", "post", name), whole))
        assert missing[20:30].all()
        assert not missing[:20].any()
        assert not missing[30:].any()
    assert not np.isnan(read_acquisition(found, acquisition("ascending", "pre", "vv"), whole)).any()
