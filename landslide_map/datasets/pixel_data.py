"""Images with masks for training and evaluation: published folder layouts and tiles cut from scenes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from rasterio.errors import RasterioError
from rasterio.windows import Window

from landslide_map.datasets.pixel_arrays import LARGEST_FILE, as_mask, check_any_positive
from landslide_map.errors import InputError
from landslide_map.models.published import ganerod, landslide4sense
from landslide_map.models.segmentation.channels import PIXEL_CHANNELS
from landslide_map.raster.dataset import open_unplaced
from landslide_map.untrusted.arrays import open_npy
from landslide_map.untrusted.hdf5 import read_h5
from landslide_map.untrusted.json_text import read_json

Layout = Literal["ganerod", "l4s", "tiles"]
TILES: Final = "tiles.json"
"""Record of a folder of tiles cut from a scene."""


@dataclass(frozen=True)
class PixelData:
    """Images with masks, read on demand."""

    layout: Layout
    channels: tuple[str, ...]
    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    regions: tuple[str, ...]
    """Region of each image: area, or scene."""

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Return image ``(channel, y, x)`` and mask ``(y, x)``; NaN is missing.

        Raises
        ------
        InputError
            E180 wrong shape or unreadable, E182 mask not of 0 and 1, E183 mask of another size.
        """
        return _read(self.layout, self.images[index], self.masks[index], len(self.channels))

    def part(self, indices: Sequence[int]) -> PixelData:
        """Return some of the images."""
        return PixelData(
            self.layout,
            self.channels,
            tuple(self.images[i] for i in indices),
            tuple(self.masks[i] for i in indices),
            tuple(self.regions[i] for i in indices),
        )

    def check(self) -> None:
        """Read everything once; refuse masks without a landslide pixel (E184)."""
        check_any_positive((mask for _, mask in self), str(self.images[0].parent))

    def __iter__(self) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]]:
        return (self.read(i) for i in range(len(self)))


def open_pixel_data(folders: Sequence[Path], layout: Layout, part: str | None = None) -> PixelData:
    """Return the images of one or several folders.

    Parameters
    ----------
    folders : sequence of path
        ``ganerod``: with ``train_val/{input,label}/*.tif`` (or `part`); ``l4s``: with
        ``TrainData/{img,mask}/*.h5`` (or `part`); ``tiles``: as `landslide-map windows --tiles` writes.
    layout : str
    part : str, optional
        Subfolder instead of ``train_val`` or ``TrainData``.

    Raises
    ------
    InputError
        E180 if a folder does not hold the layout, or channels differ.
    """
    found = [_open_one(folder, layout, part) for folder in folders]
    if len({own.channels for own in found}) > 1:
        raise InputError("E180", f"{folders[1]}: its tiles hold other channels than those of {folders[0]}.")
    return PixelData(
        layout,
        found[0].channels,
        tuple(path for own in found for path in own.images),
        tuple(path for own in found for path in own.masks),
        tuple(name for own in found for name in own.regions),
    )


def _open_one(folder: Path, layout: Layout, part: str | None) -> PixelData:
    if layout == "ganerod":
        return _ganerod(folder / (part or "train_val"))
    return _l4s(folder / (part or "TrainData")) if layout == "l4s" else _tiles(folder)


def _ganerod(folder: Path) -> PixelData:
    images = _listed(folder / "input", "*.tif")
    by_text = {path.name.partition("_")[0]: path for path in _listed(folder / "label", "*.tif")}
    lacking = [path for path in images if path.name.partition("_")[0] not in by_text]
    if lacking:
        raise InputError(
            "E180", f"{lacking[0]}: has no label file that begins with the same text before the first '_'."
        )
    texts = tuple(path.name.partition("_")[0] for path in images)
    return PixelData("ganerod", ganerod.BAND_NAMES, images, tuple(by_text[text] for text in texts), texts)


def _l4s(folder: Path) -> PixelData:
    images = _listed(folder / "img", "*.h5")
    masks = tuple(folder / "mask" / path.name.replace("image_", "mask_") for path in images)
    if lacking := [path for path in masks if not path.is_file()]:
        raise InputError("E180", f"{lacking[0]}: no such mask ({len(lacking)} of {len(masks)} are missing).")
    return PixelData("l4s", landslide4sense.BANDS, images, masks, ("",) * len(images))


def _tiles(folder: Path) -> PixelData:
    try:
        record = read_json(folder / TILES)
        channels, scene = tuple(map(str, record["channels"])), str(record["scene"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "E180", f"{folder}: holds no {TILES} as `landslide-map windows --tiles` writes ({error})."
        ) from error
    if unknown := [name for name in channels if name not in PIXEL_CHANNELS]:
        raise InputError("E180", f"{folder / TILES}: no channel {unknown[0]!r}.")
    images = _listed(folder / "img", "*.npy")
    return PixelData(
        "tiles",
        channels,
        images,
        tuple(folder / "mask" / path.name for path in images),
        (scene,) * len(images),
    )


def _listed(folder: Path, pattern: str) -> tuple[Path, ...]:
    found = tuple(sorted(folder.glob(pattern)))
    if not found:
        raise InputError("E180", f"{folder}: holds no {pattern}; expected the layout of the recipe.")
    return found


def _read(
    layout: Layout, image: Path, mask: Path, channels: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    if layout == "l4s":
        pixels = np.moveaxis(read_h5(image, "img", LARGEST_FILE), -1, 0)
        label = read_h5(mask, "mask", LARGEST_FILE)
    elif layout == "tiles":
        pixels, label = _npy(image), _npy(mask)
    else:
        pixels, label = _tif(image), _tif(mask)[0]
    if pixels.ndim != 3 or pixels.shape[0] != channels:
        raise InputError("E180", f"{image}: shape {pixels.shape}; expected {channels} channels.")
    return np.asarray(pixels, np.float32), as_mask(label, pixels.shape[1:], str(mask))


def _npy(path: Path) -> npt.NDArray[Any]:
    found = open_npy(path, "E180")
    if found.dtype.kind not in "biuf" or found.nbytes > LARGEST_FILE:
        raise InputError("E180", f"{path}: is no image of numbers, or larger than tiles are.")
    return np.array(found)


def _tif(path: Path) -> npt.NDArray[Any]:
    try:
        with open_unplaced(path) as raster:
            window = Window(0, 0, raster.width, raster.height)
            found = raster.read(window=window, masked=True).astype(np.float32).filled(np.nan)
    except (RasterioError, OSError) as error:
        raise InputError("E180", f"{path}: cannot be read as a raster ({str(error)[:200]}).") from error
    return np.asarray(found)
