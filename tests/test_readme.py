"""The README's examples are true to the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from landslide_map_cli.main import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("marker", ["map", "test"])
def test_the_two_commands_stand_where_ci_reads_them(marker: str) -> None:
    assert re.search(rf"<!-- {marker} -->\n```sh\n[^\n]+\n```", README)


def test_the_readme_is_one_screen() -> None:
    assert len(README.splitlines()) <= 70


def test_every_command_is_in_the_table_of_commands() -> None:
    table = (ROOT / "docs" / "commands.md").read_text()
    for name in cli.commands:
        assert f"(#landslide-map-{name})" in table, name
