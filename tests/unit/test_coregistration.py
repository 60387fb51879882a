"""A displaced image is found by its pixels: fields of known displacement, speckle of its own on each."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window
from scipy.ndimage import gaussian_filter

from landslide_map.inputs.sentinel1.backscatter import to_db
from landslide_map.inputs.sentinel1.coregistration import (
    correlation,
    displacement,
    much_to_see,
    nothing_in_common,
)
from landslide_map.inputs.sentinel1.track import open_track
from landslide_map.scene.model import TrackSpec
from tests.support.dense_event import dense_event
from tests.support.radar_files import LOOKS, decibels, passes, write
from tests.support.raised import raised
from tests.support.shared_data import shared_data
from tests.unit.test_sentinel1 import EVENT

SIZE = 300
SAMPLE = Path(__file__).parents[2] / "sample_scenes" / "simulated_event" / "s1"


def shift(before: list[np.ndarray], after: list[np.ndarray]) -> tuple[int, int] | None:
    common = correlation(before, after)
    return None if common is None else displacement(common)


def show_other_ground(
    common: np.ndarray,
    before: tuple[list[np.ndarray], list[np.ndarray]],
    after: tuple[list[np.ndarray], list[np.ndarray]],
) -> bool:
    return nothing_in_common(common) and much_to_see(*before) and much_to_see(*after)


def ground(seed: int = 0) -> np.ndarray:
    """Ridges and valleys in dB, (360, 360): 3 dB of relief on scales of some 3 pixels."""
    relief = gaussian_filter(np.random.default_rng(seed).normal(size=(360, 360)), 3.0)
    return -10.0 + 3.0 * relief / relief.std()


def seen(field: np.ndarray, seed: int) -> np.ndarray:
    """Return `field` in dB under speckle of 4.4 looks."""
    return field + 10 * np.log10(np.random.default_rng(seed).gamma(LOOKS, 1 / LOOKS, field.shape))


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (2, 0), (0, -3), (-7, 20), (31, -31)])
def test_a_displacement_is_measured(rows: int, columns: int) -> None:
    """The second image shows the same ground `rows` lower and `columns` further right."""
    before = seen(ground(), 1)[40:296, 40:296]
    after = seen(ground(), 2)[40 - rows : 296 - rows, 40 - columns : 296 - columns]
    assert shift([before], [after]) == (rows, columns)


def test_speckle_alone_shows_no_displacement() -> None:
    even = np.full((256, 256), -10.0)
    assert shift([seen(even, 1)], [seen(even, 2)]) is None


def test_ground_that_changed_everywhere_shows_no_displacement() -> None:
    assert shift([seen(ground(1), 1)[:256, :256]], [seen(ground(2), 2)[:256, :256]]) is None


def test_landslides_on_a_third_of_the_ground_are_no_displacement() -> None:
    before = ground()
    after = np.where(
        gaussian_filter(np.random.default_rng(9).normal(size=before.shape), 8) > 0.02, -4.0, before
    )
    assert 0.2 < (after != before).mean() < 0.45
    assert shift([seen(before, 1)[:256, :256]], [seen(after, 2)[:256, :256]]) == (0, 0)


def test_patches_without_data_are_left_out() -> None:
    before, after = seen(ground(), 1)[40:296, 40:296], seen(ground(), 2)[40:296, 44:300]
    empty = np.full((256, 256), np.nan)
    assert shift([empty, before], [empty, after]) == (0, -4)
    assert shift([empty], [empty]) is None


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Radar of an event with scars on half of the ground."""
    return dense_event(tmp_path_factory).parent / "s1"


@pytest.mark.parametrize("moved", [0, 2, 20])
def test_scars_on_half_of_a_scene_hide_no_displacement(dense: Path, moved: int) -> None:
    chips = []
    for date, columns in (("20240728", 0), ("20240821", moved)):
        with rasterio.open(dense / f"desc_{date}_vv.tif") as dataset:
            values = dataset.read(1, window=Window(40 - columns, 40, 256, 256))
        chips.append([values])
    assert shift(*chips) == (0, moved)


