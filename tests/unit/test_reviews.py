"""Verdicts: read, carried over, counted; an edit session is noticed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
from shapely.geometry import MultiPolygon, box

from landslide_map.errors import InputError, OutputExistsError, ResourceError, UsageError
from landslide_map.products.columns import REVIEW_COLUMNS
from landslide_map.products.geopackage import write_geopackage
from landslide_map.products.review_summary import export_confirmed
from landslide_map.products.reviews import (
    carry_over,
    previous_reviews,
    read_reviews,
    refuse_new_verdicts,
    reviewed_layers,
    tally,
    uids,
    unreviewed,
    wilson,
    with_review_columns,
)
from landslide_map.runtime.edit_session import refuse_edited
from tests.support.raised import raised

CRS = 32651
EVENT = datetime(2024, 4, 2, 23, 58, tzinfo=UTC)


def outlines(*lefts: float, crs: int = CRS) -> gpd.GeoDataFrame:
    """Squares of 100 m, 500 km east plus `lefts`."""
    shapes = [MultiPolygon([box(500_000 + x, 0, 500_100 + x, 100)]) for x in lefts]
    columns = {"id": range(1, len(lefts) + 1), "prob_mean": 0.7, "area_m2": 10_000.0}
    frame = gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(shapes, crs=crs))
    return frame.astype({"id": "int32", "prob_mean": "float64", "area_m2": "float64"})


def write(path: Path, frame: gpd.GeoDataFrame, **others: gpd.GeoDataFrame) -> Path:
    areas = gpd.GeoDataFrame({"status": ["analysed"], "reason": [""]}, geometry=frame.geometry[:1], crs=CRS)
    write_geopackage(path, {"landslides": frame, "analysed": areas, **others}, EVENT, {}, 0.4)
    return path


def reviewed(frame: gpd.GeoDataFrame, *verdicts: str) -> gpd.GeoDataFrame:
    frame = with_review_columns(frame)
    frame["review"] = list(verdicts)
    frame["comment"] = [f"says {verdict}" if verdict != "unseen" else "" for verdict in verdicts]
    return frame


def as_read(frame: gpd.GeoDataFrame, edited: bool = False) -> gpd.GeoDataFrame:
    return frame.assign(edited=edited)


def test_the_same_outline_has_the_same_identity_and_another_one_another() -> None:
    here, moved = outlines(0, 1000), outlines(0, 1002)
    assert uids(here) == uids(here.iloc[::-1])[::-1]
    assert uids(here)[0] == uids(moved)[0]
    assert len({*uids(here), *uids(moved)}) == 3
    assert uids(outlines(0, crs=32652)) != uids(outlines(0))


def test_verdicts_go_by_identity_then_by_overlap_and_the_rest_is_kept() -> None:
    verdicts = ("confirmed", "rejected", "unsure", "unseen", "confirmed")
    old = as_read(reviewed(outlines(0, 1000, 2000, 3000, 4000), *verdicts))
    # the first as it was, the second by 20 m aside, the third by 60 m, the fifth gone
    carried = carry_over(outlines(2060, 1020, 0), old)
    assert carried.landslides["review"].tolist() == ["unseen", "rejected", "confirmed"]
    assert carried.landslides["comment"].tolist() == ["", "says rejected", "says confirmed"]
    assert (carried.same, carried.overlapping, carried.drawn) == (1, 1, 0)
    assert carried.kept["comment"].tolist() == ["says unsure", "", "says confirmed"]
    assert carried.notices()[0].code == "I430"


def test_one_verdict_goes_to_one_outline_the_one_it_overlaps_most() -> None:
    carried = carry_over(outlines(30, 10), as_read(reviewed(outlines(0), "confirmed")))
    assert carried.landslides["review"].tolist() == ["unseen", "confirmed"]


def test_outlines_drawn_by_hand_are_never_lost_and_not_doubled(tmp_path: Path) -> None:
    found = with_review_columns(outlines(0))
    drawn = reviewed(outlines(9000, 0), "added", "added").assign(uid="", prob_mean=float("nan"))
    path = write(tmp_path / "a.gpkg", pd.concat([found, drawn], ignore_index=True))
    old = previous_reviews(path)
    first = carry_over(outlines(500), old)
    assert first.landslides["review"].tolist() == ["unseen", "added", "added"]
    assert first.landslides["id"].tolist() == [1, 2, 3]
    assert first.landslides["prob_mean"].isna().tolist() == [False, True, True]
    assert first.landslides["uid"].nunique() == 3
    twice = carry_over(outlines(500), pd.concat([old, old], ignore_index=True))
    assert len(twice.landslides) == 3
    again = write(tmp_path / "b.gpkg", first.landslides)
    assert len(carry_over(outlines(500), previous_reviews(again)).landslides) == 3
    assert carry_over(outlines(), old).landslides["review"].tolist() == ["added", "added"]


def test_an_outline_that_a_person_changed_takes_the_place_of_the_new_one(tmp_path: Path) -> None:
    found = with_review_columns(outlines(0, 1000))
    halves = [MultiPolygon([box(500_000 + x, 0, 500_050 + x, 100)]) for x in (0, 50)]
    split = pd.concat([found.iloc[[0, 0]].set_geometry(halves, crs=CRS), found.iloc[[1]]])
    path = write(tmp_path / "a.gpkg", split.reset_index(drop=True))
    carried = carry_over(outlines(0, 1000), previous_reviews(path))
    assert carried.drawn == 2
    assert carried.landslides["id"].tolist() == [1, 2, 3]
    assert carried.landslides.area.tolist() == [10_000, 5000, 5000]
    assert carried.landslides["review"].tolist() == ["unseen"] * 3


def test_verdicts_survive_another_projection() -> None:
    old = reviewed(outlines(0), "confirmed").to_crs(32650)
    assert carry_over(outlines(0), as_read(old).assign(uid="x")).landslides["review"].tolist() == [
        "confirmed"
    ]


def test_a_rerun_takes_over_what_was_reviewed_in_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", with_review_columns(outlines(0, 1000)))
    with closing(sqlite3.connect(path)) as database, database:
        for trigger in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger[0]}")
        database.execute("UPDATE landslides SET review = 'rejected', reviewer = 'Ann' WHERE id = 2")
    old = previous_reviews(path)
    assert old is not None
    assert old["id"].tolist() == [2]
    layers, notices = reviewed_layers(outlines(1000), old)
    assert list(layers) == ["landslides"]
    assert layers["landslides"]["reviewer"].tolist() == ["Ann"]
    assert [notice.code for notice in notices] == ["I430"]
    layers, _ = reviewed_layers(outlines(5000), old)
    again = write(tmp_path / "b.gpkg", **{"frame": layers.pop("landslides"), **layers})
    assert read_reviews(again)["reviewer"].tolist() == ["Ann"]  # of the layer `reviews_kept`


def test_nothing_reviewed_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", with_review_columns(outlines(0)))
    assert previous_reviews(path, tmp_path / "absent.gpkg") is None
    assert reviewed_layers(outlines(0), None)[1] == ()


def test_a_word_that_is_no_verdict_is_refused_with_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", reviewed(outlines(0, 1000), "confirmed", "maybe"))
    with raised("E171", "'maybe'"):
        read_reviews(path)


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_a_file_that_is_no_geopackage_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.gpkg"
    path.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        read_reviews(path)
    assert refusal.value.code == "E170"
    refuse_edited(path)  # which only checks for edit sessions


def test_a_result_without_the_layer_or_the_columns(tmp_path: Path) -> None:
    older = write(tmp_path / "older.gpkg", outlines(0))
    assert len(read_reviews(older)) == 0
    other = tmp_path / "other.gpkg"
    outlines(0).to_file(other, layer="something")
    with raised("E170", "something") as refusal:
        read_reviews(other)
    with closing(sqlite3.connect(older)) as database, database:
        database.execute("DROP TABLE landslides")
    with pytest.raises(InputError) as refusal:
        read_reviews(older)
    assert refusal.value.code == "E170"


def test_an_edit_session_is_noticed_and_one_that_ended_is_tidied(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", with_review_columns(outlines(0)))
    refuse_edited(path)
    before = path.read_bytes()
    editor = sqlite3.connect(path, isolation_level=None)
    # What QGIS does while a layer is edited: WAL, and a reader that stays.
    editor.execute("PRAGMA journal_mode=WAL")
    editor.execute("BEGIN")
    editor.execute("SELECT * FROM landslides").fetchone()
    with pytest.raises(UsageError) as refusal:
        refuse_edited(path)
    assert (refusal.value.code, refusal.value.exit_status) == ("E403", 2)
    with pytest.raises(UsageError):
        previous_reviews(path)
    editor.execute("COMMIT")
    editor.close()
    assert path.read_bytes() != before  # the header says WAL
    refuse_edited(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert [item.name for item in tmp_path.iterdir()] == ["a.gpkg"]


def test_verdicts_given_while_a_run_goes_on_are_not_replaced(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", reviewed(outlines(0, 1000), "confirmed", "unseen"))
    known = previous_reviews(path)
    refuse_new_verdicts(path, known)
    path.unlink()
    write(path, reviewed(outlines(0, 1000), "confirmed", "rejected"))
    with pytest.raises(UsageError) as refusal:
        refuse_new_verdicts(path, known)
    assert refusal.value.code == "E403"


def test_outlines_of_the_map_are_counted_apart_from_those_of_people() -> None:
    frame = reviewed(outlines(0, 1000), "confirmed", "added")
    made = unreviewed(frame)
    assert made["id"].tolist() == [1]
    assert not {"uid", *REVIEW_COLUMNS} & set(made.columns)
    assert len(unreviewed(outlines(0))) == 1


def test_the_tally_counts_verdicts_and_leaves_the_unsure_out() -> None:
    frame = reviewed(outlines(*range(0, 6000, 1000)), *["confirmed"] * 3, "rejected", "unsure", "unseen")
    found = tally(frame)
    assert found.counts == {"unseen": 1, "confirmed": 3, "rejected": 1, "unsure": 1, "added": 0}
    assert found.precision == 0.75
    assert found.interval == wilson(3, 4)
    assert found.area_m2["confirmed"] == 30_000
    assert tally(outlines(0)).precision is None
    # Brown, Cai and DasGupta (2001), statistical table of Wilson's interval: 0 and 10 of 10
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1), abs=1e-4)


def test_an_export_replaces_an_export_and_nothing_else(tmp_path: Path) -> None:
    frame = reviewed(outlines(0, 1000, 2000, 3000), "confirmed", "rejected", "added", "unseen")
    result = write(tmp_path / "landslides.gpkg", frame)
    other = tmp_path / "mine.gpkg"
    outlines(0).to_file(other, layer="landslides")
    before = {path: path.read_bytes() for path in (result, other)}
    for path in (result, other):
        with pytest.raises(OutputExistsError) as refusal:
            export_confirmed(frame, path, overwrite=True)
        assert refusal.value.code == "E404"
    assert {path: path.read_bytes() for path in before} == before
    export = tmp_path / "confirmed.gpkg"
    assert export_confirmed(frame, export) == 2
    assert gpd.read_file(export)["review"].tolist() == ["confirmed", "added"]
    with pytest.raises(OutputExistsError) as refusal:
        export_confirmed(frame, export)
    assert refusal.value.code == "E401"
    with pytest.raises(ResourceError) as unwritable:
        export_confirmed(frame, other / "confirmed.gpkg")
    assert unwritable.value.code == "E601"
    assert export_confirmed(frame.iloc[:1], export, overwrite=True) == 1
    assert len(gpd.read_file(export)) == 1
    with closing(sqlite3.connect(export)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (10200,), (
            "QGIS 3.22 warns of a later one"
        )
