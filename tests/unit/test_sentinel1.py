"""Files of one orbit direction become a track: bands, units, dates, slices, nodata."""

from datetime import UTC, datetime

import numpy as np
import pytest

from landslide_map.inputs.sentinel1.track import open_track
from landslide_map.scene.model import TrackSpec
from tests.support.radar_files import SAFE, decibels, land, passes, write
from tests.support.shared_data import shared_data

EVENT = datetime(2024, 4, 2, 23, 58, tzinfo=UTC)


def track(spec, orbit="ascending", event=EVENT):
    return open_track(orbit, TrackSpec.model_validate(spec), event)


def codes(notices):
    return [notice.code for notice in notices]


def test_two_passes_named_after_their_safe(tmp_path):
    found, notices = track(passes(tmp_path))
    (pre,), (post,) = found.pre, found.post
    assert (pre.acquired, pre.platform) == (datetime(2024, 3, 15, 10, 0, 0, tzinfo=UTC), "S1A")
    # By hand: (52990 - 73) mod 175 + 1 = 67 + 1.
    assert (pre.relative_orbit, post.relative_orbit) == (68, 68)
    assert (pre.units, pre.quantity, pre.orbit) == ("db", "sigma0", "ascending")
    assert [band.path for band in pre.bands["vh"]] == [str(tmp_path / SAFE["pre"] / "vh.tif")]
    assert codes(notices) == ["I319"]


@pytest.mark.parametrize("units", ["db", "power", "amplitude"])
def test_each_unit_is_read_as_declared(tmp_path, units):
    found, notices = track(passes(tmp_path, units))
    assert found.post[0].units == units
    assert codes(notices) == ["I319"]


@pytest.mark.parametrize(
    ("descriptions", "numbers"), [((), (1, 2)), (("VV", "VH"), (1, 2)), (("Sigma0_VH", "Sigma0_VV"), (2, 1))]
)
def test_the_bands_of_one_file_are_vv_and_vh_unless_it_says_otherwise(tmp_path, descriptions, numbers):
    items = {}
    for seed, (side, name) in enumerate(SAFE.items()):
        pixels = {"vv": decibels(land(10 + seed, -10.0)), "vh": decibels(land(20 + seed, -16.5))}
        ordered = sorted(pixels, key=lambda pol: numbers[("vv", "vh").index(pol)])
        path = write(tmp_path / name / "both.tif", *(pixels[p] for p in ordered), descriptions=descriptions)
        items[side] = {"path": path, "units": "db"}
    found, _ = track(items)
    assert tuple(found.post[0].bands[pol][0].index for pol in ("vv", "vh")) == numbers


def test_decibels_need_no_declaration(tmp_path):
    items = passes(tmp_path)
    for item in items.values():
        del item["units"]
    found, notices = track(items)
    assert found.pre[0].units == "db"
    assert codes(notices) == ["I301", "I301", "I319"]


def test_several_dates_stay_apart_and_slices_of_one_pass_are_joined(tmp_path):
    items = passes(tmp_path)
    next_slice = "S1A_IW_GRDH_1SDV_20240315T100025_20240315T100050_052990_066A00_CCCC"
    earlier = "S1A_IW_GRDH_1SDV_20240303T100000_20240303T100025_052815_066000_DDDD"
    more = [
        {
            "vv": write(tmp_path / name / "vv.tif", decibels(land(30 + i, -10.0))),
            "vh": write(tmp_path / name / "vh.tif", decibels(land(40 + i, -16.5))),
            "units": "db",
        }
        for i, name in enumerate((next_slice, earlier))
    ]
    found, notices = track({"pre": [items["pre"], *more], "post": items["post"]})
    assert [image.acquired.day for image in found.pre] == [3, 15]
    assert [len(image.bands["vv"]) for image in found.pre] == [1, 2]
    assert [band.path.split("/")[-2] for band in found.pre[1].bands["vh"]] == [SAFE["pre"], next_slice]
    assert codes(notices) == []


