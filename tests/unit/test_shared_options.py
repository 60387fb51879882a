"""What the command line says without importing the library is what the library does."""

from __future__ import annotations

import re
from typing import Any, get_args

import click
import pytest
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


def test_bands_of_ready_windows_are_told_in_their_order() -> None:
    said = re.search(r"Bands are (.*?), as in", " ".join((cli.commands["score"].help or "").split()))
    assert said is not None
    optical, radar = said[1].split(", then ")
    names = radar.removesuffix(" of the descending and of the ascending track").split(", ")
    expected = [*optical.split(", "), *(f"{orbit}_{name}" for orbit in ("desc", "asc") for name in names)]
    assert tuple(expected) == MODEL_BANDS
