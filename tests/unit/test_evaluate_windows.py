from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import landslide_map
from landslide_map.evaluation.member_votes import collect_votes
from landslide_map.evaluation.out_of_fold import VOTES, training_folds
from landslide_map.evaluation.windows import evaluate, figures, kept_predictions, predict_labelled
from landslide_map.metrics import scores
from landslide_map.models.bundle.folder import save_bundle
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.models.published.import_weights import import_nasios
from landslide_map.training.statistics.train import train_on_statistics
from tests.support import messages
from tests.support.filled_weights import synthetic_windows
from tests.support.labelled import CHANGE, made_up_statistics, tiny_bundle, tiny_recipe
from tests.support.raised import raised
from tests.support.tiny_ensemble import use_tiny_encoders, write_weights

FIGURES = ("f1", "precision", "recall", "auc", "average_precision", "brier", "ece")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


def test_the_ensemble_is_scored_as_it_votes(bundle: Bundle) -> None:
    statistics, labels = made_up_statistics(90, seed=5)
    found = evaluate(statistics, labels, bundle=bundle)
    votes = bundle.vote(statistics)
    expected = scores(labels, votes.probability, votes.landslide)
    assert {key: found[key] for key in expected} == expected
    assert (found["n"], found["unscored"], found["threshold"]) == (90, 0, bundle.scenarios[0].threshold)
    json.dumps(found, allow_nan=False)


def test_every_set_of_figures_says_window_level(bundle: Bundle) -> None:
    statistics, labels = made_up_statistics()
    found = evaluate(statistics, labels, bundle=bundle, all_members=True)
    groups = [found[name] for name in ("threshold_curve", "reliability", "member_correlation")]
    groups += [own for name in ("members", "scenarios", "profiles") for own in found[name].values() if own]
    assert {own["level"] for own in [found, *groups]} == {"window level"}


def test_predicting_with_all_members_once_gives_what_each_scenario_votes_alone(bundle: Bundle) -> None:
    statistics, labels = made_up_statistics(60, seed=3)
    holed = statistics.copy(deep=True)
    holed.loc[{"channel": list(CHANGE), "statistic": "valid_fraction"}] = np.where(np.arange(60) < 20, 0, 1)[
        :, None
    ]
    found = evaluate(holed, labels, bundle=bundle, all_members=True)
    for scenario in bundle.scenarios:
        votes = replace(bundle, scenarios=(scenario,)).vote(holed)
        predicted = votes.scenario >= 0
        alone = scores(labels[predicted], votes.probability[predicted], votes.landslide[predicted])
        assert found["scenarios"][scenario.name]["n"] == predicted.sum()
        assert {key: found["scenarios"][scenario.name][key] for key in alone} == alone
    votes = bundle.vote(holed)
    assert found["confusion"] == scores(labels, votes.probability, votes.landslide)["confusion"]
    assert found["windows_per_scenario"] == {"optical and change": 40, "optical": 20}


def test_profiles_are_scored_as_the_reduced_bundle_votes(bundle: Bundle) -> None:
    statistics, labels = made_up_statistics(60, seed=3)
    found = evaluate(statistics, labels, bundle=bundle, all_members=True)["profiles"]
    alone = evaluate(statistics, labels, bundle=bundle, profile="optical-only")
    assert found["networks"] is None
    assert found["optical-only"]["members"] == ["optical.lightgbm"]
    assert all(found["optical-only"][key] == alone[key] for key in FIGURES)


def test_out_of_fold_figures_are_those_of_the_training(bundle: Bundle) -> None:
    statistics, labels = made_up_statistics()
    found = evaluate(statistics, labels, bundle=bundle, all_members=True, out_of_fold=True)
    assert found["estimate"] == "out of fold"
    for scenario in bundle.scenarios:
        stored, again = scenario.metrics, found["scenarios"][scenario.name]
        assert {key: round(again[key], 4) for key in FIGURES} == {key: stored[key] for key in FIGURES}
        assert again["confusion"] == stored["confusion"]


