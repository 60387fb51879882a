"""A part of the sample scene in files of its own: reading and checking grow with the files, not the grid."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

import rasterio
from affine import Affine
from rasterio.warp import transform_bounds
from rasterio.windows import Window

SAMPLE = Path(__file__).parents[2] / "sample_scenes" / "simulated_event"
BEYOND = 12
"""Pixels of radar around the part, which lies in another zone."""
DENSE, DENSE_SHAPE = (512, 0), (192, 192)
"""The corner of the sample scene with most landslides: row and column, and shape."""


def cut_sample(folder: Path, corner: tuple[int, int], shape: tuple[int, int], *, images: bool = True) -> Path:
    """Write the part from row and column `corner` on, of `shape` pixels, below `folder`; return its scene."""
    with rasterio.open(SAMPLE / "s2" / "B04.tif") as red:
        left, top = red.xy(*corner, offset="ul")
        part, crs = (left, top - shape[0] * 10, left + shape[1] * 10, top), red.crs
    for path in SAMPLE.rglob("*.tif"):
        with rasterio.open(path) as source:
            t, ends = source.transform, transform_bounds(crs, source.crs, *part)
            first, last = (
                ((ends[0] - t.c) / t.a, (t.f - ends[3]) / t.a),
                ((ends[2] - t.c) / t.a, (t.f - ends[1]) / t.a),
            )
            beyond = 0 if source.crs == crs else BEYOND
            col, row = (max(round(at) - beyond, 0) for at in first)
            width, height = (
                min(round(end) + beyond, most) - at
                for end, at, most in zip(last, (col, row), (source.width, source.height), strict=True)
            )
            kept = {key: source.profile[key] for key in ("driver", "dtype", "nodata", "count", "crs")}
            kept |= {"width": width, "height": height}
            kept["transform"] = Affine(t.a, 0, t.c + col * t.a, 0, t.e, t.f + row * t.e)
            copy = folder / path.relative_to(SAMPLE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            with rasterio.open(copy, "w", **kept) as out:
                out.write(source.read(window=Window(col, row, width, height)))
    scene = Path(shutil.copy(SAMPLE / "scene.yaml", folder))
    return scene if images else without_images(scene)


def without_images(scene: Path, target: Path | None = None) -> Path:
    """Write a scene that has no `output` yet without images for display, in place or as `target`; return it.

    A map takes two thirds of the time then.
    """
    target = target or scene
    target.write_text(f"{scene.read_text()}\noutput: {{images: false}}\n")
    return target


@cache
def dense_corner() -> Path:
    """Return the scene of the corner with most landslides, with absolute paths; cut once in a process."""
    folder = Path(tempfile.mkdtemp(prefix="landslide-map-tests-"))
    atexit.register(shutil.rmtree, folder)
    scene = cut_sample(folder, DENSE, DENSE_SHAPE)
    scene.write_text(re.sub(r"(?<=[ :])(s[12]/)", f"{folder}/\\1", scene.read_text()))
    return scene
