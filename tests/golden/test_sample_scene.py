"""Simulated scenes are what they claim: reproducible, statistically like the real windows, the sample sparse.

The simulator was fitted to quantiles of the labelled table (``table_quantiles.json``), never to a model;
how well a model does on it is ``tests/e2e/test_sample_scene_accuracy.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.features import rasterize
from rasterio.warp import Resampling, reproject
from scipy import stats

from landslide_map.scene.model import load_scene
from sample_scenes.make_scene import make_scene
from tests.support.dense_event import dense_event
from tests.support.raised import raised

ROOT = Path(__file__).resolve().parents[2] / "sample_scenes"
FOLDER = ROOT / "simulated_event"
WINDOW = 64
STATISTICS = ("mean", "std", "min", "max", "skew", "kurtosis")
OPTICAL = ("B02", "B03", "B04", "B08")
TABLE_ORDER = (
    *OPTICAL,
    *(
        f"{orbit} {what} {polarisation}"
        for orbit in ("descending", "ascending")
        for what in ("post", "difference")
        for polarisation in ("vv", "vh")
    ),
)
"""What the table's bands 1 to 12 are; band 1 is blue (docs/decisions/0020)."""

Image = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an event so dense that windows of the real class 1 have a counterpart."""
    return dense_event(tmp_path_factory).parent


def _on_grid(path: Path, like: rasterio.DatasetReader) -> Image:
    """Read dB onto the grid of `like`, by GDAL's bilinear warp of the power."""
    with rasterio.open(path) as source:
        out = np.full(like.shape, np.nan)
        power = 10 ** (source.read(1).astype(float) / 10)
        reproject(
            power,
            out,
            src_transform=source.transform,
            src_crs=source.crs,
            dst_transform=like.transform,
            dst_crs=like.crs,
            dst_nodata=np.nan,
            resampling=Resampling.bilinear,
        )
    return 10 * np.log10(out)


@pytest.fixture(scope="module")
def stack(dense: Path) -> dict[str, Image]:
    """The table's twelve bands, computed without the package."""
    bands: dict[str, Image] = {}
    scene = load_scene(dense / "scene.yaml")
    with rasterio.open(dense / "s2" / "B02.tif") as like:
        for name in OPTICAL:
            with rasterio.open(dense / "s2" / f"{name}.tif") as source:
                bands[name] = source.read(1).astype(float)
        assert scene.s1 is not None
        for orbit, track in scene.s1.tracks.items():
            for polarisation in ("vv", "vh"):
                pre, post = (
                    np.median([_on_grid(getattr(i, polarisation)[0], like) for i in side or ()], axis=0)
                    for side in (track.pre, track.post)
                )
                bands[f"{orbit} post {polarisation}"] = post
                bands[f"{orbit} difference {polarisation}"] = post - pre
    return bands


@pytest.fixture(scope="module")
def scarred(dense: Path) -> npt.NDArray[np.bool_]:
    return _slid(dense)


def _slid(folder: Path) -> npt.NDArray[np.bool_]:
    with rasterio.open(folder / "s2" / "B02.tif") as like:
        outlines = gpd.read_file(folder / "landslides_truth.gpkg").geometry
        return np.asarray(rasterize(outlines, out_shape=like.shape, transform=like.transform), bool)


