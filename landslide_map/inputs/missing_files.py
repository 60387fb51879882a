"""Files that a scene names and that do not exist: all in one message, before any is opened."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from landslide_map.errors import InputError
from landslide_map.scene.model import Scene
from landslide_map.untrusted.files import inside_zip

_LISTED: Final = 12


def refuse_missing(scene: Scene) -> None:
    """Raise InputError E101 that names every file of a scene that does not exist, and the likely cause."""
    missing = {
        key: path
        for key, path in _paths(scene, "")
        if not path.exists() and not ((member := inside_zip(path)) and member.zip.exists())
    }
    if not missing:
        return
    if len(missing) == 1:
        (key, path), *_ = missing.items()
        raise InputError(
            "E101", f"{path}: no such file; correct {key} in scene.yaml{_hint(path)}. {_RELATIVE}"
        )
    listed = "\n".join(f"  {key}: {path}{_hint(path)}" for key, path in list(missing.items())[:_LISTED])
    more = f"\n  and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
    raise InputError(
        "E101", f"{len(missing)} files that scene.yaml names do not exist. {_RELATIVE}\n{listed}{more}"
    )


_RELATIVE: Final = "A path without a leading / starts at the folder of scene.yaml"


def _paths(value: Any, key: str) -> Iterator[tuple[str, Path]]:
    """Yield where each path of a model stands, and the path; the bundle is looked for elsewhere."""
    if isinstance(value, Path):
        yield key, value
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            if name != "bundle":
                yield from _paths(getattr(value, name), f"{key}.{field.alias or name}".removeprefix("."))
    elif isinstance(value, tuple | list):
        for i, part in enumerate(value):
            yield from _paths(part, f"{key}[{i}]" if len(value) > 1 else key)


def _hint(path: Path) -> str:
    if "\\" in str(path):
        return " (it has backslashes: write / instead)"
    above = next(parent for parent in path.parents if parent.exists())
    if above != path.parent:
        return f" (there is no folder {above / path.relative_to(above).parts[0]})"
    try:
        names = [entry.name for _, entry in zip(range(10_000), above.iterdir(), strict=False)]
    except OSError:
        return ""
    near = get_close_matches(path.name, names, n=1)
    return f" (did you mean {near[0]}?)" if near else ""
