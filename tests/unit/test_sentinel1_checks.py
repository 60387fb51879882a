"""The pixel checks: real scenes pass under their true units and are refused under wrong ones."""

from itertools import permutations

import numpy as np
import pytest
import rasterio

from landslide_map.inputs.sentinel1.border_noise import border_noise_notices
from landslide_map.inputs.sentinel1.differences import (
    _fine_correlation,
    check_change,
    check_composite,
    check_sign,
)
from landslide_map.inputs.sentinel1.units import check_polarisations, check_units, fill_values, infer_units
from tests.support import messages
from tests.support.radar_files import decibels, land
from tests.support.raised import raised
from tests.support.shared_data import shared_data

VV, VH = (decibels(land(seed, mean)).astype(float) for seed, mean in ((1, -10.0), (2, -16.5)))


def linear(values, power=1.0):
    return 10 ** (values / 10 * power)


def read(path, index=1):
    with rasterio.open(path) as dataset:
        return dataset.read(index).astype(float)


def real_db():
    """(name, VV, VH) in dB of all eleven real dB scenes."""
    for path in sorted(shared_data("real", "terramind", "S1RTC").glob("*.tif")):
        yield path.stem, read(path, 1), read(path, 2)
    for path in sorted(shared_data("real", "bigearthnet", "BigEarthNet-S1-Example").rglob("*_VV.tif")):
        yield path.stem, read(path), read(path.with_name(path.name.replace("_VV", "_VH")))


def real_power():
    """(name, VV, VH) in power: ten dates over Enga and eight bursts, half of them mostly water."""
    for folder in (
        shared_data("real", "opera_png_timeseries", "tests", "test_data", "T009_019294_IW2_cropped_tv"),
        shared_data("fixtures", "opera_rtc_s1_cropped", "10SGD_T137"),
    ):
        for path in sorted(folder.rglob("*_VV*.tif")):
            yield path.name, read(path), read(path.with_name(path.name.replace("_VV", "_VH")))


def test_every_real_scene_passes_under_its_true_units():
    scenes = [(*scene, "db") for scene in real_db()] + [(*scene, "power") for scene in real_power()]
    assert len(scenes) == 29
    for name, vv, vh, units in scenes:
        assert check_units(vv, vh, units, name) == []
        assert check_polarisations(vv, vh, units, name) == []
        for band in (vv, vh):
            assert fill_values(band, name) == ((), [])


def test_every_real_scene_passes_as_amplitude_when_it_is():
    for name, vv, vh in real_db():
        assert check_units(linear(vv, 0.5), linear(vh, 0.5), "amplitude", name) == []


def test_real_decibels_are_refused_as_anything_else():
    for name, vv, vh in real_db():
        for units in ("power", "amplitude"):
            with raised("E301", "negative"):
                check_units(vv, vh, units, name)


def test_real_power_is_refused_as_decibels():
    for name, vv, vh in real_power():
        with raised("E301", messages.NOT_NEGATIVE_AS_DB_ARE):
            check_units(vv, vh, "db", name)


def test_amplitude_of_land_is_refused_as_power():
    for name, vv, vh in real_db():
        if np.median(vh) < -21:
            continue  # calm water and dry snow: nothing in the pixels separates power from amplitude
        with raised("E301", messages.LOOK_LIKE_AMPLITUDE):
            check_units(linear(vv, 0.5), linear(vh, 0.5), "power", name)


def test_swapped_polarisations_of_every_real_scene_are_refused():
    scenes = [(*scene, "db") for scene in real_db()] + [(*scene, "power") for scene in real_power()]
    for name, vv, vh, units in scenes:
        with raised("E305", messages.VV_IS_WEAKER_THAN_VH):
            check_polarisations(vh, vv, units, name)


@pytest.mark.parametrize(
    ("vv", "vh", "units", "match"),
    [
        (VV * 100, VH * 100, "db", "scaled by 100"),
        (np.abs(VV) * 30, np.abs(VH) * 20, "db", "digital numbers"),
        (linear(VV) * 1e5, linear(VH) * 1e5, "power", "digital numbers"),
        (linear(VV, 0.5) * 300, linear(VH, 0.5) * 300, "amplitude", "digital numbers"),
        (linear(VV), VH, "db", "not negative as dB are (VV"),
        (VV, linear(VH), "db", "not negative as dB are (VH"),
    ],
)
def test_other_encodings_are_refused(vv, vh, units, match):
    with raised("E301", f"s: declared {units}, but", match):
        check_units(vv, vh, units, "s")


