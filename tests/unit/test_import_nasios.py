"""The author's files become a bundle, or a clear refusal that leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import joblib
import lightgbm
import numpy as np
import pytest
import torch
import xgboost

from landslide_map.errors import OutputExistsError
from landslide_map.models.bundle.load import load_bundle
from landslide_map.models.bundle.verify import verify_members
from landslide_map.models.published.import_weights import import_nasios
from landslide_map.models.statistics.published_boosters import PublishedBooster
from tests.support import messages
from tests.support.raised import raised
from tests.support.tiny_ensemble import use_tiny_encoders, write_weights


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_tiny_encoders(monkeypatch)
    folder = tmp_path / "weights"
    folder.mkdir()
    return folder


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("1 + 1",)


def write_boosters(folder: Path) -> np.ndarray:
    """Write one fold of both boosters and return features of windows."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 126))
    labels = (features[:, 0] > 0).astype(int)
    for version, model in (
        ("v18b", lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1)),
        ("v44", xgboost.XGBClassifier(n_estimators=5, n_jobs=1)),
    ):
        joblib.dump(model.fit(features, labels), folder / f"Landslide_Class_S2S1_{version}_fold0")
    return features


def test_whatever_is_there_becomes_a_bundle_and_the_rest_is_reported(weights: Path, tmp_path: Path) -> None:
    for version, fold in (("v10", 0), ("v46", 3), ("v46", 1)):
        write_weights(weights, version, fold)
    report = import_nasios(weights, tmp_path / "bundle")
    assert report.folds == {"v10": (0,), "v46": (1, 3)}
    bundle = load_bundle(tmp_path / "bundle")
    assert [member.name for member in bundle.members] == ["v10", "v46"]
    assert verify_members(bundle) == 3
    said = [notice.message for notice in report.notices if notice.code == "W520"]
    assert any("v46 lacks fold 0, 2, 4" in message for message in said)
    assert any("v18b is missing" in message for message in said)


def refuse(code: str, weights: Path, out: Path, *named: str) -> None:
    with raised(code, *named):
        import_nasios(weights, out)
    assert list(out.parent.glob("*bundle*")) == []


def test_a_pickle_in_disguise_is_refused_and_not_run(weights: Path, tmp_path: Path) -> None:
    write_weights(weights, "v10", 0)
    torch.save({"a": Malicious()}, weights / "Landslide_Class_S2S1_v10_Fold1_last.pt")
    refuse("E522", weights, tmp_path / "bundle", "v10_Fold1_last.pt", "would have to be unpickled")


def test_a_whole_network_instead_of_its_state_dict_is_refused(weights: Path, tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), weights / "Landslide_Class_S2S1_v10_Fold1_last.pt")
    refuse("E522", weights, tmp_path / "bundle", "state_dict")


def test_weights_of_another_version_are_refused(weights: Path, tmp_path: Path) -> None:
    write_weights(weights, "v31", 0, of="v37")
    refuse("E521", weights, tmp_path / "bundle", r"v31_Fold0_last.pt: not the weights of head v2")


def test_a_tensor_of_another_shape_is_named(weights: Path, tmp_path: Path) -> None:
    path = write_weights(weights, "v10", 0)
    state = torch.load(path, weights_only=True)
    torch.save(state | {"head.weight": torch.zeros(2, 64)}, path)
    refuse("E521", weights, tmp_path / "bundle", "head.weight has shape (2, 64), expected (1, 64)")


def test_weights_that_are_not_numbers_are_refused(weights: Path, tmp_path: Path) -> None:
    path = write_weights(weights, "v10", 0)
    state = torch.load(path, weights_only=True)
    torch.save(state | {"head.bias": torch.tensor([float("nan")])}, path)
    refuse("E524", weights, tmp_path / "bundle", "head.bias holds values that are not numbers")


def test_a_truncated_file_is_refused(weights: Path, tmp_path: Path) -> None:
    path = write_weights(weights, "v10", 0)
    path.write_bytes(path.read_bytes()[:1000])
    refuse("E524", weights, tmp_path / "bundle", "cannot be read as a torch file")


def test_a_folder_without_weights_is_refused(weights: Path, tmp_path: Path) -> None:
    refuse("E520", weights, tmp_path / "bundle", "no weights of the published ensemble")


def test_a_bundle_is_not_replaced_unasked(weights: Path, tmp_path: Path) -> None:
    write_weights(weights, "v10", 0)
    import_nasios(weights, tmp_path / "bundle")
    with pytest.raises(OutputExistsError) as refusal:
        import_nasios(weights, tmp_path / "bundle")
    assert refusal.value.code == "E401"


def test_pickled_boosters_are_left_out_unless_allowed(weights: Path, tmp_path: Path) -> None:
    write_boosters(weights)
    refuse("E522", weights, tmp_path / "bundle", "Nothing else is here")
    write_weights(weights, "v10", 0)
    report = import_nasios(weights, tmp_path / "networks")
    assert list(report.folds) == ["v10"]
    assert any(notice.code == "W521" and "--trust-pickles" in notice.message for notice in report.notices)


def test_allowed_boosters_predict_the_same_after_conversion(weights: Path, tmp_path: Path) -> None:
    features = write_boosters(weights)
    import_nasios(weights, tmp_path / "bundle", trust_pickles=True)
    for member in load_bundle(tmp_path / "bundle").members:
        assert isinstance(member, PublishedBooster)
        original = joblib.load(weights / f"Landslide_Class_S2S1_{member.name}_fold0")
        expected = original.booster_.predict(features) if member.name == "v18b" else None
        if expected is None:
            expected = original.predict_proba(features)[:, 1]
        np.testing.assert_allclose(member.predictors[0](features), expected, atol=1e-7)


def test_a_changed_weight_file_is_noticed(weights: Path, tmp_path: Path) -> None:
    write_weights(weights, "v10", 0)
    import_nasios(weights, tmp_path / "bundle")
    path = tmp_path / "bundle" / "v10_fold0.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with raised("E502", messages.DIFFERS_FROM_THE_HASH):
        load_bundle(tmp_path / "bundle")
