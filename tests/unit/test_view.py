"""The page of `landslide-map view`: permitted requests, answers, saved reviews, refusals."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from PIL import Image
from starlette.testclient import TestClient

from landslide_map import map_scene
from landslide_map.errors import InputError, LandslideMapError, UsageError
from landslide_map.products import FILES
from landslide_map.products.compare import compare_results
from landslide_map.products.reviews import read_reviews, uids
from landslide_map.runtime.transaction import locked
from landslide_map.view import app
from landslide_map.view.contents import opened
from landslide_map.view.guard import HEADERS, Guard, new_token
from landslide_map.view.server import serve
from tests.browser.make_patches import patch, write_bundle
from tests.support.loopback import loopback
from tests.support.raised import raised
from tests.support.sample_scene import DENSE, cut_sample

TOKEN = "right-token"
PORT = 8000
ADDRESS = f"http://127.0.0.1:{PORT}"


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view")
    scene = cut_sample(folder / "scene", DENSE, (128, 128))
    scene.write_text(re.sub(r"  pre:\n    - {B02.*\n", "", scene.read_text()))  # no image before
    map_scene(scene, folder / "results")
    return folder / "results"


@pytest.fixture
def result(mapped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(mapped, tmp_path / "results"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "pixels")


def client(page: app.Page, token: str = TOKEN, **headers: str) -> TestClient:
    gate = Guard(app.make_app(page), TOKEN, PORT)
    return TestClient(gate, f"{ADDRESS}/{token}/", headers=headers, raise_server_exceptions=False)


@pytest.fixture
def page(result: Path) -> Iterator[TestClient]:
    with opened([result], []) as content:
        yield client(content)


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.fixture
def lab(bundle: Path) -> Iterator[TestClient]:
    with opened([], [bundle]) as content:
        yield client(content)


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


# Permitted requests ------------------------------------------------------------------------------------


def test_every_address_needs_the_token(result: Path) -> None:
    with opened([result], []) as content:
        for token in ("wrong", "", TOKEN[:-1], TOKEN + "x", "ä"):
            stranger = client(content, token)
            for address in ("", "result", "outlines", "export/confirmed.gpkg", "style.css"):
                assert code_of(stranger.get(address)) == (403, "E450")
            assert code_of(stranger.post("verdict", json={})) == (403, "E450")


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "attacker.example:8000"},
        {"host": "127.0.0.1:8001"},
        {"host": "127.0.0.1"},
        {"origin": "http://attacker.example"},
        {"origin": "null"},
        {"origin": "https://127.0.0.1:8000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_names_of_this_machine_and_other_pages_are_refused(
    page: TestClient, headers: dict[str, str]
) -> None:
    assert code_of(page.get("result", headers=headers)) == (403, "E450")
    assert code_of(page.post("redraw", json={"threshold": 0.6}, headers=headers)) == (403, "E450")


def test_the_page_itself_is_permitted(page: TestClient) -> None:
    same = {"origin": ADDRESS, "sec-fetch-site": "same-origin"}
    assert page.get("result", headers=same).status_code == 200
    assert page.get("result", headers={"host": f"localhost:{PORT}"}).status_code == 200


def test_tokens_are_long_and_new_each_time() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert len(new_token()) >= 32


def test_every_answer_forbids_what_the_page_does_not_need(page: TestClient) -> None:
    for answer in (page.get(""), page.get("nothing"), page.get(f"{ADDRESS}/")):
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    for name in ("", "results.js", "patches.js", "common.js", "navigation.js", "style.css"):
        text = page.get(name).text
        assert "http://" not in text
        assert "https://" not in text


@pytest.mark.parametrize(
    "address",
    [
        "run.json",
        "export/run.json",
        "export/..%2Frun.json",
        "%2e%2e/%2e%2e/etc/passwd",
        "tiles/..%2Frun/0/0/0.png",
        "tiles/run/0/0/0.png",
        "tiles/probability/0/9/9.png",
        "tiles/probability/-1/0/0.png",
        "tiles/probability/99/0/0.png",
        "tiles/image_before/0/0/0.png",
        "patches",
        "docs",
    ],
)
def test_only_known_names_are_answered(page: TestClient, address: str) -> None:
    assert code_of(page.get(address)) == (404, "E451")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "POST"])
def test_other_methods_are_refused(page: TestClient, method: str) -> None:
    assert code_of(page.request(method, "outlines")) == (405, "E451")


def test_a_server_listens_to_this_machine_alone_and_a_taken_port_is_refused() -> None:
    from landslide_map.view.server import _listening

    with _listening(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        with pytest.raises(LandslideMapError) as caught:
            serve(Guard(None, TOKEN, 0), listener.getsockname()[1], print)  # type: ignore[arg-type]
    assert caught.value.code == "E641"


# A result ----------------------------------------------------------------------------------------------


def test_tiles_show_the_pixels_of_the_files(page: TestClient, result: Path) -> None:
    shown = np.asarray(Image.open(BytesIO(page.get("tiles/image_after/0/0/0.png").content)))
    with rasterio.open(result / "image_after.tif") as source:
        stored, there = source.read(), source.dataset_mask()
    rows, cols = there.shape
    assert shown.shape == (256, 256, 4)
    assert np.array_equal(np.moveaxis(shown[:rows, :cols, :3], 2, 0), stored)
    assert np.array_equal(shown[:rows, :cols, 3], there)
    assert not shown[rows:].any()
    clear = np.asarray(Image.open(BytesIO(page.get("tiles/outline_probability/0/0/0.png").content)))[..., 3]
    with rasterio.open(result / "outline_probability.tif") as source:
        values = source.read(1, masked=True).filled(0)
    assert np.array_equal(clear[:rows, :cols] > 0, values > 0.25 / 110 / 2)


def test_outlines_are_those_of_the_layer_and_the_other_candidates(page: TestClient, result: Path) -> None:
    drawn = gpd.read_file(result / "landslides.gpkg", layer="landslides")
    candidates = gpd.read_file(result / "candidates.gpkg", layer="candidates")
    found = page.get("outlines").json()["outlines"]
    assert [own["u"] for own in found if "fid" in own] == drawn["uid"].tolist()
    assert {own["u"] for own in found} == set(candidates["uid"])
    assert page.get("result").json()["thresholds"] == pytest.approx({"image": 0.449, "radar": 0.506}, abs=0.2)


def verdict(outline: dict[str, Any], **changed: Any) -> dict[str, Any]:
    said = {
        "review": "confirmed",
        "comment": "fresh",
        "reviewer": "Ada",
        "seen": [outline["v"], outline["c"]],
    }
    return {"fid": outline["fid"], "shape": outline["shape"], **said, **changed}


def outlines_of(page: TestClient) -> list[dict[str, Any]]:
    return [own for own in page.get("outlines").json()["outlines"] if "fid" in own]


def test_a_verdict_changes_its_row_alone_and_is_one_for_all_else(page: TestClient, result: Path) -> None:
    before = gpd.read_file(result / "landslides.gpkg", layer="landslides")
    outline = outlines_of(page)[2]
    tally = page.post("verdict", json=verdict(outline)).json()
    assert tally["counts"]["confirmed"] == 1
    after = gpd.read_file(result / "landslides.gpkg", layer="landslides")
    assert after.drop(index=2).equals(before.drop(index=2))
    assert after.loc[2, ["review", "comment", "reviewer"]].tolist() == ["confirmed", "fresh", "Ada"]
    assert after["uid"].tolist() == uids(after)
    (kept,) = read_reviews(result / "landslides.gpkg").to_dict("records")
    assert (kept["uid"], kept["review"], kept["edited"]) == (outline["u"], "confirmed", False)
    with closing(sqlite3.connect(result / "landslides.gpkg")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_redrawing_keeps_verdicts_and_is_what_outline_does(page: TestClient, result: Path) -> None:
    outline = outlines_of(page)[0]
    page.post("verdict", json=verdict(outline))
    made = page.post("redraw", json={"threshold": 0.3}).json()["landslides"]
    after = outlines_of(page)
    assert made == len(after)
    assert [own["v"] for own in after if own["u"] == outline["u"]] == ["confirmed"]
    assert json.loads((result / "outline.json").read_text())["threshold"] == 0.3
    assert code_of(page.post("redraw", json={"threshold": 1.2})) == (400, "E431")
    assert code_of(page.post("redraw", json={"threshold": 10**400})) == (400, "E431")
    assert code_of(page.post("redraw", json={"threshold": "low"})) == (400, "E455")
    assert code_of(page.get(f"tiles/probability/0/{'9' * 5000}/0.png")) == (404, "E451")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"seen": ["rejected", ""]}, (409, "E453")),
        ({"shape": "0" * 16}, (409, "E453")),
        ({"fid": 10**6}, (409, "E453")),
        ({"review": "sure"}, (422, "E171")),
        ({"review": "added"}, (422, "E171")),
        ({"comment": "x" * 2001}, (400, "E455")),
        ({"comment": None}, (400, "E455")),
        ({"fid": "1; DROP TABLE landslides"}, (400, "E455")),
        ({"fid": 10**30}, (400, "E455")),
        ({"fid": True}, (400, "E455")),
        ({"comment": "\ud800"}, (400, "E455")),
        ({"reviewer": "a\0b"}, (400, "E455")),
    ],
)
def test_a_verdict_on_something_else_is_refused_and_changes_nothing(
    page: TestClient, result: Path, changed: dict[str, Any], expected: tuple[int, str]
) -> None:
    before = (result / "landslides.gpkg").read_bytes()
    content = json.dumps(verdict(outlines_of(page)[0], **changed))  # escapes half a character
    answer = page.post("verdict", content=content, headers={"content-type": "application/json"})
    assert code_of(answer) == expected
    assert (result / "landslides.gpkg").read_bytes() == before


def _without_triggers(database: sqlite3.Connection) -> None:
    """Drop triggers, which need functions of GDAL's."""
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        database.execute(f'DROP TRIGGER "{name}"')


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE landslides SET uid = CAST(x'fffe41' AS TEXT)",
        "ALTER TABLE landslides DROP COLUMN id",
        "DELETE FROM gpkg_metadata",
    ],
)
def test_layers_that_another_program_spoiled_are_refused(
    page: TestClient, result: Path, statement: str
) -> None:
    with closing(sqlite3.connect(result / "landslides.gpkg")) as database, database:
        _without_triggers(database)
        database.execute(statement)
    answers = [page.get("result"), page.get("outlines")]
    assert (422, "E170") in [code_of(answer) for answer in answers if answer.status_code != 200]
    assert 500 not in [answer.status_code for answer in answers]


