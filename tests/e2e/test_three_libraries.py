"""torch, LightGBM and XGBoost each bring an OpenMP runtime; they must work in one process, in any order."""

from __future__ import annotations

import subprocess
import sys
from itertools import permutations

import pytest

PROGRAM = """
import sys
import numpy as np
for name in sys.argv[1:]:
    __import__(name)
import lightgbm, torch, xgboost

rng = np.random.default_rng(0)
x, y = rng.normal(size=(400, 6)), rng.integers(0, 2, 400)
quiet = {"objective": "binary", "verbose": -1, "num_threads": 2}
tree = lightgbm.train(quiet, lightgbm.Dataset(x, y), 4)
boost = xgboost.train({"objective": "binary:logistic", "nthread": 2}, xgboost.DMatrix(x, y), 4)
layer = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Flatten(), torch.nn.LazyLinear(1))
for _ in range(3):  # in turn, so that each runtime's threads wake after another's
    tree.predict(x)
    layer(torch.randn(8, 3, 64, 64)).sum().backward()
    boost.predict(xgboost.DMatrix(x))
print("alive")
"""


@pytest.mark.parametrize("order", list(permutations(("torch", "lightgbm", "xgboost")))[::2], ids="-".join)
def test_three_libraries_work_in_one_process(order: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *order], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("alive")
