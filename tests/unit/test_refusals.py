"""Errors of libraries and the system are reported with a code and a remedy."""

from __future__ import annotations

import errno
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from landslide_map_cli.refusals import refusal_of


@pytest.mark.parametrize(
    ("package", "extra"),
    [("torch.nn", "networks"), ("safetensors", "networks"), ("joblib", "pickles"), ("matplotlib", "report")],
)
def test_a_missing_package_comes_with_the_line_to_paste(package: str, extra: str) -> None:
    refusal = refusal_of(ModuleNotFoundError(f"No module named {package!r}", name=package))
    assert (refusal.code, refusal.exit_status) == ("E612", 6)
    assert f"pip install 'landslide-map[{extra}]'" in refusal.message
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert extra in project["optional-dependencies"]


def test_another_missing_package_is_a_bug() -> None:
    with pytest.raises(ModuleNotFoundError) as missing:
        import_module("nowhere")
    assert refusal_of(missing.value).code == "E999"


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory")])
def test_a_system_that_gives_no_memory_is_a_refusal(error: Exception) -> None:
    refusal = refusal_of(error)
    assert (refusal.code, refusal.exit_status) == ("E602", 6)
