"""What a person adds to landslides.gpkg is taken over, or stops what would lose it."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import pytest
from shapely.geometry import MultiPolygon, box

from landslide_map.errors import InputError, OutputExistsError
from landslide_map.mapping.provenance import FORMAT_VERSION, write_manifest
from landslide_map.mapping.redraw import redraw
from landslide_map.products import LANDSLIDES
from landslide_map.products.added_content import refuse_added, take_over_styles
from landslide_map.products.geopackage import read_layer, write_geopackage
from landslide_map.products.reviews import read_reviews, with_review_columns
from landslide_map.runtime.own_files import SEAL, Kind, tree_records
from landslide_map.runtime.transaction import outputs
from tests.support import messages
from tests.support.raised import raised

KIND = Kind("run.json", (LANDSLIDES,))
EVENT = datetime(2024, 4, 2, 23, 58, tzinfo=UTC)


def write_result(folder: Path) -> Path:
    """Write a GeoPackage as a run does, with its manifest."""
    folder.mkdir()
    shape = gpd.GeoSeries([MultiPolygon([box(500_000, 0, 500_100, 100)])], crs=32651)
    columns = {"id": [1], "prob_mean": [0.7], "area_m2": [10_000.0]}
    frame = with_review_columns(gpd.GeoDataFrame(columns, geometry=shape))
    areas = gpd.GeoDataFrame({"status": ["analysed"], "reason": [""]}, geometry=shape)
    path = folder / LANDSLIDES
    write_geopackage(path, {"landslides": frame, "analysed": areas}, EVENT, {}, 0.4)
    write_manifest(folder / KIND.manifest, {"outputs": tree_records(folder)})
    return path


def sql(path: Path, *statements: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database, database:
        # Triggers of spatial indexes call functions that only GDAL has.
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        return [row for statement in statements for row in database.execute(statement)]


def add_layer(path: Path) -> None:
    gpd.GeoDataFrame({"a": [1]}, geometry=[box(0, 0, 1, 1)], crs=32651).to_file(path, layer="my field work")


ADDED: dict[str, Callable[[Path], object]] = {
    "a layer": add_layer,
    "a table": lambda path: sql(path, "CREATE TABLE notes (text)"),
    "a project": lambda path: sql(path, "CREATE TABLE qgis_projects (name TEXT, content BLOB)"),
    "a field": lambda path: sql(path, "ALTER TABLE landslides ADD COLUMN checked_by TEXT"),
    "changed areas": lambda path: sql(path, "UPDATE analysed SET reason = 'my remark'"),
}


@pytest.mark.parametrize("add", ADDED.values(), ids=ADDED)
def test_what_would_be_lost_stops_by_name(add: Callable[[Path], object], tmp_path: Path) -> None:
    path = write_result(tmp_path / "results")
    refuse_added(path, KIND)
    add(path)
    with pytest.raises(OutputExistsError) as caught:
        refuse_added(path, KIND)
    assert caught.value.code == "E404"


@pytest.mark.parametrize(
    "review",
    [
        "UPDATE landslides SET review = 'confirmed', comment = 'seen', reviewer = 'A', reviewed_at = 'now'",
        "INSERT INTO landslides (review) VALUES ('added')",
        "UPDATE layer_styles SET styleQML = 'mine'",
        "DELETE FROM landslides",
    ],
)
def test_reviews_and_styles_stop_nothing(review: str, tmp_path: Path) -> None:
    path = write_result(tmp_path / "results")
    sql(path, review)
    refuse_added(path, KIND)


def test_what_is_not_of_a_run_is_left_to_others(tmp_path: Path) -> None:
    path = write_result(tmp_path / "results")
    add_layer(path)
    path.with_name(KIND.manifest).unlink()
    refuse_added(path, KIND)
    refuse_added(tmp_path / "none" / LANDSLIDES, KIND)


def styles(path: Path) -> set[tuple[object, ...]]:
    return set(sql(path, "SELECT f_table_name, styleName, styleQML, useAsDefault FROM layer_styles"))


def test_styles_of_a_person_are_taken_over(tmp_path: Path) -> None:
    old, new = write_result(tmp_path / "old"), write_result(tmp_path / "new")
    ours = styles(new)
    take_over_styles(old, new, KIND)
    assert styles(new) == ours
    sql(
        old,
        "UPDATE layer_styles SET styleQML = 'mine' WHERE f_table_name = 'analysed'",
        "INSERT INTO layer_styles (f_table_name, styleName, styleQML, useAsDefault) "
        "VALUES ('landslides', 'by area', 'red', 1)",
        "INSERT INTO layer_styles (f_table_name, styleName, styleQML, useAsDefault) "
        "VALUES ('gone', 'x', 'y', 1)",
    )
    take_over_styles(old, new, KIND)
    (default,) = (style for style in ours if style[0] == "landslides")
    assert styles(new) == {
        ("analysed", "analysed", "mine", 1),
        ("landslides", "by area", "red", 1),
        (*default[:3], 0),
    }


@pytest.mark.parametrize(("overwrite", "code"), [(False, "E401"), (True, "E404")])
def test_a_result_of_an_earlier_version_is_not_replaced(overwrite: bool, code: str, tmp_path: Path) -> None:
    """Its manifest has no seal, and no hashes of tables."""
    path = write_result(tmp_path / "results")
    manifest = path.with_name(KIND.manifest)
    manifest.write_text(json.dumps({k: v for k, v in json.loads(manifest.read_text()).items() if k != SEAL}))
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with (
        raised(code, messages.EARLIER_VERSION),
        outputs(path.parent, KIND, overwrite=overwrite, carried=(LANDSLIDES,)),
    ):
        pass
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_a_link_to_a_file_elsewhere_is_not_replaced(tmp_path: Path) -> None:
    path = write_result(tmp_path / "results")
    path.rename(tmp_path / "elsewhere.gpkg")
    path.symlink_to(tmp_path / "elsewhere.gpkg")
    with (
        pytest.raises(OutputExistsError) as caught,
        outputs(path.parent, KIND, overwrite=True, carried=(LANDSLIDES,)),
    ):
        pass
    assert caught.value.code == "E404"
    assert path.is_symlink()


@pytest.mark.parametrize(
    "outputs_of_run", [5, [], "x", {"candidates.gpkg": 3}, {"candidates.gpkg": {"bytes": "x"}}, {"../a": {}}]
)
def test_damaged_manifests_are_refused_where_outlines_are_redrawn(
    outputs_of_run: object, tmp_path: Path
) -> None:
    path = write_result(tmp_path / "results")
    path.with_name("candidates.gpkg").write_bytes(b"")
    document = {"format_version": FORMAT_VERSION, "outputs": outputs_of_run}
    path.with_name("run.json").write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        redraw(path.parent, tmp_path / "out")
    assert caught.value.code in {"E174", "E175"}


def sqlite_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE a (b)")


SPOILED: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(5000)),
    "text": lambda path: path.write_text("hello"),
    "another database": sqlite_alone,
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "gone": str,
}


@pytest.mark.filterwarnings("ignore:GPKG:RuntimeWarning")
@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_spoiled_geopackage_has_its_code_and_waits_for_nothing(
    spoil: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / LANDSLIDES
    spoil(path)
    for read in (lambda: read_layer(path, "landslides"), lambda: read_reviews(path)):
        with pytest.raises(InputError) as caught:
            read()
        assert caught.value.code == "E170"