def test_out_of_fold_figures_at_a_point_are_those_of_the_training(bundle: Bundle) -> None:
    statistics, labels = made_up_statistics()
    for point, stored in bundle.scenarios[0].metrics["operating_points"].items():
        found = evaluate(statistics, labels, bundle=bundle, operating_point=point, out_of_fold=True)
        assert {key: round(found[key], 4) for key in stored} == stored


def test_out_of_fold_votes_are_those_of_the_model_left_out(bundle: Bundle) -> None:
    statistics, labels = made_up_statistics()
    folds = training_folds(bundle, labels)
    votes = collect_votes(statistics, bundle, all_members=True, folds=folds)
    trained = train_on_statistics(statistics, labels, recipe=tiny_recipe())
    for i, name in enumerate(votes.members):
        np.testing.assert_array_equal(votes.predictions[:, i], trained.votes[name], err_msg=name)


def test_other_windows_than_those_of_the_training_have_no_out_of_fold_figures(bundle: Bundle) -> None:
    statistics, labels = made_up_statistics(90)
    with raised("E526", messages.THE_VERY_WINDOWS_OF_ITS_TRAINING):
        evaluate(statistics, labels, bundle=bundle, out_of_fold=True)
    given = np.arange(90) // 3 % 3
    assert evaluate(statistics, labels, bundle=bundle, out_of_fold=True, folds=given)["n"] == 90
    with raised("E526", "names fold 7"):
        evaluate(statistics, labels, bundle=bundle, out_of_fold=True, folds=given + 5)


def test_votes_that_a_bundle_keeps_are_evaluated_without_windows(bundle: Bundle, tmp_path: Path) -> None:
    statistics, labels = made_up_statistics()
    trained = train_on_statistics(statistics, labels, recipe=tiny_recipe())
    folds = training_folds(bundle, labels)
    table = pd.DataFrame({"id": [f"{i:03}" for i in range(len(labels))], "label": labels, "fold": folds})
    table = table.assign(**{f"p_{name}": said for name, said in trained.votes.items()})
    save_bundle(
        tmp_path / "b", trained.document, trained.contents | {VOTES: table.to_csv(index=False).encode()}
    )
    kept = load_bundle(tmp_path / "b")
    found = figures(kept_predictions(kept), all_members=True)
    every = evaluate(statistics, labels, bundle=bundle, all_members=True, out_of_fold=True)
    for key in FIGURES:
        assert found[key] == pytest.approx(every[key], abs=0.03), key  # calibrated to softened labels
    # By ID, in any order and any part.
    some = np.array([40, 3, 77])
    named = training_folds(kept, labels[some], [f"{i:03}" for i in some])
    np.testing.assert_array_equal(named, folds[some])
    with raised("E526", messages.WAS_NOT_TRAINED_ON_WINDOW_X):
        training_folds(kept, labels[:1], ["x"])
    with raised("E526", messages.KEEPS_NO_OUT_OF_FOLD_VOTES):
        kept_predictions(bundle)


def test_members_are_scored_each_for_itself(bundle: Bundle) -> None:
    statistics, labels = made_up_statistics(90, seed=8)
    found = evaluate(statistics, labels, bundle=bundle)["members"]
    assert set(found) == set(bundle.scenarios[0].weights)
    said = bundle.members[0].predict(statistics)
    own = found[bundle.members[0].name]
    assert own["threshold"] == 0.5
    assert own["auc"] == scores(labels, said, said > 0.5)["auc"]
    best = max((scores(labels, said, said > t / 100)["f1"] or 0) for t in range(1, 100))
    assert own["best_f1_on_these_windows"] == pytest.approx(best)


def test_member_correlations_are_pearsons(bundle: Bundle) -> None:
    statistics, labels = made_up_statistics(90, seed=8)
    found = evaluate(statistics, labels, bundle=bundle)["member_correlation"]
    said = np.array([member.predict(statistics) for member in bundle.members[:3]])
    assert found["members"] == [member.name for member in bundle.members[:3]]
    np.testing.assert_allclose(found["probability"], np.corrcoef(said), atol=1e-12)
    np.testing.assert_allclose(found["error"], np.corrcoef(said - labels), atol=1e-12)


