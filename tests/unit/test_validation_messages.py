"""One translator of validation errors: scenes, bundles, cascades and recipes are explained alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from landslide_map.errors import BundleError
from landslide_map.models.bundle.folder import DOCUMENT, parse
from landslide_map.models.bundle.load import DEFAULT
from landslide_map.training.statistics.recipe import recipe_content
from landslide_map.training.windows.recipe import parse_window_recipe
from tests.support.raised import raised


def test_a_wrong_key_deep_in_a_bundle_names_its_place_and_the_nearest_key() -> None:
    document = json.loads((DEFAULT / DOCUMENT).read_bytes())
    entry = document["scenarios"][0]
    entry["treshold"] = entry.pop("threshold")
    with raised("E505", "scenarios[0].treshold", "scenarios[0].threshold"):
        parse(json.dumps(document).encode(), DEFAULT)


def test_a_wrong_key_below_a_free_name_in_a_recipe_names_the_nearest_key() -> None:
    path, content = recipe_content("nasios-9")
    name = next(iter(content["networks"]))
    content["networks"][name]["bach"] = content["networks"][name].pop("batch")
    with raised("E510", f"networks.{name}.bach", f"networks.{name}.batch"):
        parse_window_recipe(content, path)


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    document = json.loads((DEFAULT / DOCUMENT).read_bytes())
    document["scenarios"][0]["threshold"] = "x" * 100_000
    with pytest.raises(BundleError) as refusal:
        parse(json.dumps(document).encode(), tmp_path)
    assert len(refusal.value.message) < 600