def test_20_log10_of_power_is_doubtful_as_db():
    assert check_units(VV, VH, "db", "s") == []
    (notice,) = check_units(2 * VV, 2 * VH, "db", "s")
    assert notice.code == "W301"
    assert "twice the dB" in notice.message


def test_power_declared_amplitude_is_doubtful_because_water_looks_the_same():
    (notice,) = check_units(linear(VV), linear(VH), "amplitude", "s")
    assert notice.code == "W301"


def test_noise_subtracted_power_may_hold_some_negatives():
    vh = linear(VH)
    vh.flat[: vh.size // 10] = -1e-4
    assert check_units(linear(VV), vh, "power", "s") == []


def test_decibels_are_inferred_and_linear_values_are_not():
    units, notice = infer_units(VV, VH, "s")
    assert (units, notice.code) == ("db", "I301")
    with raised("E301", messages.S_THE_UNITS_ARE_NEITHER_DECLARED_NOR_KNOWN):
        infer_units(linear(VV), linear(VH), "s")


def test_equal_bands_are_not_two_polarisations():
    with raised("E305", messages.S_VV_AND_VH_HOLD_THE_SAME_VALUES):
        check_polarisations(VV, VV, "db", "s")


def test_a_weak_difference_of_polarisations_is_doubtful():
    (notice,) = check_polarisations(VV, VV - 1.0, "db", "s")
    assert notice.code == "W305"


@pytest.mark.parametrize("fill", [0.0, -99.0, -9999.0, -32768.0, -999.0, float(np.finfo(np.float32).min)])
def test_known_fill_becomes_nodata_with_its_count(fill):
    pixels = VV.copy()
    pixels.flat[:720] = fill  # a tenth
    values, (notice,) = fill_values(pixels, "s")
    assert values == (fill,)
    assert notice.code == "I350"
    assert "720 of 7200" in notice.message


def test_a_few_exact_zeros_are_measurements():
    pixels = linear(VH)
    pixels.flat[:3] = 0
    assert fill_values(pixels, "s") == ((), [])


def test_a_sliver_of_zeros_at_the_edge_of_a_swath_is_no_backscatter_of_0_db():
    """0.3 % of the pixels, fewer than any spike: left in, windows there would hold 0 dB before and after."""
    pixels = VV.copy()
    pixels[:, 0].flat[:20] = 0
    values, (notice,) = fill_values(pixels, "s")
    assert values == (0.0,)
    assert notice.code == "I350"
    # Where dB are rounded, 0 is as common as its neighbours, and a measurement.
    rounded = np.round(VV + 10)
    assert (rounded == 0).sum() > 100
    assert fill_values(rounded, "s", integer=True) == ((), [])


def test_exact_zeros_among_rounded_decibels_are_fill():
    """0 dB is rare beside -10 dB; among values that all repeat, 3 % of exact zeros were taken for common."""
    rounded = np.round(VV, 1)
    filled = rounded.copy()
    filled.flat[::33] = 0
    values, (notice,) = fill_values(filled, "s")
    assert (values, notice.code) == ((0.0,), "I350")
    assert fill_values(rounded, "s") == ((), [])


def with_fringe(level, *, edge=True, shape=(160, 200)):
    """Three dates of one place; in the last, 40 columns beside the missing ones are noise."""
    dates = [decibels(land(seed, -10.0, shape)).astype(float) for seed in (1, 2, 3)]
    dates[2][:, 30:70] = level + np.random.default_rng(4).normal(0, 3, (shape[0], 40))
    if edge:
        dates[2][:, :30] = np.nan
    return [(name, pixels) for name, pixels in zip("abc", dates, strict=True)]


@pytest.mark.parametrize(("level", "said"), [(-38.0, 1), (-34.0, 1), (-22.0, 0)])
def test_noise_along_the_edge_of_a_swath_is_reported(level, said):
    """A flood or a calm lake is brighter."""
    notices = border_noise_notices(with_fringe(level), None)
    assert [notice.code for notice in notices] == ["W351"] * said
    assert all(notice.message.startswith("c:") for notice in notices)


def test_noise_is_found_in_patches_too():
    places = [(row, col) for row in range(0, 160, 32) for col in range(0, 192, 32)]
    patches = [
        (name, np.concatenate([pixels[r : r + 32, c : c + 32] for r, c in places]))
        for name, pixels in with_fringe(-38.0)
    ]
    assert [notice.code for notice in border_noise_notices(patches, 6)] == ["W351"]


def test_what_is_dark_inside_an_image_is_no_border_noise():
    images = with_fringe(-10.0, edge=False, shape=(600, 600))
    images[2][1][250:350, 250:350] = -38
    assert border_noise_notices(images, None) == []


def test_clipping_is_doubtful_and_an_unknown_fill_is_refused():
    clipped = np.maximum(VV, np.quantile(VV, 0.02))
    values, (notice,) = fill_values(clipped, "s")
    assert (values, notice.code) == ((), "W350")
    filled = VV.copy()
    filled.flat[:2000] = -77.0
    with raised("E350", "s: the value -77 fills 27.8%", "nodata: -77"):
        fill_values(filled, "s")


def test_quantised_decibels_have_no_spikes():
    assert fill_values(np.round(VV, 1), "s") == ((), [])
    assert fill_values(np.round(VV), "s", integer=True) == ((), [])


def test_a_zero_among_quantised_values_is_a_measurement():
    change = np.round(VV - decibels(land(9, -10.0)), 1)
    assert (change == 0).mean() > 0.005
    assert fill_values(change, "s") == ((), [])
    change.flat[:3600] = 0
    assert fill_values(change, "s")[0] == (0.0,)


def test_too_few_pixels_decide_nothing():
    few = np.full((5, 5), 3.0)
    assert check_units(few, few, "db", "s") == []
    assert check_polarisations(few, few, "db", "s") == []


def test_the_same_image_on_both_sides_is_refused():
    with raised("E306", "s: 100% of the pixels are equal"):
        check_change(VV, VV, "s")


def test_real_repeat_passes_are_separated_from_filtered_ones():
    folder = shared_data("real", "opera_png_timeseries", "tests", "test_data")
    plain, filtered = (
        sorted((folder / name).glob("*_VH_*.tif"))[:2]
        for name in ("T009_019294_IW2_cropped", "T009_019294_IW2_cropped_tv")
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        first, second = (10 * np.log10(read(path)) for path in plain)
    assert check_change(first, second, "s") == []
    first, second = (10 * np.log10(read(path)) for path in filtered)
    assert [notice.code for notice in check_change(first, second, "s")] == ["W314"]


def test_the_sign_of_real_differences_is_found_filtered_or_not():
    """Every pair of the dates over Enga, and Point Conception before and after a month."""
    series = shared_data("real", "opera_png_timeseries", "tests", "test_data")
    bursts = shared_data("fixtures", "opera_rtc_s1_cropped", "10SGD_T137")
    groups = [sorted((series / "T009_019294_IW2_cropped").glob("*_VH_*.tif"))]
    groups += [
        sorted((series / "T009_019294_IW2_cropped_tv").glob(f"*_{name}_*.tif")) for name in ("VV", "VH")
    ]
    groups += [
        sorted(bursts.rglob(f"*_{burst}_*_{name}.tif"))
        for burst in ("T137-292319-IW1", "T137-292320-IW1", "T137-292320-IW2", "T137-292321-IW1")
        for name in ("VV", "VH")
    ]
    reported = 0
    for paths in groups:
        with np.errstate(invalid="ignore", divide="ignore"):
            images = [10 * np.log10(read(path)) for path in paths]
        for pre, post in permutations(images, 2):
            check_sign((post, post), (post - pre, post - pre), "s")
            with raised("E307", messages.S_THE_DIFFERENCES_ARE_PRE_POST):
                check_sign((post, post), (pre - post, pre - post), "s")
            reported += 1
    assert reported == 3 * 90 + 8 * 2


def test_the_sign_of_a_difference_by_hand():
    """Two columns apart, 0 0 4 4 steps by 4 4 -4 -4, and so does itself; a column on it is -4 4 4 -4."""
    post = np.tile([0.0, 0.0, 4.0, 4.0], (20, 8))
    for change, reported in ((post, 1.0), (-post, -1.0), (np.roll(post, 1, axis=1), 0.0)):
        assert _fine_correlation(post, change) == pytest.approx(reported, abs=0.05)


def test_one_polarisation_alone_shows_no_sign():
    noise = np.random.default_rng(8).normal(size=(60, 60))
    check_sign((noise, noise), (-noise, noise), "s")
    check_sign((noise, noise), (-noise, np.full_like(noise, np.nan)), "s")


@pytest.mark.parametrize("band", [linear(VV - VV.mean()), VV, np.abs(VV)])
def test_a_composite_difference_is_around_zero_in_decibels(band):
    with raised("E301", "s: diff_vv spans"):
        check_composite(band, "diff_vv", "s")


def test_an_honest_composite_difference_passes():
    after = decibels(land(7, -10.5)).astype(float)
    assert check_composite(after - VV, "diff_vv", "s") == []
