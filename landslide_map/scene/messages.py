"""Messages of ``scene.yaml``: YAML in, validation errors out as one clear sentence."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeAlias, get_args

from pydantic import BaseModel, ValidationError

from landslide_map.errors import SceneError
from landslide_map.untrusted.yaml_text import YamlError, read_yaml

Keys: TypeAlias = tuple[str | int, ...]
Model: TypeAlias = type[BaseModel]
NAIVE_TIME: Final = "naive_time"
_IMAGES: Final = {".tif", ".tiff", ".jp2", ".vrt", ".nc", ".img", ".dim", ".gpkg"}


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping that the YAML file `path` holds; SceneError E001 for anything else."""
    if mistaken := _mistaken_for_a_scene(path):
        raise SceneError("E001", f"{path}: {mistaken}")
    try:
        document = read_yaml(path, times_as_text=True)
    except FileNotFoundError:
        raise SceneError("E001", f"{path}: no such file; expected a scene.yaml") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise SceneError("E001", f"{path}: cannot be read ({reason}); expected a scene.yaml") from None
    except YamlError as error:
        raise SceneError("E001", f"{path}: {error}") from None
    if not isinstance(document, dict):
        found = "nothing" if document is None else f"a {type(document).__name__}"
        raise SceneError(
            "E001", f"{path}: holds {found}; expected a mapping with event, s2, s1 (docs/scene-format.md)"
        )
    return document


def _mistaken_for_a_scene(path: Path) -> str | None:
    """Return what a path is that people give instead of a scene.yaml, and what to do."""
    write = "write a scene.yaml that names it (docs/scene-format.md; landslide-map init FOLDER begins one)"
    if path.name.upper().rstrip("/").endswith((".SAFE", ".SAFE.ZIP", ".ZIP")) and path.exists():
        return f"is a product, not a scene; {write}"
    if path.is_dir():
        inside = sorted(entry.name for entry in path.glob("*.y*ml"))
        return (
            f"is a folder; give {path / inside[0]}" if inside else f"is a folder of images, perhaps; {write}"
        )
    if (
        path.suffix.lower() in {".tif", ".tiff", ".jp2", ".vrt", ".nc", ".img", ".dim", ".gpkg"}
        and path.exists()
    ):
        return f"is an image or map, not a scene; {write}"
    return None


def explain(error: ValidationError, path: Path, root: Model) -> SceneError:
    """Return the one error that says best what is wrong: unknown keys first, as they cause others."""
    details = error.errors(include_url=False)
    first = min(details, key=lambda detail: detail["type"] != "extra_forbidden")
    keys: Keys = tuple(first["loc"])
    rest = f" ({len(details) - 1} more to fix after this one)" if len(details) > 1 else ""
    if first["type"] == "extra_forbidden":
        return SceneError("E002", f"{path}: unknown key {dotted(keys)}; {_suggestion(root, keys)}{rest}")
    code = "E390" if first["type"] == NAIVE_TIME else "E003"
    return SceneError(code, f"{path}: {dotted(keys) or 'scene'}: {_sentence(first)}{rest}")


def _sentence(detail: Any) -> str:
    if detail["type"] == "missing":
        return "this key is missing"
    if detail["type"] == "model_type":
        return f"expected a mapping; found {detail['input']!r}"
    if detail["loc"][-1:] == ("threshold",) and _is_percent(detail["input"]):
        return (
            f"expected a probability between 0 and 1; for {detail['input']} % write {detail['input'] / 100:g}"
        )
    message = str(detail["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    found = detail["input"]
    return message if isinstance(found, dict | BaseModel) else f"{message}; found {found!r}"


def _is_percent(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 1 < value < 100


def dotted(keys: Keys) -> str:
    """Return ``("s1", "pre", 0, "vv")`` as ``s1.pre[0].vv``."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".")


def _suggestion(root: Model, keys: Keys) -> str:
    """Name the nearest valid key: among its siblings, else the same name elsewhere."""
    parent, wrong = keys[:-1], str(keys[-1])
    siblings = _names(_model_at(root, parent))
    folded = {name.lower(): name for name in siblings}
    near = get_close_matches(wrong.lower(), folded, n=1)
    if near:
        return f"did you mean {dotted((*parent, folded[near[0]]))}?"
    elsewhere = next((path for path in _all_keys(root) if path[-1] == wrong), None)
    hint = f"did you mean {dotted(elsewhere)}? " if elsewhere else ""
    return f"{hint}Valid keys of {dotted(parent) or 'the scene'}: {', '.join(siblings)}"


def _names(model: Model) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _children(model: Model) -> dict[str, Model]:
    """Keys of `model` that hold a mapping, or a list of mappings."""
    fields = ((field.alias or name, field.annotation) for name, field in model.model_fields.items())
    found = ((name, _model_in(annotation)) for name, annotation in fields)
    return {name: child for name, child in found if child is not None}


def _model_in(annotation: Any) -> Model | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _model_at(root: Model, keys: Keys) -> Model:
    model = root
    for key in keys:
        if isinstance(key, str):
            model = _children(model)[key]
    return model


def _all_keys(model: Model, parent: Keys = ()) -> Iterator[Keys]:
    yield from ((*parent, name) for name in _names(model))
    for name, child in _children(model).items():
        if child is not model:  # as the parts of an image
            yield from _all_keys(child, (*parent, name))
