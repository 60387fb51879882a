"""Figures of pixel members: those of the definitions, by region and by ensemble size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("segmentation_models_pytorch")

from click.testing import CliRunner
from landslide_map_cli.main import cli

from landslide_map.models.bundle.load import load_bundle
from landslide_map.models.segmentation.metrics import PixelCounts
from tests.support.tiny_pixel_bundle import tiny_pixel_bundle, tiny_spec

CHANNELS = ("red", "nir")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pixel_bundle(tmp_path_factory.mktemp("tiny") / "bundle", tiny_spec(CHANNELS))


def write_tiles(folder: Path, scene: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for name in ("img", "mask"):
        (folder / name).mkdir(parents=True)
    for i in range(2):
        np.save(folder / "img" / f"{i}.npy", rng.normal(0, 900, (2, 64, 64)).astype(np.float32))
        np.save(folder / "mask" / f"{i}.npy", (rng.random((64, 64)) > 0.7).astype(np.uint8))
    (folder / "tiles.json").write_text(json.dumps({"scene": scene, "channels": CHANNELS}))


def test_figures_are_those_of_the_definitions(bundle: Path, tmp_path: Path) -> None:
    for scene, seed in (("north", 1), ("south", 2)):
        write_tiles(tmp_path / scene, scene, seed)
    folders = [str(tmp_path / "north"), str(tmp_path / "south")]
    command = ["evaluate-pixels", *folders, "--bundle", str(bundle), "--report", str(tmp_path / "r.json")]
    result = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "r.json").read_text())
    member = load_bundle(bundle, pixel_members_suffice=True).pixel_members[0]
    total, regions = PixelCounts(), {}
    for scene in ("north", "south"):
        counts = PixelCounts()
        for i in range(2):
            image = np.load(tmp_path / scene / "img" / f"{i}.npy")
            mask = np.load(tmp_path / scene / "mask" / f"{i}.npy")
            counts += PixelCounts.of(member.predict(image[None])[0] > 0.5, mask)
        total, regions[scene] = total + counts, counts
    assert figures["f1_pooled"] == figures["f1_mean_of_batches"] == total.f1
    assert figures["iou"] == total.iou
    assert {name: own["f1_pooled"] for name, own in figures["regions"].items()} == {
        name: counts.f1 for name, counts in regions.items()
    }
    assert figures["f1_pooled_by_ensemble_size"] == {"1": total.f1}
    assert set(figures["boundary_f1_px"]) == {"1", "2", "3"}
    assert CliRunner().invoke(cli, command).exception.code == "E401"  # type: ignore[union-attr]
