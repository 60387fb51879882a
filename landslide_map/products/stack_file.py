"""``stack.tif``: the aligned acquisitions and model channels of a scene, for other programs.

Blocks go into a temporary GeoTIFF beside the result, which the COG driver then finishes and which is
read back and compared; the result appears by a rename.
"""

# mypy: untyped-calls-exclude=dask

from __future__ import annotations

import os
import zlib
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from landslide_map._version import __version__
from landslide_map.bands import ACQUISITIONS, CHANNELS, SNOW_OR_CLOUD, unit
from landslide_map.errors import ResourceError
from landslide_map.grid import BLOCK, Block
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import RadarTrack, SceneInputs
from landslide_map.products import cog
from landslide_map.runtime import progress as reporting
from landslide_map.runtime.atomic import folder_beside
from landslide_map.runtime.progress import Report, silent
from landslide_map.runtime.transaction import refuse_unfit_file
from landslide_map.scene.model import load_scene
from landslide_map.stack.channels import lazy_channels

BANDS: Final = (*ACQUISITIONS, *(name for name in CHANNELS if name not in ACQUISITIONS), SNOW_OR_CLOUD)
"""Bands of the file: every acquisition and every channel once, by name, and the quality channel."""
THREADS: Final = 2


def stack_scene(
    scene: str | PathLike[str],
    out: str | PathLike[str],
    *,
    overwrite: bool = False,
    progress: Report = silent,
) -> Path:
    """Align everything that a ``scene.yaml`` names, and write it as one described GeoTIFF.

    Parameters
    ----------
    scene : path
        A ``scene.yaml``.
    out : path
        File to write.
    overwrite : bool
        Replace an existing file.
    progress : callable
        Called as ``progress(stage, done, total)``.

    Raises
    ------
    LandslideMapError
        With a documented code, when an input or the output is not as it must be.
    """
    return write_stack(
        open_inputs(load_scene(Path(scene))), Path(out), overwrite=overwrite, progress=progress
    )


def write_stack(
    inputs: SceneInputs,
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    chunk: int = BLOCK,
    progress: reporting.Report = reporting.silent,
) -> Path:
    """Write the aligned stack of a scene as one cloud-optimised GeoTIFF.

    Parameters
    ----------
    inputs : SceneInputs
        What the readers found.
    out : path
        File to write; absent or as it was if anything goes wrong. Its folder is made if there is none.
    overwrite : bool
        Replace an existing file.
    chunk : int
        Edge of the blocks that are held in memory, pixels; a multiple of 512.
    progress : callable
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Path
        The file: float32, NaN = missing, bands :data:`BANDS` with descriptions and units, tags with dates
        and products.

    Raises
    ------
    OutputExistsError
        E401: `out` exists and `overwrite` is false. E404: it is no file of this kind.
    UsageError
        E402: `out` is a folder or an input.
    InputError
        E101: a file cannot be read.
    ResourceError
        E601: `out` cannot be written, or does not read back as it was written.
    """
    path = Path(out).absolute()
    refuse_unfit_file(path, overwrite=overwrite, signs=(b"LANDSLIDE_MAP_EVENT_TIME",), inputs=inputs.files)
    with folder_beside(path) as staging:
        checksums = _write_blocks(inputs, staging / "blocks.tif", path, chunk, progress)
        with cog.explained(path), cog.small_cache():
            cog.finish(
                staging / "blocks.tif",
                staging / "stack.tif",
                overviews="AVERAGE",
                predictor=True,
                statistics="YES",
                threads=THREADS,
            )
            _compare(staging / "stack.tif", path, checksums)
            (staging / "stack.tif").replace(path)
            # Statistics that a viewer kept of the file that was here before would be shown for this one.
            path.with_name(f"{path.name}.aux.xml").unlink(missing_ok=True)
    return path


def _write_blocks(
    inputs: SceneInputs, temporary: Path, path: Path, chunk: int, progress: reporting.Report
) -> dict[Block, int]:
    """Compute and write every block; return their checksums."""
    grid = inputs.grid
    stack = lazy_channels(inputs, BANDS, chunk)
    blocks = list(grid.blocks(chunk))
    checksums = {}
    with cog.explained(path), cog.plain(temporary, grid, len(BANDS), "float32", np.nan) as target:
        _describe(target, inputs)
        for done, block in enumerate(blocks):
            progress("write stack", done, len(blocks))
            rows, cols = slice(block.row, block.row + block.height), slice(block.col, block.col + block.width)
            part = stack[:, rows, cols].compute(scheduler="threads", num_workers=THREADS)
            pixels = np.ascontiguousarray(part.sel(band=list(BANDS)).to_numpy())
            target.write(pixels, window=Window(block.col, block.row, block.width, block.height))
            checksums[block] = zlib.crc32(pixels.data)
    progress("write stack", len(blocks), len(blocks))
    return checksums


def _describe(target: Any, inputs: SceneInputs) -> None:
    """Write the names of bands, and tags about the inputs."""
    for index, name in enumerate(BANDS, start=1):
        target.set_band_description(index, name)
        target.set_band_unit(index, unit(name))
    tags = {"event_time": inputs.event_time.isoformat()}
    if inputs.optical is not None:
        image = inputs.optical
        tags |= {"s2_product": image.product, "s2_offset": image.offset_reason}
        tags["s2_post"] = image.acquired.isoformat() if image.acquired else "unknown"
    for orbit, track in inputs.tracks.items():
        tags |= {f"{orbit}_{key}": value for key, value in _track_tags(track).items()}
    prefixed = {f"LANDSLIDE_MAP_{key.upper()}": value for key, value in sorted(tags.items())}
    target.update_tags(AREA_OR_POINT="Area", TIFFTAG_SOFTWARE=f"landslide-map {__version__}", **prefixed)


def _track_tags(track: RadarTrack) -> dict[str, str]:
    tags: dict[str, str] = {"quantity": track.quantity}
    if track.composite is not None:
        return {**tags, "composite": track.composite.product}
    for side, images in (("pre", track.pre), ("post", track.post)):
        tags[side] = ", ".join(image.acquired.isoformat() for image in images)
        tags[f"{side}_products"] = ", ".join(image.product for image in images)
    return tags


def _compare(finished: Path, path: Path, checksums: dict[Block, int]) -> None:
    """Read the file back: GDAL does not always report a disk that filled up."""
    with rasterio.open(finished) as dataset:
        for block, checksum in checksums.items():
            window = Window(block.col, block.row, block.width, block.height)
            pixels: npt.NDArray[np.float32] = dataset.read(window=window)
            if zlib.crc32(pixels.data) != checksum:
                raise ResourceError("E601", f"{path} does not read back as it was written. {cog.ADVICE}")
