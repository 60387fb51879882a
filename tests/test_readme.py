"""The README's examples are true to the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from landslide_map_cli.main import cli

from landslide_map.scene.model import load_scene

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_scene_example_is_a_valid_scene(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    path = tmp_path / "scene.yaml"
    path.write_text(block)
    assert load_scene(path).s1 is not None


@pytest.mark.parametrize("marker", ["map", "test"])
def test_the_two_commands_stand_where_ci_reads_them(marker: str) -> None:
    assert re.search(rf"<!-- {marker} -->\n```sh\n[^\n]+\n```", README)


def test_every_command_is_in_the_readme() -> None:
    for name in set(cli.commands) - {"run"}:
        assert f"`landslide-map {name}" in README, name
