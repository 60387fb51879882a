from __future__ import annotations

import lightgbm
import numpy as np
import pytest
import xarray as xr

from landslide_map.evaluation.ablation import MODALITIES, permuted_ablation, retrained_ablation
from landslide_map.evaluation.importance import feature_importance
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.statistics.features import feature_table
from tests.support import messages
from tests.support.labelled import CHANGE, made_up_statistics, tiny_bundle
from tests.support.raised import raised

QUICK = {"trees": 20, "learning_rate": 0.2, "num_leaves": 4, "min_data_in_leaf": 5}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


def two_signals(count: int = 240) -> tuple[xr.DataArray, np.ndarray]:
    """Noise, but for the mean of an optical index and the spread of a radar change, each half the truth."""
    statistics, labels = made_up_statistics(count)
    statistics.values[:] = np.random.default_rng(7).normal(size=statistics.shape)
    statistics.loc[{"statistic": "mean", "channel": "bndvi"}] += 2 * labels
    statistics.loc[{"statistic": "std", "channel": "desc_diff_vv"}] += 2 * labels
    return statistics, labels


def test_retraining_loses_what_only_the_left_out_part_shows() -> None:
    statistics, labels = two_signals()
    found = retrained_ablation(statistics, labels, folds=3, settings=QUICK)
    lost = {name: own["auc_loss"] for name, own in found["without_modality"].items()}
    assert min(lost["Sentinel-2"], lost["Sentinel-1 change"], lost["Sentinel-1 descending"]) > 0.03
    assert abs(lost["Sentinel-1 ascending"]) < 0.02
    lost = {name: own["auc_loss"] for name, own in found["without_statistic"].items()}
    assert min(lost["std"], lost["mean"]) > 0.03
    assert abs(lost["kurtosis"]) < 0.02
    assert set(lost) == {"mean", "std", "min", "max", "skew", "kurtosis"}
    most = list(found["importance"]["features"])
    assert {"bndvi.mean", "desc_diff_vv.std"} == set(most[:2])
    assert found["level"] == "window level"
    assert found["method"].startswith("retrained")


def test_losses_are_differences_to_everything() -> None:
    statistics, labels = made_up_statistics(90)
    found = retrained_ablation(statistics, labels, folds=3, settings=QUICK)
    own = found["without_modality"]["Sentinel-2"]
    for key in ("f1", "auc", "average_precision"):
        assert own[f"{key}_loss"] == pytest.approx(found["all"][key] - own[key])


def test_shuffling_loses_what_the_bundle_relies_on(bundle: Bundle) -> None:
    """The tiny bundle's trees rely on the spread of a radar change."""
    statistics, labels = made_up_statistics(90, seed=4)
    found = permuted_ablation(statistics, labels, bundle)
    assert "Sentinel-1 backscatter" not in found["without_modality"]  # the bundle does not read it
    assert found["without_modality"]["Sentinel-1 change"]["auc_loss"] > 0.2
    assert abs(found["without_modality"]["Sentinel-1 ascending"]["auc_loss"]) < 0.05
    assert found["without_statistic"]["std"]["auc_loss"] > 0.2
    votes = bundle.vote(statistics)
    assert found["all"]["f1"] == pytest.approx(
        2 * (votes.landslide & (labels == 1)).sum() / (votes.landslide.sum() + labels.sum())
    )


def test_windows_of_different_sensors_are_not_shuffled(bundle: Bundle) -> None:
    statistics, labels = made_up_statistics(60)
    statistics.loc[{"channel": list(CHANGE), "statistic": "valid_fraction"}] = np.where(
        np.arange(60) < 20, 0, 1
    )[:, None]
    with raised("E402", messages.DIFFERENT_SENSORS):
        permuted_ablation(statistics, labels, bundle)


def test_modalities_are_the_channels_they_name() -> None:
    assert set(MODALITIES["Sentinel-1 change"]) == set(CHANGE)
    assert set(MODALITIES["Sentinel-1"]) == {
        *MODALITIES["Sentinel-1 descending"],
        *MODALITIES["Sentinel-1 ascending"],
    }
    assert len(MODALITIES["Sentinel-2"]) + len(MODALITIES["Sentinel-1"]) == 18


def test_importance_is_what_the_libraries_count(bundle: Bundle) -> None:
    statistics, _ = made_up_statistics(12)
    found = feature_importance(bundle, most=500)
    assert set(found) == {"both.lightgbm", "both.xgboost", "optical.lightgbm"}  # networks have no trees
    member = next(m for m in bundle.members if m.name == "both.lightgbm")
    names = feature_table(statistics, member.channels)[1]
    shares = np.zeros(len(names))
    for content in member.folds:
        trees = lightgbm.Booster(model_str=content.decode()).dump_model()["tree_info"]
        counts = np.zeros(len(names))
        for tree in trees:
            _count(tree["tree_structure"], counts)
        shares += counts / counts.sum() / len(member.folds)
    own = found["both.lightgbm"]
    assert own["measure"] == "splits"
    assert own["features"] == pytest.approx({n: s for n, s in zip(names, shares, strict=True) if s > 0})
    assert list(own["features"].values()) == sorted(own["features"].values(), reverse=True)
    gains = found["both.xgboost"]
    assert gains["measure"] == "gain"
    assert sum(gains["features"].values()) == pytest.approx(1)
    assert next(iter(gains["features"])) == "desc_diff_vv.range_std"


def _count(node: dict, counts: np.ndarray) -> None:
    if "split_feature" in node:
        counts[node["split_feature"]] += 1
        _count(node["left_child"], counts)
        _count(node["right_child"], counts)
