"""Level-1C product of the post-event image, for pixel members that were trained on such products."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from landslide_map.errors import InputError
from landslide_map.inputs.scene_inputs import LevelOneImage, OpticalImage, UnopenedBand
from landslide_map.inputs.sentinel2.band_files import SATURATED, ZERO
from landslide_map.inputs.sentinel2.safe import read_level_1c
from landslide_map.raster.dataset import files_in

SAME_PASS_S = 3600.0


def open_level_1c(
    path: Path, event_time: datetime, optical: OpticalImage | None
) -> tuple[LevelOneImage, tuple[Path, ...]]:
    """Read the metadata of the product; its bands are opened when a pixel member reads them.

    Returns
    -------
    LevelOneImage
    tuple of Path
        All files of it, metadata included.

    Raises
    ------
    InputError
        E101 damaged, or without a band; E201 not Level-1C; E208 from before the event; E109 of another pass
        than the Level-2A image.
    """
    product = read_level_1c(path)
    if product.acquired <= event_time:
        raise InputError(
            "E208",
            f"{path}: was taken {product.acquired:%Y-%m-%d %H:%M} UTC, before the event "
            f"({event_time:%Y-%m-%d %H:%M} UTC); s2.post_l1c is the Level-1C product of s2.post",
        )
    taken = None if optical is None else optical.acquired
    if taken is not None and abs((product.acquired - taken).total_seconds()) > SAME_PASS_S:
        raise InputError(
            "E109",
            f"{path}: was taken {product.acquired:%Y-%m-%d %H:%M} UTC, s2.post {taken:%Y-%m-%d %H:%M}; "
            "expected the Level-1C product of the same image",
        )
    bands = {name: UnopenedBand(image, nodata=(*ZERO, SATURATED)) for name, image in product.images.items()}
    files = [*product.metadata, *(file for image in product.images.values() for file in files_in(image))]
    image = LevelOneImage(bands, product.add_offset, product.acquired, product.name)
    return image, tuple(dict.fromkeys(files))
