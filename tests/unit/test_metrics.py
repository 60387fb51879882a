from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_map import metrics

PROBABILITIES = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5000001, 0.9, 1.0])),
    min_size=2,
    max_size=30,
)


def arrays(rows: list[tuple[bool, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([a for a, _ in rows]), np.array([b for _, b in rows])


@given(PROBABILITIES)
def test_auc_is_the_share_of_pairs_in_the_right_order(rows) -> None:
    truth, p = arrays(rows)
    pairs = [(a > b) + (a == b) / 2 for a in p[truth] for b in p[~truth]]
    expected = sum(pairs) / len(pairs) if pairs else None
    assert metrics.roc_auc(truth, p) == pytest.approx(expected)


@given(PROBABILITIES)
def test_average_precision_sums_precision_over_gains_of_recall(rows) -> None:
    truth, p = arrays(rows)
    expected, recall = 0.0, 0.0
    for limit in sorted(set(p), reverse=True):
        called = p >= limit
        new_recall = (truth & called).sum() / max(truth.sum(), 1)
        expected += (new_recall - recall) * (truth & called).sum() / called.sum()
        recall = new_recall
    found = metrics.average_precision(truth, p)
    assert found == pytest.approx(expected) if truth.any() else found is None


@given(PROBABILITIES)
def test_calibration_error_is_the_weighted_gap_of_the_bins(rows) -> None:
    truth, p = arrays(rows)
    expected = 0.0
    for low in range(4):
        inside = (p >= low / 4) & ((p < (low + 1) / 4) | (low == 3))
        if inside.any():
            expected += inside.mean() * abs(p[inside].mean() - truth[inside].mean())
    assert metrics.expected_calibration_error(truth, p, bins=4) == pytest.approx(expected)


def test_scores_by_hand() -> None:
    labels = np.array([1, 1, 1, 0, 0, 0, 0, 0])
    p = np.array([0.9, 0.8, 0.2, 0.7, 0.1, 0.1, 0.0, 0.0])
    found = metrics.scores(labels, p, p > 0.5)
    assert found["confusion"] == {"tp": 2, "fp": 1, "fn": 1, "tn": 4}
    assert found["precision"] == found["recall"] == found["f1"] == pytest.approx(2 / 3)
    assert found["auc"] == pytest.approx(14 / 15)
    assert found["brier"] == pytest.approx((0.01 + 0.04 + 0.64 + 0.49 + 0.01 + 0.01) / 8)
    assert found["positives"] == 3


def test_figures_that_are_not_defined_are_none_not_zero() -> None:
    found = metrics.scores(np.zeros(3), np.array([0.1, 0.2, 0.3]), np.zeros(3, dtype=bool))
    assert found["auc"] is found["f1"] is found["precision"] is found["recall"] is None
    assert found["average_precision"] is None


def test_sklearn_agrees() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(0)
    truth = generator.random(500) < 0.2
    p = np.clip(np.round(generator.normal(0.3 + 0.3 * truth, 0.2), 2), 0, 1)
    found = metrics.scores(truth, p, p > 0.5)
    assert found["auc"] == pytest.approx(sklearn.roc_auc_score(truth, p))
    assert found["average_precision"] == pytest.approx(sklearn.average_precision_score(truth, p))
    assert found["f1"] == pytest.approx(sklearn.f1_score(truth, p > 0.5))
    assert found["brier"] == pytest.approx(sklearn.brier_score_loss(truth, p))


@given(PROBABILITIES)
def test_curves_are_counts_at_every_value(rows) -> None:
    truth, p = arrays(rows)
    roc, pr = metrics.roc_curve(truth, p), metrics.precision_recall_curve(truth, p)
    limits = sorted(set(p), reverse=True)
    share = [0.0, *[(p[~truth] >= limit).sum() / max((~truth).sum(), 1) for limit in limits]]
    np.testing.assert_allclose(roc["false_positive_rate"], share)
    found = [(p[truth] >= limit).sum() / max(truth.sum(), 1) for limit in limits]
    np.testing.assert_allclose(roc["true_positive_rate"], [0.0, *found])
    np.testing.assert_allclose(pr["recall"], found)
    np.testing.assert_allclose(pr["precision"], [truth[p >= limit].mean() for limit in limits])
    np.testing.assert_allclose(pr["probability"], limits)


@given(PROBABILITIES)
def test_the_area_under_the_roc_curve_is_the_auc(rows) -> None:
    truth, p = arrays(rows)
    if truth.any() and not truth.all():
        curve = metrics.roc_curve(truth, p)
        area = np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])
        assert area == pytest.approx(metrics.roc_auc(truth, p))


@given(PROBABILITIES)
def test_the_threshold_curve_is_the_scores_at_every_threshold(rows) -> None:
    truth, p = arrays(rows)
    curve = metrics.threshold_curve(truth, p)
    assert len(curve["threshold"]) == 99
    for i in (0, 9, 24, 49, 98):
        figures = metrics.scores(truth, p, p > curve["threshold"][i])
        for name in ("f1", "precision", "recall"):
            expected = figures[name]
            if expected is None:
                assert np.isnan(curve[name][i]) or curve[name][i] == 0
            else:
                assert curve[name][i] == pytest.approx(expected)


@given(PROBABILITIES)
def test_reliability_holds_every_window_in_its_bin(rows) -> None:
    truth, p = arrays(rows)
    curve = metrics.reliability_curve(truth, p, bins=4)
    assert curve["windows"].sum() == len(p)
    bins = [(p >= low / 4) & ((p < (low + 1) / 4) | (low == 3)) for low in range(4)]
    np.testing.assert_allclose(curve["promised"], [p[b].mean() for b in bins if b.any()])
    np.testing.assert_allclose(curve["found"], [truth[b].mean() for b in bins if b.any()])
    gap = (np.abs(curve["promised"] - curve["found"]) * curve["windows"]).sum() / len(p)
    assert gap == pytest.approx(metrics.expected_calibration_error(truth, p, bins=4))
