"""Everything that must not pass as Sentinel-1: one clear refusal each, with its code."""

from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint

from landslide_map.error_codes import CODES
from landslide_map.errors import InputError
from landslide_map.inputs.sentinel1.consistency import check_tracks_differ
from landslide_map.inputs.sentinel1.track import open_track
from landslide_map.scene.model import TrackSpec
from tests.support import messages
from tests.support.radar_files import SAFE, decibels, land, passes, write
from tests.support.raised import raised
from tests.support.shared_data import shared_data

EVENT = datetime(2024, 4, 2, 23, 58, tzinfo=UTC)
OTHER_TRACK = "S1A_IW_GRDH_1SDV_20240320T100815_20240320T100840_053063_066B00_EEEE"


def refusal(spec, orbit="ascending", event=EVENT):
    """Return the refusal of `spec`: an InputError with a registered code."""
    with pytest.raises(InputError) as caught:
        open_track(orbit, TrackSpec.model_validate(spec), event)
    assert caught.value.code in CODES
    return str(caught.value)


def rewrite(path, values, **options):
    write(path, values.astype(np.float32), **options)


def move_pre(items, folder):
    """Move the files before the event into `folder`."""
    folder.mkdir()
    for name in ("vv", "vh"):
        items["pre"][name] = items["pre"][name].rename(folder / f"{name}.tif")


def composite(folder, sign=1, **options):
    """Write a composite of four bands, post - pre times `sign`, and return its path."""
    post = [decibels(land(1, -10.0)), decibels(land(2, -16.5))]
    pre = [decibels(land(3, -10.0)), decibels(land(4, -16.5))]
    change = [sign * (after - before) for after, before in zip(post, pre, strict=True)]
    return write(folder / "c.tif", *post, *change, **options)


# Files


def test_a_missing_file_is_named(tmp_path):
    items = passes(tmp_path)
    items["post"]["vh"].unlink()
    assert refusal(items).startswith(f"E101: {items['post']['vh']}: no such file")


def test_a_truncated_file_is_refused(tmp_path):
    items = passes(tmp_path)
    path = items["pre"]["vv"]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refusal(items).startswith(f"E101: {path}: cannot be read")


def test_a_text_file_is_refused(tmp_path):
    items = passes(tmp_path)
    items["pre"]["vv"].write_text("not a raster")
    assert "E101" in refusal(items)


def test_no_reference_system(tmp_path):
    items = passes(tmp_path)
    rewrite(items["pre"]["vv"], decibels(land(1, -10.0)), crs=None)
    assert "E103" in refusal(items)


def test_ground_range_image_with_control_points(tmp_path):
    items = passes(tmp_path)
    points = [GroundControlPoint(r, c, 121 + c / 1e3, 24 - r / 1e3) for r in (0, 79) for c in (0, 89)]
    with rasterio.open(
        items["pre"]["vv"], "w", driver="GTiff", height=80, width=90, count=1, dtype="uint16",
        gcps=points, crs="EPSG:4326",
    ) as dataset:  # fmt: skip
        dataset.write(np.full((80, 90), 321, np.uint16), 1)
    assert "E311" in refusal(items)


def test_real_grd_safe_folder_is_refused_with_instructions():
    safe = next(shared_data("fixtures", "s1_grd_safe_sarsen").glob("*.SAFE"))
    message = refusal({"pre": safe, "post": safe})
    assert "E320" in message
    assert "HyP3" in message


def test_grd_zip_is_refused_by_its_name(tmp_path):
    path = tmp_path / f"{SAFE['pre']}.zip"
    path.write_bytes(b"PK")
    assert "E320" in refusal({"pre": path, "post": path})


def test_any_other_folder_is_refused(tmp_path):
    assert "is a folder; give its GeoTIFFs" in refusal({"pre": tmp_path, "post": tmp_path})


def test_monthly_mosaic_is_refused_by_its_name(tmp_path):
    folder = tmp_path / "Sentinel-1_IW_mosaic_2024_M03_51QTG_0_0"
    item = {
        "vv": write(folder / "VV.tif", land(1, -10.0)),
        "vh": write(folder / "VH.tif", land(2, -16.5)),
        "units": "power",
    }
    assert "E310" in refusal({"pre": item, "post": item})


def test_everything_nodata(tmp_path):
    items = passes(tmp_path)
    rewrite(items["pre"]["vv"], np.full((80, 90), np.nan))
    assert "E106" in refusal(items)
    rewrite(items["pre"]["vv"], np.zeros((80, 90)))
    assert "E106" in refusal(items)


