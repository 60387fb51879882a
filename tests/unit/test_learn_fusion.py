"""Reliability of pixel members beside outlines: measured on maps, stored only where it helps."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.features import shapes
from scipy import ndimage
from scipy.special import expit
from shapely.geometry import shape

from landslide_map.errors import BundleError, LandslideMapError
from landslide_map.evaluation.learn_fusion import learn_fusion
from landslide_map.grid import Grid
from landslide_map.products.geopackage import write_geopackage
from landslide_map.products.objects import no_candidates

PLACE = Affine(10, 0, 500000, 0, -10, 5000000)
SIZE = 160
EVENT = datetime(2024, 5, 1, tzinfo=UTC)
TRUTH = {"shift": -2.0, "pixels": 0.7, "outlined": 1.0, "outlines": 0.9}


def event(
    folder: Path, seed: int, *, outlines_know: bool = True, landslides: bool = True
) -> tuple[Path, Path]:
    """Write a map of landslide pixels by a known rule, and the inventory."""
    rng = np.random.default_rng(seed)
    own = 3 * rng.normal(size=(SIZE, SIZE))
    inside = ndimage.gaussian_filter(rng.normal(size=(SIZE, SIZE)), 4) > 0.03
    level = np.kron(2 * rng.normal(size=(20, 20)), np.ones((8, 8)))
    z = TRUTH["shift"] + TRUTH["pixels"] * own
    if outlines_know:
        z = z + inside * (TRUTH["outlined"] + TRUTH["outlines"] * level)
    truth = rng.random((SIZE, SIZE)) < expit(z)
    folder.mkdir()
    write(folder / "pixel_probability.tif", expit(own))
    write(folder / "outline_probability.tif", np.where(inside, expit(level), 0))
    grid = Grid(CRS.from_epsg(32633), PLACE, SIZE, SIZE)
    tags = {"pixel_members": "small", "event_time": EVENT.isoformat()}
    empty = {"candidates": no_candidates(grid, {"event_time": EVENT})}
    write_geopackage(folder / "candidates.gpkg", empty, EVENT, tags, 0.1)
    if not landslides:
        truth[:] = False
        truth[3:6, 3:6] = True
    polygons = [shape(ring) for ring, _ in shapes(truth.astype(np.uint8), mask=truth, transform=PLACE)]
    gpd.GeoDataFrame(geometry=polygons, crs=32633).to_file(folder / "known.gpkg")
    return folder, folder / "known.gpkg"


def write(path: Path, values: npt.NDArray[np.floating]) -> None:
    profile = {"driver": "GTiff", "width": SIZE, "height": SIZE, "count": 1, "dtype": "float32"}
    with rasterio.open(path, "w", **profile, crs="EPSG:32633", transform=PLACE, nodata=np.nan) as target:
        target.write(values.astype(np.float32), 1)


def test_the_rule_that_made_the_landslides_is_learned(tmp_path: Path) -> None:
    found = learn_fusion([event(tmp_path / f"e{seed}", seed) for seed in (1, 2)], ["small"])
    assert found.fusion is not None
    for name, value in TRUTH.items():
        assert getattr(found.fusion, name) == pytest.approx(value, abs=0.12), name
    assert found.figures["f1_joint"] > max(found.figures["f1_pixels"], found.figures["f1_outlines"]) + 0.02
    assert 0.2 < found.fusion.threshold < 0.6
    assert found.fusion.measured == found.figures
    assert found.figures["events"] == 2
    assert found.figures["pixels"] == 2 * SIZE**2


def test_outlines_that_know_nothing_add_nothing(tmp_path: Path) -> None:
    pairs = [event(tmp_path / f"e{seed}", seed, outlines_know=False) for seed in (1, 2)]
    figures = learn_fusion(pairs, ["small"]).figures
    assert figures["f1_joint"] == pytest.approx(figures["f1_pixels"], abs=0.01)


def test_evidence_that_shows_nothing_is_refused(tmp_path: Path) -> None:
    good = event(tmp_path / "good", 1)
    bare = event(tmp_path / "bare", 2, landslides=False)
    for evidence, members in (([good], ["small"]), ([good, bare], ["small"]), ([good, good], ["other"])):
        with pytest.raises(BundleError) as caught:
            learn_fusion(evidence, members)
        assert caught.value.code == "E557"
    with pytest.raises(LandslideMapError) as missing:
        learn_fusion([good, (tmp_path / "none", good[1])], ["small"])
    assert missing.value.code == "E170"
