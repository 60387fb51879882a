"""Full disks, lost permissions and lying libraries: no result at all rather than half of one."""

import errno
import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.crs import CRS

from landslide_map.grid import Grid
from landslide_map.products import RESULT, rasters
from landslide_map.products.geopackage import write_geopackage
from landslide_map.products.painting import WindowMosaic
from landslide_map.products.windows_netcdf import windows_dataset, write_windows
from landslide_map.products.write_map import write_map
from landslide_map.runtime.own_files import sealed
from landslide_map.runtime.transaction import outputs
from landslide_map.window_record import WindowRecord
from landslide_map.windows import WindowPlan, plan_windows
from tests.support import messages
from tests.support.killed_process import changes_below
from tests.support.raised import raised

GRID = Grid.covering(CRS.from_epsg(32632), (500000, 5000000, 513000, 5012000))
NOISE = np.random.default_rng(0).random(GRID.shape, dtype=np.float32)


def write_probability(folder):
    pixels = WindowMosaic(np.arange(GRID.height + 1), np.arange(GRID.width + 1))
    rasters.write_probability(folder / "probability.tif", NOISE, pixels, GRID, {})


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, of a size that the test sets; only root may mount one."""
    point = tmp_path / "disk"
    point.mkdir()

    def mount(size):
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(point)]
        if (
            sys.platform != "linux"
            or os.geteuid() != 0
            or subprocess.run(command, capture_output=True).returncode
        ):
            pytest.skip("needs a Linux machine where a tmpfs can be mounted")
        return point

    yield mount
    if point.is_mount():
        subprocess.run(["umount", str(point)], check=True)


# The plain file takes 5.6 MB, the result 7.3 MB and its overviews some more while it is made: the disk fills
# up while the plain file is written, and at several points of the conversion.
@pytest.mark.parametrize("size", ["2m", "5m", "7m", "9m", "12m"])
def test_a_disk_that_fills_up_leaves_the_previous_result(small_disk, size):
    disk = small_disk(size)
    (disk / "run.json").write_text(old := json.dumps(sealed({"outputs": {}})))
    with (
        raised("E601", "disk") as refusal,
        outputs(disk, RESULT, overwrite=True) as stage,
    ):
        write_probability(stage)
    assert (refusal.value.code, refusal.value.exit_status) == ("E601", 6)
    assert [path.name for path in disk.iterdir()] == ["run.json"]
    assert (disk / "run.json").read_text() == old


def write_polygons(folder):
    boxes = gpd.GeoSeries(
        [shapely.MultiPolygon([shapely.box(i, 0, i + 1, 1)]) for i in range(20_000)], crs=32632
    )
    frame = gpd.GeoDataFrame({"status": "analysed"}, index=boxes.index, geometry=boxes)
    layers = {"landslides": frame, "analysed": frame}
    write_geopackage(folder / "landslides.gpkg", layers, datetime(2024, 1, 1, tzinfo=UTC), {}, 0.5)


def write_record(folder):
    nothing = np.full((400, 400), np.nan)
    starts = np.arange(400) * 2
    none = np.full((400, 400), -1)
    record = WindowRecord(
        probability=nothing, threshold=nothing, scenario=none, reason=none * 0 + 255, scenarios=("all",)
    )
    plan = WindowPlan(starts, starts, 64, 2, GRID.shape)
    write_windows(folder / "windows.nc", windows_dataset(record, plan, GRID, {}))


@pytest.mark.parametrize("write", [write_polygons, write_record])
def test_every_writer_survives_a_full_disk(small_disk, write):
    disk = small_disk("1m")
    with raised("E601", "disk"), outputs(disk, RESULT) as stage:
        write(stage)
    assert list(disk.iterdir()) == []


def write_noisy_map(folder):
    plan = plan_windows(GRID.shape, 16)
    rng = np.random.default_rng(0)
    probability = rng.random(plan.grid_shape)
    known = np.zeros(plan.grid_shape, dtype=int)
    record = WindowRecord(
        probability=probability,
        threshold=known + 0.5,
        scenario=known,
        reason=known,
        member_probability=np.repeat(probability[..., np.newaxis], 10, axis=-1),
        scenarios=("all",),
        members=tuple(f"member {i}" for i in range(10)),
    )
    dates = {"event_time": datetime(2024, 1, 1, tzinfo=UTC)}
    return write_map(folder, record, plan, GRID, dates=dates, tags={"software": "x"})


# Rasters are written side by side, then the polygons, then the windows: each of them meets the full disk.
@pytest.mark.parametrize("size", ["60k", "140k", "260k", "380k", "420k", "660k"])
def test_whichever_file_of_a_map_meets_a_full_disk_nothing_is_left(small_disk, size):
    disk = small_disk(size)
    with raised("E601", "disk"), outputs(disk, RESULT) as stage:
        write_noisy_map(stage)
    assert list(disk.iterdir()) == []


def test_a_disk_that_is_large_enough_is_enough(small_disk):
    disk = small_disk("40m")
    with outputs(disk, RESULT) as stage:
        write_probability(stage)
    with rasterio.open(disk / "probability.tif") as raster:
        np.testing.assert_array_equal(raster.read(1), NOISE)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_reported_by_the_system_is_a_resource_error(tmp_path, number):
    with (
        raised("E601", messages.FULL_OR_READ_ONLY),
        outputs(tmp_path / "out", RESULT),
    ):
        raise OSError(number, os.strerror(number))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_permission_is_a_resource_error(tmp_path):
    denied = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "any"))
    with (
        changes_below(tmp_path, 0, error=denied),
        raised("E601", messages.NOT_WRITABLE),
        outputs(tmp_path, RESULT),
    ):
        pass


def test_an_unreadable_input_is_not_blamed_on_the_output_folder(tmp_path):
    with pytest.raises(PermissionError), outputs(tmp_path / "out", RESULT):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "input.tif"))


def test_a_raster_that_reads_back_differently_is_refused(tmp_path):
    """Pixels are painted once to be written and once to be compared: here one is another in the file."""
    painted = []

    def paint(first, pixels):
        painted.append(first)
        pixels[:] = NOISE[first : first + len(pixels)]
        if first == 512 and painted.count(first) == 1:
            pixels[700 - first, 900] += 0.5

    pixels = WindowMosaic(np.arange(GRID.height + 1), np.arange(GRID.width + 1))
    codes = np.zeros(GRID.shape, np.uint8)
    with raised("E601", messages.DOES_NOT_READ_BACK):
        rasters.write_outline_probability(tmp_path / "p.tif", paint, codes, pixels, GRID, {})
    assert list(tmp_path.iterdir()) == []
