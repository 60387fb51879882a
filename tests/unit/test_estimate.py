"""What a run is expected to cost, against what full tiles have cost (docs/benchmarks.md)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping.estimate import expected_memory, expected_seconds
from landslide_map.models.bundle.load import load_bundle
from landslide_map.scene.model import load_scene
from landslide_map.windows import plan_windows
from tests.support.sample_scene import dense_corner

BENCHMARKS = Path(__file__).parents[2] / "docs" / "benchmarks.md"
ROW = r"\| stride {stride}: [\d,]+ windows \| ([\d.]+) \| [\d.]+ \| [\d.]+ \| [\d.]+ \| ([\d.]+) \|"
TILE = 10980


@pytest.fixture(scope="module")
def tile() -> SceneInputs:
    """Twelve bands, as the benchmark's, said to be of a full tile."""
    inputs = replace(open_inputs(load_scene(dense_corner())), optical_before=())
    tracks = {orbit: replace(track, pre=track.pre[:1]) for orbit, track in inputs.tracks.items()}
    return replace(inputs, grid=replace(inputs.grid, width=TILE, height=TILE), tracks=tracks)


def in_jpeg2000(inputs: SceneInputs) -> SceneInputs:
    assert inputs.optical is not None
    bands = {name: replace(band, path=f"{name}.jp2") for name, band in inputs.optical.bands.items()}
    return replace(inputs, optical=replace(inputs.optical, bands=bands))


@pytest.mark.parametrize("stride", [64, 16])
@pytest.mark.parametrize("optical", ["COG", "JP2"])
def test_the_estimate_is_near_what_was_measured(tile: SceneInputs, stride: int, optical: str) -> None:
    tile = in_jpeg2000(tile) if optical == "JP2" else tile
    section = BENCHMARKS.read_text().split(f"| {TILE} x {TILE}, {optical} |")[1]
    measured = re.search(ROW.format(stride=stride), section)
    one_heap = re.search(ROW.format(stride=f"{stride}, --memory 2GB"), section)
    assert measured is not None
    assert one_heap is not None
    seconds, gibibytes = float(measured[1]), float(one_heap[2])
    plan = plan_windows(tile.grid.shape, stride)
    assert expected_seconds(tile, plan) == pytest.approx(seconds, rel=0.2)
    memory, least = expected_memory(load_bundle(), plan)
    assert gibibytes * 2**30 <= memory <= 1.6 * gibibytes * 2**30
    assert least < memory


def test_more_of_anything_costs_more(tile: SceneInputs) -> None:
    small, large = plan_windows((1024, 1024), 64), plan_windows((1024, 1024), 8)
    assert expected_seconds(tile, small) < expected_seconds(tile, large)
    assert expected_memory(load_bundle(), small) < expected_memory(load_bundle(), large)
    without_optical = replace(tile, optical=None)
    assert expected_seconds(without_optical, small) < expected_seconds(tile, small)
