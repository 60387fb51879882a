"""The plugin's installer, and how it runs the command; the algorithms run in QGIS itself (.ci/check_qgis)."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
import types
from pathlib import Path

import pytest

from landslide_map.errors import UsageError
from landslide_map.qgis.install import COMMAND, PLUGIN, enabled, install, profiles
from tests.support import messages
from tests.support.raised import raised

PLUGIN_FILES = Path(__file__).parents[2] / "landslide_map" / "qgis" / "plugin"

MARK = f"{PLUGIN}=true\n"


def profile(folder: Path, settings: str | None = None) -> Path:
    (folder / "QGIS").mkdir(parents=True)
    if settings is not None:
        (folder / "QGIS" / "QGIS3.ini").write_text(settings)
    return folder


def test_the_plugin_is_copied_enabled_and_knows_this_python(tmp_path: Path) -> None:
    before = "[core]\npath=@ByteArray(\\x0\\xff)\n\n[PythonPlugins]\n"
    place = profile(tmp_path / "default", before + "other=true\n")
    for _ in range(2):  # an update is an installation
        (folder,) = install(place)
    assert folder == place / "python" / "plugins" / PLUGIN
    assert [path.name for path in folder.parent.iterdir()] == [PLUGIN]
    assert json.loads((folder / "command.json").read_text()) == list(COMMAND)
    assert Path(COMMAND[0]).is_absolute()
    assert {path.name for path in PLUGIN_FILES.glob("*.*")} <= {path.name for path in folder.iterdir()}
    settings = (place / "QGIS" / "QGIS3.ini").read_text()
    assert settings == before + MARK + "other=true\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "[PythonPlugins]\n" + MARK),
        ("[a]\r\nx=1\r\n", "[a]\r\nx=1\r\n[PythonPlugins]\r\nlandslide_map_qgis=true\r\n"),
        (
            "[PythonPlugins]\nlandslide_map_qgis=false\n[z]\n",
            "[PythonPlugins]\nlandslide_map_qgis=true\n[z]\n",
        ),
        (
            "[a]\nlandslide_map_qgis=false",
            "[a]\nlandslide_map_qgis=false\n[PythonPlugins]\nlandslide_map_qgis=true\n",
        ),
    ],
)
def test_only_one_line_of_the_settings_changes(before: str, after: str) -> None:
    assert enabled(before) == after
    assert enabled(after) == after


def test_a_folder_that_is_no_profile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        install(tmp_path)
    assert (refusal.value.code, refusal.value.exit_status) == ("E402", 2)
    assert list(tmp_path.iterdir()) == []


def test_an_update_replaces_only_what_was_installed(tmp_path: Path) -> None:
    (folder,) = install(profile(tmp_path))
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "plugin.pyc").write_bytes(b"compiled by QGIS")
    assert install(tmp_path) == [folder]
    assert not (folder / "__pycache__").exists()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt") as caught:
        install(tmp_path)
    assert caught.value.code == "E404"
    (folder / "notes.txt").unlink()
    (folder / "plugin.py").write_text("# my own change")
    with pytest.raises(UsageError, match=r"plugin\.py"):
        install(tmp_path)
    assert (folder / "plugin.py").read_text() == "# my own change"


def test_every_version_of_qgis_that_was_started_is_found(tmp_path: Path) -> None:
    base = tmp_path / ".local" / "share" / "QGIS"
    assert profiles({}, "linux", tmp_path) == []
    for version in ("QGIS3", "QGIS4"):
        (base / version / "profiles" / "default").mkdir(parents=True)
    assert profiles({}, "linux", tmp_path) == [base / v / "profiles" / "default" for v in ("QGIS3", "QGIS4")]
    custom = tmp_path / "custom"
    assert profiles({"QGIS_CUSTOM_CONFIG_PATH": str(custom)}, "linux", tmp_path) == [
        custom / "profiles" / "default"
    ]


class Feedback:
    """Messages of an algorithm to QGIS."""

    def __init__(self, cancel_at: str = "") -> None:
        self.heard: list[tuple[str, object]] = []
        self.cancel_at = cancel_at

    def isCanceled(self) -> bool:  # noqa: N802
        return bool(self.cancel_at) and any(self.cancel_at in str(what) for _, what in self.heard)

    def __getattr__(self, name: str) -> object:
        return lambda what: self.heard.append((name, what))


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    core = types.ModuleType("qgis.core")
    core.QgsProcessingException = RuntimeError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "qgis", types.ModuleType("qgis"))
    monkeypatch.setitem(sys.modules, "qgis.core", core)
    copy = tmp_path / "command.py"
    copy.write_text((PLUGIN_FILES / "command.py").read_text())
    (tmp_path / "command.json").write_text(json.dumps([sys.executable, "-c"]))
    spec = importlib.util.spec_from_file_location("plugin_command", copy)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_progress_warnings_and_results_are_passed_on(command: types.ModuleType) -> None:
    lines = [
        {"event": "progress", "stage": "map", "done": 1, "total": 4},
        {"event": "progress", "stage": "map", "done": 4, "total": 4},
        {"event": "notice", "code": "W207", "message": "cloud"},
        {"event": "finished", "landslides": 3},
    ]
    code = "import sys\nprint('plain ä')\n" + "\n".join(
        f"print({json.dumps(line)!r}, file=sys.stderr)" for line in lines
    )
    feedback = Feedback()
    assert command.run([code], feedback)["landslides"] == 3
    reported = [(name, what) for name, what in feedback.heard if name != "pushCommandInfo"]
    assert sorted(reported, key=str) == [
        ("pushInfo", "plain ä"),
        ("pushWarning", "W207: cloud"),
        ("setProgress", 100.0),
        ("setProgress", 25.0),
        ("setProgressText", "map"),
    ]


def test_a_refusal_is_shown_with_its_code(command: types.ModuleType) -> None:
    failed = json.dumps({"event": "failed", "exit_status": 3, "code": "E001", "message": "no scene"})
    with raised(RuntimeError, messages.NO_SCENE):
        command.run([f"print({failed!r}); raise SystemExit(3)"], Feedback())


def test_cancelling_ends_the_command_politely(command: types.ModuleType, tmp_path: Path) -> None:
    mark = tmp_path / "cleaned up"
    code = (
        "import pathlib, signal, sys, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(mark)!r}).touch(), sys.exit(1)))\n"
        "print('ready', flush=True)\ntime.sleep(60)\n"
    )
    started = time.monotonic()
    # The command line itself holds the word, too: only what the process prints counts.
    feedback = Feedback("('pushInfo', 'ready')")
    feedback.isCanceled = lambda: ("pushInfo", "ready") in feedback.heard  # type: ignore[method-assign]
    with raised(RuntimeError, "cancelled"):
        command.run([code], feedback)
    assert mark.exists()
    assert time.monotonic() - started < 30


def test_variables_that_qgis_sets_for_itself_do_not_reach_the_command(
    command: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("PROJ_LIB", "/nowhere")
    feedback = Feedback()
    command.run(["import os; print(sorted({'PYTHONHOME', 'PROJ_LIB'} & set(os.environ)))"], feedback)
    assert ("pushInfo", "[]") in feedback.heard