@pytest.mark.parametrize("burst", ["292320-IW2", "292319-IW1", "292321-IW1"])
def test_real_images_of_one_track_are_not_displaced(burst: str) -> None:
    """OPERA crops seven weeks apart, hills and plains; where pixels show a peak, they lie on each other."""
    folder = shared_data("fixtures/opera_rtc_s1_cropped/10SGD_T137")
    found = []
    for date in ("2022-11-02", "2022-12-20"):
        (path,) = (folder / date).glob(f"*T137-{burst}*_VV.tif")
        with rasterio.open(path) as dataset:
            found.append([to_db(dataset.read(1))[y : y + 64, x : x + 64] for y in (0, 36) for x in (0, 36)])
    assert shift(*found) in ((0, 0), None)


def track(folder: Path, moved: int, units: str = "db", *, post: np.ndarray | None = None) -> TrackSpec:
    """Write one pass before and one after; the ground of the latter lies `moved` columns to the right.

    It is `post`, (360, 360), where that is given.
    """
    items = passes(folder)
    for side, columns, seed in (("pre", 0, 1), ("post", moved, 2)):
        field = ground() if side == "pre" or post is None else post
        here = slice(30, 30 + SIZE), slice(30 - columns, 30 - columns + SIZE)
        for name, below, speckle in (("vv", 0.0, seed), ("vh", 6.0, seed + 5)):
            band = (10 ** ((seen(field, speckle)[here] - below) / 10)).astype(np.float32)
            write(items[side][name], decibels(band) if units == "db" else band)
        items[side]["units"] = units
    return TrackSpec.model_validate(items)


@pytest.mark.parametrize("units", ["db", "power"])
def test_a_displaced_image_is_refused(tmp_path: Path, units: str) -> None:
    with raised("E331", "-2 columns and +0 rows from"):
        open_track("ascending", track(tmp_path, -2, units), EVENT)


def codes(spec: TrackSpec) -> list[str]:
    """Return the codes of what is said about where the images of a track lie."""
    _, notices = open_track("ascending", spec, EVENT)
    return [notice.code for notice in notices if notice.code == "W331"]


def test_images_that_lie_on_each_other_are_taken(tmp_path: Path) -> None:
    assert codes(track(tmp_path, 0)) == []


@pytest.mark.parametrize("post", [ground(5), ground()[::-1], np.roll(ground(), 150, axis=1)])
def test_an_image_of_other_ground_is_warned_of(tmp_path: Path, post: np.ndarray) -> None:
    """Of another place, turned upside down, or displaced beyond the search range."""
    assert codes(track(tmp_path, 0, post=post)) == ["W331"]


def test_even_ground_is_not_taken_for_other_ground(tmp_path: Path) -> None:
    """Fields were flooded, or the sea is rough: without texture nothing can be said."""
    assert codes(track(tmp_path, 0, post=np.full((360, 360), -10.0))) == []


@pytest.mark.parametrize("turned", [False, True])
def test_the_sample_scene_turned_upside_down_is_warned_of(turned: bool) -> None:
    """Read as one polarisation before, after, and the other of both."""
    chips = []
    for date, flip in (("20240809", False), ("20240821", turned)):
        for name in ("vv", "vh"):
            with rasterio.open(SAMPLE / f"desc_{date}_{name}.tif") as dataset:
                values = dataset.read(1, window=Window(300, 200, 256, 256))
            chips.append([values[::-1] if flip else values])
    vv_before, vh_before, vv_after, vh_after = chips
    reported = correlation(vv_before, vv_after)
    assert reported is not None
    assert show_other_ground(reported, (vv_before, vh_before), (vv_after, vh_after)) is turned


def test_real_images_of_one_track_show_one_ground() -> None:
    """Ten filtered dates of OPERA over Enga, Papua New Guinea: each against the next, also upside down."""
    folder = shared_data("real/opera_png_timeseries/tests/test_data")
    dates = []
    for vv in sorted(folder.rglob("*_VV_*.tif")):
        chips = []
        for path in (vv, vv.with_name(vv.name.replace("_VV_", "_VH_"))):
            with rasterio.open(path) as dataset:
                chips.append(to_db(dataset.read(1)))
        dates.append(chips)
    assert len(dates) == 10
    for before, after in pairwise(dates):
        for turned, rows in ((False, slice(None)), (True, slice(None, None, -1))):
            pair = [tuple(map(window_mosaic, chips)) for chips in (before, [one[rows] for one in after])]
            reported = correlation(pair[0][0], pair[1][0])
            assert reported is not None
            assert show_other_ground(reported, *pair) is turned


def window_mosaic(image: np.ndarray) -> list[np.ndarray]:
    return [image[y : y + 64, x : x + 64] for y in (0, 36) for x in (0, 43, 86)]
