"""Scores of ready windows, against plain loops over windows, flips and folds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from landslide_map_cli.score import score as score_command

from landslide_map.bands import MODEL_BANDS
from landslide_map.datasets.window_arrays import Windows, read_ids
from landslide_map.errors import OutputExistsError
from landslide_map.inference.score import score, submission
from landslide_map.models.networks.preprocessing import enlarge, planes, scale
from landslide_map.models.published.import_weights import import_nasios
from landslide_map.options import Precision
from tests.support import messages
from tests.support.raised import raised
from tests.support.tiny_ensemble import TINY, WINDOWS, network, use_tiny_encoders, write_weights
from tests.unit.test_import_nasios import write_boosters

FOLDS = {"v10": (0, 2), "v20": (1,), "v33": (0,)}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    out = folder.parent / "scored-bundle"
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_encoders(patch)
        for version, folds in FOLDS.items():
            for fold in folds:
                write_weights(folder, version, fold)
        write_boosters(folder)
        import_nasios(folder, out, trust_pickles=True)
    return out


def plain_probability(version: str) -> list[float]:
    """The published procedure, one window, flip and fold at a time."""
    spec = TINY[version]
    found = []
    for window in WINDOWS:
        image = enlarge(scale(torch.tensor(window).permute(2, 0, 1)[None], spec.scaling), 80)[:, planes(spec)]
        flips = (image, image.flip(2), image.flip(3), image.flip(2, 3))
        folds = []
        for fold in FOLDS[version]:
            model = network(spec, 100 + fold)
            with torch.inference_mode():
                mean = np.mean([model(flip).item() for flip in flips])
            folds.append(1 / (1 + np.exp(-mean)))
        found.append(float(np.mean(folds)))
    return found


def test_members_average_flips_and_folds_and_the_ensemble_averages_members(bundle: Path) -> None:
    table = score(WINDOWS, bundle)
    assert list(table.columns[:3]) == ["id", "probability", "landslide"]
    assert list(table.columns[3:]) == ["p_v10", "p_v20", "p_v33", "p_v18b", "p_v44"]
    for version in FOLDS:
        np.testing.assert_allclose(table[f"p_{version}"], plain_probability(version), atol=1e-6)
    np.testing.assert_allclose(table["probability"], table.filter(like="p_").mean(axis=1), atol=1e-9)
    assert list(table["landslide"]) == list((table["probability"] > 0.49).astype(int))


def test_the_batch_size_does_not_change_the_scores(bundle: Path) -> None:
    one, all_ = (score(WINDOWS, bundle, batch_size=n, profile="networks") for n in (1, 4))
    pd.testing.assert_frame_equal(one, all_, atol=1e-6)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_stays_close(bundle: Path, precision: Precision) -> None:
    exact = score(WINDOWS, bundle, profile="networks")["probability"]
    close = score(WINDOWS, bundle, profile="networks", precision=precision)["probability"]
    np.testing.assert_allclose(close, exact, atol=0.01)  # what the project promises of ensembles


def test_without_radar_only_the_optical_member_votes(bundle: Path) -> None:
    windows = WINDOWS.copy()
    windows[1, ..., 4:] = np.nan
    table = score(windows, bundle)
    assert table.loc[1, "probability"] == pytest.approx(table.loc[1, "p_v10"])
    assert table.loc[1].filter(like="p_").notna().sum() == 1
    assert table.loc[0].filter(like="p_").notna().all()
    assert table.attrs["notices"][0].code == "W141"


def test_complete_windows_are_no_reason_to_warn() -> None:
    """Three of the default bundle's 28 members predict a complete window; the rest is for others."""
    assert score(WINDOWS).attrs["notices"] == []
    without_radar = WINDOWS.copy()
    without_radar[1, ..., 4:] = np.nan
    (notice,) = score(without_radar).attrs["notices"]
    assert f"of {len(WINDOWS)} windows 1 are predicted by fewer or other members" in notice.message


def test_a_window_that_no_member_can_predict_has_no_label_and_no_submission(bundle: Path) -> None:
    windows = WINDOWS.copy()
    windows[2, ..., :4] = np.nan
    table = score(windows, bundle, profile="networks")
    assert np.isnan(table.loc[2, "probability"])
    assert pd.isna(table.loc[2, "landslide"])
    with raised("E143", "window 2"):
        submission(table)


def test_a_constant_band_is_predicted_as_it_is(bundle: Path) -> None:
    windows = WINDOWS.copy()
    windows[0, ..., MODEL_BANDS.index("asc_vv")] = 0
    assert score(windows, bundle).loc[0].filter(like="p_").notna().all()


@pytest.mark.parametrize(
    ("profile", "members"),
    [
        ("all", "v10 v20 v33 v18b v44"),
        ("networks", "v10 v20 v33"),
        ("boosters", "v18b v44"),
        ("fastest-network", "v33"),  # v10 has fewer operations, but takes longer
        ("optical-only", "v10"),
    ],
)
def test_a_profile_is_a_choice_of_members(bundle: Path, profile: str, members: str) -> None:
    table = score(WINDOWS[:1], bundle, profile=profile)
    assert [name.removeprefix("p_") for name in table.columns[3:]] == members.split()


