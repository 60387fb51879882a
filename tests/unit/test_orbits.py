"""Names, tags and orbit arithmetic against the metadata of real products."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from landslide_map.inputs.sentinel1.metadata import (
    direction,
    from_tags,
    has_time_of_day,
    identify,
    is_monthly_mosaic,
    local_solar_hour,
    relative_orbit,
    time_of_day_gap,
)
from tests.support.shared_data import shared_data

SAFE = "S1A_IW_GRDH_1SDV_20210809T173953_20210809T174018_039156_049F13_6FF8"
HYP3 = "S1A_IW_20180128T161201_DVP_RTC30_G_gpuned_FD6A"
OPERA = "OPERA_L2_RTC-S1_T115-245714-IW1_20250418T141628Z_20250419T010229Z_S1A_30_v1.0"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("platform", "absolute", "expected"),
    # (absolute, relative) pairs as read in the manifests and STAC items of real products.
    [
        ("S1A", 39156, 59),
        ("S1A", 43068, 121),
        ("S1A", 49191, 119),
        ("S1A", 30643, 121),
        ("S1B", 3050, 49),
        ("S1B", 30148, 22),
    ],
)
def test_relative_orbit_of_real_products(platform, absolute, expected):
    assert relative_orbit(platform, absolute) == expected


@pytest.mark.parametrize("platform", ["S1C", None])
def test_relative_orbit_is_unknown_where_the_constant_changed_or_is_unproven(platform):
    assert relative_orbit(platform, 638) is None


@given(st.integers(1, 99_999))
def test_relative_orbits_run_from_1_to_175_and_repeat(absolute):
    here = relative_orbit("S1A", absolute)
    assert 1 <= here <= 175
    assert here == relative_orbit("S1A", absolute + 175)
    assert (here % 175) + 1 == relative_orbit("S1A", absolute + 1)


def test_safe_name():
    found = identify([SAFE + ".SAFE"])
    assert (found.acquired, found.platform, found.absolute_orbit) == (
        utc(2021, 8, 9, 17, 39, 53),
        "S1A",
        39156,
    )
    assert (found.family, found.units, found.relative_orbit) == ("GRD", None, None)


def test_hyp3_name_gives_scale_and_terrain_flattening():
    found = identify([f"{HYP3}_VH.tif"])
    assert (found.acquired, found.platform) == (utc(2018, 1, 28, 16, 12, 1), "S1A")
    assert (found.units, found.quantity, found.filtered, found.polarisation) == (
        "power",
        "gamma0_rtc",
        False,
        "VH",
    )
    assert identify([HYP3.replace("gpuned", "sdwfed")]).units == "db"
    assert identify([HYP3.replace("gpuned", "sdwfed")]).quantity == "gamma0_rtc"
    assert identify([HYP3.replace("gpuned", "saufed")]).filtered is True


def test_opera_name():
    found = identify([f"{OPERA}_VV.tif"])
    assert (found.acquired, found.platform) == (utc(2025, 4, 18, 14, 16, 28), "S1A")
    assert (found.relative_orbit, found.units, found.polarisation) == (115, "power", "VV")


def test_planetary_computer_file_takes_its_date_from_the_folder():
    found = identify(
        [
            "iw-vh.rtc.tiff",
            "measurement",
            "S1A_IW_GRDH_1SDV_20220504T233157_20220504T233222_043068_0524B4_rtc",
        ]
    )
    assert (found.family, found.units, found.polarisation) == ("Planetary Computer", "power", "VH")
    assert found.acquired == utc(2022, 5, 4, 23, 31, 57)
    assert relative_orbit(found.platform, found.absolute_orbit) == 121


def test_the_nearer_name_wins():
    found = identify(["S1B_IW_GRDH_1SDV_20170613T165043_VV.tif", SAFE])
    assert (found.platform, found.acquired) == ("S1B", utc(2017, 6, 13, 16, 50, 43))


def test_raw_measurement_name():
    found = identify(["s1b-iw-grd-vh-20211223t051122-20211223t051147-030148-039993-001.tiff"])
    assert (found.platform, found.absolute_orbit, found.polarisation) == ("S1B", 30148, "VH")


@pytest.mark.parametrize(
    "name",
    [
        "vv.tif",
        "S1X_IW_GRDH_1SDV_20210809T173953",
        "OPERA_L2_RTC-S1_T115",
        "S2A_MSIL2A_20190212T192651_N0212_R013_T07HFE_20201007T160857.SAFE",
        "S1A_IW_GRDH_1SDV_20211399T173953_20210809T174018_039156_049F13_6FF8",
    ],
)
def test_a_name_that_is_none_gives_no_date(name):
    assert identify([name]).acquired is None


@pytest.mark.parametrize(
    ("name", "expected"), [("VV_db.tif", "VV"), ("advvance.tif", None), ("a-HH.tif", "HH")]
)
def test_polarisation_needs_a_word_of_its_own(name, expected):
    assert identify([name]).polarisation == expected


def test_a_file_of_both_polarisations_is_of_neither():
    assert identify(["scene_VV_VH.tif"]).polarisation is None


def test_opera_tags():
    found = from_tags(
        {
            "ABSOLUTE_ORBIT_NUMBER": "58800",
            "TRACK_NUMBER": "115",
            "PLATFORM": "Sentinel-1A",
            "ORBIT_PASS_DIRECTION": "descending",
            "BURST_ID": "T115-245714-IW1",
            "ZERO_DOPPLER_START_TIME": "2025-04-18T14:16:28.123456Z",
        }
    )
    assert (found.platform, found.relative_orbit, found.orbit) == ("S1A", 115, "descending")
    assert (found.family, found.units) == ("OPERA", "power")
    assert found.acquired == utc(2025, 4, 18, 14, 16, 28) + timedelta(microseconds=123456)


def test_xarray_time_tag_with_nanoseconds_is_utc():
    assert from_tags({"datetime": "2021-07-21T08:40:10.000000000"}).acquired == utc(2021, 7, 21, 8, 40, 10)


def test_a_time_of_another_zone_is_brought_to_utc():
    assert from_tags({"datetime": "2021-07-21T10:40:10+02:00"}).acquired == utc(2021, 7, 21, 8, 40, 10)


def test_the_tiff_datetime_is_not_when_the_image_was_taken():
    assert from_tags({"TIFFTAG_DATETIME": "2024:05:01 10:00:00"}).acquired is None


@pytest.mark.parametrize(
    ("folder", "track", "acquired"),
    [
        ("S1A_20200103_17RMJ_ASC", 121, (2020, 1, 3, 23, 35, 56)),
        ("S1B_20161121_12SYJ_ASC", 49, (2016, 11, 21, 1, 9, 10)),
    ],
)
def test_aws_tags_agree_with_the_manifests_beside_them(folder, track, acquired):
    path = shared_data("fixtures", "s1_rtc_aws_indigo", folder)
    manifest = next(path.glob("*/manifest.safe")).read_text()
    truth = int(re.search(r'relativeOrbitNumber type="start">(\d+)<', manifest)[1])
    with rasterio.open(path / "Gamma0_VV.vrt") as dataset:
        found = from_tags(dataset.tags())
    assert relative_orbit(found.platform, found.absolute_orbit) == truth == track
    assert (found.orbit, found.family, found.acquired) == ("ascending", "AWS RTC", utc(*acquired))


def test_real_manifest_of_a_descending_pass():
    path = next(shared_data("fixtures", "s1_grd_safe_sarsen").glob("*.SAFE"))
    manifest = (path / "manifest.safe").read_text()
    found = identify([path.name])
    assert relative_orbit(found.platform, found.absolute_orbit) == 22
    assert "<s1:pass>DESCENDING" in manifest
    lat, lon = (float(v) for v in re.search(r"coordinates>([\d.-]+),([\d.-]+)", manifest).groups())
    assert direction(found.acquired, lon, lat) == "descending"


def test_every_real_opera_name_is_understood():
    files = sorted(shared_data("fixtures", "opera_rtc_s1_cropped").rglob("*.tif"))
    assert len(files) == 18
    for file in files:
        found = identify([file.name])
        assert found.relative_orbit == int(re.search(r"_T(\d{3})-", file.name)[1])
        assert found.acquired.strftime("%Y%m%dT%H%M%S") in file.name
        assert found.polarisation == re.search(r"_(V[VH])", file.name)[1]


@pytest.mark.parametrize(
    ("moment", "longitude", "latitude", "expected"),
    [
        (utc(2024, 1, 23, 8, 47, 48), 143.3, -5.4, "ascending"),
        (utc(2017, 6, 17, 6, 47, 24), -9, 53, "descending"),
        (utc(2024, 1, 1, 18, 0, 1), 0, 75, None),
        (utc(2024, 1, 1, 12, 0, 1), 0, 0, None),
    ],
)
def test_direction_from_local_solar_time(moment, longitude, latitude, expected):
    assert direction(moment, longitude, latitude) == expected


def test_local_solar_hour_by_hand():
    # 23:00 UTC at 30 E is 2 hours later there: 01:00.
    assert local_solar_hour(utc(2024, 1, 1, 23), 30.0) == pytest.approx(1.0)


def test_times_of_day_are_compared_across_midnight():
    assert time_of_day_gap(utc(2024, 1, 1, 23, 59, 50), utc(2024, 1, 13, 0, 0, 20)) == 30


def test_midnight_is_a_date_without_a_time():
    assert not has_time_of_day(utc(2024, 1, 1))
    assert has_time_of_day(utc(2024, 1, 1, 0, 0, 1))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["VV.tif", "Sentinel-1_IW_mosaic_2024_M04_32TQM_0_0"], True),
        (["S1_monthly_mosaic_VV.tif"], True),
        (["S1_pre_mosaic_vv.tif", "sentinel-1"], False),
        (["S1A_IW_GRDH_1SDV_20170613T165043_VV.tif"], False),
    ],
)
def test_monthly_mosaics_by_name(names, expected):
    assert is_monthly_mosaic(names) is expected