def test_one_file_with_both_bands_by_description(tmp_path):
    items = {}
    for seed, (side, name) in enumerate(SAFE.items()):
        angle = np.full((80, 90), 38.5, np.float32) + np.arange(90, dtype=np.float32) / 100
        path = write(
            tmp_path / f"{name}.tif",
            angle,
            decibels(land(seed, -16.5)),
            decibels(land(seed + 9, -10.0)),
            descriptions=("angle", "VH", "VV"),
        )
        items[side] = {"path": path, "units": "db"}
    found, _ = track(items)
    assert {name: bands[0].index for name, bands in found.post[0].bands.items()} == {"vv": 3, "vh": 2}


def test_tags_come_before_names(tmp_path):
    tags = {"ORBIT_PASS_DIRECTION": "ascending", "TRACK_NUMBER": "12", "PLATFORM": "S1C"}
    found, _ = track(passes(tmp_path, tags=tags))
    assert (found.pre[0].relative_orbit, found.pre[0].platform) == (12, "S1C")


def test_the_yaml_comes_before_tags(tmp_path):
    items = passes(tmp_path, tags={"TRACK_NUMBER": "12"})
    for item in items.values():
        item |= {"relative_orbit": 99, "platform": "S1D", "quantity": "gamma0"}
    found, notices = track(items)
    assert (found.post[0].relative_orbit, found.post[0].platform) == (99, "S1D")
    assert codes(notices) == ["W317", "W317", "W313", "I319"]


def test_zeros_in_decibels_become_nodata_in_addition_to_the_tag(tmp_path):
    masked = decibels(land(10, -10.0))
    masked[:20] = 0
    masked[20:22] = -9999
    items = passes(tmp_path, nodata=-32768.0)
    write(items["pre"]["vv"], masked, nodata=-32768.0)
    found, notices = track(items)
    assert set(found.pre[0].bands["vv"][0].nodata) == {-32768.0, 0.0, -9999.0}
    assert codes(notices) == ["I350", "I350", "I319"]


def test_declared_nodata_replaces_the_tag(tmp_path):
    items = passes(tmp_path, nodata=-32768.0)
    items["pre"]["nodata"] = [-25, -26]
    found, _ = track(items)
    assert found.pre[0].bands["vv"][0].nodata == (-25.0, -26.0)
    assert found.post[0].bands["vv"][0].nodata == (-32768.0,)


def test_terrain_flattened_and_coarse_products_say_so(tmp_path):
    items = passes(tmp_path, "power", resolution=30.0)
    for item in items.values():
        item["quantity"] = "gamma0_rtc"
    found, notices = track(items)
    assert found.quantity == "gamma0_rtc"
    assert codes(notices) == ["W313", "W312", "I319"]


def test_speckle_filtering_is_known_from_a_hyp3_name(tmp_path):
    items = passes(tmp_path, "power")
    for side, moment in (("pre", "20240315T100000"), ("post", "20240408T100000")):
        for name in ("vv", "vh"):
            hyp3 = tmp_path / f"S1A_IW_{moment}_DVP_RTC10_G_gpufed_FD6A_{name.upper()}.tif"
            items[side][name] = items[side][name].rename(hyp3)
        del items[side]["units"]
    found, notices = track(items)
    assert (found.pre[0].units, found.quantity, found.pre[0].relative_orbit) == ("power", "gamma0_rtc", None)
    assert codes(notices) == ["W314", "W313", "I319"]


def test_a_date_alone_leaves_direction_and_track_unverified(tmp_path):
    items = passes(tmp_path)
    for item, day in zip(items.values(), ("2024-03-15", "2024-04-08"), strict=True):
        item["datetime"] = f"{day}T00:00:00Z"
    for item in items.values():
        for name in ("vv", "vh"):
            item[name] = item[name].rename(tmp_path / f"{item['datetime'][:10]}_{name}.tif")
    _, notices = track(items, orbit="descending")
    assert codes(notices) == ["W318", "W318", "I319"]