def test_profiles_that_do_not_fit_are_refused(bundle: Path) -> None:
    with raised("E523", "no members for profile 'sar-only'"):
        score(WINDOWS, bundle, profile="sar-only")
    with raised("E402", messages.CHOOSE_ONE_OF_ALL_NETWORKS):
        score(WINDOWS, bundle, profile="best")


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda w: w[..., :11], "E140", "shape (4, 64, 64, 11); expected (n, 64, 64, 12)"),
        (lambda w: w[0], "E140", "shape (64, 64, 12)"),
        (lambda w: w[:0], "E140", "shape (0, 64"),
        (lambda w: np.where(np.arange(12) == 3, np.inf, w), "E141", "band nir holds infinite values"),
        (lambda w: np.where(w > w.max() - 1, np.nan, w), "E141", "missing pixels"),
        (lambda w: w * np.nan, "E141", "window 0: every pixel is NaN"),
        (lambda w: w.astype(str), "E140", "expected real numbers"),
    ],
)
def test_windows_that_cannot_be_scored_are_refused(change, code: str, message: str) -> None:  # type: ignore[no-untyped-def]
    with raised(code, message):
        score(change(WINDOWS))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_cuda_requested_and_absent_is_reported(bundle: Path) -> None:
    with raised("E610", messages.NO_CUDA_DEVICE):
        score(WINDOWS, bundle, device="cuda")


def test_a_folder_and_a_file_give_the_same_scores(bundle: Path, tmp_path: Path) -> None:
    ids = ["ID_D", "ID_B", "ID_A", "ID_C"]
    (tmp_path / "windows").mkdir()
    for name, window in zip(ids, WINDOWS, strict=True):
        np.save(tmp_path / "windows" / f"{name}.npy", window)
    np.save(tmp_path / "all.npy", WINDOWS)
    of_folder = score(Windows.open(tmp_path / "windows"), bundle, profile="optical-only")
    of_file = score(Windows.open(tmp_path / "all.npy", ids), bundle, profile="optical-only")
    assert list(of_folder["id"]) == sorted(ids)
    pd.testing.assert_frame_equal(
        of_folder, of_file.sort_values("id").reset_index(drop=True), atol=1e-6, check_exact=False
    )
    assert list(Windows.open(tmp_path / "windows", ids).ids) == ids
    with raised("E142", "ID_X.npy: no such window (1 of 2"):
        Windows.open(tmp_path / "windows", ["ID_A", "ID_X"])


@pytest.mark.parametrize(
    ("ids", "message"), [(["a"], "1 IDs for 4 windows"), (["a", "b", "a", "c"], "'a' occurs twice")]
)
def test_ids_that_do_not_fit_are_refused(ids: list[str], message: str) -> None:
    with raised("E142", message):
        Windows.of_array(WINDOWS, ids)


def test_ids_come_from_the_competitions_table(tmp_path: Path) -> None:
    (tmp_path / "Test.csv").write_text("ID,x\nID_B,1\nID_A,2\n")
    assert read_ids(tmp_path / "Test.csv") == ["ID_B", "ID_A"]
    (tmp_path / "none.csv").write_text("name\nID_B\n")
    with raised("E142", messages.EXPECTED_A_COLUMN_ID):
        read_ids(tmp_path / "none.csv")


def test_pickled_arrays_are_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    with raised("E140", "cannot be read as an .npy array"):
        Windows.open(tmp_path / "objects.npy")


def test_the_command_writes_scores_and_submissions(bundle: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", WINDOWS)
    (tmp_path / "Test.csv").write_text("ID\n" + "\n".join(f"ID_{i}" for i in range(4)))
    shared = ["--bundle", str(bundle), "--profile", "boosters", "--ids", str(tmp_path / "Test.csv"), "-q"]
    run = CliRunner().invoke
    for out, extra in (("scores.csv", []), ("submission.csv", ["--submission"])):
        result = run(score_command, [str(tmp_path / "w.npy"), "--out", str(tmp_path / out), *shared, *extra])
        assert result.exit_code == 0, result.output
    scores, labels = pd.read_csv(tmp_path / "scores.csv"), pd.read_csv(tmp_path / "submission.csv")
    assert list(scores.columns) == ["id", "probability", "landslide", "p_v18b", "p_v44"]
    assert list(labels.columns) == ["ID", "label"]
    assert list(labels["ID"]) == [f"ID_{i}" for i in range(4)]
    assert list(labels["label"]) == list(scores["landslide"])
    again = run(score_command, [str(tmp_path / "w.npy"), "--out", str(tmp_path / "scores.csv"), *shared])
    assert isinstance(again.exception, OutputExistsError)
