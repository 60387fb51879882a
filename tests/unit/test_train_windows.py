"""Training networks: bundles that vote as their out-of-fold table says, and that a kill costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch.nn.modules.module import register_module_forward_pre_hook

from landslide_map.datasets.folds import overlapping_windows
from landslide_map.datasets.joined import read_training_data
from landslide_map.datasets.labelled_windows import LABELS
from landslide_map.errors import InputError, OutputExistsError, UsageError
from landslide_map.inference.score import score
from landslide_map.models.bundle.load import load_bundle
from landslide_map.models.bundle.verify import verify_members
from landslide_map.models.networks.architecture import JoinedEncoders
from landslide_map.models.networks.network_member import NetworkMember
from landslide_map.training.windows.bundle import VOTES, softened
from landslide_map.training.windows.pretrained import starting_weights
from landslide_map.training.windows.train import TrainedWindows, train
from tests.support import messages
from tests.support.network_recipes import ENCODER, labelled_windows, tiny_window_recipe
from tests.support.raised import raised

WINDOWS, KNOWN = labelled_windows()
IDS = tuple(str(i) for i in range(len(KNOWN)))


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a busy machine makes two wait for each other
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedWindows:
    return train(WINDOWS, KNOWN, tmp_path_factory.mktemp("trained") / "b", recipe=tiny_window_recipe())


def one_network(**changes: Any) -> Any:
    recipe = tiny_window_recipe().reduced(("one",))
    return recipe.model_copy(update={"networks": {"one": recipe.networks["one"].model_copy(update=changes)}})


def test_the_bundle_loads_and_votes(trained: TrainedWindows) -> None:
    bundle = load_bundle(trained.out)
    assert verify_members(bundle) == 8
    table = score(WINDOWS, bundle, device="cpu")
    assert table.filter(like="p_").notna().all(axis=None)
    assert list(table.filter(like="p_")) == ["p_one", "p_two", "p_trees", "p_more"]
    assert bundle.trained_on(IDS) == len(IDS)
    assert not trained.out.with_name("b.training").exists()
    for scenario in bundle.document.scenarios:
        assert scenario.metrics["confusion"]["tp"] + scenario.metrics["confusion"]["fn"] == KNOWN.sum()
    assert "24 labelled windows (8 with landslide)" in (trained.out / "CARD.md").read_text()


def test_out_of_fold_votes_are_those_of_networks_that_did_not_see_the_window(
    trained: TrainedWindows,
) -> None:
    bundle = load_bundle(trained.out)
    table = pd.read_csv(trained.out / VOTES, dtype={"id": str})
    assert table["id"].tolist() == list(IDS)
    assert table["label"].tolist() == KNOWN.tolist()
    for fold in (0, 1):
        members = tuple(replace(m, folds=(m.folds[fold],)) for m in bundle.members)  # type: ignore[type-var]
        own = replace(bundle, members=members)
        rows = np.flatnonzero(table["fold"] == fold)
        assert len(rows) == 12
        said = score(WINDOWS[rows], own, device="cpu").filter(like="p_")
        np.testing.assert_allclose(said, table.filter(like="p_").iloc[rows], atol=1e-6)


def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    trained: TrainedWindows, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Interrupted in the middle of an epoch, after an epoch, and between folds."""
    out = tmp_path / "b"
    caplog.set_level("INFO", logger="landslide_map.training")

    def interrupted(after: int) -> Callable[[str, int, int], None]:
        steps = iter(range(after + 1))

        def report(stage: str, done: int, total: int) -> None:
            if stage == "training networks" and 0 < done <= total and next(steps) == after:
                raise KeyboardInterrupt

        return report

    for after in (4, 7):  # three steps are an epoch
        with pytest.raises(KeyboardInterrupt):
            train(WINDOWS, KNOWN, out, recipe=tiny_window_recipe(), progress=interrupted(after))
        assert not out.exists()
    again = train(WINDOWS, KNOWN, out, recipe=tiny_window_recipe())
    said = caplog.messages
    epochs = [text.split(": ")[0] for text in said if "epoch" in text]
    assert len(epochs) == len(set(epochs)) == 8  # none was learned twice
    assert "1 folds of networks were finished before; 3 are to be trained" in said
    pd.testing.assert_frame_equal(again.votes, trained.votes)
    for name in ("one_fold0", "one_fold1", "two_fold1"):
        mine, wanted = (load_file(b / f"{name}.safetensors") for b in (out, trained.out))
        assert all(torch.equal(mine[key], wanted[key]) for key in wanted)


