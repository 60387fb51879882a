"""scene.yaml: what is accepted, what it becomes, and how each mistake is answered."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from landslide_map.errors import SceneError
from landslide_map.scene.model import Scene, load_scene
from tests.support import messages
from tests.support.raised import raised

MINIMAL = "event: {time: 2024-04-02T23:58:00Z}\ns2: {post: s2.tif}\n"
RADAR = """\
s1:
  descending:
    pre: [{vv: a_vv.tif, vh: a_vh.tif, units: db, datetime: 2024-03-29T21:00:00Z}]
    post: [{path: b.tif, bands: {vv: 1, vh: 2}, units: power, pass: descending}]
  ascending: {composite: asc.tif}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "scene.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> SceneError:
    with pytest.raises(SceneError) as caught:
        load_scene(write(folder, text))
    assert caught.value.exit_status == 3
    assert "scene.yaml" in caught.value.message
    return caught.value


def test_a_minimal_scene_has_the_documented_defaults(tmp_path: Path) -> None:
    scene = load_scene(write(tmp_path, MINIMAL))
    assert scene.event.time == datetime(2024, 4, 2, 23, 58, tzinfo=UTC)
    assert (scene.grid, scene.bundle, scene.stride, scene.threshold) == (None, None, 64, None)
    assert scene.min_valid_fraction == 0.75
    assert scene.output.min_area_m2 == 0
    assert scene.s2 is not None
    assert (scene.s2.post.units, scene.s2.post.offset) == ("dn", "auto")


def test_paths_resolve_against_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    path = write(tmp_path / "data", MINIMAL + RADAR + "dem: ../dem.tif\n")
    monkeypatch.chdir(tmp_path)
    scene = load_scene(path.relative_to(tmp_path))
    assert scene.s2 is not None
    assert scene.s2.post.path == tmp_path / "data" / "s2.tif"
    assert scene.dem is not None
    assert scene.dem[0].resolve() == tmp_path / "dem.tif"
    assert scene.s1 is not None
    assert scene.s1.tracks["descending"].pre is not None
    assert scene.s1.tracks["descending"].pre[0].vv == (tmp_path / "data" / "a_vv.tif",)
    composite = scene.s1.tracks["ascending"].composite
    assert composite is not None
    assert composite.path == tmp_path / "data" / "asc.tif"


def test_pass_is_read_as_the_orbit_of_an_item(tmp_path: Path) -> None:
    scene = load_scene(write(tmp_path, MINIMAL + RADAR))
    assert scene.s1 is not None
    post = scene.s1.tracks["descending"].post
    assert post is not None
    assert post[0].orbit == "descending"
    assert post[0].bands is not None
    assert (post[0].bands.vv, post[0].bands.vh) == (1, 2)


def test_a_tilde_that_is_no_users_folder_is_part_of_a_name(tmp_path: Path) -> None:
    scene = load_scene(write(tmp_path, MINIMAL + "dem: ~temp.tif\n"))
    assert scene.dem == (tmp_path / "~temp.tif",)


def test_times_of_any_zone_become_utc(tmp_path: Path) -> None:
    scene = load_scene(write(tmp_path, MINIMAL.replace("23:58:00Z", "23:58:00+08:00")))
    assert scene.event.time == datetime(2024, 4, 2, 15, 58, tzinfo=UTC)
    assert scene.event.time.utcoffset() == UTC.utcoffset(None)


def test_a_byte_order_mark_from_a_windows_editor_does_not_matter(tmp_path: Path) -> None:
    assert load_scene(write(tmp_path, "\ufeff" + MINIMAL)).stride == 64


