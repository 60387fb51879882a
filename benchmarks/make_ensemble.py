"""Bundle of the published architectures with random weights, for timing only.

``python -m benchmarks.make_ensemble OUT --member v10 --member v31 --folds 5`` writes weight files as the
author's are, imports them as ``models import-nasios`` does, and removes them. All folds of a member have the
same weights, which take the same time. The boosters learn from noise, with the published number of trees.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from landslide_map.models.networks.architecture import build_network
from landslide_map.models.published.import_weights import import_nasios
from landslide_map.models.published.nasios import BOOSTERS, FOLDS, MEMBERS, NETWORKS
from landslide_map.models.statistics.published_boosters import FEATURES
from landslide_map.training.statistics.recipe import recipe_content
from landslide_map.training.windows.recipe import parse_window_recipe

NOISE = 2000
"""Windows of noise that boosters learn from."""


def write_network(path: Path, version: str) -> None:
    torch.manual_seed(0)
    torch.save(build_network(NETWORKS[version]).state_dict(), path)


def write_booster(path: Path, version: str) -> None:
    """Fit as many trees as published to noise, and pickle the classifier as the author did."""
    import joblib
    import lightgbm
    import xgboost

    recipe, content = recipe_content("nasios-9")
    booster = parse_window_recipe(content, recipe).boosters[version]
    kind = lightgbm.LGBMClassifier if BOOSTERS[version] == "lightgbm" else xgboost.XGBClassifier
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(NOISE, FEATURES)), rng.random(NOISE) < 0.18
    settings: dict[str, Any] = {"verbose": -1} if BOOSTERS[version] == "lightgbm" else {}
    model = kind(n_estimators=booster.trees, **booster.settings, **settings)
    joblib.dump(model.fit(features, labels), path)


def make_ensemble(out: Path, members: tuple[str, ...] = MEMBERS, folds: int = FOLDS) -> Path:
    """Write the bundle and return its folder."""
    with tempfile.TemporaryDirectory(dir=out.parent, prefix="weights-") as temporary:
        for version in members:
            network = version in NETWORKS
            name = "Landslide_Class_S2S1_{}_Fold{}_last.pt" if network else "Landslide_Class_S2S1_{}_fold{}"
            first, *others = (Path(temporary) / name.format(version, fold) for fold in range(folds))
            (write_network if network else write_booster)(first, version)
            for other in others:
                os.link(first, other)
        import_nasios(Path(temporary), out, trust_pickles=True)
    return out


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--member", "members", multiple=True, type=click.Choice(MEMBERS), default=MEMBERS)
@click.option("--folds", default=FOLDS, show_default=True, type=click.IntRange(1, FOLDS))
def main(out: Path, members: tuple[str, ...], folds: int) -> None:
    """Make a bundle with random weights in the new folder OUT."""
    click.echo(make_ensemble(out.absolute(), members, folds))


if __name__ == "__main__":
    main()
