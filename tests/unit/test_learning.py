"""The published procedure, piece by piece, against hand arithmetic, scikit-learn and the paper's table."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pandas as pd
import pytest
import torch

from landslide_map.bands import CHANNELS
from landslide_map.datasets.folds import grouped_folds, overlapping_windows, shuffled_folds
from landslide_map.errors import InputError
from landslide_map.models.published.nasios import GFLOP, NETWORKS, THRESHOLD
from landslide_map.training.statistics.recipe import read_recipe, recipe_content, trains_on_windows
from landslide_map.training.windows.procedure import augmented, learning_rate, loss
from landslide_map.training.windows.recipe import Augmentation, WindowRecipe, parse_window_recipe
from landslide_map.training.windows.time_left import Pace
from tests.support import messages
from tests.support.network_recipes import tiny_window_recipe
from tests.support.raised import raised

TABLE = {  # epochs, batch, learning rate: the paper's table
    "v10": (20, 8, 1e-4),
    "v20": (20, 32, 1e-5),
    "v31": (20, 32, 1e-5),
    "v33": (20, 32, 1e-5),
    "v37": (15, 32, 1e-5),
    "v39": (10, 24, 1e-5),
    "v46": (20, 32, 1e-5),
}


def published_recipe() -> WindowRecipe:
    path, content = recipe_content("nasios-9")
    assert trains_on_windows(content)
    return parse_window_recipe(content, path)


def test_the_recipe_is_the_published_one() -> None:
    recipe = published_recipe()
    assert (recipe.folds, recipe.division, recipe.seed, recipe.threshold) == (5, "shuffled", 42, THRESHOLD)
    assert {name: recipe.spec(name) for name in recipe.networks} == NETWORKS
    assert {name: own.gflop for name, own in recipe.networks.items()} == GFLOP
    found = {name: (own.epochs, own.batch, own.learning_rate) for name, own in recipe.networks.items()}
    assert found == TABLE
    assert recipe.learning.loss == "bce + soft f1"
    assert set(recipe.learning.augmentation.model_dump().values()) == {0.5}
    light, extreme = recipe.boosters["v18b"], recipe.boosters["v44"]
    assert (light.trees, extreme.trees) == (12_000, 4_000)
    wanted = {"num_leaves": 24, "max_depth": 12, "learning_rate": 0.005, "bagging_fraction": 0.6}
    wanted |= {"bagging_freq": 1, "feature_fraction": 0.5, "scale_pos_weight": 1.5, "lambda_l2": 0.3}
    assert light.settings == wanted | {"seed": 42}
    wanted = {"eta": 0.02, "subsample": 0.8, "colsample_bytree": 0.8, "scale_pos_weight": 1.5, "lambda": 1.2}
    assert extreme.settings == wanted | {"seed": 42}
    assert recipe.channels("v44") == CHANNELS


def test_a_reduced_recipe_keeps_what_its_members_can_do() -> None:
    recipe = published_recipe().reduced(("v10", "v37"))
    assert recipe.members == ("v10", "v37")
    assert [list(scenario.weights) for scenario in recipe.scenarios] == [["v10", "v37"], ["v10"]]
    with raised("E510", "no member 'v11'"):
        published_recipe().reduced(("v11",))


def test_wrong_recipes_are_explained() -> None:
    with raised("E510", messages.TRAINS_ON_PIXELS):
        read_recipe("nasios-9")
    content = tiny_window_recipe().model_dump(mode="json")
    for change, said in (
        ({"channel_groups": {}}, "unknown channel group"),
        ({"networks": {}, "boosters": {}}, "there is no member"),
        ({"epochz": 3}, "epochz"),
    ):
        with raised("E510", said):
            parse_window_recipe(content | change, recipe_content("nasios-9")[0])


@pytest.mark.parametrize("rows", [7147, 53, 5])
def test_folds_are_those_of_scikit_learn(rows: int) -> None:
    model_selection = pytest.importorskip("sklearn.model_selection")
    expected = model_selection.KFold(5, shuffle=True, random_state=42).split(np.zeros(rows))
    found = shuffled_folds(rows, 5, 42)
    for fold, (_, held_out) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(fold, held_out)


def test_folds_of_ten_windows_are_the_known_ones() -> None:
    # KFold(5, shuffle=True, random_state=42).split(range(10)) of scikit-learn 1.9
    known = [[1, 8], [0, 5], [2, 7], [4, 9], [3, 6]]
    assert [fold.tolist() for fold in shuffled_folds(10, 5, 42)] == known
    with pytest.raises(InputError):
        shuffled_folds(4, 5, 42)


def test_groups_stay_whole_and_landslides_are_spread() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 23, 400).astype(str)
    labels = (rng.random(400) < 0.2).astype(np.int8)
    folds = grouped_folds(groups, labels, 4, 1)
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(400))
    for i, fold in enumerate(folds):
        others = np.concatenate([rows for j, rows in enumerate(folds) if j != i])
        assert not set(groups[fold]) & set(groups[others])
    counts = [labels[fold].sum() for fold in folds]
    assert max(counts) - min(counts) <= max(np.bincount(groups.astype(int), labels))
    with raised("E146", "3 spatial groups"):
        grouped_folds(["a", "b", "c"] * 9, np.arange(27) % 2, 4, 1)
    with raised("E146", "9 landslides in 9 windows"):
        grouped_folds(["a", "b", "c"] * 9, np.arange(27) % 3 == 0, 3, 1)


def test_windows_overlap_if_both_axes_do_and_the_scene_is_the_same() -> None:
    origin = pd.DataFrame(
        {"scene": list("aaaabb"), "row": [0, 63, 64, 200, 0, 64], "col": [0, 63, 0, 0, 0, 0]}
    )
    apart = [np.array([i]) for i in range(6)]
    assert (
        overlapping_windows(origin, apart, 64) == 3
    )  # 0 with 1 by one pixel, 1 with 2; those of b only touch
    together = [np.array([0, 1, 2]), np.array([3, 4, 5])]
    assert overlapping_windows(origin, together, 64) == 0


def test_the_rate_falls_by_half_a_cosine() -> None:
    assert [learning_rate(1e-4, epoch, 4) for epoch in (0, 2)] == pytest.approx([1e-4, 0.5e-4])
    assert learning_rate(1.0, 1, 3) == pytest.approx(0.75)  # cos 60 degrees


def test_the_loss_is_that_of_the_paper() -> None:
    logits, labels = torch.tensor([log(3.0), -log(4.0), -log(3.0)]), torch.tensor([1.0, 0.0, 1.0])
    # Probabilities 3/4, 1/5, 1/4: cross entropy -(ln 3/4 + ln 4/5 + ln 1/4) / 3; tp 1, fp 1/5, fn 1.
    entropy = -(log(0.75) + log(0.8) + log(0.25)) / 3
    assert loss(logits, labels, "bce").item() == pytest.approx(entropy, rel=1e-6)
    assert loss(logits, labels, "bce + soft f1").item() == pytest.approx(entropy + 1 - 2 / 3.2, rel=1e-6)
    none = torch.tensor([-1.0, -1.0])
    expected = log(1 + exp(-1)) + 1 - 1e-7 / (2 / (1 + exp(1)) + 1e-7)
    assert loss(none, torch.zeros(2), "bce + soft f1").item() == pytest.approx(expected, rel=1e-6)


def test_augmented_windows_are_turns_and_mirrors_of_themselves_all_bands_alike() -> None:
    windows = torch.arange(300 * 2 * 3 * 3.0).reshape(300, 2, 3, 3)
    chance = torch.Generator().manual_seed(0)
    found = augmented(windows, Augmentation(rotation=0.5, row_flip=0.5, column_flip=0.5), chance)
    seen = []
    for window, changed in zip(windows.numpy(), found.numpy(), strict=True):
        eight = [np.rot90(image, k, (1, 2)) for image in (window, window[:, ::-1]) for k in range(4)]
        matches = [i for i, image in enumerate(eight) if np.array_equal(image, changed)]
        assert len(matches) == 1
        seen += matches
    share = np.bincount(seen, minlength=8) / 300
    # Unturned with probability 0.5 + 0.5 / 4, mirrored an even number of times with 0.5:
    # identity 0.25 * (0.625 + 0.125), as both mirrors are half a turn.
    assert share[0] == pytest.approx(0.1875, abs=0.07)
    assert share.min() > 0.02
    same = augmented(windows, Augmentation(rotation=0, row_flip=0, column_flip=0), chance)
    assert torch.equal(same, windows)


def test_an_estimate_comes_after_the_first_batches(caplog: pytest.LogCaptureFixture) -> None:
    clock = map(float, range(100))
    caplog.set_level("INFO", logger="landslide_map.training")
    shares: list[tuple[str, int, int]] = []
    pace = Pace({"a": 2.0}, 400.0, lambda *share: shares.append(share), lambda: next(clock))
    for _ in range(5):
        pace.stepped("a", 10)
    # 20 units a batch; the clock is read at the first and at the fifth: 80 units took 1 s, 300 are left.
    assert caplog.messages == ["a: at this pace about 4 s more for all networks"]
    assert shares[-1][1:] == (100, 400)