def test_the_command_line_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = MINIMAL + "stride: 32\nthreshold: 0.3\nbundle: mine\n"
    kept = load_scene(write(tmp_path, text))
    assert (kept.stride, kept.threshold, kept.bundle) == (32, 0.3, tmp_path / "mine")
    over = load_scene(write(tmp_path, text), bundle="other", stride=16, threshold=0.6)
    assert (over.stride, over.threshold, over.bundle) == (16, 0.6, tmp_path / "other")
    assert load_scene(write(tmp_path, text), bundle="default").bundle is None


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("strid: 8\n", "did you mean stride?"),
        ("s2: {post: {path: a.tif, unit: dn}}\n", "did you mean s2.post.units?"),
        (
            "s1: {descending: {pre: {vv: a, vh: b, Units: db}, post: c}}\n",
            "did you mean s1.descending.pre[0].units?",
        ),
        ("s1: {decending: {composite: a}}\n", "did you mean s1.descending?"),
        ("s2: {post: {path: a, bands: {rad: 1}}}\n", "did you mean s2.post.bands.red?"),
        ("s2: {post: {red: a}}\n", "did you mean s2.post.bands.red?"),
        ("nonsense: 1\n", "Valid keys of the scene: event, grid, s2, s1, dem"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_valid_one(
    tmp_path: Path, wrong: str, right: str
) -> None:
    error = refusal(tmp_path, "event: {time: 2024-04-02T23:58:00Z}\n" + wrong)
    assert error.code == "E002"
    assert right in error.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds nothing"),
        ("- a\n- b\n", "holds a list"),
        ("event: [\n", "not YAML"),
        ("\tevent: 1\n", "line 1: not YAML"),
        (MINIMAL + "s2: {post: other.tif}\n", 'line 3: found duplicate key "s2"'),
        (MINIMAL + "dem: !!python/name:os.system x\n", "not YAML"),
        ("event: " + 500 * "[", "not YAML: brackets or mappings are nested too deeply"),
        (MINIMAL + "stride: !!int many\n", "not YAML: invalid literal"),
    ],
)
def test_what_is_no_yaml_mapping_is_refused(tmp_path: Path, text: str, said: str) -> None:
    error = refusal(tmp_path, text)
    assert error.code == "E001"
    assert said in error.message


def test_a_missing_file_a_folder_and_binary_are_refused(tmp_path: Path) -> None:
    with raised("E001", messages.NO_SUCH_FILE) as missing:
        load_scene(tmp_path / "scene.yaml")
    with raised("E001", messages.IS_A_FOLDER) as folder:
        load_scene(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"II*\x00\xff\xfe\x80")
    with raised("E001", "not UTF-8") as binary:
        load_scene(tmp_path / "binary.yaml")
    assert {missing.value.code, folder.value.code, binary.value.code} == {"E001"}


