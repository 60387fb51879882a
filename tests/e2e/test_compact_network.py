"""The compact recipe learns: simulated events in, landslides of other simulated events found."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.compact_network import THREADS, measure


@pytest.mark.slow
def test_it_finds_landslides_of_simulated_events_that_it_has_not_seen(tmp_path: Path) -> None:
    torch.set_num_threads(THREADS)
    figures = measure(tmp_path)
    assert figures["unseen_scenes"]["f1"] >= 0.9
    assert figures["seconds"]["train"]["cpu"] < 600
    card = (tmp_path / "bundle" / "CARD.md").read_text()
    assert "nothing about the accuracy on real scenes" in card.replace("\n", " ")
