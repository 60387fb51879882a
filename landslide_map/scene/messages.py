"""Reader of ``scene.yaml``, and its refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from landslide_map.errors import SceneError
from landslide_map.untrusted.validation import first_problem
from landslide_map.untrusted.yaml_text import YamlError, read_yaml

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
    """Return the kind of a path that is given instead of a scene.yaml, and a remedy."""
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


def explain(error: ValidationError, path: Path, root: type[BaseModel]) -> SceneError:
    """Return the one error that explains the fault of a scene best."""
    found = first_problem(error, root, "scene")
    code = "E002" if found.unknown_key else "E390" if found.kind == NAIVE_TIME else "E003"
    return SceneError(code, f"{path}: {found.text}")
