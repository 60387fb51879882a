"""``landslide-map outline``: outlines redrawn from a stored result."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import geopandas as gpd
import pyogrio
import pytest
import shapely

from landslide_map import map_scene
from landslide_map.errors import LandslideMapError
from landslide_map.mapping.redraw import REDRAWN, redraw
from landslide_map.products import FILES
from landslide_map.products.columns import titles_of
from landslide_map.products.formats import add_formats
from landslide_map.products.project import write_zipped
from landslide_map.runtime.own_files import Kind, foreign
from tests.support.made_once import made_once
from tests.support.sample_scene import DENSE, cut_sample


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def made(folder: Path) -> Path:
        scene = cut_sample(folder / "scene", DENSE, (128, 128), images=False)
        return map_scene(scene, folder / "results").out

    return made_once(tmp_path_factory, "redraw", made)


def layer(folder: Path, name: str = "landslides") -> gpd.GeoDataFrame:
    return gpd.read_file(folder / "landslides.gpkg", layer=name)


def test_the_run_s_own_threshold_draws_the_run_s_own_outlines(results: Path, tmp_path: Path) -> None:
    made = redraw(results, tmp_path / "same")
    old, new = layer(results), layer(tmp_path / "same")
    assert made.landslides == made.before == len(old) > 5
    assert new["uid"].tolist() == old["uid"].tolist()
    assert new.geometry.geom_equals(old.geometry).all()
    for name in ("windows", "analysed"):
        assert layer(tmp_path / "same", name).equals(layer(results, name))


def test_a_higher_threshold_draws_fewer_and_names_the_run(results: Path, tmp_path: Path) -> None:
    old = layer(results)
    threshold = float(old["probability"].median()) + 1e-4
    redraw(results, tmp_path, threshold=threshold, overwrite=True)
    new = layer(tmp_path)
    assert set(new["uid"]) == set(old.loc[old["probability"] >= threshold, "uid"])
    assert new["id"].tolist() == list(range(1, len(new) + 1))
    tags = pyogrio.read_info(tmp_path / "landslides.gpkg", layer="landslides")["layer_metadata"]
    assert {tags[name] for name in tags if name.startswith("outline_threshold_")} == {f"{threshold:g}"}
    account = json.loads((tmp_path / REDRAWN).read_text())
    assert account["parent"]["path"] == str(results)
    assert account["threshold"] == threshold


def test_windows_of_a_larger_stride_are_those_of_a_run_at_it(tmp_path: Path) -> None:
    scene = cut_sample(tmp_path / "scene", DENSE, (152, 152), images=False)
    for stride in (16, 48):
        map_scene(scene, tmp_path / str(stride), stride=stride)
    redraw(tmp_path / "16", tmp_path / "out", stride=48)
    assert len(layer(tmp_path / "48", "windows")) > 0
    for name in ("windows", "analysed"):
        found, expected = layer(tmp_path / "out", name), layer(tmp_path / "48", name)
        assert found.geometry.geom_equals(expected.geometry).all()
        assert found.drop(columns="geometry").equals(expected.drop(columns="geometry"))
    of_run = layer(tmp_path / "16", "windows")
    assert layer(tmp_path / "out", "windows").area.sum() != pytest.approx(of_run.area.sum())
    assert layer(tmp_path / "out")["uid"].tolist() == layer(tmp_path / "16")["uid"].tolist()
    assert json.loads((tmp_path / "out" / REDRAWN).read_text())["stride"] == 48
    for stride in (8, 24, 80):
        with pytest.raises(LandslideMapError) as error:
            redraw(tmp_path / "16", tmp_path / "none", stride=stride)
        assert error.value.code == "E433"
    with (tmp_path / "16" / "windows.nc").open("ab") as file:
        file.write(b"edited")
    with pytest.raises(LandslideMapError) as error:
        redraw(tmp_path / "16", tmp_path / "none", stride=32)
    assert error.value.code == "E175"


def test_a_mask_in_another_projection_is_cut_out(results: Path, tmp_path: Path) -> None:
    old = layer(results)
    left, bottom, right, top = old.total_bounds
    half = gpd.GeoSeries([shapely.box(left - 100, bottom - 100, (left + right) / 2, top + 100)], crs=old.crs)
    half.to_crs(4326).to_file(tmp_path / "mask.gpkg")
    redraw(results, tmp_path / "out", mask=tmp_path / "mask.gpkg")
    new = layer(tmp_path / "out")
    assert 0 < len(new) < len(old)
    inside = new.geometry.intersection(half.iloc[0]).area.sum()
    outside = old.geometry.difference(half.iloc[0]).area.sum()
    assert inside < 1e-3 * new.geometry.area.sum()
    assert new.geometry.area.sum() == pytest.approx(outside, rel=0.01)


def test_outlines_of_an_earlier_map_are_left_out(results: Path, tmp_path: Path) -> None:
    earlier = layer(results).iloc[:3]
    earlier.to_file(tmp_path / "earlier.gpkg", layer="landslides")
    redraw(results, tmp_path / "out", subtract=tmp_path / "earlier.gpkg")
    assert set(layer(tmp_path / "out")["uid"]) == set(layer(results)["uid"].iloc[3:])


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.5, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(
    results: Path, tmp_path: Path, threshold: float
) -> None:
    with pytest.raises(LandslideMapError) as error:
        redraw(results, tmp_path / "out", threshold=threshold)
    assert error.value.code == "E431"
    assert not (tmp_path / "out").exists()


def test_nothing_is_replaced_unasked_and_a_changed_result_is_refused(results: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(results, copy)
    before = (copy / "landslides.gpkg").read_bytes()
    with pytest.raises(LandslideMapError) as error:
        redraw(copy)
    assert error.value.code == "E432"
    with (copy / "outline_probability.tif").open("ab") as file:
        file.write(b"edited")
    with pytest.raises(LandslideMapError) as error:
        redraw(copy, overwrite=True)
    assert error.value.code == "E175"
    (copy / "outline_probability.tif").write_bytes((results / "outline_probability.tif").read_bytes())
    (copy / "probability.tif").unlink()
    with pytest.raises(LandslideMapError) as error:
        redraw(copy, overwrite=True)
    assert error.value.code == "E175"
    (copy / "run.json").write_text("{}")
    with pytest.raises(LandslideMapError) as error:
        redraw(copy, overwrite=True)
    assert error.value.code == "E174"
    assert (copy / "landslides.gpkg").read_bytes() == before


def test_in_its_own_folder_the_run_s_other_files_stay(results: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(results, copy)
    others = {path.name: path.read_bytes() for path in copy.iterdir() if path.suffix in {".tif", ".nc"}}
    threshold = float(layer(results)["probability"].median()) + 1e-4
    first = redraw(copy, threshold=threshold, overwrite=True)
    assert len(layer(copy)) == first.landslides < first.before
    assert {name: (copy / name).read_bytes() for name in others} == others
    assert (copy / REDRAWN).exists()
    assert redraw(copy, overwrite=True).landslides == len(layer(results))


def test_a_verdict_whose_outline_is_gone_is_kept_and_reported(results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reviewed"
    shutil.copytree(results, folder)
    old = layer(folder)
    last = int(old["id"].max())
    reviewed = pyogrio.read_dataframe(folder / "landslides.gpkg", layer="landslides")
    reviewed.loc[reviewed["id"] == last, "review"] = "rejected"
    pyogrio.write_dataframe(reviewed, folder / "landslides.gpkg", layer="landslides")
    made = redraw(folder, threshold=float(old["probability"].iloc[0]) - 1e-4, overwrite=True)
    assert [notice.code for notice in made.notices] == ["I430"]
    assert made.before == len(old) > made.landslides
    assert layer(folder, "reviews_kept")["id"].tolist() == [last]


def test_every_column_is_explained_and_the_report_gives_the_evidence(results: Path) -> None:
    columns = pyogrio.read_info(results / "landslides.gpkg", layer="landslides")["fields"]
    assert set(titles_of("landslides", columns)) == set(columns)
    assert "; evidence: optical 0." in (results / "report.html").read_text()


SHOWING = ("report.html", "quicklook.png", "landslides.qgz", "item.json", "landslides.geojson")


def counted(folder: Path) -> set[int]:
    """Return how many outlines the files of a folder speak of."""
    found = {len(layer(folder))}
    if (folder / "item.json").exists():
        found.add(json.loads((folder / "item.json").read_text())["properties"]["landslide_map:outlines"])
        found.add(len(gpd.read_file(folder / "landslides.geojson")))
    (shown,) = re.findall(r"([0-9,]+) outlines were found", (folder / "report.html").read_text())
    return found | {int(shown.replace(",", ""))}


def test_files_that_show_outlines_show_the_new_ones(results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "result"
    shutil.copytree(results, folder)
    add_formats(folder, ["geojson"])
    of_run = {name: (folder / name).read_bytes() for name in SHOWING}
    redraw(folder, overwrite=True)
    assert {name: (folder / name).read_bytes() for name in SHOWING} == of_run
    threshold = float(layer(results)["probability"].median()) + 1e-4
    made = redraw(folder, threshold=threshold, overwrite=True)
    assert made.landslides < made.before
    assert {name for name in SHOWING if (folder / name).read_bytes() == of_run[name]} == set()
    assert counted(folder) == {made.landslides}
    assert f"threshold {threshold:g}" in (folder / "report.html").read_text()
    elsewhere = redraw(results, tmp_path / "out", threshold=threshold)
    assert counted(tmp_path / "out") == {elsewhere.landslides} == {made.landslides}
    for name in ("report.html", "quicklook.png"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()
    redraw(folder, overwrite=True)
    assert {name: (folder / name).read_bytes() for name in SHOWING} == of_run
    map_again = Kind("run.json", FILES)
    assert foreign(folder, map_again).keys() <= {"landslides.gpkg"}


def test_a_saved_project_stays_and_an_own_profile_s_file_is_written_again_or_removed(
    results: Path, tmp_path: Path
) -> None:
    folder, profile = tmp_path / "result", tmp_path / "mine.yaml"
    shutil.copytree(results, folder)
    profile.write_text("layers: {mine: {rows: landslides, columns: {number: '{id}'}}}\n")
    add_formats(folder, [str(profile)])
    write_zipped(folder / "landslides.qgz", '<qgis saveDateTime="2026-11-28T20:00:00"><title/></qgis>')
    saved = (folder / "landslides.qgz").read_bytes()
    threshold = float(layer(results)["probability"].median()) + 1e-4
    made = redraw(folder, threshold=threshold, formats=[str(profile)], overwrite=True)
    assert [notice.code for notice in made.notices] == ["I431"]
    assert len(gpd.read_file(folder / "landslides_exchange.gpkg")) == made.landslides
    made = redraw(folder, overwrite=True)
    assert sorted(notice.code for notice in made.notices) == ["I431", "I432"]
    assert not (folder / "landslides_exchange.gpkg").exists()
    assert "landslides_exchange.gpkg" not in json.loads((folder / "run.json").read_text())["outputs"]
    assert (folder / "landslides.qgz").read_bytes() == saved


def review(folder: Path, number: int, verdict: str, comment: str = "") -> None:
    """Write a verdict as a person would."""
    reviewed = pyogrio.read_dataframe(folder / "landslides.gpkg", layer="landslides")
    reviewed.loc[reviewed["id"] == number, ["review", "comment"]] = (verdict, comment)
    pyogrio.write_dataframe(reviewed, folder / "landslides.gpkg", layer="landslides")


def test_reviews_go_along_to_another_folder(results: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "reviewed", tmp_path / "out"
    shutil.copytree(results, folder)
    old = layer(folder)
    last = int(old["id"].max())
    review(folder, 1, "confirmed", "of the run")
    review(folder, 2, "rejected")
    review(folder, last, "unsure")
    least = float(old["probability"].iloc[-1]) + 1e-4
    made = redraw(folder, out, threshold=least)
    assert [notice.code for notice in made.notices] == ["I430"]
    verdicts = layer(out).set_index("uid")["review"]
    assert verdicts[old["uid"].iloc[0]] == "confirmed"
    assert verdicts[old["uid"].iloc[1]] == "rejected"
    assert layer(out, "reviews_kept")["review"].tolist() == ["unsure"]
    review(out, 1, "rejected", "of the second review")
    review(folder, 3, "confirmed")
    redraw(folder, out, threshold=least, overwrite=True)
    again = layer(out).set_index("uid")
    assert again["review"].value_counts().to_dict() == {
        "unseen": len(again) - 3,
        "rejected": 2,
        "confirmed": 1,
    }
    assert again["comment"].iloc[0] == "of the second review"
    assert len(layer(out, "reviews_kept")) == 1
    assert layer(folder)["review"].tolist()[:3] == ["confirmed", "rejected", "confirmed"]


def test_the_least_area_of_the_run_holds_until_another_is_given(results: Path, tmp_path: Path) -> None:
    areas = layer(results)["area_m2"]
    least = float(areas.median()) + 1
    scene = results.parent / "scene" / "scene.yaml"
    text = scene.read_text().replace("{images: false}", f"{{images: false, min_area_m2: {least}}}")
    other = scene.with_name("least.yaml")
    other.write_text(text)
    map_scene(other, tmp_path / "run")
    assert len(layer(tmp_path / "run")) == (areas >= least).sum()
    made = redraw(tmp_path / "run", tmp_path / "same")
    assert made.landslides == made.before == (areas >= least).sum()
    assert [notice.code for notice in made.notices] == ["I420"]
    assert redraw(tmp_path / "run", tmp_path / "all", min_area_m2=0).landslides == len(areas)
