"""Imports point one way only; a cycle or an upward import is a design error."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = [
    {
        "amounts",
        "arrays",
        "compiled",
        "codes",
        "errors",
        "reasons",
        "bands",
        "progress",
        "timings",
        "allocator",
        "one_ahead",
        "operating_points",
        "metrics",
        "vector_layers",
        "outlines",
    },
    {"grid", "sources", "backscatter", "whole_file", "whole_folder"},
    {
        "scene",
        "scene_text",
        "scene_values",
        "windows",
        "patches",
        "early_exit",
        "window_files",
        "labelled_windows",
        "inventory",
        "moments",
        "medians",
        "indices",
        "lattice",
        "kernels",
        "open_files",
        "quality",
        "resample",
        "unfinished_windows",
        "pixel_sample",
        "distributions",
    },
    {"acquisitions", "terrain", "readers", "features"},
    {"stack", "models", "products"},
    {
        "check",
        "check_text",
        "classification",
        "cost",
        "judging",
        "memory",
        "cut_windows",
        "scoring",
        "evaluation",
        "training",
    },
    {"runs"},
    {"map_result", "pipeline", "several"},
    {"landslide_map"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted([*ROOT.glob("landslide_map/**/*.py"), *ROOT.glob("cli/*.py")])


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] == "cli":
        return "cli"
    return "landslide_map" if parts[1] == "__init__" else parts[1]


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            parts = node.module.split(".")
            if parts[0] == "landslide_map":
                names |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {
                a.name.split(".")[1]
                for a in node.names
                if a.name.startswith("landslide_map.") and "." in a.name
            }
    return {name for name in names if name in LEVEL}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_its_own_layer_or_below(path: Path) -> None:
    own = module_of(path)
    assert own in LEVEL, f"{own} has no layer: add it to LAYERS and to docs/architecture.md"
    above = {name for name in imported(ast.parse(path.read_text())) if LEVEL[name] > LEVEL[own]}
    assert not above, f"{own} imports upwards: {sorted(above)}"


def test_every_module_has_its_place_in_the_architecture() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    modules = {path.stem for path in FILES if path.parts[-2] != "cli" and path.stem != "__init__"}
    assert sorted(name for name in modules if f"`{name}`" not in page) == []


def test_nothing_imports_the_command_line_folder_by_its_bare_name() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            assert not [n for n in names if n.split(".")[0] == "cli"], path


def test_every_package_is_installed() -> None:
    """An editable install finds them all by itself; a wheel lacks what is forgotten."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    sources = {name: alias for alias, name in setuptools["package-dir"].items()}
    found = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for path in FILES
        if path.stem == "__init__"
    }
    assert {sources.get(name, name) for name in found} == set(setuptools["packages"])


def test_every_package_that_is_imported_is_declared() -> None:
    """What only comes along with another package may one day stay away."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    declared = {re.split(r"[\[><=]", line)[0].replace("-", "_") for line in required}
    declared |= {"ruamel", "sklearn", "pydantic_core", *sys.stdlib_module_names, "landslide_map"}
    found: set[str] = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            found |= {a.name.split(".")[0] for a in node.names} if isinstance(node, ast.Import) else set()
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.split(".")[0])
    assert sorted(found - declared) == []
