"""Single values of ``scene.yaml``: paths, times with a zone, and shorter forms."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from landslide_map.bands import FURTHER_BANDS
from landslide_map.errors import SceneError, UsageError
from landslide_map.scene.messages import NAIVE_TIME

_PER_PART: Final = {"path", "B02", "B03", "B04", "B08", "SCL", *(name.upper() for name in FURTHER_BANDS)}
"""Keys of an image that each of its parts has for itself."""
_LONGEST_NAME: Final = 255
"""Longest name of a file or folder, bytes, on usual disks: longer text is a shape or a list, not a path."""


def _absolute(value: object, info: ValidationInfo) -> object:
    """Resolve a path against the folder of scene.yaml."""
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ValueError("expected a path")
    if "://" in str(value):
        raise ValueError("expected a file on this machine, not an address; download it first")
    longest = max((len(os.fsencode(name)) for name in Path(value).parts), default=0)
    if longest > _LONGEST_NAME:
        raise ValueError(f"expected a path; found text of {longest} bytes, longer than any file's name")
    folder = (info.context or {}).get("folder", Path.cwd())
    value = _without_vsizip(str(value))
    # As in a shell: a ~ that no user's folder follows is part of a name, where Path.expanduser would fail.
    return Path(folder, os.path.expanduser(value)).absolute()  # noqa: PTH111


def _without_vsizip(text: str) -> str:
    """Return the path into a zip that GDAL's and QGIS's ``/vsizip/`` means; refuse their other prefixes."""
    if not text.startswith("/vsi"):
        return text
    prefix, _, inner = text[1:].partition("/")
    if prefix == "vsizip" and ".zip" in inner.lower():
        return re.sub(r"^\{(.*?)\}", r"\1", inner)
    if prefix in {"vsitar", "vsigzip", "vsi7z", "vsirar"}:
        raise ValueError(
            "expected a file; unpack the archive first, and write the path of the file that was in it"
        )
    raise ValueError(
        "expected a file on this machine, not one of GDAL's other file systems; download it first"
    )


def _utc(value: object) -> datetime:
    """Return an aware time in UTC; never guess a zone, never read a number as seconds since 1970."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("expected a time such as 2024-04-02T23:58:00Z") from None
    if not isinstance(value, datetime):
        raise ValueError("expected a time such as 2024-04-02T23:58:00Z")
    if value.tzinfo is None:
        raise PydanticCustomError(
            NAIVE_TIME, "the time has no zone; write UTC with a Z, as in 2024-04-02T23:58:00Z"
        )
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("expected a time such as 2024-04-02T23:58:00Z") from None


def read_time(text: str, name: str) -> datetime:
    """Return a time of the command line, UTC.

    Raises
    ------
    SceneError
        E390 without a zone.
    UsageError
        E402 where it is no time.
    """
    try:
        return TypeAdapter(UtcTime).validate_python(text)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == NAIVE_TIME:
            raise SceneError("E390", f"{name} {text}: {first['msg']}") from None
        raise UsageError("E402", f"{name} {text}: expected a time such as 2024-04-02T23:58:00Z") from None


def one_or_more(value: object) -> object:
    """Let a single value stand for a list of one."""
    return value if isinstance(value, list | tuple) else (value,)


def one_or_more_parts(value: object) -> object:
    """Return a list, as :func:`one_or_more`; a mapping of a list of paths is as many parts of one image."""
    found: list[object] = []
    for item in value if isinstance(value, list | tuple) else (value,):
        paths = item.get("path") if isinstance(item, dict) else None
        if isinstance(item, dict) and isinstance(paths, list | tuple) and paths:
            found += [item | {"path": path} for path in paths]
        else:
            found.append(item)
    return found


def path_or_mapping(value: object) -> object:
    """Let a bare path stand for ``{path: ...}``."""
    return {"path": value} if isinstance(value, str | Path) else value


def one_image(value: object) -> object:
    """Let several files, or mappings, stand for the parts of one image: the first, and ``more``."""
    if isinstance(value, list | tuple) and value:
        first, *more = (path_or_mapping(part) for part in value)
        return {**first, "more": more} if isinstance(first, dict) and more else first
    if not isinstance(value, dict):
        return path_or_mapping(value)
    lists = {key: part for key, part in value.items() if key in _PER_PART and isinstance(part, list | tuple)}
    counts = {len(part) for part in lists.values()}
    if len(counts) != 1 or 0 in counts:
        return value
    parts = [value | {key: part[i] for key, part in lists.items()} for i in range(counts.pop())]
    return {**parts[0], "more": parts[1:]} if len(parts) > 1 else parts[0]


def folder_or_mapping(value: object) -> object:
    """Let a bare path stand for ``{folder: ...}``."""
    return {"folder": value} if isinstance(value, str | Path) else value


def none_for(word: str) -> BeforeValidator:
    """Let `word` stand for the default, which is None inside."""
    return BeforeValidator(lambda value: None if value == word else value)


FilePath = Annotated[Path, BeforeValidator(_absolute)]
UtcTime = Annotated[datetime, BeforeValidator(_utc)]
NodataValues = Annotated[tuple[float, ...], BeforeValidator(one_or_more)] | None
FilePaths = Annotated[tuple[FilePath, ...], BeforeValidator(one_or_more), Field(min_length=1)]
