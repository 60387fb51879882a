"""Folders and zips of Sentinel-1 products: what each family is, and how a folder is sorted."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from landslide_map.errors import InputError
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import RadarTrack, SceneInputs
from landslide_map.inputs.sentinel1.families import passes, products_in
from landslide_map.scene.model import Scene
from tests.radar_files import SAFE, decibels, land, write
from tests.shared_data import shared_data

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


FAMILIES = {
    "HyP3": (hyp3, "power", "gamma0_rtc", 68),
    "HyP3 zips": (hyp3_zips, "power", "gamma0_rtc", 68),
    "Planetary Computer": (planetary_computer, "power", "gamma0_rtc", 68),
    "OPERA": (opera, "power", "gamma0_rtc", 68),
    "pyroSAR": (pyrosar, "db", "gamma0_rtc", None),
    "S1Tiling": (s1tiling, "power", "gamma0_rtc", 68),
    "Earth Engine": (earth_engine, "db", "sigma0", 68),
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


def test_both_directions_are_told_apart_by_the_local_time_of_the_day(tmp_path: Path):
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
