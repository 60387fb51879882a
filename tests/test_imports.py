"""Imports point one way only; a cycle or an upward import is a design error."""

from __future__ import annotations

import ast
import graphlib
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LAYERS = [
    {
        "_version",
        "array_types",
        "bands",
        "error_codes",
        "error_cures",
        "errors",
        "grid",
        "options",
        "reasons",
    },
    {"metrics", "runtime", "untrusted", "window_record", "windows"},
    {"features", "raster", "scene", "vector"},
    {"inputs", "models", "search"},
    {"stack"},
    {"datasets", "delineation"},
    {"inference"},
    {"training"},
    {"products"},
    {"evaluation", "mapping"},
    {"check", "qgis", "view"},
    {"landslide_map"},
    {"cli"},
]
"""Folders and root files of `landslide_map`, bottom to top: a file imports from its own row or below."""
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
IMPORTED_AS = {"xgboost-cpu": "xgboost"}
"""Distributions that are imported by another name."""
PLUGIN = ROOT / "landslide_map" / "qgis" / "plugin"
"""Runs in the Python of QGIS, which has none of our packages."""
FILES = sorted(
    path for path in (*ROOT.glob("landslide_map/**/*.py"), *ROOT.glob("cli/*.py")) if path.parent != PLUGIN
)


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def folder_of(module: str) -> str:
    parts = module.split(".")
    return parts[0] if len(parts) == 1 or parts[0] == "cli" else parts[1]


def imported(module: str) -> set[str]:
    """Return the files of ours that a file imports, wherever in it: functions and type checking count."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = (
                [*module.split(".")[:-1][: None if node.level < 2 else 1 - node.level]] if node.level else []
            )
            source = ".".join([*base, *([node.module] if node.module else [])])
            found |= {
                f"{source}.{alias.name}" if f"{source}.{alias.name}" in MODULES else source
                for alias in node.names
            }
    return {name for name in found if name in MODULES} - {module}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_file_imports_only_from_its_own_layer_or_below(module: str) -> None:
    own = folder_of(module)
    assert own in LEVEL, f"{own} has no layer: add it to LAYERS and to docs/architecture.md"
    # The package face is the API: only the command line stands above it.
    above = {name for name in imported(module) if LEVEL[folder_of(name)] > LEVEL[own]}
    assert not above, f"{module} imports upwards: {sorted(above)}"


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of files that import each other in a circle."""
    sorter = graphlib.TopologicalSorter(graph)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        return [error.args[1]]
    return []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert cycles({module: imported(module) for module in MODULES}) == []


def test_a_circle_of_files_inside_one_folder_is_seen() -> None:
    assert cycles({"models.cascade": {"models.scenario"}, "models.scenario": {"models.cascade"}})


def test_every_folder_has_its_place_in_the_architecture() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    folders = {folder_of(module) for module in MODULES} - {"landslide_map", "cli", "_version"}
    assert sorted(name for name in folders if f"`{name}`" not in page and f"`{name}/`" not in page) == []


def test_nothing_imports_the_command_line_folder_by_its_bare_name() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            assert not [n for n in names if n.split(".")[0] == "cli"], path


def test_every_package_is_installed() -> None:
    """An editable install finds them all; a wheel lacks what is forgotten."""
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
    required = map(Requirement, chain(project["dependencies"], *project["optional-dependencies"].values()))
    names = {r.name for r in required if r.marker is None or r.marker.evaluate({"platform_system": "Linux"})}
    assert "xgboost" not in names  # on Linux it requires a library for GPUs
    declared = {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names}
    declared |= {"PIL", "ruamel", "sklearn", "pydantic_core", *sys.stdlib_module_names, "landslide_map"}
    found: set[str] = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            found |= {a.name.split(".")[0] for a in node.names} if isinstance(node, ast.Import) else set()
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.split(".")[0])
    assert sorted(found - declared) == []


def test_the_plugin_of_qgis_imports_only_what_qgis_has() -> None:
    allowed = {"qgis", *sys.stdlib_module_names}
    for path in PLUGIN.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            assert {name.split(".")[0] for name in names} <= allowed, path
