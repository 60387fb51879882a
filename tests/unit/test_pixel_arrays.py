"""Arrays for pixel members: layouts are recognised, hostile files and wrong masks refused."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from landslide_map.datasets.pixel_arrays import (
    as_mask,
    check_any_positive,
    of_array,
    open_arrays,
)
from landslide_map.errors import InputError
from landslide_map.models.published.landslide4sense import BANDS
from landslide_map.untrusted.hdf5 import read_h5

h5py = pytest.importorskip("h5py")


def refused(code: str, function: Any, *arguments: Any, **options: Any) -> None:
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    assert caught.value.code == code, caught.value


def patch(*shape: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).normal(1, 0.2, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(2, 14, 32, 64), (14, 32, 64), (2, 32, 64, 14), (32, 64, 14)])
def test_channels_are_found_first_and_last(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = patch(*shape)
    np.save(tmp_path / "p.npy", pixels)
    found = open_arrays(tmp_path / "p.npy", [BANDS])
    assert found.shape == (32, 64)
    assert len(found) == (2 if len(shape) == 4 else 1)
    image = pixels[0] if len(shape) == 4 else pixels
    expected = image if image.shape[0] == 14 else np.moveaxis(image, -1, 0)
    np.testing.assert_array_equal(found.read(0, 1)[0], expected)


def test_an_h5_file_of_landslide4sense(tmp_path: Path) -> None:
    pixels = patch(128, 128, 14)
    with h5py.File(tmp_path / "image_1.h5", "w") as file:
        file.create_dataset("img", data=pixels, compression="gzip", shuffle=True)
    found = open_arrays(tmp_path / "image_1.h5", [BANDS])
    np.testing.assert_array_equal(found.read(0, 1)[0], np.moveaxis(pixels, -1, 0))


def test_layouts_that_are_wrong_or_open(tmp_path: Path) -> None:
    for shape in ((13, 32, 32), (2, 13, 32, 32), (32, 32), (0, 14, 32, 32)):
        refused("E180", of_array, np.zeros(shape), [BANDS])
    both = np.zeros((1, 14, 32, 14))
    refused("E180", of_array, both, [BANDS])
    assert of_array(both, [BANDS], layout="channels-last").shape == (14, 32)
    refused("E180", of_array, np.zeros((14, 32, 32), dtype=complex), [BANDS])
    refused("E180", open_arrays, tmp_path / "absent.npy", [BANDS])
    (tmp_path / "p.csv").write_text("1,2")
    refused("E180", open_arrays, tmp_path / "p.csv", [BANDS])
    (tmp_path / "p.npy").write_bytes(b"\x93NUMPY\x01\x00nonsense")
    refused("E180", open_arrays, tmp_path / "p.npy", [BANDS])
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    refused("E180", open_arrays, tmp_path / "o.npy", [BANDS])
    (tmp_path / "p.h5").write_bytes(b"\x89HDF\r\n\x1a\nnonsense")
    refused("E180", open_arrays, tmp_path / "p.h5", [BANDS])


def test_hostile_h5_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["img"] = patch(8, 8, 14)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["img"] = h5py.ExternalLink(str(secret), "img")
    layout = h5py.VirtualLayout((8, 8, 14), dtype="f4")
    layout[:] = h5py.VirtualSource(str(secret), "img", shape=(8, 8, 14))
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_virtual_dataset("img", layout)
    (tmp_path / "raw").write_bytes(bytes(8 * 8 * 14 * 4))
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file.create_dataset("img", (8, 8, 14), "f4", external=[(str(tmp_path / "raw"), 0, 3584)])
    for name in ("link", "virtual", "outside"):
        refused("E186", open_arrays, tmp_path / f"{name}.h5", [BANDS])
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("img", (40000, 40000, 14), "f4", chunks=(100, 100, 14), compression="gzip")
    refused("E185", open_arrays, tmp_path / "bomb.h5", [BANDS])
    with h5py.File(tmp_path / "loop.h5", "w") as file:
        file["img"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/img")
    refused("E186", open_arrays, tmp_path / "loop.h5", [BANDS])
    with h5py.File(tmp_path / "filter.h5", "w") as file:
        file.create_dataset("img", data=np.ones((8, 8, 14), np.int32), scaleoffset=0)
    refused("E186", open_arrays, tmp_path / "filter.h5", [BANDS])
    os.mkfifo(tmp_path / "pipe.h5")
    refused("E180", open_arrays, tmp_path / "pipe.h5", [BANDS])
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file.create_group("img")
        file["other"] = 1
    refused("E180", open_arrays, tmp_path / "empty.h5", [BANDS])


def test_chunks_that_unpack_to_more_than_they_say(tmp_path: Path) -> None:
    """HDF5 unpacks gzip until it ends: this chunk of 14 kB would have 16 MB."""
    with h5py.File(tmp_path / "chunk.h5", "w") as file:
        made = file.create_dataset("img", (8, 8, 14), "f4", chunks=(8, 8, 14), compression="gzip")
        made.id.write_direct_chunk((0, 0, 0), zlib.compress(bytes(2**24)))
        large = {"maxshape": (None, None, None), "chunks": (4096, 4096, 4), "compression": "gzip"}
        file.create_dataset("large", (8, 8, 14), "f4", **large)
        file.create_dataset("cut", (8, 8, 14), "f4", chunks=(8, 8, 14), compression="gzip")
        file["cut"].id.write_direct_chunk((0, 0, 0), zlib.compress(bytes(3584))[:-8])
    refused("E186", read_h5, tmp_path / "chunk.h5", "img", 2**30)
    refused("E185", read_h5, tmp_path / "chunk.h5", "large", 2**30)
    refused("E180", read_h5, tmp_path / "chunk.h5", "cut", 2**30)


def test_a_file_of_a_gigabyte_is_refused_before_it_is_read(tmp_path: Path) -> None:
    for name in ("large.h5", "large.tif"):
        (tmp_path / name).write_bytes(b"")
        os.truncate(tmp_path / name, 2**30 + 1)
        refused("E185", open_arrays, tmp_path / name, [BANDS])


def test_masks() -> None:
    mask = np.zeros((8, 8), np.uint8)
    refused("E184", check_any_positive, [mask, mask], "masks")
    mask[2, 3] = 1
    assert as_mask(mask[None], (8, 8), "mask").sum() == 1
    refused("E183", as_mask, mask, (8, 9), "mask")
    refused("E182", as_mask, mask * 255, (8, 8), "mask")
    refused("E182", as_mask, np.where(mask, np.nan, 0.0), (8, 8), "mask")
