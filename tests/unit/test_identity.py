"""The identity of a run: files and settings that decide a result, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import rasterio
from affine import Affine

from landslide_map.mapping.identity import HASHED_WHOLE, InputFiles, differences, file_identity
from tests.support.raised import raised


def test_small_files_are_identified_by_their_content_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"x" * 1000)
    before = file_identity(path)
    os.utime(path, ns=(1, 1))
    assert file_identity(path) == before
    path.write_bytes(b"x" * 999 + b"y")
    os.utime(path, ns=(1, 1))
    assert file_identity(path) != before


@pytest.mark.parametrize("change", ["time", "beginning", "middle", "size", "end"])
def test_large_files_are_identified_by_size_time_and_both_ends(tmp_path: Path, change: str) -> None:
    path, size = tmp_path / "a.tif", HASHED_WHOLE + 1
    place = {"beginning": 0, "middle": size // 2, "end": size - 1}
    with path.open("wb") as file:  # sparse: nothing of it is written
        file.truncate(size)
    os.utime(path, ns=(1, 1))
    before = file_identity(path)
    assert file_identity(path) == before
    with path.open("r+b") as file:
        file.truncate(size + (change == "size"))
        file.seek(place.get(change, 0))
        file.write(b"y" if change in place else b"\0")
    os.utime(path, ns=(1, 2 if change == "time" else 1))
    assert (file_identity(path) != before) == (change != "middle")


def test_files_that_change_are_refused_and_those_that_go_or_are_touched_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "S2.SAFE"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_bytes(b"1234")
    files = InputFiles([folder])
    assert sorted(files.identities) == [str(folder / "a"), str(folder / "b")]
    (folder / "a").unlink()
    os.utime(folder / "b", ns=(1, 1))
    files.refuse_changed()
    (folder / "a").write_bytes(b"1234")
    files.refuse_changed()
    (folder / "a").write_bytes(b"1243")
    with raised("E111", "/a was changed"):
        files.refuse_changed()


def test_a_file_that_is_gone_before_the_run_is_refused(tmp_path: Path) -> None:
    with raised("E101", "a.tif: cannot be read"):
        InputFiles([tmp_path / "a.tif"])


def test_differences_name_settings_and_files() -> None:
    before = {"s1": {"pre": [{"vv": "a"}]}, "stride": 64, "inputs": {"p": 1, "q": 1, "r": 1}}
    now = {"s1": {"pre": [{"vv": "a"}, {"vv": "b"}]}, "stride": None, "inputs": {"p": 2, "r": 1, "s": 1}}
    assert differences(before, now) == (
        "p was changed; q is not read any more; s was not read then; "
        "stride was 64 and is not set; s1.pre.1.vv was not set and is b"
    )
    assert differences(before, before) == ""


def test_many_differences_are_counted() -> None:
    before, now = ({"inputs": {f"{i:02}.tif": side for i in range(20)}} for side in (1, 2))
    assert differences(before, now).endswith("05.tif was changed; and 14 more")


def written(path: Path) -> Path:
    placed: dict[str, Any] = {"crs": "EPSG:32632", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    with rasterio.open(path, "w", driver="GTiff", width=8, height=8, count=1, dtype="uint8", **placed):
        pass
    return path


def test_the_files_behind_a_vrt_and_beside_them_are_the_run_s(tmp_path: Path) -> None:
    source = written(tmp_path / "source.tif")
    inner, outer = tmp_path / "inner.vrt", tmp_path / "outer.vrt"
    for vrt, name in ((inner, "source.tif"), (outer, "inner.vrt")):
        vrt.write_text(
            '<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Byte" band="1">'
            f'<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
            "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
        )
    files = InputFiles([outer])
    assert set(files.identities) == {str(outer), str(inner), str(source)}
    content = bytearray(source.read_bytes())
    content[-1] ^= 1
    source.write_bytes(content)
    assert InputFiles([outer]).identities != files.identities
    with raised("E111", "source.tif was changed"):
        files.refuse_changed()


@pytest.mark.parametrize(
    "name", ["a.tif.aux.xml", "a.tif.msk", "a.tif.ovr", "a.tfw", "a.tifw", "a.TFW", "a.tif.msk.ovr", "a.prj"]
)
def test_files_beside_a_raster_that_change_its_pixels_or_place_count(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "a.tif")
    before = InputFiles([path]).identities
    if name == "a.tif.msk.ovr":
        (tmp_path / "a.tif.msk").write_bytes(b"1")
    (tmp_path / name).write_bytes(b"1")
    now = InputFiles([path]).identities
    assert set(now) - set(before) >= {str(tmp_path / name)}
    (tmp_path / name).write_bytes(b"2")
    assert InputFiles([path]).identities != now


@pytest.mark.parametrize(
    ("inside", "counts"),
    [
        ('<Metadata><MDI key="STATISTICS_MEAN">1</MDI></Metadata><Histograms/>', False),
        ("<NoDataValue>0</NoDataValue>", True),
        ('<Metadata><MDI key="STATISTICS_MEAN">1</MDI><MDI key="x">1</MDI></Metadata>', True),
    ],
)
def test_statistics_that_a_viewer_keeps_beside_an_image_do_not_count(
    tmp_path: Path, inside: str, counts: bool
) -> None:
    path = written(tmp_path / "a.tif")
    text = f'<PAMDataset><PAMRasterBand band="1">{inside}</PAMRasterBand></PAMDataset>'
    (tmp_path / "a.tif.aux.xml").write_text(text)
    assert (len(InputFiles([path]).identities) == 2) == counts
