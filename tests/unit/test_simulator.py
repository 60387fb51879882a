"""The simulator of events: what its options do, on small scenes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import yaml
from rasterio.features import rasterize

from landslide_map.scene.model import load_scene
from sample_scenes.simulator import CONFUSERS, EventOptions, simulate_event, varied
from sample_scenes.simulator.confusers import PAINTERS, Land, make_land
from sample_scenes.simulator.cover import make_cover
from sample_scenes.simulator.scars import LEAST_M2
from sample_scenes.simulator.seasons import leaf, sun_position
from sample_scenes.simulator.sky import CLOUDY, SHADOW, THICK
from sample_scenes.simulator.terrain import make_relief

DENSE = EventOptions(seed=3, size=96, slides_per_km2=40, confusers=CONFUSERS, pre_days=(20, 190))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_event(tmp_path_factory.mktemp("event"), DENSE).parent


@pytest.fixture(scope="module")
def land() -> Land:
    rng = np.random.default_rng(5)
    relief = make_relief((256, 256), rng)
    return make_land(relief, make_cover(relief, rng))


def test_truth_has_no_crumbs_and_follows_what_is_drawn(folder: Path) -> None:
    truth = gpd.read_file(folder / "landslides_truth.gpkg")
    assert len(truth) >= 5
    assert truth.area.min() >= LEAST_M2
    kind = simulate_event(folder / "kind", replace(DENSE, confusers=(), pre_days=())).parent
    with rasterio.open(kind / "s2" / "B04.tif") as red, rasterio.open(kind / "s2" / "B08.tif") as nir:
        ndvi = (nir.read(1) - red.read(1).astype(float)) / (nir.read(1) + red.read(1).astype(float) - 2000)
        inside = rasterize(truth.geometry, out_shape=red.shape, transform=red.transform).astype(bool)
    assert np.median(ndvi[inside]) < 0.35 < 0.6 < np.median(ndvi[~inside])


def test_files_say_their_dates_and_the_key_is_written_on_request(folder: Path, tmp_path: Path) -> None:
    text = yaml.safe_load((folder / "scene.yaml").read_text())
    assert list(text["s2"]) == ["post"]
    load_scene(folder / "scene.yaml")
    assert {path.name[:8] for path in (folder / "s2").glob("2024*_B04.tif")} == {"20240731", "20240212"}
    scene = simulate_event(tmp_path, replace(DENSE, size=64, list_pre=True))
    listed = yaml.safe_load(scene.read_text())["s2"]["pre"]
    assert [image["datetime"].date() for image in listed] == [
        datetime(2024, 7, 31).date(),
        datetime(2024, 2, 12).date(),
    ]
    for image in listed:
        assert set(image) == {"B02", "B03", "B04", "B08", "SCL", "datetime", "units", "offset"}
        with rasterio.open(tmp_path / image["B08"]) as raster:
            assert raster.tags()["DATETIME"].startswith(str(image["datetime"].date()))


def test_classification_lies_on_the_image_and_sees_clouds_and_shadows(folder: Path) -> None:
    with (
        rasterio.open(folder / "s2" / "SCL.tif") as classes,
        rasterio.open(folder / "s2" / "B02.tif") as blue,
    ):
        assert classes.bounds == blue.bounds
        assert classes.res == (20.0, 20.0)
    sunny = simulate_event(folder / "sunny", replace(DENSE, confusers=(), size=160, pre_days=())).parent
    cloudy = simulate_event(
        folder / "cloudy", replace(DENSE, confusers=("clouds",), size=160, pre_days=())
    ).parent
    shares = []
    for own in (sunny, cloudy):
        with rasterio.open(own / "s2" / "SCL.tif") as source:
            codes = source.read(1)
            shares.append((np.isin(codes, (CLOUDY, THICK)).mean(), (codes == SHADOW).mean()))
    assert shares[0][0] < 0.02
    assert shares[1][0] > shares[0][0] + 0.01
    assert shares[1][1] > shares[0][1] + 0.005


@pytest.mark.parametrize("name", PAINTERS)
def test_a_confuser_paints_its_own_ground_and_fractions_stay_whole(land: Land, name: str) -> None:
    painted = PAINTERS[name](land, np.random.default_rng(8))
    for cover, own in ((painted.before, land.before), (painted.after, land.after)):
        assert sum(cover.fractions.values()) == pytest.approx(1)
        assert all(fraction.min() >= -1e-9 for fraction in cover.fractions.values())
        moved = (
            sum(abs(cover.fractions[key] - own.fractions.get(key, 0)) for key in cover.fractions).mean() / 2
        )
        assert 0.0002 < moved < 0.5
        assert "scar" not in cover.fractions


def test_old_scars_did_not_move_and_some_fields_were_worked(land: Land) -> None:
    old = PAINTERS["old_scars"](land, np.random.default_rng(8))
    assert np.array_equal(old.before.fractions["old_scar"], old.after.fractions["old_scar"])
    worked = PAINTERS["bare_fields"](land, np.random.default_rng(8))
    assert not np.array_equal(worked.before.fractions["soil"], worked.after.fractions["soil"])


def test_sun_and_leaves_follow_the_date() -> None:
    elevation, azimuth = sun_position(datetime(2024, 9, 3, tzinfo=UTC), 24.0)
    assert elevation == pytest.approx(63, abs=0.5)  # by hand: declination 7.6 degrees, hour angle -22.5
    assert azimuth == pytest.approx(124, abs=1)
    low, _ = sun_position(datetime(2024, 12, 21, tzinfo=UTC), 45.0)
    assert low == pytest.approx(18.6, abs=0.3)
    assert leaf("deciduous", datetime(2024, 1, 15, tzinfo=UTC)) == 0
    assert leaf("deciduous", datetime(2024, 7, 15, tzinfo=UTC)) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 130},
        {"size": 60},
        {"slides_per_km2": 76.0},
        {"confusers": ("roads", "volcano")},
        {"forest": "bamboo"},
        {"contrast": 1.5},
        {"pre_days": (0,)},
    ],
)
def test_what_cannot_be_simulated_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EventOptions(**wrong)  # type: ignore[arg-type]


def test_varied_events_differ_and_come_back_the_same() -> None:
    assert varied(4, 2.0) == varied(4, 2.0)
    assert varied(4, 2.0).time != varied(5, 2.0).time
    assert varied(4, 2.0, contrast=0.5).contrast == 0.5
