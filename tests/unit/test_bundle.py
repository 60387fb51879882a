from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from landslide_map.bands import BACKSCATTER
from landslide_map.models.bundle.folder import save_bundle
from landslide_map.models.bundle.load import DEFAULT, Bundle, load_bundle
from landslide_map.models.statistics.perceptron import Perceptron
from landslide_map.training.statistics.train import train_on_statistics
from tests.support import messages
from tests.support.labelled import CHANGE, OPTICAL, made_up_statistics, tiny_bundle, tiny_recipe
from tests.support.raised import raised


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "tiny"
    tiny_bundle(path)
    return path


def test_a_saved_bundle_votes_as_the_models_it_was_made_from(folder: Path) -> None:
    statistics, labels = made_up_statistics()
    trained = train_on_statistics(statistics, labels, recipe=tiny_recipe())
    bundle = load_bundle(folder)
    votes = bundle.vote(statistics)
    assert (votes.scenario == 0).all()
    # Out-of-fold votes hold each window's own fold; the bundle averages three, so only folds can be compared.
    member = next(m for m in bundle.members if m.name == "both.lightgbm")
    features = __import__("landslide_map.models.statistics.features", fromlist=["x"]).feature_table(
        statistics, member.channels
    )[0]
    for fold, rows in enumerate(trained.folds):
        np.testing.assert_array_equal(
            member.predictors[fold](features[rows]), trained.votes["both.lightgbm"][rows]
        )


def test_a_bundle_knows_its_channels_and_what_it_was_trained_on(folder: Path) -> None:
    bundle = load_bundle(folder)
    assert set(bundle.channels) == {*OPTICAL, *CHANGE}
    assert bundle.name == "tiny 0.1"
    assert bundle.trained_on(["ID_0", "ID_5", "other"]) == 2


def test_an_existing_bundle_is_replaced_only_on_demand(tmp_path: Path) -> None:
    statistics, labels = made_up_statistics(60)
    trained = train_on_statistics(statistics, labels, recipe=tiny_recipe())
    save_bundle(tmp_path / "b", trained.document, trained.contents)
    before = load_bundle(tmp_path / "b").sha256
    with raised("E401", "--overwrite"):
        save_bundle(tmp_path / "b", trained.document, trained.contents)
    changed = {**trained.document, "version": "0.2"}
    save_bundle(tmp_path / "b", changed, trained.contents, overwrite=True)
    assert load_bundle(tmp_path / "b").sha256 != before
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("precious")
    with raised("E401", messages.DOES_NOT_HOLD_A_BUNDLE):
        save_bundle(tmp_path / "b", {}, {}, overwrite=True)
    assert (tmp_path / "b" / "thesis.txt").read_text() == "precious"


def test_an_invalid_document_leaves_nothing_behind(tmp_path: Path) -> None:
    with raised("E505"):
        save_bundle(tmp_path / "b", {"name": "x"}, {})
    assert not list(tmp_path.iterdir())


def test_perceptron_by_hand() -> None:
    """One feature, two knots, one hidden unit: silu(2 x + 1) * 3 - 1, then the sigmoid."""
    network = Perceptron(
        knots=np.array([[10.0, 20.0]], dtype=np.float32),
        scores=np.array([-1.0, 1.0], dtype=np.float32),
        weights=(np.full((1, 1, 1), 2, np.float32), np.full((1, 1, 1), 3, np.float32)),
        biases=(np.full((1, 1, 1), 1, np.float32), np.full((1, 1, 1), -1, np.float32)),
    )
    features = np.array([[15.0], [20.0], [99.0]], dtype=np.float32)
    scaled = np.array([0.0, 1.0, 1.0])  # halfway, at the last knot, beyond it
    hidden = (2 * scaled + 1) / (1 + np.exp(-(2 * scaled + 1)))
    expected = 1 / (1 + np.exp(-(3 * hidden - 1)))
    np.testing.assert_allclose(network.probability(features), expected, rtol=1e-6)
    again = Perceptron.from_bytes(network.to_bytes())
    np.testing.assert_array_equal(again.probability(features), network.probability(features))


