"""Sigma0 or incidence angles of a GRD product on a map grid, read as a raster of one band.

A pixel takes the nearest sample of the image (docs/decisions/0052-radar-by-nearest-pixels.md). Thermal noise
is removed and calibrated with the annotation; border noise is left out. The value of a pixel does not
depend on the part that is read. Nodes of the geometry belong to squares of the grid that never move.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from landslide_map.array_types import Floats, Floats32, Rows
from landslide_map.errors import InputError
from landslide_map.grid import BLOCK, Block, Grid
from landslide_map.raster.coordinates import STEP, density, node_coordinates, source_coordinates
from landslide_map.raster.geoid import geoid_height, is_ellipsoidal
from landslide_map.raster.ground_range.annotation import Annotation
from landslide_map.raster.ground_range.border import valid_samples
from landslide_map.raster.ground_range.geometry import HEIGHTS_M, RangeDoppler, require_sarsen
from landslide_map.raster.ground_range.product import (
    INCIDENCE,
    GroundRangeBand,
    annotation_of,
    orbit_file_of,
    product_files,
    state_vectors,
)
from landslide_map.raster.heights import height_band
from landslide_map.raster.nodata import read_valid
from landslide_map.raster.one_band import OneBand
from landslide_map.raster.resample_kernels import bilinear
from landslide_map.runtime.jit import compiled

SQUARE: Final = 256
"""Edge of the squares in which pixels are placed, a multiple of STEP."""
FLOOR_POWER: Final = 1e-5
"""Sigma0 of samples that are not above their noise: -50 dB. Training pixels in shadow are as dark."""
_WGS84: Final = CRS.from_epsg(4326)
_MOST_SAMPLES: Final = 64_000_000
"""Most samples of the image in one read."""


class GroundRangeRaster(OneBand):
    """One polarisation on a grid."""

    driver = "GRD"
    block_shapes = ((SQUARE, SQUARE),)

    def __init__(self, band: GroundRangeBand, open_raster: Callable[[str], DatasetReader]) -> None:
        require_sarsen(band.product)
        self._band, self._open = band, open_raster
        self._annotation = annotation_of(band.product, band.annotated)
        orbit = band.orbit or orbit_file_of(band.product, self._annotation)
        changed = tuple(path.stat().st_mtime_ns for path in (band.product, orbit) if path is not None)
        self._geometry = _geometry(band.product, band.annotated, orbit, changed)
        self._image = open_raster(str(product_files(band.product, band.annotated).measurement))
        self._dem = open_raster(band.dem)
        timing = self._annotation.timing
        if self._image.shape != (timing.lines, timing.samples):
            raise InputError(
                "E101",
                f"{band.product}: its image has {self._image.shape[0]} x {self._image.shape[1]} pixels, its "
                f"annotation says {timing.lines} x {timing.samples}; fetch the product again",
            )
        self.name = band.name
        self.crs = band.grid.crs
        self.transform: Affine = band.grid.transform
        self.height, self.width = self.shape = band.grid.shape
        self.descriptions = (band.polarisation.upper(),)

    def pixels(self, rows: Rows, cols: Rows) -> Floats32:
        """Return sigma0 as power, or angles in degrees, NaN where nothing was seen."""
        out = np.full((rows.size, cols.size), np.nan, np.float32)
        values = self._angles if self._band.polarisation == INCIDENCE else self._sigma0
        for top in np.unique(rows // SQUARE):
            for left in np.unique(cols // SQUARE):
                here = np.ix_(rows // SQUARE == top, cols // SQUARE == left)
                inside = np.ix_(rows[rows // SQUARE == top] % SQUARE, cols[cols // SQUARE == left] % SQUARE)
                line, sample = self._square(int(top), int(left))
                out[here] = values(line[inside], sample[inside])
        return out

    def _square(self, top: int, left: int) -> tuple[Floats, Floats]:
        """Return line and sample of the pixels of a square; NaN where the ground is not known."""
        block = Block(top * SQUARE, left * SQUARE, SQUARE, SQUARE)
        nodes = self._geometry.nodes(self._band.grid, top, left)
        heights = self._heights(block)
        line, sample = np.empty((2, SQUARE, SQUARE))
        _place(nodes, heights, np.array(HEIGHTS_M), line, sample)
        return line, sample

    def _heights(self, block: Block) -> Floats32:
        """Return heights above the sea, or the ellipsoid, as in the elevation model."""
        grid = self._band.grid
        dem = height_band(self._band.dem, self._dem)
        rows, cols = node_coordinates(dem.grid, grid, block)
        out = np.full((block.height, block.width), np.nan, np.float32)
        if not (np.isfinite(rows).all() and np.isfinite(cols).all()):
            return out
        (top, bottom), (left, right) = (
            (max(int(np.floor(at.min())) - 1, 0), min(int(np.ceil(at.max())) + 1, size))
            for at, size in zip((rows, cols), dem.grid.shape, strict=True)
        )
        if top >= bottom or left >= right:
            return out
        heights = read_valid(self._dem, dem, Window(left, top, right - left, bottom - top))
        down, across = (max(1, round(each)) for each in density(dem.grid, grid))
        bilinear(heights.astype(np.float32), rows, cols, top, left, 0, 0, STEP, down, across, out)
        if not is_ellipsoidal(self._dem.crs):
            out += _geoid(grid, block)
        return out

    def _sigma0(self, line: Floats, sample: Floats) -> Floats32:
        """Return calibrated power of the nearest samples, without their noise."""
        out = np.full(line.shape, np.nan, np.float32)
        timing = self._annotation.timing
        row, col = np.floor(line + 0.5), np.floor(sample + 0.5)
        with np.errstate(invalid="ignore"):
            seen = (row >= 0) & (row < timing.lines) & (col >= 0) & (col < timing.samples)
        if not seen.any():
            return out
        row, col = row[seen].astype(np.intp), col[seen].astype(np.intp)
        first, last = (int(row.min()), int(col.min())), (int(row.max()) + 1, int(col.max()) + 1)
        if (last[0] - first[0]) * (last[1] - first[1]) > _MOST_SAMPLES:
            raise RasterioIOError(f"{self.name}: its elevation is impossible")
        window = Window(first[1], first[0], last[1] - first[1], last[0] - first[0])
        numbers = self._image.read(1, window=window).astype(np.float64)
        noise, sigma = noise_and_calibration(self._annotation, window)
        power = np.maximum((numbers * numbers - noise) / (sigma * sigma), FLOOR_POWER)
        power[(numbers == 0) | ~self._valid(window)] = np.nan
        out[seen] = power[row - first[0], col - first[1]]
        return out

    def _angles(self, line: Floats, sample: Floats) -> Floats32:
        """Return angles from the normal of the ellipsoid, bilinear between the points of the annotation."""
        timing, points = self._annotation.timing, self._annotation.tie_points
        lines, samples = np.unique(points.line), np.unique(points.sample)
        if lines.size < 2 or samples.size < 2 or lines.size * samples.size != points.line.size:
            raise InputError(
                "E101",
                f"{self._band.product}: its grid of incidence angles has gaps; fetch the product again",
            )
        table = points.incidence[np.lexsort((points.sample, points.line))].reshape(lines.size, samples.size)
        with np.errstate(invalid="ignore"):
            seen = (line >= -0.5) & (line < timing.lines - 0.5)
            seen &= (sample >= -0.5) & (sample < timing.samples - 0.5)
        at = (np.clip(line[seen], *lines[[0, -1]]), np.clip(sample[seen], *samples[[0, -1]]))
        out = np.full(line.shape, np.nan, np.float32)
        from scipy.interpolate import RegularGridInterpolator  # 0.3 s that other rasters need not wait

        out[seen] = RegularGridInterpolator((lines, samples), table)(at)
        return out

    def _valid(self, window: Window) -> npt.NDArray[np.bool_]:
        """Return which samples of a window lie within the edges of the swath, as VV shows them."""
        edges = valid_samples(self._band.product, self._open)
        lines = np.arange(window.row_off, window.row_off + window.height)
        samples = np.arange(window.col_off, window.col_off + window.width)
        start, stop = edges[:, lines]
        return np.asarray((samples >= start[:, None]) & (samples < stop[:, None]))

    def close(self) -> None:
        """Close the image and the elevation model."""
        self._image.close()
        self._dem.close()


def noise_and_calibration(annotation: Annotation, window: Window) -> tuple[Floats, Floats]:
    """Return the power of the noise (squared digital numbers), and digital numbers over root sigma0."""
    lines = np.arange(window.row_off, window.row_off + window.height, dtype=np.float64)
    first, stop = int(window.col_off), int(window.col_off + window.width)
    sigma = annotation.sigma.rows(lines, first, stop)
    if annotation.noise is None:
        return np.zeros_like(sigma), sigma
    noise = annotation.noise.rows(lines, first, stop)
    for part in annotation.azimuth_noise:
        rows = (lines >= part.lines[0]) & (lines < part.lines[1])
        left, right = max(part.samples[0] - first, 0), min(part.samples[1] - first, stop - first)
        if left < right and rows.any():
            noise[rows, left:right] *= np.interp(lines[rows], part.at, part.factor)[:, None]
    return noise, sigma


class _Geometry:
    """Nodes of squares of a grid in an image, kept for neighbouring reads and the other polarisation."""

    def __init__(self, product: Path, polarisation: str, orbit: Path | None) -> None:
        annotation = annotation_of(product, polarisation)
        try:
            self._solver = RangeDoppler(annotation, None if orbit is None else state_vectors(orbit))
        except ValueError as error:
            raise InputError("E101", f"{orbit or product}: {error}; fetch it again") from None

    def nodes(self, grid: Grid, top: int, left: int) -> Floats:
        """Return line and sample at nodes of a square and :data:`HEIGHTS_M`: ``(2, height, row, col)``."""
        each, many = SQUARE // STEP, BLOCK // SQUARE
        block = self._block(grid, top // many, left // many)
        row, col = top % many * each, left % many * each
        return np.ascontiguousarray(block[:, :, row : row + each + 1, col : col + each + 1])

    @lru_cache(maxsize=256)  # noqa: B019 - as long-lived as the cache that holds this object
    def _block(self, grid: Grid, top: int, left: int) -> Floats:
        """Return the nodes of a block: always all of it are solved together, so that steps are the same."""
        at = np.arange(0, BLOCK + 1, STEP, dtype=np.float64)
        rows, cols = np.meshgrid(at + top * BLOCK, at + left * BLOCK, indexing="ij")
        longitude, latitude = _degrees(grid, rows, cols)
        flat = (-1, rows.shape[1])
        every = [
            np.broadcast_to(one, (len(HEIGHTS_M), *rows.shape)).reshape(flat)
            for one in (longitude, latitude, np.array(HEIGHTS_M)[:, None, None])
        ]
        line, sample = self._solver.image_coordinates(*every)
        return np.stack([line, sample]).reshape(2, len(HEIGHTS_M), *rows.shape)


@lru_cache(maxsize=32)
def _geometry(product: Path, polarisation: str, orbit: Path | None, changed: tuple[int, ...]) -> _Geometry:
    del changed
    return _Geometry(product, polarisation, orbit)


def _degrees(grid: Grid, rows: Floats, cols: Floats) -> tuple[Floats, Floats]:
    """Return longitude and latitude of positions in a grid."""
    whole = Grid(_WGS84, Affine(1, 0, -180, 0, -1, 90), 360, 180)
    down, across = source_coordinates(whole, grid, rows, cols)
    return across - 180.0, 90.0 - down


def _geoid(grid: Grid, block: Block) -> Floats32:
    """Return the geoid above the ellipsoid in a block that begins and ends at nodes."""
    at = [
        np.arange(first, first + length + 1, STEP, dtype=np.float64)
        for first, length in ((block.row, block.height), (block.col, block.width))
    ]
    nodes = geoid_height(*_degrees(grid, *np.meshgrid(*at, indexing="ij")))
    centres = (np.arange(block.height) + 0.5) / STEP
    cell = np.minimum(centres.astype(np.intp), nodes.shape[0] - 2)
    share = centres - cell
    down = nodes[cell] * (1 - share)[:, None] + nodes[cell + 1] * share[:, None]
    return np.asarray(down[:, cell] * (1 - share) + down[:, cell + 1] * share, np.float32)


@compiled
def _place(nodes: Floats, heights: Floats32, levels: Floats, line: Floats, sample: Floats) -> None:
    """Fill `line` and `sample` at pixel centres: bilinear between nodes, quadratic in height."""
    edge = (nodes.shape[2] - 1) / line.shape[0]
    low, middle, high = levels
    for r in range(line.shape[0]):
        down = (r + 0.5) * edge
        i = int(down)
        down -= i
        for c in range(line.shape[1]):
            h = heights[r, c]
            if np.isnan(h):
                line[r, c], sample[r, c] = np.nan, np.nan
                continue
            across = (c + 0.5) * edge
            j = int(across)
            across -= j
            share_0 = (h - middle) * (h - high) / ((low - middle) * (low - high))
            share_1 = (h - low) * (h - high) / ((middle - low) * (middle - high))
            share_2 = (h - low) * (h - middle) / ((high - low) * (high - middle))
            for k in range(2):
                total = 0.0
                for n in range(3):
                    share = share_0 if n == 0 else (share_1 if n == 1 else share_2)
                    of = nodes[k, n]
                    upper = of[i, j] * (1 - across) + of[i, j + 1] * across
                    lower = of[i + 1, j] * (1 - across) + of[i + 1, j + 1] * across
                    total += share * (upper * (1 - down) + lower * down)
                if k == 0:
                    line[r, c] = total
                else:
                    sample[r, c] = total
