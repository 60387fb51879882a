"""Every row of the paper's table of operating scenarios is a profile, where a bundle can serve it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from landslide_map.inference.score import score
from landslide_map.models.bundle.format import by_cost
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.models.bundle.profiles import PROFILES, describe, with_profile
from landslide_map.models.published.import_weights import import_nasios
from landslide_map.models.published.nasios import MEMBERS
from landslide_map.training.statistics.recipe import recipe_content
from landslide_map.training.windows.recipe import WindowRecipe, parse_window_recipe
from landslide_map.training.windows.train import train
from tests.support import messages
from tests.support.network_recipes import labelled_windows, tiny_window_recipe
from tests.support.raised import raised
from tests.support.tiny_ensemble import use_tiny_encoders, write_weights

RADAR = (
    "desc_vv",
    "desc_vh",
    "desc_diff_vv",
    "desc_diff_vh",
    "asc_vv",
    "asc_vh",
    "asc_diff_vv",
    "asc_diff_vh",
)


def recipe(name: str) -> WindowRecipe:
    path, content = recipe_content(name)
    return parse_window_recipe(content, path)


def test_the_radar_recipe_adds_one_network_that_never_votes_with_the_nine() -> None:
    nine, ten = recipe("nasios-9"), recipe("nasios-9-radar")
    assert set(ten.members) - set(nine.members) == {"radar"}
    assert ten.channels("radar") == RADAR
    assert all(ten.networks[name] == nine.networks[name] for name in nine.networks)
    assert ten.boosters == nine.boosters
    assert ten.scenarios[:-1] == nine.scenarios
    assert ten.scenarios[-1].weights == {"radar": 1}
    own, model = ten.networks["radar"], ten.networks["v20"]
    assert own.model_dump(exclude={"groups", "gflop"}) == model.model_dump(exclude={"groups", "gflop"})


def test_a_recipe_can_extend_another(tmp_path: Path) -> None:
    changed = tmp_path / "mine.yaml"
    changed.write_text("extends: nasios-9\nnetworks: {v10: {epochs: 3}}\nfolds: 4\n")
    found = parse_window_recipe(recipe_content(changed)[1], changed)
    assert (found.folds, found.networks["v10"].epochs, found.networks["v10"].batch) == (4, 3, 8)
    assert found.networks["v20"] == recipe("nasios-9").networks["v20"]
    again = tmp_path / "again.yaml"
    again.write_text(f"extends: {changed}\n")
    with raised("E510", messages.NO_RECIPE_THAT_STANDS_BY_ITSELF):
        recipe_content(again)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_encoders(patch)
        for version in MEMBERS[:7]:
            write_weights(folder, version, 0)
        import_nasios(folder, folder / "bundle")
    return load_bundle(folder / "bundle")


def test_the_rows_of_the_table_are_these_members_of_an_import(imported: Bundle) -> None:
    found = {
        name: [member.name for member in with_profile(imported, name).members]
        for name in PROFILES
        if name not in ("sar-only", "boosters")
    }
    seven = ["v10", "v20", "v31", "v33", "v37", "v39", "v46"]
    assert found == {
        "all": seven,
        "networks": seven,
        "optical-only": ["v10"],
        "fastest-network": ["v31"],
    }
    with raised("E523", "nasios-9-radar trains one"):
        with_profile(imported, "sar-only")
    said = [line for line in describe(imported) if "(SAR only)" in line]
    assert len(said) == 1
    assert "nasios-9-radar" in said[0]


def test_networks_go_by_time_and_where_none_is_known_by_operations(imported: Bundle) -> None:
    entries = imported.document.members
    assert [entry.name for entry in by_cost(entries)] == ["v31", "v33", "v20", "v37", "v10", "v46", "v39"]
    plain = [entry.model_copy(update={"settings": {"gflop": entry.settings["gflop"]}}) for entry in entries]
    assert [entry.name for entry in by_cost(plain)][:2] == ["v10", "v31"]


def test_a_radar_member_answers_where_only_radar_saw_the_ground(tmp_path: Path) -> None:
    tiny = tiny_window_recipe().model_dump(mode="json")
    tiny["channel_groups"]["radar"] = RADAR
    tiny["networks"]["radar"] = tiny["networks"]["one"] | {"groups": ["radar"]}
    tiny["scenarios"].append({"name": "radar only", "weights": {"radar": 1}})
    windows, labels = labelled_windows(16)
    train(windows, labels, tmp_path / "bundle", recipe=WindowRecipe.model_validate(tiny))
    clouded = windows[:4].copy()
    clouded[2:, ..., :4] = np.nan
    table = score(clouded, tmp_path / "bundle")
    radar = score(clouded, tmp_path / "bundle", profile="sar-only")
    assert list(radar.columns) == ["id", "probability", "landslide", "p_radar"]
    assert radar["probability"].notna().all()
    np.testing.assert_array_equal(table["p_radar"].isna(), [True, True, False, False])
    np.testing.assert_allclose(table["probability"][2:], radar["probability"][2:], atol=1e-6)
