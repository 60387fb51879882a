from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from landslide_map.error_codes import CODES
from landslide_map.errors import BundleError
from landslide_map.models.bundle.load import load_bundle
from tests.support.labelled import made_up_statistics, tiny_bundle
from tests.support.raised import raised

MODEL = "both.lightgbm.fold0.txt"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "good"
    tiny_bundle(folder)
    return folder


def edit(folder: Path, change: Callable[[dict], object]) -> None:
    document = json.loads((folder / "bundle.json").read_text())
    change(document)
    (folder / "bundle.json").write_text(json.dumps(document))


def one_byte(folder: Path) -> None:
    content = bytearray((folder / MODEL).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / MODEL).write_bytes(content)


FAULTS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "folder absent": (lambda f: shutil.rmtree(f), "E501", "no such folder"),
    "not a bundle": (lambda f: (f / "bundle.json").unlink(), "E501", "holds no bundle.json"),
    "file missing": (lambda f: (f / MODEL).unlink(), "E501", MODEL),
    "byte changed": (one_byte, "E502", MODEL),
    "file truncated": (lambda f: (f / MODEL).write_bytes(b""), "E502", "0 bytes"),
    "future format": (lambda f: edit(f, lambda d: d.update(format_version=2)), "E503", "format version 2"),
    "unknown kind": (lambda f: edit(f, lambda d: d["members"][0].update(kind="oracle")), "E503", "'oracle'"),
    "unlisted model": (lambda f: (f / "extra.ubj").write_bytes(b"x"), "E504", "extra.ubj"),
    "pickle beside": (lambda f: (f / "model.pkl").write_bytes(b"x"), "E504", "model.pkl"),
    "not JSON": (lambda f: (f / "bundle.json").write_text("{"), "E505", "not JSON"),
    "other JSON": (lambda f: (f / "bundle.json").write_text("[]"), "E505", "no model bundle"),
    "unknown key": (lambda f: edit(f, lambda d: d.update(treshold=1)), "E505", "treshold"),
    "unknown channel": (
        lambda f: edit(f, lambda d: d["members"][0].update(channels=["swir"])),
        "E505",
        "channels",
    ),
    "unknown member": (
        lambda f: edit(f, lambda d: d["scenarios"][0].update(weights={"x": 1})),
        "E505",
        "names no member: x",
    ),
    "path outside": (
        lambda f: edit(f, lambda d: d["files"].update({"../x": d["files"][MODEL]})),
        "E505",
        "files",
    ),
    "threshold of a percentage": (
        lambda f: edit(f, lambda d: d["scenarios"][0].update(threshold=44)),
        "E505",
        "threshold",
    ),
    "other features": (
        lambda f: edit(f, lambda d: d["members"][0]["settings"].update(features="crossed-9")),
        "E506",
        "crossed-9",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_bundle_is_refused_before_anything_is_loaded(name: str, good: Path, tmp_path: Path) -> None:
    damage, code, words = FAULTS[name]
    folder = tmp_path / "bundle"
    shutil.copytree(good, folder)
    damage(folder)
    with pytest.raises(BundleError) as refusal:
        load_bundle(folder)
    assert refusal.value.code == code
    assert code in CODES
    assert words in refusal.value.message
    assert str(folder) in refusal.value.message
    assert refusal.value.exit_status == 5


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost", "perceptron"])
def test_a_listed_file_that_is_no_model_is_refused_at_first_use(
    kind: str, good: Path, tmp_path: Path
) -> None:
    from hashlib import sha256

    folder = tmp_path / "bundle"
    shutil.copytree(good, folder)
    name = next(path.name for path in folder.iterdir() if path.name.startswith(f"both.{kind}"))
    (folder / name).write_bytes(b"nonsense")
    entry = {"sha256": sha256(b"nonsense").hexdigest(), "bytes": 8}
    edit(folder, lambda d: d["files"].update({name: entry}))
    with raised("E506", f"both.{kind}"):
        load_bundle(folder).vote(made_up_statistics(3)[0])
