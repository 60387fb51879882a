import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

from landslide_map.grid import Grid
from landslide_map.products import cog, rasters, styles
from landslide_map.products.painting import WindowMosaic
from landslide_map.reasons import Reason
from tests.support import messages
from tests.support.raised import raised

GRID = Grid.covering(CRS.from_epsg(32651), (300000, 2690000, 311300, 2700000))  # 1130 x 1000 px
TAGS = {"bundle": "default 1.0", "stride_m": "160", "TIFFTAG_SOFTWARE": "landslide-map 0.1.0"}


def probabilities(seed=0):
    rng = np.random.default_rng(seed)
    values = rng.random(GRID.shape, dtype=np.float32)
    values[:301, :203] = np.nan
    values[700:] = 0.25
    return values


def pixels(shape=GRID.shape):
    """Patches of one pixel each."""
    return WindowMosaic(*(np.arange(n + 1) for n in shape))


def write_probability(path, values, patches=None, **options):
    rasters.write_probability(path, values, patches or pixels(), GRID, TAGS, **options)
    return path


def write_classes(path, values, patches=None):
    rasters.write_classes(path, values, patches or pixels(), GRID, TAGS)
    return path


def test_probability_reads_back_exactly_where_it_belongs(tmp_path):
    values = probabilities()
    with rasterio.open(write_probability(tmp_path / "p.tif", values)) as raster:
        np.testing.assert_array_equal(raster.read(1), values)
        assert raster.crs == GRID.crs
        assert raster.transform == GRID.transform
        assert (raster.dtypes, np.isnan(raster.nodata)) == (("float32",), True)
        # The corner pixel's centre, by hand: 5 m inside the upper left corner of the grid.
        assert next(raster.sample([(300005, 2699995)])).tolist() == pytest.approx([values[0, 0]], nan_ok=True)
        assert next(raster.sample([(311295, 2690005)])).tolist() == [0.25]


def test_probability_is_a_cloud_optimised_geotiff_that_says_what_it_means(tmp_path):
    with rasterio.open(write_probability(tmp_path / "p.tif", probabilities())) as raster:
        structure = raster.tags(ns="IMAGE_STRUCTURE")
        assert structure["LAYOUT"] == "COG"
        assert structure["COMPRESSION"] == "DEFLATE"
        assert raster.block_shapes == [(512, 512)]
        assert raster.overviews(1) == [2, 4]
        assert raster.descriptions == ("landslide probability (640 m window)",)
        assert raster.units == ("1",)
        tags = raster.tags()
    assert tags["TIFFTAG_SOFTWARE"] == "landslide-map 0.1.0"
    assert tags["LANDSLIDE_MAP_BUNDLE"] == "default 1.0"
    assert tags["LANDSLIDE_MAP_STRIDE_M"] == "160"
    assert "TIFFTAG_DATETIME" not in tags


def test_statistics_are_those_of_the_valid_pixels(tmp_path):
    values = probabilities().astype(np.float64)
    with rasterio.open(write_probability(tmp_path / "p.tif", probabilities())) as raster:
        tags = raster.tags(1)
    assert float(tags["STATISTICS_MINIMUM"]) == pytest.approx(np.nanmin(values), rel=1e-6)
    assert float(tags["STATISTICS_MAXIMUM"]) == pytest.approx(np.nanmax(values), rel=1e-6)
    assert float(tags["STATISTICS_MEAN"]) == pytest.approx(np.nanmean(values), rel=1e-6)
    assert float(tags["STATISTICS_STDDEV"]) == pytest.approx(np.nanstd(values), rel=1e-6)
    assert float(tags["STATISTICS_VALID_PERCENT"]) == pytest.approx(
        np.isfinite(values).mean() * 100, abs=0.01
    )