def test_arrays_and_statistics_of_the_same_windows_score_alike() -> None:
    windows = synthetic_windows(1, 12)
    labels = np.arange(12) % 2
    found = landslide_map.evaluate(windows, labels)
    table = landslide_map.score(windows)
    landslide = table["landslide"].to_numpy(dtype=bool)
    expected = scores(labels, table["probability"].to_numpy(), landslide)
    assert {key: found[key] for key in expected} == expected


def test_networks_of_other_folds_are_silent_out_of_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_tiny_encoders(monkeypatch)
    (tmp_path / "w").mkdir()
    for version in ("v10", "v33"):
        for fold in (0, 1):
            write_weights(tmp_path / "w", version, fold)
    import_nasios(tmp_path / "w", tmp_path / "b")
    bundle = load_bundle(tmp_path / "b")
    windows, folds = synthetic_windows(5, 6), np.array([0, 1, 1, 0, 0, 1])
    labels = np.array([0, 1, 0, 1, 0, 1])
    predicted = predict_labelled(windows, labels, bundle=bundle, out_of_fold=True, folds=folds)
    for i, member in enumerate(bundle.members):
        alone = [replace(member, folds=(path,)).predict(windows) for path in member.folds]
        np.testing.assert_allclose(predicted.votes.predictions[:, i], np.choose(folds, alone), rtol=1e-6)
    mean = predicted.votes.predictions.mean(axis=1)
    found = figures(predicted, all_members=True)
    assert found["confusion"] == scores(labels, mean, mean > 0.49)["confusion"]
    assert found["members"]["v10"]["threshold"] == 0.49
    assert found["profiles"]["optical-only"]["members"] == ["v10"]
    with raised("E526", messages.DOES_NOT_SAY_WHICH_WINDOWS):
        predict_labelled(windows, labels, bundle=bundle, out_of_fold=True)
    (tmp_path / "w" / "Landslide_Class_S2S1_v10_Fold0_last.pt").unlink()
    import_nasios(tmp_path / "w", tmp_path / "less")
    with raised("E526", messages.LACK_FOLDS):
        predict_labelled(
            windows, labels, bundle=load_bundle(tmp_path / "less"), out_of_fold=True, folds=folds
        )


@pytest.mark.parametrize(
    ("labels", "code", "words"),
    [
        (np.arange(12) % 3, "E122", "neither 0 nor 1"),
        (np.zeros(12), "E122", "every label is 0"),
        ([0, 1], "E142", "2 labels for 12 windows"),
        ([0.0, np.nan] * 6, "E122", "6 of 12 labels"),
    ],
)
def test_labels_that_are_none_are_refused(labels, code: str, words: str) -> None:
    statistics, _ = made_up_statistics(12)
    with raised(code, words):
        evaluate(statistics, labels)


def test_windows_that_no_member_can_predict_are_refused(bundle: Bundle) -> None:
    statistics, labels = made_up_statistics(12)
    statistics.loc[{"statistic": "valid_fraction"}] = 0.0
    with raised("E145", "none of the 12 windows"):
        evaluate(statistics, labels, bundle=bundle)


def test_thresholds_can_be_moved_but_not_twice(bundle: Bundle) -> None:
    statistics, labels = made_up_statistics(60, seed=2)
    votes = bundle.vote(statistics)
    found = evaluate(statistics, labels, bundle=bundle, threshold=0.9)
    assert found["confusion"] == scores(labels, votes.probability, votes.probability > 0.9)["confusion"]
    point = bundle.scenarios[0].operating_points["recall90"]
    found = evaluate(statistics, labels, bundle=bundle, operating_point="recall90")
    assert found["threshold"] == point
    assert found["confusion"] == scores(labels, votes.probability, votes.probability > point)["confusion"]
    with raised("E402", messages.NOT_BOTH):
        evaluate(statistics, labels, bundle=bundle, operating_point="f1", threshold=0.5)
    with raised("E402", "no operating point 'f2'"):
        evaluate(statistics, labels, bundle=bundle, operating_point="f2")  # type: ignore[arg-type]
    without = replace(bundle, scenarios=tuple(replace(s, operating_points={}) for s in bundle.scenarios))
    with raised("E525", "has no operating point 'f1'"):
        evaluate(statistics, labels, bundle=without, operating_point="f1")