def test_an_outline_without_a_number_or_probability_is_shown(page: TestClient, result: Path) -> None:
    uid = outlines_of(page)[0]["u"]
    with closing(sqlite3.connect(result / "landslides.gpkg")) as database, database:
        _without_triggers(database)
        database.execute("UPDATE landslides SET id = NULL, area_m2 = 1e999 WHERE uid = ?", (uid,))
    assert page.get("outlines").json().get("code", "") == "", page.get("outlines").text
    (shown,) = [outline for outline in outlines_of(page) if outline["u"] == uid]
    assert (shown["i"], shown["a"]) == (shown["fid"], None)


def test_a_result_of_others_leads_nowhere(page: TestClient, result: Path) -> None:
    vrt = (
        "<OGRVRTDataSource><OGRVRTLayer name='landslides'><SrcDataSource>{}</SrcDataSource></OGRVRTLayer>"
        "</OGRVRTDataSource>"
    )
    tiles = (
        "<GDAL_WMS><Service name='TMS'><ServerUrl>{}</ServerUrl></Service><DataWindow>"
        "<UpperLeftX>0</UpperLeftX><UpperLeftY>9</UpperLeftY><LowerRightX>9</LowerRightX>"
        "<LowerRightY>0</LowerRightY><SizeX>128</SizeX><SizeY>128</SizeY></DataWindow></GDAL_WMS>"
    )
    other = result.parent / "other"
    shutil.copytree(result, other)
    with loopback() as server:
        (result / "probability.tif").write_text(tiles.format(f"{server.url}/${{z}}/${{x}}/${{y}}.png"))
        assert code_of(page.get("tiles/probability/0/0/0.png")) == (422, "E101")
        with raised("E101"):
            compare_results(other, result)
        for name in ("landslides.gpkg", "candidates.gpkg"):
            (result / name).write_text(vrt.format(f"/vsicurl/{server.url}/a.gpkg"))
        for address in ("result", "outlines", "export/confirmed.gpkg"):
            assert code_of(page.get(address)) == (422, "E170")
        assert server.requests == []