def test_networks_of_a_perceptron_average_probabilities_not_log_odds() -> None:
    """Two networks with a silent hidden unit: their odds are those of their last bias, 9 and 1/4."""
    zero = np.zeros((2, 1, 1), np.float32)
    bias = np.log(np.array([9.0, 0.25], np.float32)).reshape(2, 1, 1)
    knots, scores = np.array([[0.0, 1.0]], np.float32), np.array([-1.0, 1.0], np.float32)
    network = Perceptron(knots, scores, (zero, zero), (zero, bias))
    np.testing.assert_allclose(network.probability(np.zeros((3, 1), np.float32)), (0.9 + 0.2) / 2, rtol=1e-6)


# --- the bundle that ships ---


@pytest.fixture(scope="module")
def default() -> Bundle:
    return load_bundle()


def test_the_default_bundle_says_whose_data_it_learned_from(default: Bundle) -> None:
    assert default.document.licence == "CC-BY-SA-4.0"
    card = (DEFAULT / "CARD.md").read_text()
    for words in ("CC-BY-SA-4.0", "ITU", "ComHaz", "MISSLab", "ESA", "window level", "Limits"):
        assert words in card
    assert sum(path.stat().st_size for path in DEFAULT.iterdir()) < 25e6


def test_the_default_bundle_reaches_its_goals_out_of_fold(default: Bundle) -> None:
    f1 = {scenario.name: scenario.metrics["f1"] for scenario in default.scenarios}
    assert f1["all channels"] >= 0.870
    assert f1["optical and both tracks' change"] >= 0.845
    for scenario in default.scenarios:
        assert {"precision", "recall", "auc", "brier", "ece"} <= set(scenario.metrics)


@pytest.mark.parametrize(
    ("missing", "scenario"),
    [
        ((), "all channels"),
        (BACKSCATTER, "optical and both tracks' change"),
        (("asc_vv", "asc_diff_vv"), "optical and descending track"),
        (("desc_vh", "desc_diff_vh"), "optical and ascending track"),
        ((*BACKSCATTER, "asc_diff_vv"), "optical and descending track's change"),
        ((*BACKSCATTER, "desc_diff_vv"), "optical and ascending track's change"),
        (("desc_diff_vv", "asc_diff_vv"), "optical and descending track after the event"),
        (("desc_vv", "desc_diff_vv", "asc_diff_vv"), "optical and ascending track after the event"),
        ((*BACKSCATTER, "desc_diff_vv", "asc_diff_vv"), "optical"),
        (("nir",), "both tracks"),
        (("nir", "asc_vv", "asc_diff_vv"), "descending track"),
        (("nir", "desc_vv", "desc_diff_vv"), "ascending track"),
        (("nir", *BACKSCATTER), "both tracks' change"),
    ],
)
def test_the_default_bundle_has_members_for_what_is_there(
    default: Bundle, missing: tuple[str, ...], scenario: str
) -> None:
    statistics, _ = made_up_statistics(3)
    votes = default.vote(statistics, excluded=missing)
    assert {default.scenarios[i].name for i in votes.scenario} == {scenario}
    assert ((votes.probability > 0) & (votes.probability < 1)).all()
    # Poisoned channels must not be read.
    poisoned = statistics.copy()
    poisoned.loc[{"channel": list(missing)}] = np.nan
    np.testing.assert_array_equal(default.vote(poisoned).probability, votes.probability)


def test_votes_and_scores_of_the_default_bundle_import_neither_torch_nor_sklearn() -> None:
    program = (
        "import sys\n"
        "sys.modules['sklearn'] = None\n"  # as where it is not installed
        "from landslide_map.models.bundle.load import load_bundle\n"
        "from tests.support.labelled import made_up_statistics\n"
        "votes = load_bundle().vote(made_up_statistics(3)[0])\n"
        "assert (votes.scenario == 0).all()\n"
        "from landslide_map.inference.score import score\n"
        "import numpy as np\n"
        "windows = np.random.default_rng(0).uniform(1100, 3000, (3, 64, 64, 12))\n"
        "assert score(windows)['probability'].between(0, 1).all()\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_file_of_the_default_bundle_is_listed_and_none_is_a_pickle() -> None:
    document = json.loads((DEFAULT / "bundle.json").read_text())
    listed = set(document["files"]) | {"bundle.json"}
    assert listed == {path.name for path in DEFAULT.iterdir()}
    assert {Path(name).suffix for name in listed} <= {".json", ".md", ".txt", ".ubj", ".npz"}