def _windows(image: Image) -> Image:
    """Cut into windows: (window, pixel)."""
    rows, cols = (n // WINDOW for n in image.shape)
    cut = image[: rows * WINDOW, : cols * WINDOW].reshape(rows, WINDOW, cols, WINDOW)
    return cut.transpose(0, 2, 1, 3).reshape(rows * cols, -1)


def _statistics(image: Image) -> dict[str, Image]:
    cut = _windows(image)
    values = (
        cut.mean(1),
        cut.std(1),
        cut.min(1),
        cut.max(1),
        stats.skew(cut, axis=1),
        stats.kurtosis(cut, axis=1),
    )
    return dict(zip(STATISTICS, values, strict=True))


def test_window_statistics_lie_within_the_real_quantiles_class_by_class(
    stack: dict[str, Image], scarred: npt.NDArray[np.bool_]
) -> None:
    """Medians must lie in the middle nine tenths of the real class, and single windows seldom outside 1-99 %.

    Class 1 are windows of at least a quarter scar, class 0 those with next to none (the labels' own
    criterion is not published; windows between are in neither). A scene of one place cannot spread as
    the table of many events does, so the table's quantiles bound the scene, not the other way round.
    """
    table = json.loads((ROOT / "table_quantiles.json").read_text())
    percent = table["percent"]
    fraction = _windows(scarred.astype(float)).mean(1)
    outside, medians = [], []
    inside = {"0": [], "1": []}  # type: dict[str, list[float]]
    for label, chosen in (("0", fraction < 0.005), ("1", fraction >= 0.25)):
        assert chosen.sum() >= 15
        for name, quantiles in zip(TABLE_ORDER, table["quantiles"][label].values(), strict=False):
            for statistic, values in _statistics(stack[name]).items():
                q = dict(zip(percent, quantiles[statistic], strict=True))
                median = float(np.median(values[chosen]))
                medians.append(q[25] <= median <= q[75])
                if not q[5] <= median <= q[95]:
                    outside.append(f"class {label} {name} {statistic}: {median:.4g} not in {q[5]}..{q[95]}")
                share = float(np.mean((values[chosen] >= q[1]) & (values[chosen] <= q[99])))
                inside[label].append(share)
                assert share >= 0.7, f"class {label} {name} {statistic}: {share:.0%} of the windows in 1-99 %"
    assert not outside, "\n".join(outside)
    assert np.mean(medians) >= 0.6, "most medians lie between the real quartiles"
    assert all(np.mean(shares) >= 0.95 for shares in inside.values())


def test_scars_bare_the_ground_and_change_backscatter_either_way(
    stack: dict[str, Image], scarred: npt.NDArray[np.bool_]
) -> None:
    ndvi = (stack["B08"] - stack["B04"]) / (stack["B08"] + stack["B04"] - 2000)
    assert np.median(ndvi[scarred]) < 0.3 < 0.7 < np.median(ndvi[~scarred])
    for orbit in ("descending", "ascending"):
        change = stack[f"{orbit} difference vv"]
        assert change[scarred].std() > 1.1 * change[~scarred].std()
    quarter = _windows(scarred.astype(float)).mean(1) >= 0.25
    changes = [
        _windows(np.where(scarred, stack[f"{orbit} difference {polarisation}"], np.nan))[quarter]
        for orbit in ("descending", "ascending")
        for polarisation in ("vv", "vh")
    ]
    means = np.nanmean(changes, axis=2)
    assert means.min() < -0.5
    assert means.max() > 0.5


def test_the_sample_is_sparse_and_its_truth_has_no_crumbs() -> None:
    slid = _slid(FOLDER)
    assert 0.01 <= slid.mean() <= 0.05
    outlines = gpd.read_file(FOLDER / "landslides_truth.gpkg")
    assert outlines.area.min() >= 500
    assert (outlines.area >= 2000).sum() >= 100
    assert outlines.ground.value_counts().index[0] == "forest"
    assert {"grass", "field"} <= set(outlines.ground)


def test_vegetation_fell_where_the_sample_slid_and_hardly_elsewhere() -> None:
    change = _ndvi(FOLDER / "s2", "") - _ndvi(FOLDER / "s2", "20240731_")
    with (
        rasterio.open(FOLDER / "s2" / "SCL.tif") as post,
        rasterio.open(FOLDER / "s2" / "20240731_SCL.tif") as pre,
    ):
        clear = np.all([np.isin(source.read(1), (4, 5, 6, 7)) for source in (post, pre)], axis=0)
        assert post.bounds == pre.bounds
    clear = np.kron(clear, np.ones((2, 2), bool))
    slid = _slid(FOLDER)
    assert np.median(change[slid & clear]) < -0.25
    assert abs(np.median(change[~slid & clear])) < 0.03
    assert (change[~slid & clear] < -0.25).mean() < 0.02  # fields, cuts and a quarry changed as well


def _ndvi(folder: Path, prefix: str) -> Image:
    bands = []
    for name in ("B04", "B08"):
        with rasterio.open(folder / f"{prefix}{name}.tif") as source:
            bands.append(source.read(1) - 1000.0)
    red, nir = bands
    return np.asarray((nir - red) / np.maximum(nir + red, 1))


def test_outlines_lie_on_the_grid() -> None:
    scene = load_scene(FOLDER / "scene.yaml")
    outlines = gpd.read_file(FOLDER / "landslides_truth.gpkg")
    assert scene.s2 is not None
    assert scene.s2.post.B02 is not None
    with rasterio.open(scene.s2.post.B02) as image:
        assert outlines.crs == image.crs
        left, bottom, right, top = outlines.total_bounds
        assert image.bounds.left <= left < right <= image.bounds.right
        assert image.bounds.bottom <= bottom < top <= image.bounds.top
        corners = outlines.get_coordinates().to_numpy() - (image.bounds.left, image.bounds.top)
    assert np.all(corners % 10 == 0), "outlines follow pixel edges"
    assert outlines.is_valid.all()
    assert (outlines.area_m2 == outlines.area).all()


def test_it_says_that_it_is_simulated_and_stays_small() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 16e6
    assert (FOLDER / "scene.yaml").read_text().startswith("# SIMULATED")
    assert set(gpd.read_file(FOLDER / "landslides_truth.gpkg").origin) == {"simulated"}
    rasters = [path for path in files if path.suffix == ".tif"]
    assert len(rasters) == 2 * 5 + 2 * 4 * 2 + 1
    for path in rasters:
        with rasterio.open(path) as raster:
            assert raster.tags()["TIFFTAG_IMAGEDESCRIPTION"].startswith("SIMULATED")


def test_the_same_seed_makes_the_same_files(tmp_path: Path) -> None:
    first, again = (make_scene(tmp_path / name, seed=5, size=64).parent for name in ("a", "b"))
    other = make_scene(tmp_path / "c", seed=6, size=64).parent
    names = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert all((first / name).read_bytes() == (again / name).read_bytes() for name in names)
    assert (first / "s2" / "B08.tif").read_bytes() != (other / "s2" / "B08.tif").read_bytes()
    load_scene(first / "scene.yaml")


def test_a_size_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    with raised(ValueError, "size=130 px must be a multiple of 4"):
        make_scene(tmp_path, size=130)