def test_requests_that_are_no_objects_are_refused(page: TestClient) -> None:
    assert code_of(page.post("verdict", content=b"[1]", headers={"content-type": "application/json"})) == (
        400,
        "E455",
    )
    assert code_of(page.post("verdict", content=b'{"a": 1}')) == (400, "E455")
    long = b'{"a": "' + b"x" * 100_000 + b'"}'
    assert code_of(page.post("verdict", content=long, headers={"content-type": "application/json"})) == (
        413,
        "E452",
    )


def test_a_verdict_waits_for_no_edit_session_and_no_run(page: TestClient, result: Path) -> None:
    outline = outlines_of(page)[0]
    with closing(sqlite3.connect(result / "landslides.gpkg", isolation_level=None)) as editing:
        editing.execute("PRAGMA journal_mode=WAL")
        editing.execute("BEGIN IMMEDIATE")
        assert code_of(page.post("verdict", json=verdict(outline))) == (409, "E403")
        editing.execute("ROLLBACK")
    with locked(result):
        assert code_of(page.post("verdict", json=verdict(outline))) == (409, "E403")
        assert code_of(page.post("redraw", json={"threshold": 0.4})) == (409, "E403")
    assert page.post("verdict", json=verdict(outline)).status_code == 200


def test_verdicts_at_once_are_all_saved_and_one_of_two_on_a_row(page: TestClient, result: Path) -> None:
    outlines = outlines_of(page)[:8]
    answers: list[int] = []

    def save_review(outline: dict[str, Any], word: str) -> None:
        answers.append(page.post("verdict", json=verdict(outline, review=word)).status_code)

    work = [threading.Thread(target=save_review, args=(own, "confirmed")) for own in outlines]
    work += [threading.Thread(target=save_review, args=(outlines[0], "rejected"))]
    for one in work:
        one.start()
    for one in work:
        one.join()
    assert sorted(answers) == [200] * len(outlines) + [409]
    assert len(read_reviews(result / "landslides.gpkg")) == len(outlines)