def test_work_begun_otherwise_is_kept_and_refused(tmp_path: Path) -> None:
    steps = iter(range(5))

    def stop(stage: str, _done: int, _total: int) -> None:
        if stage == "training networks" and next(steps) == 4:  # in the second epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(WINDOWS, KNOWN, tmp_path / "b", recipe=one_network(), progress=stop)
    for arguments, changed in (
        ({"recipe": one_network(), "seed": 4}, "folds, recipe"),
        ({"recipe": one_network(), "precision": "bfloat16"}, "precision"),
        ({"recipe": one_network(epochs=3)}, "recipe"),
    ):
        with raised("E531", f"({changed} changed)"):
            train(WINDOWS, KNOWN, tmp_path / "b", **arguments)
    with raised("E531", messages.LABELS_CHANGED):
        train(WINDOWS, np.roll(KNOWN, 1), tmp_path / "b", recipe=one_network())
    with raised("E531", messages.WINDOWS_CHANGED):
        train(WINDOWS + 1, KNOWN, tmp_path / "b", recipe=one_network())
    assert (tmp_path / "b.training" / "one_fold0.checkpoint").is_file()
    train(WINDOWS, KNOWN, tmp_path / "b", recipe=one_network(epochs=1), restart=True)
    with pytest.raises(OutputExistsError):
        train(WINDOWS, KNOWN, tmp_path / "b", recipe=one_network())


def test_mixed_precision_learns_nearly_the_same(trained: TrainedWindows, tmp_path: Path) -> None:
    found = train(WINDOWS, KNOWN, tmp_path / "b", recipe=one_network(), precision="bfloat16")
    assert np.abs(found.votes["p_one"] - trained.votes["p_one"]).max() < 0.1


def test_half_precision_finds_a_scale_for_its_gradients(tmp_path: Path) -> None:
    found = train(WINDOWS, KNOWN, tmp_path / "b", recipe=one_network(epochs=4), precision="float16")
    losses = [
        [epoch["loss"] for epoch in fold] for fold in found.document["members"][0]["settings"]["history"]
    ]
    assert all(fold[-1] < fold[0] for fold in losses)  # the first steps overflow, and are not taken


@contextmanager
def memory_for(windows: int, kind: type[torch.nn.Module] = torch.nn.Module) -> Iterator[None]:
    """Let networks of a kind run out of memory in training where there are more windows than that."""

    def out_of_memory(module: torch.nn.Module, given: tuple[Any, ...]) -> None:
        images = given[0].ndim == 4
        if isinstance(module, kind) and module.training and images and len(given[0]) > windows:
            raise torch.OutOfMemoryError

    hook = register_module_forward_pre_hook(out_of_memory)
    try:
        yield
    finally:
        hook.remove()


def test_batches_are_halved_where_memory_is_short(tmp_path: Path) -> None:
    with memory_for(2):
        found = train(WINDOWS, KNOWN, tmp_path / "b", recipe=one_network(batch=8))
    # From 8 to 4 to 2, reported once for both folds.
    assert [notice.code for notice in found.notices] == ["W531"] * 2
    assert "batches of 2 windows" in found.notices[-1].message


def test_too_little_memory_for_two_windows_is_an_error_that_keeps_finished_folds(tmp_path: Path) -> None:
    recipe = tiny_window_recipe().reduced(("one", "two"))
    with memory_for(0, JoinedEncoders), raised("E611", messages.TO_TRAIN_TWO_ON_TWO_WINDOWS):
        train(WINDOWS, KNOWN, tmp_path / "b", recipe=recipe)
    kept = {path.name for path in (tmp_path / "b.training").glob("*.safetensors")}
    assert kept == {"one_fold0.safetensors", "one_fold1.safetensors"}