def test_a_corner_of_data_between_the_sampled_patches_is_found(tmp_path):
    from landslide_map.inputs.sentinel1.files import sampled_band

    values = np.full((1000, 1000), np.nan, np.float32)
    values[35:60, 35:60] = -10
    band, notices = sampled_band(write(tmp_path / "swath.tif", values), 1, None)
    assert np.isnan(band.pixels).all()
    assert notices == []


# Dates


def test_pre_and_post_swapped(tmp_path):
    items = passes(tmp_path)
    message = refusal({"pre": items["post"], "post": items["pre"]})
    assert "E302" in message
    assert "taken 2024-04-08 10:00 UTC, after the event (2024-04-02 23:58 UTC)" in message
    assert "pre and post look swapped" in message


def test_one_pre_image_after_the_event(tmp_path):
    items = passes(tmp_path)
    items["pre"]["datetime"] = "2024-04-03T10:00:00Z"
    assert "E302" in refusal(items)


@pytest.mark.parametrize("side", ["pre", "post"])
def test_an_image_at_the_very_time_of_the_event_is_on_neither_side(tmp_path, side):
    items = passes(tmp_path)
    for name in ("vv", "vh"):  # so that no name contradicts the date
        items[side][name] = items[side][name].rename(tmp_path / f"{name}.tif")
    items[side]["datetime"] = EVENT.isoformat()
    assert "E302" in refusal(items)


def test_a_declared_date_that_the_name_contradicts_across_the_event(tmp_path):
    items = passes(tmp_path)
    items["post"] = items["pre"] | {"datetime": "2024-04-08T10:00:00Z"}
    items["pre"] = {**passes(tmp_path / "other")["pre"]}
    message = refusal(items)
    assert "E302" in message
    assert "declared 2024-04-08, but its tags or name say 2024-03-15" in message


def test_the_day_of_the_event_without_a_time(tmp_path):
    items = passes(tmp_path)
    items["pre"]["datetime"] = "2024-04-02T00:00:00Z"
    assert "time of day is unknown" in refusal(items)


def test_an_unknown_date(tmp_path):
    items = passes(tmp_path)
    for name in ("vv", "vh"):
        items["pre"][name] = items["pre"][name].rename(tmp_path / f"{name}.tif")
    message = refusal(items)
    assert "E309" in message
    assert "add datetime:" in message


# Direction and track


def test_ascending_listed_under_descending_by_solar_time(tmp_path):
    message = refusal(passes(tmp_path), orbit="descending")
    assert "E303" in message
    assert "18.1 h" in message


def test_ascending_listed_under_descending_by_declaration(tmp_path):
    items = passes(tmp_path)
    items["pre"]["pass"] = "ascending"
    assert "but declared pass: ascending" in refusal(items, orbit="descending")


def test_descending_listed_under_ascending_by_tags(tmp_path):
    items = passes(tmp_path, tags={"ORBIT_DIRECTION": "descending"})
    assert "E303" in refusal(items)


def test_a_file_of_the_other_direction_under_a_declared_time(tmp_path):
    """A block copied from the other track, its times corrected and its files forgotten."""
    items = passes(tmp_path)
    move_pre(items, tmp_path / "S1A_IW_GRDH_1SDV_20240315T220000_20240315T220025_052990_066A00_AAAA")
    items["pre"]["datetime"] = "2024-03-15T10:00:00Z"
    message = refusal(items)
    assert "E303" in message
    assert "22:00 UTC, as its tags or name say," in message
    assert "descending" in message


def test_one_file_under_both_directions(tmp_path):
    path = composite(tmp_path)
    tracks = [
        open_track(o, TrackSpec(composite={"path": path}), EVENT)[0] for o in ("descending", "ascending")
    ]
    check_tracks_differ(tracks[:1])
    with raised("E306", messages.UNDER_DESCENDING_AND_UNDER_ASCENDING):
        check_tracks_differ(tracks)


def test_tracks_that_tags_separate_whatever_is_declared(tmp_path):
    items = passes(tmp_path)
    move_pre(items, tmp_path / "S1A_IW_GRDH_1SDV_20240316T095500_20240316T095525_053004_066A00_AAAA")
    for item in items.values():
        item["relative_orbit"] = 68
    message = refusal(items)
    assert "E304" in message
    assert "of track 82" in message
    assert "tags or names say" in message


def test_composite_of_the_other_direction_by_tags(tmp_path):
    assert "E303" in refusal({"composite": composite(tmp_path, tags={"ORBIT_DIRECTION": "descending"})})


