"""The default bundle, trained on real labels only, finds the landslides of a dense simulated event."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import xarray as xr
from rasterio.features import rasterize

from landslide_map import map_scene
from tests.support.dense_event import dense_event
from tests.support.made_once import made_once
from tests.support.sample_scene import without_images

SIZE, STRIDE = 64, 32
QUARTER, ANY, NEXT_TO_NONE = 0.25, 0.02, 0.005
"""Scar fraction of a positive window; of one that holds some landslide; below which it is scar-free."""

Windows = tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Windows:
    """Alarm and true scar fraction of every window, as (row, col) of windows."""
    scene = dense_event(tmp_path_factory)
    return made_once(tmp_path_factory, "dense-windows", lambda folder: _windows(scene, folder))


def _windows(dense: Path, folder: Path) -> Windows:
    scene = without_images(dense, dense.with_name("without_images.yaml"))
    result = map_scene(scene, folder / "out", stride=STRIDE, outline="windows")
    with xr.open_dataset(result.window_record, engine="scipy") as record:
        alarm = (record.probability >= record.threshold).values
    with rasterio.open(dense.parent / "s2" / "B02.tif") as image:
        outlines = gpd.read_file(dense.parent / "landslides_truth.gpkg").geometry
        scar = rasterize(outlines, out_shape=image.shape, transform=image.transform)
    starts = range(0, len(scar) - SIZE + 1, STRIDE)
    fraction = np.array([[scar[r : r + SIZE, c : c + SIZE].mean() for c in starts] for r in starts])
    assert alarm.shape == fraction.shape
    return alarm, fraction


@pytest.mark.parametrize("every", [1, 2], ids=["stride 32", "stride 64"])
def test_four_fifths_are_found_and_four_fifths_of_the_alarms_are_right(windows: Windows, every: int) -> None:
    """Windows of at least a quarter landslide are the positives; every other window is a negative."""
    alarm, fraction = (values[::every, ::every] for values in windows)
    positive, free = fraction >= QUARTER, fraction < NEXT_TO_NONE
    recall, precision = alarm[positive].mean(), positive[alarm].mean()
    touched, false = (fraction[alarm] >= ANY).mean(), alarm[free].mean()
    numbers = (
        f"{positive.sum()} of {positive.size} windows are a quarter landslide: recall {recall:.3f}, "
        f"precision {precision:.3f}; alarms on at least {ANY:.0%} scar {touched:.3f}; "
        f"alarms on the {free.sum()} scar-free windows {false:.3f}"
    )
    assert positive.sum() >= 40, numbers
    assert free.sum() >= 36, numbers
    assert recall >= 0.8, numbers
    assert precision >= 0.8, numbers
    assert touched >= 0.9, numbers
    assert false <= 0.1, numbers