def test_a_network_that_diverges_is_refused(tmp_path: Path) -> None:
    with raised("E621", messages.NO_NUMBER_ANY_MORE):
        train(WINDOWS, KNOWN, tmp_path / "b", recipe=one_network(learning_rate=1e30))


def test_members_learn_from_the_windows_that_have_their_bands(tmp_path: Path) -> None:
    windows = WINDOWS.copy()
    windows[:6, ..., 8:] = np.nan  # no ascending track there
    found = train(windows, KNOWN, tmp_path / "b", recipe=tiny_window_recipe())
    assert found.votes["p_one"].notna().all()
    for member in ("p_two", "p_trees", "p_more"):
        assert found.votes[member].isna().tolist() == [True] * 6 + [False] * 18
    by_name = {scenario["name"]: scenario["metrics"]["windows"] for scenario in found.document["scenarios"]}
    assert by_name == {"all": 18, "optical": 24}


def test_grouped_folds_keep_groups_whole_and_overlaps_are_reported(tmp_path: Path) -> None:
    groups = [f"g{i // 4}" for i in range(24)]
    origin = pd.DataFrame({"scene": "s", "row": 0, "col": np.arange(24) * 60})
    arguments: Any = {"recipe": one_network(epochs=1), "groups": groups, "origin": origin}
    found = train(WINDOWS, KNOWN, tmp_path / "b", division="grouped", **arguments)
    assert found.votes.assign(group=groups).groupby("group")["fold"].nunique().tolist() == [1] * 6
    (notice,) = found.notices
    assert notice.code == "W530"
    assert "beside the border" in notice.message
    assert notice.message in (tmp_path / "b" / "CARD.md").read_text()
    with raised("E402", messages.NO_GROUPS):
        train(WINDOWS, KNOWN, tmp_path / "c", recipe=one_network(), division="grouped")


