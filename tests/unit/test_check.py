"""check: the report, the distributions it shows, the drift it notices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from landslide_map_cli.check import check

from landslide_map import bands
from landslide_map.check.check_scene import channel_quantiles, check_scene, describe_inputs
from landslide_map.check.report import report_lines
from landslide_map.errors import InputError
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.models.bundle.load import load_bundle
from landslide_map.scene.model import Scene
from landslide_map.stack.drift import distribution, drift_notices
from tests.support.radar_files import passes
from tests.support.rasters import grid_at, write_band
from tests.support.safe_product import land, write_product

EVENT = "2024-04-02T23:58:00Z"


def opened(**sections: object) -> SceneInputs:
    return open_inputs(Scene.model_validate({"event": {"time": EVENT}, **sections}))


@pytest.fixture
def scene_file(tmp_path: Path) -> Path:
    product = write_product(tmp_path, land(0), baseline="02.14")
    path = tmp_path / "scene.yaml"
    path.write_text(f"event: {{time: {EVENT}}}\ns2: {{post: {product.name}}}\nstride: 8\n")
    return path


def test_the_description_is_json_and_lists_what_was_understood(tmp_path: Path) -> None:
    inputs = opened(
        s2={"post": write_product(tmp_path, land(1000), classes=np.full((64, 60), 4, np.uint8))},
        s1={"ascending": composite(tmp_path)},
    )
    reported = json.loads(json.dumps(describe_inputs(inputs), allow_nan=False))
    assert reported["grid"]["crs"] == "EPSG:32651"
    assert reported["grid"]["bounds"] == [300000, 2698720, 301200, 2700000]
    assert reported["grid"]["area_km2"] == 1.54
    optical = reported["sentinel2"]
    assert optical["acquired"] == "2024-04-10T02:25:29.024000+00:00"
    assert optical["days_after_event"] == pytest.approx(7.10, abs=0.01)
    assert (optical["baseline"], optical["offset"]) == ("05.10", 0)
    assert optical["bands"]["nir"]["nodata"] == [0, 65535]
    assert optical["scene_classification"]["pixel"] == 20
    assert reported["sentinel1"]["ascending"]["composite"]["quantity"] == "sigma0"
    assert reported["sentinel1"]["ascending"]["composite"]["bands"]["diff_vh"]["band"] == 4
    assert "descending" not in reported["sentinel1"]
    assert reported["dem"] is None
    assert len(reported["files"]) == 8


def composite(folder: Path, diff_vv: float = 1.0) -> dict[str, Path]:
    rng = np.random.default_rng(3)
    means = {"post_vv": -11.0, "post_vh": -17.5, "diff_vv": diff_vv, "diff_vh": 0.5}
    grid = grid_at(32651, 300000, 2700000, (128, 120))
    shape = {"width": 120, "height": 128, "count": 4, "dtype": "float32", "nodata": np.nan}
    path = folder / "sar.tif"
    with rasterio.open(path, "w", driver="GTiff", crs=grid.crs, transform=grid.transform, **shape) as dataset:
        for number, (name, mean) in enumerate(means.items(), 1):
            dataset.write(rng.normal(mean, 3, grid.shape).astype(np.float32), number)
            dataset.set_band_description(number, name)
    return {"composite": path}


def test_the_distribution_is_that_of_the_model_bands(tmp_path: Path) -> None:
    """Stored without the offset; the quantiles must carry it, and the absent track must be absent."""
    pixels = land(0)
    inputs = opened(
        s2={"post": write_product(tmp_path, pixels, baseline="02.14")}, s1={"ascending": composite(tmp_path)}
    )
    found = channel_quantiles(inputs)
    assert list(found) == list(bands.MODEL_BANDS)
    wanted = np.quantile(pixels["red"].astype(float) + 1000, (0.05, 0.5, 0.95))
    assert found["red"]["scene"] == pytest.approx(wanted, rel=0.02)
    assert found["red"]["valid"] == 1
    assert found["asc_diff_vv"]["scene"][1] == pytest.approx(1.0, abs=0.1)
    assert found["asc_diff_vv"]["training"] == [-3.84420443, 0.388509645, 5.82530082]
    assert found["desc_vv"] == {
        "valid": 0,
        "scene": None,
        "middle_half": None,
        "training": [-23.84737916, -10.2171109, 2.51268458],
    }


def test_a_grid_wider_than_the_chips_is_sampled_on_its_own_pixels(tmp_path: Path) -> None:
    columns = np.tile(np.arange(1000, 2000, dtype=np.uint16), (700, 1))
    grid = grid_at(32651, 300000, 2700000, columns.shape)
    write_band(tmp_path / "red.tif", columns, grid)
    image = {"B04": tmp_path / "red.tif", "offset": "present"}
    low, middle, high = channel_quantiles(opened(s2={"post": image}))["red"]["scene"]
    assert middle == pytest.approx(1500, abs=20)
    assert 1100 < low < 1200
    assert 1800 < high < 1900


@pytest.mark.parametrize(
    ("name", "scene", "said"),
    [
        ("blue", [1054, 1511, 4000], None),
        (
            "blue",
            [54, 511, 3000],
            None,
        ),  # the offset is the business of E204; a third of the range is no drift
        ("blue", [1054, 3200, 5000], "its median 3200 is far from 1511"),
        ("nir", [1432, 2975, 3300], None),
        ("nir", [2900, 2975, 3100], None),  # one even forest
        ("desc_vh", [-18.0, -16.0, -14.0], "its 5-95 % range is 0.11 times"),
        ("asc_vv", [-60.0, -11.0, 10.0], "its 5-95 % range is 3.4 times"),
        ("desc_diff_vv", [-9.0, -3.4, 1.0], "its median is -3.4 dB: wet snow"),
        ("desc_diff_vv", [-3.5, 0.0, 3.5], None),
        ("desc_diff_vv", None, None),
    ],
)
def test_drift_is_noticed(name: str, scene: list[float] | None, said: str | None) -> None:
    quantiles = {
        name: {
            "valid": 1.0,
            "scene": scene,
            "middle_half": None,
            "training": list(bands.TRAINING_QUANTILES[name]),
        }
    }
    messages = [str(notice) for notice in drift_notices(quantiles)]
    assert len(messages) == (said is not None)
    assert said is None or (said in messages[0] and messages[0].startswith(f"W340: {name}"))


def test_quiet_differences_are_reported_on_the_grid() -> None:
    """Pixels that were interpolated twice pass every check of the files."""
    speckle = np.random.default_rng(5).normal(0, 3.12 / 1.349, 2**14).astype(np.float32)
    for share, codes in ((0.5, ["W314"]), (0.89, ["W314"]), (1.0, [])):
        found = {name: distribution(name, speckle * share) for name in ("asc_diff_vv", "asc_vh")}
        assert found["asc_diff_vv"]["middle_half"] == pytest.approx(3.12 * share, abs=0.1)
        found_again = drift_notices({"asc_diff_vv": found["asc_diff_vv"]})
        assert [notice.code for notice in found_again] == codes


def test_check_reports_everything_without_mapping(scene_file: Path) -> None:
    report = check_scene(scene_file)
    assert report["windows"] == {"stride": 8, "count": 9 * 8}  # (128 - 64) / 8 + 1 by (120 - 64) / 8 + 1
    assert report["bundle"]["name"] == load_bundle().name
    codes = {notice["code"] for notice in report["notices"]}
    assert {"W202", "W360", "I213"} <= codes
    assert check_scene(scene_file, stride=64)["windows"]["count"] == 4
    assert sorted(path.name for path in scene_file.parent.iterdir() if path.is_file()) == ["scene.yaml"]


def test_the_text_lists_files_numbers_and_notices(tmp_path: Path) -> None:
    items = passes(tmp_path)
    with rasterio.open(str(items["pre"]["vv"])) as dataset:
        corner = {"ulx": dataset.transform.c, "uly": dataset.transform.f, "epsg": dataset.crs.to_epsg()}
    document = {
        "event": {"time": EVENT},
        "grid": {**corner, "width": 64, "height": 64},
        "s1": {"ascending": items},
    }
    (tmp_path / "scene.yaml").write_text(json.dumps(document, default=str))
    text = "\n".join(report_lines(check_scene(tmp_path / "scene.yaml")))
    assert "Sentinel-2  none" in text
    assert "Sentinel-1  descending: none" in text
    assert "Sentinel-1  ascending pre: " in text
    assert "relative orbit" in text
    assert "Windows     1 of 64 x 64 pixels, stride 64" in text
    assert "W360: no Sentinel-2 image" in text


def test_the_command_prints_text_or_json(scene_file: Path) -> None:
    text = CliRunner().invoke(check, [str(scene_file)])
    assert text.exit_code == 0
    assert "DN = stored * 1 +1000 (no BOA_ADD_OFFSET, baseline 02.14" in text.output
    shown = CliRunner().invoke(check, [str(scene_file), "--json", "--stride", "64"])
    assert json.loads(shown.output)["windows"] == {"stride": 64, "count": 4}


def test_the_command_refuses_what_a_run_would_refuse(scene_file: Path) -> None:
    next(scene_file.parent.rglob("*_B04_10m.jp2")).unlink()
    result = CliRunner().invoke(check, [str(scene_file)])
    assert isinstance(result.exception, InputError)
    assert result.exception.code == "E101"