def test_two_tracks_by_orbit_number(tmp_path):
    items = passes(tmp_path)
    items["pre"]["relative_orbit"] = 141
    message = refusal(items)
    assert "E304" in message
    assert "of track 141" in message
    assert "of track 68" in message


def test_a_second_track_among_several_pre_dates(tmp_path):
    items, other = passes(tmp_path), passes(tmp_path / "b")["pre"]
    for name in ("vv", "vh"):
        target = tmp_path / OTHER_TRACK / f"{name}.tif"
        target.parent.mkdir(exist_ok=True)
        other[name] = other[name].rename(target)
    assert "E304" in refusal({"pre": [items["pre"], other], "post": items["post"]})


def test_two_tracks_by_time_of_day_where_no_number_is_known(tmp_path):
    items = passes(tmp_path)
    for item, moment in zip(items.values(), ("2024-03-15T10:00:00Z", "2024-04-08T10:08:10Z"), strict=True):
        for name in ("vv", "vh"):
            item[name] = item[name].rename(tmp_path / f"{moment[:10]}_{name}.tif")
        item["datetime"] = moment
    message = refusal(items)
    assert "E304" in message
    assert "10:00:00" in message
    assert "10:08:10" in message


def test_tags_against_a_declared_direction(tmp_path):
    items = passes(tmp_path, tags={"ORBIT_DIRECTION": "descending"})
    items["pre"]["pass"] = "ascending"
    assert "its tags say descending" in refusal(items)


# Polarisation


def test_polarisations_swapped_in_the_scene(tmp_path):
    items = passes(tmp_path)
    items["pre"]["vv"], items["pre"]["vh"] = items["pre"]["vh"], items["pre"]["vv"]
    message = refusal(items)
    assert message.startswith(f"E305: {items['pre']['vv']}: listed as vv, but its name says VH")


def test_polarisations_swapped_inside_the_files(tmp_path):
    items = passes(tmp_path)
    rewrite(items["pre"]["vv"], decibels(land(1, -16.5)))
    rewrite(items["pre"]["vh"], decibels(land(2, -10.0)))
    assert "VV is weaker than VH" in refusal(items)


def test_horizontal_polarisation(tmp_path):
    items = passes(tmp_path)
    items["post"]["vv"] = items["post"]["vv"].rename(tmp_path / SAFE["post"] / "hh.tif")
    assert "its name says HH" in refusal(items)


def test_a_band_that_describes_itself_otherwise(tmp_path):
    items = passes(tmp_path)
    rewrite(items["pre"]["vv"], decibels(land(1, -10.0)), descriptions=("VH",))
    assert "describes itself as 'VH'" in refusal(items)


def test_one_file_for_both_polarisations(tmp_path):
    items = passes(tmp_path)
    only = items["pre"]["vv"].rename(tmp_path / SAFE["pre"] / "image.tif")
    items["pre"] |= {"vv": only, "vh": only}
    assert "E305" in refusal(items)


def test_a_slice_without_its_other_polarisation(tmp_path):
    items, more = passes(tmp_path), passes(tmp_path / "b")
    items["pre"]["vv"] = [items["pre"]["vv"], more["pre"]["vv"]]
    assert "2 VV but 1 VH files" in refusal(items)


def test_bands_without_names(tmp_path):
    vv, vh = decibels(land(1, -10.0)), decibels(land(2, -16.5))
    path = write(tmp_path / f"{SAFE['pre']}.tif", vv, vh, vv)
    message = refusal({"pre": {"path": path, "units": "db"}, "post": {"path": path, "units": "db"}})
    assert "which of its 3 bands are VV and VH" in message
    assert "bands: {vv: 1, vh: 2}" in message


def test_composite_bands_against_their_descriptions(tmp_path):
    vv, vh = decibels(land(1, -10.0)), decibels(land(2, -16.5))
    path = write(tmp_path / "c.tif", vh, vv, vv, vh, descriptions=("postVH", "postVV", "diffVV", "diffVH"))
    bands = {"post_vv": 1, "post_vh": 2, "diff_vv": 3, "diff_vh": 4}
    assert "describes itself as 'postVH'" in refusal({"composite": {"path": path, "bands": bands}})


def test_composite_of_pre_and_post_instead_of_differences(tmp_path):
    bands = [decibels(land(seed, mean)) for seed, mean in enumerate((-10.0, -16.5, -10.5, -17.0))]
    message = refusal({"composite": write(tmp_path / "c.tif", *bands)})
    assert "E301" in message
    assert "post - pre in dB" in message