BAD: dict[str, tuple[Callable[[np.ndarray, np.ndarray], tuple[Any, Any]], str]] = {
    "wrong shape": (lambda w, k: (w[:, :32], k), "E140"),
    "a hole": (lambda w, k: (np.where(np.arange(64)[:, None, None] == 3, np.nan, w), k), "E141"),
    "infinite": (lambda w, k: (np.where(w == w[0, 0, 0, 0], np.inf, w), k), "E141"),
    "nothing": (lambda w, k: (np.full_like(w, np.nan), k), "E141"),
    "label 2": (lambda w, k: (w, k * 2), "E122"),
    "one class": (lambda w, k: (w, k * 0), "E122"),
    "label missing": (lambda w, k: (w, np.where(k == 1, np.nan, k)), "E122"),
    "one landslide": (lambda w, k: (w, np.arange(len(k)) == 3), "E122"),
    "too few labels": (lambda w, k: (w, k[:-1]), "E142"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_windows_are_refused_before_training(name: str, tmp_path: Path) -> None:
    change, code = BAD[name]
    windows, labels = change(WINDOWS, KNOWN)
    with pytest.raises(InputError) as caught:
        train(windows, labels, tmp_path / "b", recipe=tiny_window_recipe())
    assert caught.value.code == code
    assert not (tmp_path / "b").exists()


def test_softened_labels_are_those_of_platt() -> None:
    """(n + 1) / (n + 2) for n landslides, 1 / (m + 2) for m others (Platt 1999)."""
    np.testing.assert_allclose(softened(np.array([1, 0, 0, 1, 0])), [3 / 4, 1 / 5, 1 / 5, 3 / 4, 1 / 5])


def write_data(folder: Path, ids: list[str], nested: str = "train_data/train_data") -> Path:
    (folder / nested).mkdir(parents=True)
    for name, window in zip(ids, WINDOWS, strict=False):
        np.save(folder / nested / f"{name}.npy", window)
    pd.DataFrame({"ID": ids, "label": KNOWN[: len(ids)]}).to_csv(folder / LABELS, index=False)
    return folder


def test_folders_are_joined(tmp_path: Path) -> None:
    a, b = (
        write_data(tmp_path / "a", ["a0", "a1"]),
        write_data(tmp_path / "b", ["b0", "b1", "b2"], "train_data"),
    )
    data = read_training_data([a, b])
    assert data.windows.ids == ("a0", "a1", "b0", "b1", "b2")
    assert data.labels.tolist() == [1, 0, 1, 0, 0]
    np.testing.assert_array_equal(data.windows.read(2, 3)[0], WINDOWS[0])
    assert (data.groups, data.origin) == (None, None)
    (a / "train_data/train_data/a1.npy").unlink()
    with raised("E142", "a1.npy: no such window"):
        read_training_data([a])
    with raised("E142", "'b0' occurs in two"):
        read_training_data([b, b])


@pytest.mark.parametrize(("zone", "found"), [("32651", 3), ("32652", 0), ("here", 0)])
def test_windows_of_two_scenes_on_the_same_ground_overlap(tmp_path: Path, zone: str, found: int) -> None:
    """A second date on another grid: its first window shares ground with both of the first."""
    a, b = write_data(tmp_path / "a", ["a0", "a1"]), write_data(tmp_path / "b", ["b0", "b1"])
    for folder, own, x in ((a, "32651", [300_320, 300_960]), (b, zone, [300_640, 310_320])):
        table = pd.read_csv(folder / LABELS).assign(scene=folder.name, row=0, col=[0, 64], x=x, y=2_699_680)
        table.assign(group=[f"{own}:5km:60:539"] * 2).to_csv(folder / LABELS, index=False)
    origin = read_training_data([a, b]).origin
    assert origin is not None
    assert overlapping_windows(origin, [np.array([0, 1]), np.array([2, 3])], 64) == found
    assert overlapping_windows(origin, [np.arange(4), np.arange(0)], 64) == 0


def save_encoder(folder: Path, **options: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(9)
    state = timm.create_model(ENCODER, **options).state_dict()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / "model.safetensors")
    return state


def test_encoders_start_from_files(tmp_path: Path) -> None:
    published = save_encoder(tmp_path / "weights" / ENCODER)
    recipe = one_network(pretrained=True, epochs=1, learning_rate=1e-12)  # so that they end as they start
    found = train(WINDOWS, KNOWN, tmp_path / "b", recipe=recipe, weights=tmp_path / "weights")
    key = "blocks.1.attn.qkv.weight"
    for fold in (0, 1):
        learned = load_file(tmp_path / "b" / f"one_fold{fold}.safetensors")
        torch.testing.assert_close(learned[key], published[key], atol=1e-9, rtol=0)
    assert found.document["training"]["encoders_start"] == "pretrained, from files"
    (member,) = load_bundle(tmp_path / "b").members
    assert isinstance(member, NetworkMember)


def test_pretrained_weights_that_are_not_there_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "w").mkdir()
    with raised("E530", f"no weights of {ENCODER}"):
        starting_weights([ENCODER], tmp_path / "w")
    with pytest.raises(UsageError):
        starting_weights([ENCODER], tmp_path / "absent")
    save_encoder(tmp_path / "w" / ENCODER, embed_dim=32)
    with raised("E530", f"not the weights of {ENCODER}"):
        starting_weights([ENCODER], tmp_path / "w")
    (tmp_path / "w" / f"{ENCODER}.safetensors").write_bytes(b"no")
    with raised("E530", messages.CANNOT_BE_READ_AS_TENSORS):
        starting_weights([ENCODER], tmp_path / "w")

    def offline(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(timm, "create_model", offline)
    with raised("E620", messages.NO_ROUTE, "--weights", "--from-scratch"):
        train(WINDOWS, KNOWN, tmp_path / "b", recipe=one_network(pretrained=True))
    assert not (tmp_path / "b.training").exists()
