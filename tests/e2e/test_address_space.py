"""Limits of the address space, which no Python code survives: refused before libraries are loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

resource = pytest.importorskip("resource")
COMMAND = Path(sys.executable).with_name("landslide-map")
SCENE = Path(__file__).parents[2] / "sample_scenes" / "simulated_event" / "scene.yaml"


@pytest.mark.parametrize("kib", [2_000_000, 1_600_000, 1_200_000])
@pytest.mark.parametrize("arguments", [[SCENE, "--out", "out"], ["check", SCENE]], ids=["run", "check"])
def test_a_small_address_space_is_refused_with_the_limit_and_what_is_needed(
    kib: int, arguments: list[object], tmp_path: Path
) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (kib * 1024, kib * 1024))

    done = subprocess.run(
        [COMMAND, *map(str, arguments)],
        preexec_fn=limited,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 6, done.stderr
    assert "E602" in done.stderr
    assert f"{kib * 1024 / 1e9:.2f} GB" in done.stderr
    assert list(tmp_path.iterdir()) == []
