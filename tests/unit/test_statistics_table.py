from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kurtosis, skew

from landslide_map.bands import MODEL_BANDS
from landslide_map.datasets.statistics_table import TABLE_CHANNELS, read_statistics_table
from tests.support import messages
from tests.support.labelled import write_table
from tests.support.raised import raised
from tests.support.shared_data import shared_data


def test_channels_are_the_model_bands_in_order_then_two_indices(tmp_path: Path) -> None:
    data = read_statistics_table(write_table(tmp_path / "t.csv", band7_mean=np.arange(40.0)))
    assert (*MODEL_BANDS, "bndvi", "gndvi") == TABLE_CHANNELS
    np.testing.assert_array_equal(
        data.statistics.sel(channel="desc_diff_vv", statistic="mean"), np.arange(40.0)
    )
    assert (data.statistics.sel(statistic="valid_fraction") == 1).all()
    assert data.labels.tolist()[:4] == [0, 1, 0, 1]


def test_ndwi_becomes_gndvi_by_reflection_at_one_quarter(tmp_path: Path) -> None:
    own = {"mean": 0.2, "std": 0.3, "min": -0.4, "max": 0.9, "skew": 1.5, "kurt": 2.5}
    path = write_table(tmp_path / "t.csv", **{f"ndwi_{k}": [v] * 40 for k, v in own.items()})
    row = read_statistics_table(path).statistics.sel(channel="gndvi").isel(window=0)
    found = {str(name): float(row.sel(statistic=name)) for name in row.statistic.values}
    expected = {"mean": 0.3, "std": 0.3, "min": -0.4, "max": 0.9, "skew": -1.5, "kurtosis": 2.5}
    assert found == pytest.approx(expected | {"valid_fraction": 1.0})


def test_the_real_window_yields_its_row_through_the_published_index_formulae() -> None:
    """Pixels -> our channels -> statistics, against the table read into our names."""
    pixels = np.load(shared_data("zindi", "ID_005GY8.npy"))
    data = read_statistics_table(shared_data("zindi", "patch_statistics.csv"))
    row = data.statistics.isel(window=data.ids.tolist().index("ID_005GY8"))
    blue, green, nir = pixels[..., 0], pixels[..., 1], pixels[..., 3]
    channels = {
        "desc_diff_vh": pixels[..., 7],
        "asc_vv": pixels[..., 8],
        "bndvi": (nir - blue) / (nir + blue + 1e-10) + 0.5,
        "gndvi": (nir - green) / (nir + green + 1e-10) + 0.5,
    }
    for name, values in channels.items():
        flat = values.ravel()
        expected = [flat.mean(), flat.std(), flat.min(), flat.max(), skew(flat), kurtosis(flat)]
        found = row.sel(channel=name, statistic=["mean", "std", "min", "max", "skew", "kurtosis"])
        # The table was computed from float32 arrays.
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("columns", "code", "words"),
    [
        ({"asc": 1, "band3_skew": None}, "E120", "band3_skew"),
        ({"band3_skew": [np.nan] + [0.0] * 39}, "E121", "band3_skew (1, first at ID ID_0000)"),
        ({"band3_skew": ["many"] + ["0"] * 39}, "E121", "band3_skew"),
        ({"band3_skew": [np.inf] + [0.0] * 39}, "E121", "band3_skew"),
        ({"label": [2] + [0, 1, 1] * 13}, "E122", "neither 0 nor 1"),
        ({"label": [1] * 40}, "E122", "every label is 1"),
        ({"ID": ["a"] * 40}, "E123", "first: a"),
    ],
)
def test_a_bad_table_is_refused_by_name(tmp_path: Path, columns: dict, code: str, words: str) -> None:
    path = write_table(tmp_path / "t.csv", **columns)
    with raised(code, words) as refusal:
        read_statistics_table(path)
    assert str(path) in refusal.value.message


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00binary", b"ID,label\n"])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with raised("E120", "t.csv"):
        read_statistics_table(path)


def test_an_absent_table_is_refused(tmp_path: Path) -> None:
    with raised("E120", messages.NO_SUCH_FILE):
        read_statistics_table(tmp_path / "t.csv")
