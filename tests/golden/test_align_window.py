"""The one real training window, as files through the stack, against its row of the labelled table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from landslide_map.bands import CHANNELS, INDICES, MODEL_BANDS, ORBITS, POLARISATIONS
from landslide_map.inputs.scene_inputs import (
    OpticalImage,
    RadarComposite,
    RadarImage,
    RadarTrack,
    SceneInputs,
)
from landslide_map.stack import channels
from tests.support.rasters import grid_at, write_band
from tests.support.shared_data import shared_data

EVENT = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["images", "composite"])
def made(request, tmp_path):
    """The eighteen channels of ``ID_005GY8`` after its twelve bands were written as a user's files."""
    window = np.load(shared_data("zindi", "ID_005GY8.npy")).astype(np.float32)
    grid = grid_at(32633, 300_000, 5_200_020, (64, 64))
    layers = {name: window[..., i] for i, name in enumerate(MODEL_BANDS)}
    files = {name: write_band(tmp_path / f"{name}.tif", values, grid) for name, values in layers.items()}
    optical = OpticalImage({name: files[name] for name in ("red", "green", "blue", "nir")}, 1.0, 0.0, "test")
    tracks = {}
    for orbit, prefix in zip(ORBITS, ("desc", "asc"), strict=True):
        if request.param == "composite":
            bands = {f"post_{p}": files[f"{prefix}_{p}"] for p in POLARISATIONS}
            bands |= {f"diff_{p}": files[f"{prefix}_diff_{p}"] for p in POLARISATIONS}
            tracks[orbit] = RadarTrack(orbit, composite=RadarComposite(bands, "sigma0"))
            continue
        pre = {
            p: (
                write_band(
                    tmp_path / f"{prefix}_pre_{p}.tif",
                    layers[f"{prefix}_{p}"] - layers[f"{prefix}_diff_{p}"],
                    grid,
                ),
            )
            for p in POLARISATIONS
        }
        post = {p: (files[f"{prefix}_{p}"],) for p in POLARISATIONS}
        tracks[orbit] = RadarTrack(
            orbit,
            (RadarImage(pre, "db", "sigma0", EVENT - timedelta(days=3), orbit),),
            (RadarImage(post, "db", "sigma0", EVENT + timedelta(days=3), orbit),),
        )
    inputs = SceneInputs(grid, EVENT, optical, tracks)
    return channels.lazy_channels(inputs, CHANNELS).compute()


def test_the_channels_of_the_real_window_have_the_statistics_of_its_table_row(made):
    table = pd.read_csv(shared_data("zindi", "patch_statistics.csv"), index_col="ID")
    row = table.loc["ID_005GY8"]
    for number, name in enumerate(MODEL_BANDS, start=1):
        values = made.sel(band=name).values.astype(np.float64)
        for statistic in ("mean", "std", "min", "max"):
            found, expected = getattr(values, statistic)(), row[f"band{number}_{statistic}"]
            assert found == pytest.approx(expected, rel=1e-4, abs=1e-4), f"{name} {statistic}"
    # The table's "ndvi" is the first published index, of bands 4 and 1, without the shift of one half.
    for statistic, shift in (("mean", 0.5), ("std", 0.0), ("min", 0.5), ("max", 0.5)):
        found = getattr(made.sel(band=INDICES[0]).values.astype(np.float64), statistic)() - shift
        assert found == pytest.approx(row[f"ndvi_{statistic}"], rel=1e-4, abs=1e-5), statistic
