"""Files and settings that decide a result are told from others, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from landslide_map.errors import InputError
from landslide_map.mapping import identity
from landslide_map.mapping.identity import InputFiles, differences, file_identity


def test_small_files_are_told_by_their_content_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"x" * 1000)
    before = file_identity(path)
    os.utime(path, ns=(1, 1))
    assert file_identity(path) == before
    path.write_bytes(b"x" * 999 + b"y")
    os.utime(path, ns=(1, 1))
    assert file_identity(path) != before


@pytest.mark.parametrize("change", ["time", "beginning", "size"])
def test_large_files_are_told_by_size_time_and_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(identity, "HASHED_WHOLE", 100)
    path = tmp_path / "a.tif"
    path.write_bytes(b"x" * 1000)
    os.utime(path, ns=(1, 1))
    before = file_identity(path)
    assert file_identity(path) == before
    if change != "time":
        path.write_bytes(b"y" + b"x" * 999 if change == "beginning" else b"x" * 1001)
    os.utime(path, ns=(1, 2 if change == "time" else 1))
    assert file_identity(path) != before


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
    with pytest.raises(InputError, match=r"E111: .*/a was changed"):
        files.refuse_changed()


def test_a_file_that_is_gone_before_the_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"E101: .*a\.tif: cannot be read"):
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
