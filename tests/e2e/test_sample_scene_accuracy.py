"""The default bundle, trained on real labels only, finds the landslides of the simulated event."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.features import rasterize

from landslide_map import map_scene

FOLDER = Path(__file__).resolve().parents[2] / "sample_scenes" / "simulated_event"
SIZE = 64
QUARTER, ANY = 0.25, 0.02
"""Scar fraction that must be found; scar fraction that makes an alarm right."""


@pytest.mark.parametrize("stride", [64, 32])
def test_four_fifths_of_the_quarter_landslide_windows_are_found_and_four_fifths_of_the_alarms_are_right(
    tmp_path: Path, stride: int
) -> None:
    result = map_scene(FOLDER / "scene.yaml", tmp_path / "out", stride=stride)
    with xr.open_dataset(result.window_record, engine="scipy") as record:
        alarm = (record.probability >= record.threshold).values.ravel()
    with rasterio.open(FOLDER / "s2" / "B02.tif") as image:
        outlines = gpd.read_file(FOLDER / "landslides_truth.gpkg").geometry
        scar = rasterize(outlines, out_shape=image.shape, transform=image.transform)
    starts = range(0, image.height - SIZE + 1, stride)
    fraction = np.array([scar[r : r + SIZE, c : c + SIZE].mean() for r in starts for c in starts])
    assert alarm.size == fraction.size

    found = alarm[fraction >= QUARTER].mean()
    right = (fraction[alarm] >= ANY).mean()
    strictly = (fraction[alarm] >= QUARTER).mean()
    numbers = f"found {found:.3f}, alarms on scars {right:.3f}, on quarter-landslide windows {strictly:.3f}"
    assert (fraction >= QUARTER).sum() >= 15
    assert found >= 0.8, numbers
    assert right >= 0.8, numbers