def test_the_export_holds_confirmed_outlines_in_degrees(page: TestClient, tmp_path: Path) -> None:
    page.post("verdict", json=verdict(outlines_of(page)[0]))
    answer = page.get("export/confirmed.geojson")
    (feature,) = answer.json()["features"]
    west, south = np.min(np.concatenate(feature["geometry"]["coordinates"][0]), axis=0)
    assert -180 < west < 180
    assert -90 < south < 90
    assert answer.headers["content-disposition"] == 'attachment; filename="confirmed.geojson"'
    (tmp_path / "a.gpkg").write_bytes(page.get("export/confirmed.gpkg").content)
    assert len(gpd.read_file(tmp_path / "a.gpkg")) == 1


def test_looking_changes_no_file(page: TestClient, result: Path) -> None:
    before = {name: (result / name).read_bytes() for name in FILES if (result / name).exists()}
    for address in ("result", "outlines", "tiles/class/0/0/0.png", "export/confirmed.gpkg"):
        assert page.get(address).status_code == 200
    assert {name: (result / name).read_bytes() for name in before} == before


def test_a_folder_without_a_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught, opened([tmp_path], []):
        pass
    assert caught.value.code == "E160"
    with pytest.raises(UsageError) as several, opened([tmp_path, tmp_path], []):
        pass
    assert several.value.code == "E402"


# Patches -----------------------------------------------------------------------------------------------


def uploaded(lab: TestClient, values: Any, name: str = "image.npy") -> str:
    file = BytesIO()
    np.save(file, values)
    answer = lab.post("patches", params={"name": name}, content=file.getvalue())
    assert answer.status_code == 200, answer.text
    return str(answer.json()["key"])


def kept_files() -> list[Path]:
    return sorted(Path(tempfile.gettempdir()).glob("landslide-map-view-*/*"))


def test_a_patch_is_scored_as_the_command_does(lab: TestClient, bundle: Path) -> None:
    from landslide_map.datasets.pixel_arrays import of_array
    from landslide_map.inference.pixels import members_of, score_pixels
    from landslide_map.models.bundle.load import load_bundle

    key = uploaded(lab, patch(3, 64))
    models = lab.get("patches").json()["models"]
    assert [model["title"] for model in models] == ["both", "one", "other"]
    ready = load_bundle(bundle, pixel_members_suffice=True)
    for model, chosen in zip(models, ((None, None), (None, "one"), (None, "other")), strict=True):
        members = members_of(ready, *chosen)
        (expected,) = score_pixels(of_array(patch(3, 64), [members[0].channels]), members)
        content = lab.get(f"patches/{key}/0/{model['key']}/probability").content
        assert np.array_equal(np.frombuffer(content, "<f4").reshape(64, 64), expected)
    picture = Image.open(BytesIO(lab.get(f"patches/{key}/0/picture.png").content))
    assert picture.size == (64, 64)