def test_other_satellite_and_old_image_are_doubtful(tmp_path):
    items = passes(tmp_path)
    items["pre"] |= {"platform": "S1B", "relative_orbit": 68, "datetime": "2023-12-15T10:00:00Z"}
    _, notices = track(items)
    assert codes(notices) == ["W317", "W308", "W319", "I319"]


def composite(path, *, order=(0, 1, 2, 3), descriptions=("postVV", "postVH", "diffVV", "diffVH"), **options):
    pre_vv, pre_vh = decibels(land(1, -10.0)), decibels(land(2, -16.5))
    post_vv, post_vh = decibels(land(3, -10.5)), decibels(land(4, -17.0))
    bands = [post_vv, post_vh, post_vv - pre_vv, post_vh - pre_vh]
    reported = tuple(descriptions[i] for i in order) if descriptions else ()
    return write(path, *(bands[i] for i in order), descriptions=reported, **options)


@pytest.mark.parametrize(
    "names", [("postVV", "postVH", "diffVV", "diffVH"), ("post_vv", "post_vh", "diff_vv", "diff_vh")]
)
def test_composite_bands_by_description(tmp_path, names):
    path = composite(tmp_path / "desc.tif", order=(3, 2, 1, 0), descriptions=names)
    found, notices = track({"composite": path}, orbit="descending")
    assert {name: band.index for name, band in found.composite.bands.items()} == {
        "post_vv": 4,
        "post_vh": 3,
        "diff_vv": 2,
        "diff_vh": 1,
    }
    assert [notice.code for notice in notices] == ["I323"]
    assert found.pre == found.post == ()


def test_composite_bands_in_documented_order(tmp_path):
    found, _ = track({"composite": composite(tmp_path / "c.tif", descriptions=())})
    assert [found.composite.bands[n].index for n in ("post_vv", "post_vh", "diff_vv", "diff_vh")] == [
        1,
        2,
        3,
        4,
    ]


def test_composite_bands_as_declared(tmp_path):
    path = composite(tmp_path / "c.tif", order=(2, 3, 0, 1), descriptions=())
    bands = {"post_vv": 3, "post_vh": 4, "diff_vv": 1, "diff_vh": 2}
    found, _ = track({"composite": {"path": path, "bands": bands, "quantity": "gamma0_rtc"}})
    assert found.composite.bands["post_vv"].index == 3
    assert found.quantity == "gamma0_rtc"


def test_real_opera_bursts_of_two_dates():
    folder = shared_data("fixtures", "opera_rtc_s1_cropped", "10SGD_T137")
    sides = {}
    for side, day in (("pre", "2022-11-02"), ("post", "2022-12-20")):
        vv = sorted((folder / day).glob("*_VV.tif"))
        sides[side] = [{"vv": p, "vh": p.with_name(p.name.replace("_VV", "_VH"))} for p in vv]
    found, notices = track(sides, event=datetime(2022, 12, 10, tzinfo=UTC))
    (pre,), (post,) = found.pre, found.post
    assert (pre.relative_orbit, pre.platform, pre.units, found.quantity) == (
        137,
        "S1A",
        "power",
        "gamma0_rtc",
    )
    assert len(pre.bands["vv"]) == len(post.bands["vh"]) == 4
    assert pre.acquired == datetime(2022, 11, 2, 1, 59, 3, tzinfo=UTC)
    assert codes(notices) == ["W313", "W312", "I319"]


def test_real_time_series_over_enga():
    folder = shared_data("real", "opera_png_timeseries", "tests", "test_data", "T009_019294_IW2_cropped_tv")
    items = [
        {"vv": p, "vh": p.with_name(p.name.replace("_VV", "_VH"))} for p in sorted(folder.glob("*_VV_*.tif"))
    ]
    found, notices = track({"pre": items[7:9], "post": items[9:]}, event=datetime(2024, 5, 15, tzinfo=UTC))
    assert [image.acquired.month for image in (*found.pre, *found.post)] == [4, 4, 5]
    assert {image.relative_orbit for image in found.pre} == {9}
    assert codes(notices) == ["W314", "W313", "W312"]