def test_probability_overviews_are_means_of_what_there_is(tmp_path):
    values = probabilities()
    with rasterio.open(write_probability(tmp_path / "p.tif", values), overview_level=0) as raster:
        overview = raster.read(1)
    blocks = values.reshape(500, 2, 565, 2).transpose(0, 2, 1, 3).reshape(500, 565, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nanmean of blocks without any value
        expected = np.nanmean(blocks, axis=2)
    np.testing.assert_allclose(overview, expected, atol=1e-6)
    assert np.isnan(overview).any()


@pytest.mark.parametrize("threads", [1, 5])
@pytest.mark.parametrize("cache", [2**16, 2**28])
def test_the_same_data_make_the_same_bytes_for_any_threads_and_cache(tmp_path, threads, cache):
    with cog.plain(tmp_path / "plain.tif", GRID, 1, "float32", np.nan) as plain:
        plain.write(probabilities(), 1)
    found = []
    for size, number in ((2**24, 1), (cache, threads)):
        with rasterio.Env(GDAL_CACHEMAX=size):
            cog.finish(
                tmp_path / "plain.tif",
                tmp_path / "cog.tif",
                overviews="AVERAGE",
                predictor=False,
                threads=number,
            )
        found.append((tmp_path / "cog.tif").read_bytes())
    assert found[0] == found[1]


def test_the_same_pixels_make_the_same_bytes_for_any_patches(tmp_path):
    patches = WindowMosaic(np.array([0, 3, 512, 700, 1000]), np.array([0, 1, 513, 1130]))
    values = np.random.default_rng(2).integers(0, 2, patches.shape, dtype=np.uint8)
    first = write_classes(tmp_path / "a.tif", values, patches).read_bytes()
    assert write_classes(tmp_path / "b.tif", patches.paint(values, 0, 1000)).read_bytes() == first


def test_probabilities_and_their_statistics_of_patches_are_those_of_pixels(tmp_path):
    patches = WindowMosaic(np.array([0, 3, 512, 700, 1000]), np.array([0, 1, 513, 1130]))
    values = np.random.default_rng(2).random(patches.shape, dtype=np.float32)
    values[1, 1] = np.nan
    painted = patches.paint(values, 0, 1000)
    with (
        rasterio.open(write_probability(tmp_path / "a.tif", values, patches)) as found,
        rasterio.open(write_probability(tmp_path / "b.tif", painted)) as expected,
    ):
        np.testing.assert_array_equal(found.read(1), painted)
        assert found.tags(1).keys() == expected.tags(1).keys()
        for name, value in found.tags(1).items():
            assert float(value) == pytest.approx(float(expected.tags(1)[name]), rel=1e-12)


def test_statistics_are_what_gdal_would_write(tmp_path):
    path = write_probability(tmp_path / "p.tif", probabilities())
    with rasterio.open(path) as raster:
        ours = raster.tags(1)
    rasterio.shutil.copy(path, tmp_path / "q.tif", driver="GTiff")
    with rasterio.open(tmp_path / "q.tif", "r+") as raster:
        raster.clear_stats()
        raster.update_stats()
    with rasterio.open(tmp_path / "q.tif") as raster:
        theirs = raster.tags(1)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert float(value) == pytest.approx(float(theirs[name]), rel=1e-10)


def test_a_raster_without_any_probability_is_valid(tmp_path):
    with rasterio.open(write_probability(tmp_path / "p.tif", np.full(GRID.shape, np.nan, "f4"))) as raster:
        assert np.isnan(raster.read(1)).all()


def test_nothing_but_the_result_stays(tmp_path):
    write_probability(tmp_path / "p.tif", probabilities())
    assert [path.name for path in tmp_path.iterdir()] == ["p.tif"]


def test_classes_read_back_with_their_colours_and_names(tmp_path):
    values = np.random.default_rng(1).choice(np.array([0, 1, 251, 252, 255], np.uint8), GRID.shape)
    path = write_classes(tmp_path / "class.tif", values)
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(raster.read(1), values)
        assert (raster.dtypes, raster.nodata) == (("uint8",), 255)
        assert raster.colorinterp == (ColorInterp.palette,)
        assert raster.colormap(1)[1] == (203, 24, 29, 255)
        assert raster.colormap(1)[251] == (158, 202, 225, 255)
        assert raster.tags()["LANDSLIDE_MAP_CLASS_251"] == "not analysed: snow or cloud"
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_class_overviews_hold_the_commonest_class_never_a_mixture(tmp_path):
    values = np.zeros(GRID.shape, dtype=np.uint8)
    values[:, 3:] = 1
    values[:, 801:] = 251
    path = write_classes(tmp_path / "class.tif", values)
    for level in (0, 1):
        with rasterio.open(path, overview_level=level) as raster:
            overview = raster.read(1)
        assert set(np.unique(overview)) == {0, 1, 251}
    with rasterio.open(path, overview_level=1) as raster:
        # Columns 0-3 hold three of class 0 and one of class 1.
        assert (raster.read(1)[:, 0] == 0).all()


def test_gdal_finds_the_category_names(tmp_path):
    write_classes(tmp_path / "class.tif", np.zeros(GRID.shape, np.uint8))
    styles.write_side_files(tmp_path, 0.435)
    rasterio.shutil.copy(tmp_path / "class.tif", tmp_path / "copy.vrt", driver="VRT")
    names = [item.text for item in ElementTree.parse(tmp_path / "copy.vrt").iter("Category")]
    assert names[1] == "landslide"
    assert names[Reason.SNOW_OR_CLOUD] == "not analysed: snow or cloud"
    assert len(names) == 256


def test_classify_by_hand():
    nan = np.nan
    probability = np.array([[0.49, 0.5, 0.59, nan, nan, nan]], np.float32)
    threshold = np.array([[0.5, 0.5, 0.6, 0.1, 0.1, nan]])
    codes = np.array([[0, 3, 0, 251, 255, 1]])  # 1 is a scenario: no reason to have no probability
    assert rasters.classify(probability, threshold, codes).tolist() == [[0, 0, 0, 251, 255, 255]]
    assert rasters.classify(probability, threshold, codes).dtype == np.uint8


def test_only_above_the_threshold_is_a_landslide_in_the_precision_of_the_file():
    # 0.49 in float32 is a little more than 0.49 in float64; the comparison must not see that.
    probability = np.array([[0.49, np.nextafter(np.float32(0.49), np.float32(1))]], np.float32)
    assert rasters.classify(probability, 0.49, 255).tolist() == [[0, 1]]
    assert rasters.classify(np.array([[0.49, 0.4900001]]), 0.49, 255).tolist() == [[0, 1]]


@pytest.mark.parametrize("bad", [-0.01, 1.01, np.inf])
def test_a_value_that_is_no_probability_is_refused(tmp_path, bad):
    values = probabilities()
    values[500, 500] = bad
    with raised(ValueError, "not in [0, 1]"):
        write_probability(tmp_path / "p.tif", values)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(999, 1130), (1001, 1130), (1000, 1129)])
def test_patches_of_another_grid_are_refused(tmp_path, shape):
    with raised(ValueError, "not of (1000, 1130)"):
        write_classes(tmp_path / "c.tif", np.zeros(shape, np.uint8), pixels(shape))
    assert list(tmp_path.iterdir()) == []


def test_values_of_other_patches_are_refused_and_leave_nothing(tmp_path):
    with raised(ValueError, messages.NOT_ONE_FOR_EACH):
        write_classes(tmp_path / "c.tif", np.zeros((999, 1130), np.uint8))
    assert list(tmp_path.iterdir()) == []