def test_downloads_lie_where_the_patch_lies(lab: TestClient, tmp_path: Path) -> None:
    key = uploaded(lab, patch(3, 64))
    address = f"patches/{key}/0/0m0"
    assert code_of(lab.get(f"{address}/landslides.geojson")) == (422, "E103")
    place = {"epsg": "32651", "left": 500_000, "top": 2_660_000, "pixel": 10}
    assert lab.post(f"patches/{key}/place", json=place).json()["place"]["crs"] == "EPSG:32651"
    (tmp_path / "a.tif").write_bytes(lab.get(f"{address}/cog.tif").content)
    values = np.load(BytesIO(lab.get(f"{address}/probability.npy").content))
    with rasterio.open(tmp_path / "a.tif") as source:
        assert source.crs.to_epsg() == 32651
        assert source.bounds == (500_000, 2_659_360, 500_640, 2_660_000)
        assert np.array_equal(source.read(1), values)
    threshold = float(np.median(values))
    answer = lab.get(f"{address}/landslides.geojson", params={"threshold": threshold})
    frame = gpd.GeoDataFrame.from_features(answer.json(), crs=4326).to_crs(32651)
    assert frame.area.sum() == pytest.approx((values > threshold).sum() * 100, rel=1e-4)
    for wrong in ({"epsg": 1}, {"left": "x"}, {"pixel": 0}, {"pixel": "nan"}):
        assert code_of(lab.post(f"patches/{key}/place", json=place | wrong)) == (422, "E103")
    assert code_of(lab.get(f"{address}/landslides.geojson", params={"threshold": "2"})) == (400, "E431")


def test_an_upload_that_is_too_large_is_refused_and_nothing_of_it_stays(
    lab: TestClient,
) -> None:
    stated = {"content-length": str(2**30)}
    assert code_of(lab.post("patches?name=large.npy", content=b"x", headers=stated)) == (413, "E452")
    with opened([], []) as content:
        content.patches.largest_upload = 2**20
        for parts, answer in ((4, (422, "E180")), (8, (413, "E452"))):
            unstated = (bytes(2**18) for _ in range(parts))
            assert code_of(client(content).post("patches?name=large.npy", content=unstated)) == answer
        assert kept_files() == []


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.h5", b"no hdf5", "E180"),
        ("a.npy", b"\x93NUMPY\x01\x00v\x00{'descr': 'O', 'fortran_order': False, 'shape': (1,)}\n", "E180"),
        ("a.tif", b"II*\x00", "E180"),
        ("a.exe", b"MZ", "E180"),
        ("", b"x", "E180"),
        ("../../a.npy", b"x", "E180"),
    ],
)
def test_a_file_that_is_no_patch_is_refused_and_removed(
    lab: TestClient, name: str, content: bytes, code: str
) -> None:
    before = kept_files()
    answer = lab.post("patches", params={"name": name}, content=content)
    assert code_of(answer) == (422, code)
    assert "landslide-map-view-" not in answer.json()["message"]
    assert kept_files() == before


def test_a_hostile_h5_is_refused(lab: TestClient, tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["img"] = h5py.ExternalLink("/etc/passwd", "img")
    answer = lab.post("patches?name=a.h5", content=(tmp_path / "a.h5").read_bytes())
    assert code_of(answer) == (422, "E186")


def test_values_of_other_units_and_other_channels_are_refused_in_words(lab: TestClient) -> None:
    key = uploaded(lab, patch(3, 64) * 1000)
    assert code_of(lab.get(f"patches/{key}/0/0m0/probability")) == (422, "E181")
    assert lab.get(f"patches/{key}/0/picture.png").status_code == 200
    for address in (f"{key}/5/picture.png", f"{key}/0/9m9/probability", "none/0/picture.png"):
        assert code_of(lab.get(f"patches/{address}")) == (404, "E451")
    assert code_of(lab.post("patches?name=a.npy", content=_npy(np.ones((5, 9, 9))))) == (422, "E180")
    assert code_of(lab.post("patches?name=a.npy", content=_npy(np.ones((14, 1, 2049))))) == (422, "E188")


def test_a_removed_patch_is_gone_and_uploads_go_with_the_page(bundle: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "own.npy", patch(1, 64))
    with opened([tmp_path / "own.npy"], [bundle]) as content:
        lab = client(content)
        key = uploaded(lab, patch(2, 64))
        uploaded(lab, patch(2, 64))
        (own,) = [p["key"] for p in lab.get("patches").json()["patches"] if p["name"] == "own.npy"]
        for gone in (own, key):
            assert lab.delete(f"patches/{gone}").status_code == 200
            assert code_of(lab.delete(f"patches/{gone}")) == (404, "E451")
        assert (tmp_path / "own.npy").exists()
        assert kept_files()
    assert not kept_files()


def test_a_bundle_without_pixel_members_is_refused() -> None:
    from landslide_map.models.bundle.load import load_bundle

    with pytest.raises(LandslideMapError) as caught, opened([], [load_bundle(None).path]):
        pass
    assert caught.value.code == "E554"


def _npy(values: Any) -> bytes:
    file = BytesIO()
    np.save(file, values)
    return file.getvalue()
