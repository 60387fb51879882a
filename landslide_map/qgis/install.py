"""Installation of the Processing provider into the profiles of QGIS."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from landslide_map.errors import ResourceError, UsageError
from landslide_map.runtime.atomic import folder_beside, whole_file
from landslide_map.runtime.own_files import UNKNOWN, Kind, foreign, sealed, tree_records

PLUGIN: Final = "landslide_map_qgis"
_KIND: Final = Kind("installed.json", holds="the plugin", exclusive=True)
_VERSIONS: Final = ("QGIS3", "QGIS4")
_SECTION: Final = "[PythonPlugins]"
COMMAND: Final = (sys.executable, "-c", "from landslide_map_cli.main import main; main()")
"""Command that the plugin starts, with an absolute path: QGIS started from a menu has no PATH of a shell."""


def profiles(environment: Mapping[str, str], platform: str, home: Path) -> list[Path]:
    """Return the default profiles of the QGIS versions on this machine.

    Parameters
    ----------
    environment : mapping
        ``APPDATA`` and ``QGIS_CUSTOM_CONFIG_PATH`` are read.
    platform : str
        As ``sys.platform``.
    home : Path
        Home folder of the user.
    """
    if custom := environment.get("QGIS_CUSTOM_CONFIG_PATH"):
        return [Path(custom) / "profiles" / "default"]
    if platform == "win32":
        base = Path(environment.get("APPDATA", home / "AppData" / "Roaming")) / "QGIS"
    elif platform == "darwin":
        base = home / "Library" / "Application Support" / "QGIS"
    else:
        base = home / ".local" / "share" / "QGIS"
    return [
        base / v / "profiles" / "default" for v in _VERSIONS if (base / v / "profiles" / "default").is_dir()
    ]


def install(profile: Path | None = None) -> list[Path]:
    """Copy the plugin into profiles and enable it; return the folders of the plugin.

    Parameters
    ----------
    profile : Path, optional
        A profile of QGIS; by default the default profile of every QGIS found.

    Raises
    ------
    UsageError
        E402: there is no profile, or the folder is none. E404: the plugin folder holds files of others.
    ResourceError
        E601: the profile cannot be written.
    """
    if profile is not None:
        if not (profile / "QGIS").is_dir() and not (profile / "python").is_dir():
            raise UsageError(
                "E402",
                f"{profile} is no profile of QGIS: it holds neither QGIS/ nor python/. In QGIS, Settings > "
                "User Profiles > Open Active Profile Folder shows the right one.",
            )
        wanted = [profile]
    else:
        wanted = profiles(os.environ, sys.platform, Path.home())
        if not wanted:
            raise UsageError(
                "E402", "no profile of QGIS was found. Start QGIS once, or name a profile with --profile."
            )
    try:
        for one in wanted:
            _refuse_foreign(one / "python" / "plugins" / PLUGIN)
        return [_install_into(one) for one in wanted]
    except OSError as error:
        raise ResourceError("E601", f"the plugin cannot be written ({error}).") from error


def _refuse_foreign(plugin: Path) -> None:
    """Refuse to replace a folder with files of others, or changed ones; compiled ones do not count."""
    found = {plugin.name: UNKNOWN} if plugin.is_symlink() else {}
    if plugin.is_dir() and not found:
        found = {n: why for n, why in foreign(plugin, _KIND).items() if "__pycache__" not in n.split("/")}
    if found:
        name, why = next(iter(sorted(found.items())))
        more = f" ({len(found) - 1} more like it)" if len(found) > 1 else ""
        raise UsageError(
            "E404",
            f"{plugin}: {name} {why}{more}; nothing was replaced. Move what you want to keep elsewhere, and "
            "remove the folder.",
        )


def _install_into(profile: Path) -> Path:
    """Replace the plugin of one profile and enable it."""
    plugins = profile / "python" / "plugins"
    target = plugins / PLUGIN
    with folder_beside(target) as staging:
        with resources.as_file(resources.files("landslide_map.qgis") / "plugin") as source:
            _copy(source, staging / PLUGIN)
        (staging / PLUGIN / "command.json").write_text(json.dumps(COMMAND), encoding="utf-8")
        manifest = sealed({"files": tree_records(staging / PLUGIN)})
        (staging / PLUGIN / _KIND.manifest).write_text(json.dumps(manifest), encoding="utf-8")
        if target.exists():
            target.replace(staging / "old")
        (staging / PLUGIN).replace(target)
    for settings in sorted((profile / "QGIS").glob("QGIS*.ini")) or [profile / "QGIS" / "QGIS3.ini"]:
        settings.parent.mkdir(parents=True, exist_ok=True)
        text = settings.read_bytes().decode("utf-8", "surrogateescape") if settings.exists() else ""
        with whole_file(settings) as partial:
            partial.write_bytes(enabled(text).encode("utf-8", "surrogateescape"))
    return target


def _copy(source: Path, target: Path) -> None:
    """Copy the plugin with the permissions of new files, not those of the installed ones."""
    target.mkdir()
    for path in source.iterdir():
        if path.is_dir() and path.name != "__pycache__":
            _copy(path, target / path.name)
        elif path.is_file():
            shutil.copyfile(path, target / path.name)


def enabled(settings: str) -> str:
    r"""Return the text of ``QGIS3.ini`` with the plugin enabled, every other line as it was.

    Line by line, because a parser would damage the escapes that Qt writes.

    Examples
    --------
    >>> enabled("[a]\nx=1\n")
    '[a]\nx=1\n[PythonPlugins]\nlandslide_map_qgis=true\n'
    """
    end = "\r\n" if "\r\n" in settings else "\n"
    lines = settings.split(end)
    mark = f"{PLUGIN}=true"
    heads = [index for index, line in enumerate(lines) if line.strip() == _SECTION]
    if not heads:
        text = settings if not settings or settings.endswith(end) else settings + end
        return f"{text}{_SECTION}{end}{mark}{end}"
    start = heads[0] + 1
    stop = next((i for i in range(start, len(lines)) if lines[i].startswith("[")), len(lines))
    for index in range(start, stop):
        if re.match(rf"{PLUGIN}\s*=", lines[index]):
            lines[index] = mark
            return end.join(lines)
    lines.insert(start, mark)
    return end.join(lines)
