"""What the command line says without importing the library is what the library does."""

from __future__ import annotations

import re
from typing import Any, get_args

import click
import pytest
from click.testing import CliRunner
from landslide_map_cli.main import cli

from landslide_map.bands import MODEL_BANDS
from landslide_map.models.bundle.profiles import PROFILES
from landslide_map.options import Device, Precision
from landslide_map.windows import LEAST_STRIDE, SIZE


def option(command: str, name: str) -> Any:
    return next(parameter for parameter in cli.commands[command].params if parameter.name == name)


@pytest.mark.parametrize(("name", "values"), [("device", Device), ("precision", Precision)])
def test_choices_are_those_of_the_library(name: str, values: Any) -> None:
    assert tuple(option("run", name).type.choices) == get_args(values)


def test_profiles_are_named() -> None:
    named = option("run", "profile").help.partition(": ")[2].rstrip(".").split(", ")
    assert sorted(named) == sorted(PROFILES)


@pytest.mark.parametrize("command", ["run", "check", "windows"])
def test_strides_are_those_of_a_scene(command: str) -> None:
    allowed = option(command, "stride").type
    assert isinstance(allowed, click.IntRange)
    assert (allowed.min, allowed.max) == (LEAST_STRIDE, SIZE)


def test_bands_of_ready_windows_are_listed_in_their_order() -> None:
    said = re.search(r"Bands are (.*?), as in", " ".join((cli.commands["score"].help or "").split()))
    assert said is not None
    optical, radar = said[1].split(", then ")
    names = radar.removesuffix(" of the descending and of the ascending track").split(", ")
    expected = [*optical.split(", "), *(f"{orbit}_{name}" for orbit in ("desc", "asc") for name in names)]
    assert tuple(expected) == MODEL_BANDS


def test_lists_of_commands_are_not_cut() -> None:
    shown = CliRunner().invoke(cli, ["--help"], terminal_width=80).output
    assert "..." not in shown.partition("Options:")[2]
    assert max(map(len, shown.splitlines())) <= 80
    lines = [line.split()[0] for line in shown.splitlines() if re.match(r"  [a-z][a-z-]*  +[A-Z]", line)]
    assert sorted(lines) == sorted(cli.commands)


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_help_lists_every_option_once(name: str) -> None:
    shown = CliRunner().invoke(cli, [name, "--help"], terminal_width=100).output
    options = [one for one in cli.commands[name].params if isinstance(one, click.Option) and not one.hidden]
    listed = re.findall(r"^  (?:-\w, )?(--[a-z0-9-]+)", shown.partition("\nOptions:")[2], re.MULTILINE)
    assert sorted(listed) == sorted([*(one.opts[-1] for one in options), "--help"])


def test_the_help_of_a_run_begins_with_what_every_run_needs() -> None:
    shown = CliRunner().invoke(cli, ["run", "--help"], terminal_width=100).output
    first = shown.partition("\nOptions:\n")[2].partition("\n\n")[0]
    listed = re.findall(r"^  (?:-\w, )?--([a-z-]+)", first, re.MULTILINE)
    assert listed == ["out", "overwrite", "outline", "threshold", "operating-point", "format", "help"]