@pytest.mark.parametrize("when", ["2024-04-02T23:58:00", "2024-04-02", "2024-04-02 23:58"])
def test_a_time_without_zone_is_refused(tmp_path: Path, when: str) -> None:
    error = refusal(tmp_path, f"event: {{time: {when}}}\ns2: {{post: a}}\n")
    assert error.code == "E390"
    assert "event.time" in error.message
    assert "write UTC with a Z" in error.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("event: {time: 20240402}\ns2: {post: a}\n", "event.time: expected a time such as"),
        ("s2: {post: a}\n", "event: this key is missing"),
        ("event: {time: 2024-04-02T23:58:00Z}\n", "there is nothing to map"),
        ("event: {time: 2024-04-02T23:58:00Z}\ns1: {}\n", "there is nothing to map"),
        (MINIMAL + "stride: 7\n", "stride: input should be greater than or equal to 8; found 7"),
        (MINIMAL + "stride: 65\n", "stride: input should be less than or equal to 64; found 65"),
        (MINIMAL + "stride: 12.5\n", "stride"),
        (MINIMAL + "threshold: 1.5\n", "threshold"),
        (MINIMAL + "threshold: .nan\n", "threshold"),
        (MINIMAL + "min_valid_fraction: 0\n", "min_valid_fraction"),
        (MINIMAL + "dem: ''\n", "dem[0]: expected a path"),
        (MINIMAL + "dem: https://example.org/dem.tif\n", "dem[0]: expected a file on this machine"),
        (
            MINIMAL + f"grid: {{aoi: 'POLYGON (({60 * '1 2, '}))'}}\n",
            "grid.aoi: expected a path; found text of",
        ),
        (MINIMAL.replace("2024-04-02T23:58:00Z", "9999-12-31T23:58:00-12:00"), "event.time: expected a time"),
        (MINIMAL + "grid: utm\n", "grid: expected a mapping; found 'utm'"),
        (MINIMAL + "grid: {epsg: 32633, ulx: 0}\n", "missing uly, width, height"),
        (MINIMAL + "grid: {aoi: a.gpkg, width: 3}\n", "either aoi or ulx"),
        ("event: {time: 2024-04-02T23:58:00Z}\ns2: {post: {units: dn}}\n", "expected path"),
        (MINIMAL.replace("s2.tif", "{path: a, B04: b}"), "either path or single-band files"),
        (MINIMAL.replace("s2.tif", "{B04: b, bands: {red: 1}}"), "band files have one band each"),
        (MINIMAL.replace("s2.tif", "{path: b, bands: {red: 1, nir: 1}}"), "a different number for each band"),
        (MINIMAL + "s1: {ascending: {pre: [a]}}\n", "s1.ascending: expected pre and post"),
        (MINIMAL + "s1: {ascending: {pre: [], post: [a]}}\n", "s1.ascending.pre"),
        (MINIMAL + "s1: {ascending: {composite: a, pre: b, post: c}}\n", "either composite, or pre and post"),
        (MINIMAL + "s1: {ascending: {pre: {vv: a}, post: b}}\n", "expected both vv and vh"),
        (
            MINIMAL + "s1: {ascending: {pre: {vv: a, vh: b, units: DB}, post: b}}\n",
            "'db', 'power' or 'amplitude'",
        ),
        (MINIMAL + "s1: {ascending: {pre: {path: a, relative_orbit: 176}, post: b}}\n", "relative_orbit"),
        (MINIMAL + "s1: {ascending: {pre: {path: a, platform: S2A}, post: b}}\n", "platform"),
    ],
)
def test_an_invalid_value_is_named_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    error = refusal(tmp_path, text)
    assert error.code == "E003"
    assert said in error.message
    assert "\n" not in error.message


def test_an_unknown_key_is_reported_before_what_it_causes(tmp_path: Path) -> None:
    error = refusal(tmp_path, MINIMAL + "s1: {ascending: {composit: a}}\n")
    assert error.code == "E002"
    assert "s1.ascending.composite" in error.message


@given(
    stride=st.integers(8, 64),
    threshold=st.none() | st.floats(0.01, 0.99),
    nodata=st.none() | st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=2),
    zone=st.integers(-12, 12),
    aoi=st.booleans(),
)
def test_a_scene_survives_being_written_and_read_again(
    tmp_path_factory: pytest.TempPathFactory,
    stride: int,
    threshold: float | None,
    nodata: list[float] | None,
    zone: int,
    aoi: bool,
) -> None:
    folder = tmp_path_factory.mktemp("scene")
    document = {
        "event": {"time": f"2024-04-02T12:00:00{zone:+03d}:00"},
        "grid": {"aoi": "aoi.gpkg"} if aoi else "s2",
        "s2": {"post": {"B04": "r.tif", "B03": "g.tif", "B02": "b.tif", "B08": "n.tif", "nodata": nodata}},
        "s1": {
            "ascending": {"pre": {"vv": ["a", "b"], "vh": ["c", "d"], "pass": "ascending"}, "post": "p.tif"}
        },
        "stride": stride,
        "threshold": threshold,
    }
    first = Scene.model_validate(document, context={"folder": folder})
    with (folder / "scene.yaml").open("w") as file:
        YAML(typ="safe").dump(json.loads(first.model_dump_json(by_alias=True)), file)
    assert load_scene(folder / "scene.yaml") == first


def test_every_yaml_block_of_the_documentation_is_a_valid_scene(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "scene-format.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 8
    for block in blocks:
        load_scene(write(tmp_path, block))


def test_the_documentation_names_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "scene-format.md").read_text()

    def names(schema: dict[str, object]) -> set[str]:
        found = set(schema.get("properties", {}))  # type: ignore[call-overload]
        for child in schema.get("$defs", {}).values():  # type: ignore[attr-defined]
            found |= names(child)
        return found

    assert {name for name in names(Scene.model_json_schema()) if f"`{name}`" not in page} == set()
