"""A short part of ``python -m benchmarks.mutations``: damaged files end in an answer or a code."""

from __future__ import annotations

import io
import random
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from benchmarks.mutations import KINDS, damaged, is_wrong, outcomes
from landslide_map.errors import InputError, LandslideMapError
from landslide_map.inputs.sentinel2.safe import read_product
from landslide_map.models.statistics.perceptron import Perceptron
from landslide_map.raster.open import open_band
from landslide_map.runtime.byte_size import amount
from landslide_map.scene.model import load_scene
from tests.support.raised import raised
from tests.support.rasters import grid_at, write_band
from tests.support.safe_product import land, write_product


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"scene.yaml"}))
def test_damaged_files_end_in_an_answer_or_a_code(kind: str) -> None:
    count = 3 if kind in {"bundle.json", "ubj"} else 25
    assert [ended for _, ended in outcomes(kind, 7, 0, count) if is_wrong(ended)] == []


def test_damaged_scenes_end_in_an_answer_or_a_code(tmp_path: Path) -> None:
    """Without `check`, which takes seconds for each that is whole."""
    name, make, _ = KINDS["scene.yaml"]
    content = make(tmp_path)
    for number in range(150):
        (tmp_path / name).write_bytes(damaged(content, random.Random(number)))
        with suppress(LandslideMapError):
            load_scene(tmp_path / name)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('<BOA_QUANTIFICATION_VALUE unit="none">10000', "<BOA_QUANTIFICATION_VALUE>ten"),
        ('<BOA_QUANTIFICATION_VALUE unit="none">10000', "<BOA_QUANTIFICATION_VALUE>nan"),
        ('<BOA_QUANTIFICATION_VALUE unit="none">10000', "<BOA_QUANTIFICATION_VALUE>0"),
        ("<PRODUCT_START_TIME>", "<PRODUCT_START_TIME>yesterday "),
        ("<PRODUCT_START_TIME>2", "<PRODUCT_START_TIME>9"),
        ('encoding="UTF-8"', 'encoding="EBCDIC-9"'),
        ('encoding="UTF-8"', 'encoding="UTF-16"'),
    ],
)
def test_metadata_that_are_none_are_refused(old: str, new: str, tmp_path: Path) -> None:
    folder = write_product(tmp_path, land(1000))
    metadata = folder / "MTD_MSIL2A.xml"
    text = metadata.read_text()
    assert old in text
    metadata.write_text(text.replace(old, new))
    with pytest.raises(InputError) as caught:
        read_product(folder)
    assert caught.value.code == "E101"


def zipped(folder: Path, change: str) -> Path:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        if change == "folder entries":
            for name in ("", "GRANULE/"):
                archive.writestr(f"{folder.name}/{name}", "")
        if change == "names above":
            archive.writestr("../../MTD_MSIL2A.xml", "<a/>")
            archive.writestr("/etc/MTD_MSIL2A.xml", "<a/>")
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder.parent))
    content = bytearray(out.getvalue())
    if change in {"encrypted", "deflate64"}:
        where, value = {"encrypted": (6, 1), "deflate64": (8, 9)}[change]
        for mark, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
            at = content.find(mark)
            while at >= 0:
                content[at + where + shift] = value
                at = content.find(mark, at + 4)
    if change == "names not UTF-8":
        content = content.replace(b"_B02_", b"_B\xff2_")
    path = folder.with_suffix(".zip")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("change", ["encrypted", "deflate64", "names not UTF-8"])
def test_zips_that_are_not_read_are_refused(change: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_product(zipped(write_product(tmp_path / "a", land(1000)), change))
    assert caught.value.code == "E101"


@pytest.mark.parametrize("change", ["folder entries", "names above", "none"])
def test_unusual_entries_of_a_zip_are_skipped(change: str, tmp_path: Path) -> None:
    product = read_product(zipped(write_product(tmp_path / "a", land(1000)), change))
    assert set(product.images) >= {"red", "green", "blue", "nir"}
    assert not any(".." in image for image in product.images.values())


@pytest.mark.parametrize("left", [1e9, -1e30, float("nan")])
def test_a_raster_far_off_the_earth_is_refused(left: float, tmp_path: Path) -> None:
    write_band(tmp_path / "a.tif", np.ones((64, 64), np.float32), grid_at(32651, left, 2700000, (64, 64)))
    with pytest.raises(InputError) as caught:
        open_band(tmp_path / "a.tif")
    assert caught.value.code in {"E103", "E104"}


def test_an_amount_of_five_thousand_digits_is_refused() -> None:
    with raised("E440"):
        amount("9" * 5000 + "GB")


def test_an_archive_that_unpacks_without_end_is_refused() -> None:
    out = io.BytesIO()
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("knots.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with raised(ValueError, "larger"):
        Perceptron.from_bytes(out.getvalue())
