"""``landslide-map check``: everything understood and verified, nothing mapped.

:func:`describe_inputs` says what the inputs are. :func:`check_scene` adds what a user needs before a run: the
numbers next to the training data's, the windows, and the cost. All is plain data, ready for JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from affine import Affine
from dask import threaded

from landslide_map import bands
from landslide_map.grid import Grid
from landslide_map.inference.kept_pixels import Kept
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import OpticalImage, RadarImage, RadarTrack, SceneInputs
from landslide_map.mapping.estimate import expected_memory, expected_seconds
from landslide_map.models.bundle.load import load_bundle
from landslide_map.models.bundle.options import on_device
from landslide_map.models.run_time import network_notice
from landslide_map.raster.band import RasterBand
from landslide_map.scene.model import load_scene
from landslide_map.stack.channels import lazy_channels
from landslide_map.stack.drift import Distribution, distribution, drift_notices
from landslide_map.windows import plan_windows

CHIPS, CHIP_PIXELS = 4, 128
"""The distribution of every channel is taken from this many chips along each axis, of this edge."""
FILE_BLOCK: Final = 512
"""Edge of the blocks in which large files are usually compressed; of JPEG 2000 twice that."""


_SENTINEL_2: Final = re.compile(
    r"(?P<platform>S2[A-D])_MSIL2A_\d{8}T\d{5,6}(?:_N\d{4})?(?:_R(?P<orbit>\d{3}))?", re.IGNORECASE
)


def check_scene(
    path: str | PathLike[str],
    *,
    bundle: str | PathLike[str] | None = None,
    stride: int | None = None,
    coregister: bool = False,
) -> dict[str, Any]:
    """Validate a scene without mapping it; return all that was understood, ready for JSON.

    Raises
    ------
    LandslideMapError
        As :func:`landslide_map.map_scene`, for everything that can be known beforehand.
    """
    scene = load_scene(
        Path(path), bundle=bundle if bundle is None else str(bundle), stride=stride, coregister=coregister
    )
    ensemble = on_device(load_bundle(scene.bundle))
    inputs = open_inputs(scene)
    plan = plan_windows(inputs.grid.shape, scene.stride)
    quantiles = channel_quantiles(inputs)
    kept = Kept.of_scene(scene)
    seconds = expected_seconds(inputs, plan, kept)
    memory, least = expected_memory(ensemble, plan, kept)
    forecast = network_notice(ensemble, plan.count, seconds)
    notices = (*inputs.notices, *drift_notices(quantiles), *([forecast] if forecast else []))
    return {
        **describe_inputs(inputs),
        "bundle": {
            "name": ensemble.name,
            "sha256": ensemble.sha256,
            "path": str(ensemble.path),
            "networks": sum(member.input == "pixels" for member in ensemble.members),
        },
        "quantiles": quantiles,
        "windows": {"stride": scene.stride, "count": plan.count},
        "estimate": {
            "seconds": round(seconds, 2),
            "memory_bytes": memory,
            "least_memory_bytes": least,
        },
        "notices": [{"code": notice.code, "message": notice.message} for notice in notices],
    }


def describe_inputs(inputs: SceneInputs) -> dict[str, Any]:
    """Return the properties of every input, ready for JSON: no pixel is read."""
    return {
        "event_time": inputs.event_time.isoformat(),
        "grid": _grid(inputs.grid),
        "sentinel2": None if inputs.optical is None else _optical(inputs.optical, inputs),
        "sentinel1": {orbit: _track(track) for orbit, track in inputs.tracks.items()},
        "dem": None if inputs.dem is None else _band(inputs.dem),
        "files": [str(path) for path in inputs.files],
        "notices": [{"code": notice.code, "message": notice.message} for notice in inputs.notices],
    }


def _grid(grid: Grid) -> dict[str, Any]:
    return {
        "crs": _crs(grid),
        "bounds": list(grid.bounds),
        "width": grid.width,
        "height": grid.height,
        "area_km2": round(grid.width * grid.height * grid.transform.a**2 / 1e6, 2),
    }


def _crs(grid: Grid) -> str:
    epsg = grid.crs.to_epsg()
    return f"EPSG:{epsg}" if epsg else str(grid.crs.to_wkt())


def _band(band: RasterBand) -> dict[str, Any]:
    return {
        "path": band.path,
        "band": band.index,
        "crs": _crs(band.grid),
        "pixel": band.grid.transform.a,
        "width": band.grid.width,
        "height": band.grid.height,
        "nodata": [value for value in band.nodata if np.isfinite(value)],
    }


def _optical(image: OpticalImage, inputs: SceneInputs) -> dict[str, Any]:
    days = None if image.acquired is None else (image.acquired - inputs.event_time).total_seconds() / 86400
    name = _SENTINEL_2.search(image.product)
    return {
        "product": image.product,
        "acquired": None if image.acquired is None else image.acquired.isoformat(),
        "days_after_event": None if days is None else round(days, 2),
        "platform": name and name["platform"].upper(),
        "relative_orbit": name and name["orbit"] and int(name["orbit"]),
        "baseline": image.baseline,
        "sources": dict(image.sources),
        "scale": image.scale,
        "offset": image.offset,
        "offset_reason": image.offset_reason,
        "bands": {name: _band(band) for name, band in image.bands.items()},
        "scene_classification": (
            None if image.scene_classification is None else _band(image.scene_classification)
        ),
    }


def _track(track: RadarTrack) -> dict[str, Any]:
    if track.composite is not None:
        return {
            "composite": {
                "product": track.composite.product,
                "units": "db",
                "quantity": track.composite.quantity,
                "bands": {name: _band(band) for name, band in track.composite.bands.items()},
            }
        }
    return {
        "pre": [_radar(image) for image in track.pre],
        "post": [_radar(image) for image in track.post],
    }


def _radar(image: RadarImage) -> dict[str, Any]:
    return {
        "product": image.product,
        "acquired": image.acquired.isoformat(),
        "platform": image.platform,
        "orbit": image.orbit,
        "relative_orbit": image.relative_orbit,
        "polarisation": " and ".join(name.upper() for name in image.bands),
        "units": image.units,
        "quantity": image.quantity,
        "sources": dict(image.sources),
        "moved": [round(pixels, 2) for pixels in image.moved],
        "bands": {name: [_band(band) for band in slices] for name, slices in image.bands.items()},
    }


def channel_quantiles(inputs: SceneInputs) -> dict[str, Distribution]:
    """Return the distribution of every model band on this scene next to the training data's.

    Up to 4 x 4 chips of 128 x 128 pixels, spread over the grid, are aligned as a run would align
    them, so that units, offset, sign and medians over dates are all in the numbers.

    Returns
    -------
    dict
        Model band -> its distribution.
    """
    samples: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in bands.MODEL_BANDS}
    for grid in _chips(inputs.grid):
        chip = lazy_channels(replace(inputs, grid=grid), bands.MODEL_BANDS).compute(scheduler=threaded.get)
        for name in bands.MODEL_BANDS:
            samples[name].append(chip.sel(band=name).to_numpy().ravel())
    return {name: distribution(name, np.concatenate(parts)) for name, parts in samples.items()}


def _chips(grid: Grid) -> Iterator[Grid]:
    """Yield small grids spread over `grid`, on its pixels."""
    for row in _starts(grid.height):
        for col in _starts(grid.width):
            t = grid.transform
            corner = Affine(t.a, 0, t.c + col * t.a, 0, t.e, t.f + row * t.e)
            yield Grid(grid.crs, corner, min(CHIP_PIXELS, grid.width), min(CHIP_PIXELS, grid.height))


def _starts(length: int) -> list[int]:
    """Return where chips begin; in large grids inside of a block of a file each, which is decoded whole."""
    last = max(length - CHIP_PIXELS, 0)
    starts = [round(last * (i + 0.5) / CHIPS) for i in range(CHIPS)]
    if length > CHIPS * FILE_BLOCK:
        starts = [start // FILE_BLOCK * FILE_BLOCK + CHIP_PIXELS for start in starts]
    return sorted({min(start, last) for start in starts})
