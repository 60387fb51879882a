"""Cascades: what the rule promises, what it skips, and where it comes from."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from landslide_map_cli.main import cli
from scipy.stats import binomtest

from landslide_map.datasets.window_arrays import Windows
from landslide_map.evaluation.learn_cascade import learn_cascade
from landslide_map.inference.score import score
from landslide_map.models.bundle.folder import save_bundle
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.models.bundle.options import decided_at
from landslide_map.models.bundle.profiles import describe, with_profile
from landslide_map.models.bundle.skipped import skipping
from landslide_map.models.voting.calibration import IDENTITY, Calibration
from landslide_map.models.voting.cascade import CASCADES, Cascade, Rule, cascades_file
from landslide_map.models.voting.scenario import Scenario
from landslide_map.training.cascade import learned_cascade, learned_rule
from landslide_map.training.windows.train import train
from tests.support import messages
from tests.support.network_recipes import labelled_windows, tiny_window_recipe
from tests.support.raised import raised

THRESHOLD = 0.4
ALL = np.ones(6, dtype=np.bool_)


def tenth_of_the_odds(probability: float) -> float:
    odds = probability / (1 - probability) / 10
    return pytest.approx(odds / (1 + odds))  # type: ignore[return-value]


def test_the_limit_keeps_a_margin_to_the_least_of_the_windows_found() -> None:
    cheap = np.array([0.99, 0.3, 0.2, 0.02, 0.001, 0.8])
    probability = np.array([0.9, 0.6, 0.4, 0.45, 0.1, 0.3])
    rule = learned_rule(cheap, probability, ALL, 0.42, IDENTITY)
    assert rule.below == tenth_of_the_odds(0.02)
    assert (rule.found, rule.lost, rule.skipped) == (3, 0, 1)
    strict = learned_rule(cheap, probability, ALL, 0.7, IDENTITY)
    assert (strict.below, strict.found) == (0.7, 1), "above it, the cheap members say landslide themselves"
    curve = Calibration(slope=2, shift=0.5)
    assert curve(np.array([learned_rule(cheap, probability, ALL, 0.7, curve).below]))[0] == pytest.approx(0.7)


def test_false_alarms_need_not_be_kept() -> None:
    cheap = np.array([0.9, 0.3, 0.2, 0.02, 0.001, 0.8])
    probability = np.array([0.9, 0.6, 0.4, 0.45, 0.1, 0.3])
    landslide = np.array([True, True, True, False, False, False])
    rule = learned_rule(cheap, probability, landslide, 0.42, IDENTITY)
    assert rule.below == tenth_of_the_odds(0.3)
    assert (rule.found, rule.lost, rule.skipped, rule.false_alarms) == (2, 0, 2, 1)


def test_labels_say_which_windows_found_are_landslides() -> None:
    scenario = Scenario("all", {"trees": 1, "net": 1}, threshold=0.5)
    said = np.array([[0.9, 0.9], [0.3, 0.9], [0.03, 0.99], [0.001, 0.2]])
    learn = partial(learned_cascade, scenario, ("trees", "net"), ("trees",), said, "made up")
    anything, labelled = learn(), learn(np.array([1, 1, 0, 0]))
    assert anything is not None
    assert labelled is not None
    assert anything.rules[0].below == tenth_of_the_odds(0.03)
    assert labelled.rules[0].below == tenth_of_the_odds(0.3)
    counts = [rule.model_dump(exclude={"below"}) for rule in (*anything.rules, *labelled.rules)]
    assert counts == [
        {"threshold": 0.5, "found": 3, "lost": 0, "skipped": 1, "false_alarms": 0},
        {"threshold": 0.5, "found": 2, "lost": 0, "skipped": 2, "false_alarms": 1},
    ]
    assert "lost 0 of the 3 found (0.00%)" in anything.in_words(anything.rules[0])
    words = labelled.in_words(labelled.rules[0])
    assert "lost 0 of the 2 landslides found" in words
    assert words.endswith("; false alarms silenced too: 1")
    assert learn(np.array([0, 0, 0, 1])) is None, "no landslide is found"


def test_one_window_in_a_thousand_is_set_aside() -> None:
    cheap = np.linspace(0.001, 0.999, 2999)
    cheap[:2] = 1e-6  # far below the others
    rule = learned_rule(cheap, np.ones(2999), np.ones(2999, bool), 0.9995, IDENTITY)
    assert (rule.lost, rule.below) == (2, tenth_of_the_odds(cheap[2]))
    assert rule.recall_lost == 2 / 2999 <= 0.001
    assert learned_rule(cheap[:999], np.ones(999), np.ones(999, bool), 0.9995, IDENTITY).lost == 0


@pytest.mark.parametrize(
    ("lost", "found", "counted"),
    [(0, 1, 0), (0, 12, 0), (0, 999, 0), (1, 1131, 1), (0, 1131, 1), (7, 9000, 9), (4, 4, 4)],
)
def test_the_bound_is_that_of_clopper_and_pearson(lost: int, found: int, counted: int) -> None:
    """What was set aside counts as lost, even where the margin has kept it."""
    rule = Rule(threshold=0.5, below=0.1, found=found, lost=lost, skipped=lost)
    # The upper end of a two-sided interval of 90 % leaves 5 % above it.
    assert rule.at_most == pytest.approx(binomtest(counted, found).proportion_ci(0.9, method="exact").high)
    if found == 999:
        assert rule.at_most == pytest.approx(3 / found, rel=0.01)


def test_the_bound_holds_although_the_limit_was_chosen_on_the_same_windows() -> None:
    rng = np.random.default_rng(0)
    kept = []
    for _ in range(2000):
        rule = learned_rule(rng.random(150), np.ones(150), np.ones(150, bool), 0.9999, IDENTITY)
        odds = 10 * rule.below / (1 - rule.below)  # without the margin, which would hide what the rank loses
        kept.append(odds / (1 + odds) <= rule.at_most)  # of uniform numbers, as many lie below a limit
    assert 0.93 < np.mean(kept) < 0.97


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundle") / "bundle"
    boosters = {
        "trees": {
            "library": "lightgbm",
            "trees": 60,
            "settings": {"min_data_in_leaf": 2, "learning_rate": 0.2},
        },
        "more": {"library": "xgboost", "trees": 30, "settings": {"eta": 0.3}},
    }
    train(*labelled_windows(36), out, recipe=tiny_window_recipe(threshold=THRESHOLD, boosters=boosters))
    return out


def with_rule(bundle: Path, out: Path, **rule: Any) -> Bundle:
    """A copy with this rule as its only cascade."""
    known = load_bundle(bundle)
    contents: dict[str, Any] = {n: partial(shutil.copyfile, bundle / n) for n in known.document.files}
    numbers = {"threshold": THRESHOLD, "below": 0.06, "found": 100, "lost": 0, "skipped": 500} | rule
    cascade = Cascade(first=("trees", "more"), windows=900, evidence="made up", rules=(Rule(**numbers),))
    contents[CASCADES] = cascades_file({"all": cascade})
    save_bundle(out, known.document.model_dump(mode="json"), contents)
    return load_bundle(out)


def test_training_learns_it_out_of_fold(trained: Path) -> None:
    bundle = load_bundle(trained)
    cascade, rule = bundle.scenarios[0].cascade, bundle.scenarios[0].rule
    assert cascade is not None
    assert rule is not None
    assert bundle.scenarios[1].cascade is None, "no cheap member votes on optical bands alone"
    table = np.genfromtxt(trained / "out-of-fold.csv", delimiter=",", names=True)
    votes = np.stack([table[f"p_{name}"] for name in ("one", "two", "trees", "more")], axis=1)
    found = votes.mean(axis=1) > THRESHOLD
    landslides = found & (table["label"] == 1)
    cheap = votes[:, 2:].mean(axis=1)
    first = ("trees", "more")
    assert (cascade.first, cascade.windows, cascade.evidence) == (first, 36, "out of fold, shuffled folds")
    assert cascade.labelled
    odds = cheap[landslides].min() / (1 - cheap[landslides].min()) / 10
    assert rule.below == pytest.approx(min(odds / (1 + odds), THRESHOLD))
    assert (rule.found, rule.lost, rule.skipped) == (landslides.sum(), 0, (cheap < rule.below).sum())
    assert rule.false_alarms == (found & ~landslides & (cheap < rule.below)).sum()
    wanted = {THRESHOLD, *bundle.scenarios[0].operating_points.values()}
    assert {own.threshold for own in cascade.rules} <= wanted
    said = [line for line in describe(bundle) if "cascade:" in line]
    assert "95 % confidence" in said[0]
    assert "## Cascade" in (trained / "CARD.md").read_text()


def test_networks_predict_only_where_the_rule_leaves_doubt(trained: Path, tmp_path: Path) -> None:
    bundle = with_rule(trained, tmp_path / "bundle")
    windows, _ = labelled_windows(30, seed=5)
    full, quick = score(windows, bundle), score(windows, bundle, cascade=True)
    cheap = full[["p_trees", "p_more"]].mean(axis=1)
    cut = cheap < 0.06
    assert 5 < cut.sum() < 25
    for name in ("p_one", "p_two"):
        np.testing.assert_array_equal(quick[name].isna(), cut)
    assert (quick["landslide"][cut] == 0).all()
    np.testing.assert_allclose(quick["probability"][cut], cheap[cut])
    np.testing.assert_allclose(quick["probability"][~cut], full["probability"][~cut], atol=1e-6)
    assert quick["landslide"][~cut].tolist() == full["landslide"][~cut].tolist()
    assert (quick["probability_low"] <= full["probability"] + 1e-6).all()
    assert (full["probability"] <= quick["probability_high"] + 1e-6).all()
    said = quick.attrs["votes"]
    assert said["cascade"] is True
    assert said["members"]["two"] == {
        "windows_predicted": int((~cut).sum()),
        "windows_skipped": int(cut.sum()),
    }
    assert said["members"]["trees"] == {"windows_predicted": 30, "windows_skipped": 0}
    (note,) = quick.attrs["notices"]
    assert note.code == "W540"
    assert "lost 0 of the 100 found (0.00%)" in note.message
    assert "2.95%" in note.message
    both = score(windows, bundle, cascade=True, exact_early_exit=True)
    assert both["landslide"].tolist() == quick["landslide"].tolist()
    assert both["p_two"].isna().sum() >= cut.sum()


def test_a_window_without_further_predictions_never_shows_a_landslide(trained: Path, tmp_path: Path) -> None:
    bundle = with_rule(trained, tmp_path / "bundle", below=1.0)
    quick = score(labelled_windows(30, seed=5)[0], bundle, cascade=True)
    alone = quick["p_one"].isna()
    assert (quick["probability"][alone] < THRESHOLD).all()
    assert (quick[["p_trees", "p_more"]].mean(axis=1)[~alone] >= THRESHOLD - 1e-5).all()


def test_a_cascade_is_refused_where_there_is_no_evidence_for_it(trained: Path) -> None:
    with raised("E540", "learn-cascade"):
        skipping(load_bundle(), cascade=True)
    bundle = load_bundle(trained)
    assert skipping(bundle, cascade=True).cascade
    with raised("E540", "other thresholds than this run's (0.4"):
        skipping(decided_at(bundle, 0.123), cascade=True)
    with raised("E540"):
        skipping(with_profile(bundle, "networks"), cascade=True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[]", "should be an object"),
        (b'{"all": {"first": ["trees"], "windows": 3, "evidence": "x", "rules": []}}', "all.rules"),
        (
            b'{"none": {"first": ["trees"], "windows": 3, "evidence": "x", "rules": [R]}}',
            "no scenario 'none'",
        ),
        (
            b'{"all": {"first": ["one"], "windows": 3, "evidence": "x", "rules": [R]}}',
            "no members on statistics",
        ),
    ],
)
def test_a_file_of_cascades_that_makes_no_sense_is_refused(
    trained: Path, tmp_path: Path, content: bytes, said: str
) -> None:
    known = load_bundle(trained)
    contents: dict[str, Any] = {n: partial(shutil.copyfile, trained / n) for n in known.document.files}
    rule = b'{"threshold": 0.4, "below": 0.1, "found": 3, "lost": 0, "skipped": 1}'
    contents[CASCADES] = content.replace(b"R", rule)
    save_bundle(tmp_path / "bundle", known.document.model_dump(mode="json"), contents)
    with raised("E505", said):
        load_bundle(tmp_path / "bundle")


def test_a_bundle_learns_from_the_votes_that_it_keeps(trained: Path, tmp_path: Path) -> None:
    learned = learn_cascade(trained, tmp_path / "again")
    first, again = load_bundle(trained), load_bundle(tmp_path / "again")
    assert again.scenarios == first.scenarios
    assert learned.notices == ()
    assert (tmp_path / "again" / "CARD.md").read_text() == (trained / "CARD.md").read_text()
    windows, labels = labelled_windows(36)
    source = Windows.of_array(windows)
    voted = learn_cascade(trained, tmp_path / "voted", source, labels=labels, out_of_fold=True)
    (rule, own) = (voted.cascades["all"].at(THRESHOLD), first.scenarios[0].rule)
    assert rule is not None
    assert own is not None
    assert rule.below == pytest.approx(own.below, abs=1e-6)
    assert (rule.found, rule.lost, rule.skipped) == (own.found, own.lost, own.skipped)


def test_windows_that_a_member_may_have_seen_prove_nothing(trained: Path, tmp_path: Path) -> None:
    windows, labels = labelled_windows(40, seed=9)
    with raised("E541", "was trained on 36 of these 40 windows"):
        learn_cascade(trained, tmp_path / "new", Windows.of_array(windows))
    fresh = Windows.of_array(windows, [f"fresh {i}" for i in range(40)])
    learned = learn_cascade(trained, tmp_path / "new", fresh)
    table = score(windows, trained)
    rule = learned.cascades["all"].at(THRESHOLD)
    assert rule is not None
    assert rule.found == (table["landslide"] == 1).sum()
    labels[3] = 0  # found, and no landslide after all
    assert table["landslide"][3] == 1
    reported = learn_cascade(trained, tmp_path / "stored", fresh, labels=labels).cascades["all"]
    assert reported.labelled
    assert (
        reported.rules[0].found
        == ((table["probability"] > reported.rules[0].threshold) & (labels == 1)).sum()
    )
    assert learned.cascades["all"].evidence == "not trained on"
    assert learned.notices == ()
    with raised("E402", "labels"):
        learn_cascade(trained, tmp_path / "other", fresh, out_of_fold=True)
    with raised("E541", messages.NO_NETWORK_COULD_BE_SKIPPED):
        learn_cascade(None, tmp_path / "other", fresh)


def test_a_bundle_of_unknown_training_is_accepted_with_a_warning(trained: Path, tmp_path: Path) -> None:
    known = load_bundle(trained)
    kept = [name for name in known.document.files if name.endswith((".txt", ".ubj", ".safetensors"))]
    kept.remove("training-windows.txt")
    contents: dict[str, Any] = {name: partial(shutil.copyfile, trained / name) for name in kept}
    save_bundle(tmp_path / "imported", known.document.model_dump(mode="json"), contents)
    np.save(tmp_path / "w.npy", labelled_windows(40, seed=9)[0])
    arguments = [str(tmp_path / name) for name in ("imported", "w.npy")]
    ran = CliRunner().invoke(cli, ["models", "learn-cascade", *arguments, "--out", str(tmp_path / "new")])
    assert ran.exit_code == 0, ran.output
    assert "W541" in ran.output
    assert "all, threshold 0.4: where the mean of trees, more is below" in ran.output
    stored = json.loads((tmp_path / "new" / CASCADES).read_text())
    assert stored["all"]["evidence"] == "said to be not trained on"
    assert skipping(load_bundle(tmp_path / "new"), cascade=True).cascade


def test_a_cascade_of_an_earlier_version_is_read() -> None:
    numbers = {"threshold": 0.4, "below": 0.1, "found": 3, "lost": 0}
    earlier, now = (
        Rule.model_validate({**numbers, "spared": 1}),
        Rule.model_validate({**numbers, "skipped": 1}),
    )
    assert earlier == now
    assert earlier.model_dump()["skipped"] == 1