def test_composite_of_differences_the_wrong_way_round(tmp_path):
    track, _ = open_track("ascending", TrackSpec(composite={"path": composite(tmp_path)}), EVENT)
    assert track.composite is not None
    message = refusal({"composite": composite(tmp_path, sign=-1)})
    assert "E307" in message
    assert "the differences are pre - post" in message


def test_composite_with_too_few_bands(tmp_path):
    path = write(tmp_path / "c.tif", decibels(land(1, -10.0)), decibels(land(2, -16.5)))
    assert "has 2 bands; expected four" in refusal({"composite": path})


# The same image twice


def test_one_file_on_both_sides(tmp_path):
    items = passes(tmp_path)
    del items["pre"]["units"]
    items["post"] = items["pre"] | {"datetime": "2024-04-08T10:00:00Z"}
    assert "E306" in refusal(items)


def test_one_date_listed_twice(tmp_path):
    items = passes(tmp_path)
    assert "E306" in refusal({"pre": [items["pre"], items["pre"]], "post": items["post"]})


def test_a_copy_of_an_older_pre_image_as_post(tmp_path):
    items, older = passes(tmp_path), {}
    for name in ("vv", "vh"):
        older[name] = tmp_path / f"older_{name}.tif"
        older[name].write_bytes(items["post"][name].read_bytes())
    older |= {"datetime": "2024-02-20T10:00:00Z", "relative_orbit": 68, "units": "db"}
    assert "E306" in refusal({"pre": [older, items["pre"]], "post": items["post"]})


def test_a_copy_of_the_pre_image_as_post(tmp_path):
    items = passes(tmp_path)
    for name in ("vv", "vh"):
        items["post"][name].write_bytes(items["pre"][name].read_bytes())
    message = refusal(items)
    assert "E306" in message
    assert "100% of the pixels are equal" in message


# Units and values


@pytest.mark.parametrize(
    ("true", "declared"),
    [("db", "power"), ("db", "amplitude"), ("power", "db"), ("amplitude", "db"), ("amplitude", "power")],
)
def test_wrongly_declared_units(tmp_path, true, declared):
    items = passes(tmp_path, true)
    items["post"]["units"] = declared
    assert "E301" in refusal(items)


def test_linear_units_must_be_declared(tmp_path):
    items = passes(tmp_path, "power")
    del items["pre"]["units"]
    assert "set units: db, power or amplitude" in refusal(items)


def test_units_that_the_product_name_contradicts(tmp_path):
    items = passes(tmp_path, "power")
    for name in ("vv", "vh"):
        hyp3 = tmp_path / f"S1A_IW_20240315T100000_DVP_RTC10_G_gpuned_FD6A_{name.upper()}.tif"
        items["pre"][name] = items["pre"][name].rename(hyp3)
    items["pre"]["units"] = "amplitude"
    assert "but its HyP3 name says power" in refusal(items)


def test_raw_digital_numbers(tmp_path):
    items = passes(tmp_path)
    write(items["pre"]["vv"], (np.sqrt(land(1, -10.0)) * 500).astype(np.uint16))
    assert "raw digital numbers (uint16)" in refusal(items)


def test_decibels_times_a_hundred(tmp_path):
    items = passes(tmp_path)
    write(items["pre"]["vv"], (decibels(land(1, -10.0)) * 100).astype(np.int16))
    assert "scaled by 100" in refusal(items)


def test_a_scale_tag_is_not_ignored(tmp_path):
    items = passes(tmp_path)
    with rasterio.open(items["pre"]["vv"], "r+") as dataset:
        dataset.scales = (0.01,)
    assert "holds scaled values" in refusal(items)


def test_an_undeclared_fill_value(tmp_path):
    items = passes(tmp_path)
    values = decibels(land(1, -10.0))
    values[:30] = -49.5
    rewrite(items["pre"]["vv"], values)
    message = refusal(items)
    assert "E350" in message
    assert "add nodata: -49.5" in message


def test_mixed_radiometry(tmp_path):
    items = passes(tmp_path, "power")
    items["post"]["quantity"] = "gamma0_rtc"
    assert "E315" in refusal(items)


def test_slices_of_different_passes(tmp_path):
    items = passes(tmp_path)
    both = {name: [items["pre"][name], items["post"][name]] for name in ("vv", "vh")}
    assert "E316" in refusal({"pre": {**both, "units": "db"}, "post": items["post"]})
