"""Scene -> SceneInputs: every file opened once, the grid decided, everything that matters noticed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from landslide_map.errors import InputError, Notice
from landslide_map.readers.coverage import coverage_notices
from landslide_map.readers.raster import file_of, open_band, opened
from landslide_map.readers.sentinel1 import open_track
from landslide_map.readers.sentinel1_tracks import check_tracks_differ, resolution_m
from landslide_map.readers.sentinel2 import open_optical
from landslide_map.readers.target import decide_grid
from landslide_map.scene import Scene
from landslide_map.sources import RasterBand, SceneInputs

COARSEST_DEM_M: Final = 100.0
"""SRTM's 90 m still show slopes. Of nine windows of hills with 150 m of relief none is flat at 10 m, one
where heights are means over 90 m, five over 250 m, eight over 1000 m (tests/unit/test_terrain.py)."""


def open_inputs(scene: Scene) -> SceneInputs:
    """Open and check everything that `scene` names, and decide the grid.

    Metadata and thinned pixels are read, nothing is aligned.

    Raises
    ------
    InputError
        For every file that does not hold what the scene says (docs/error-codes.md).
    """
    notices: list[Notice] = []
    files: list[Path] = []
    optical = None
    tracks = {}
    with ThreadPoolExecutor() as pool:
        image = pool.submit(open_optical, scene.s2.post, scene.event.time) if scene.s2 else None
        opening = {
            orbit: pool.submit(open_track, orbit, spec, scene.event.time)
            for orbit, spec in (scene.s1.tracks if scene.s1 else {}).items()
        }
        if image is not None:
            optical, found, read = image.result()
            notices += found
            files += read
        for orbit, track in opening.items():
            tracks[orbit], found = track.result()
            notices += found
            files += [file_of(band) for band in tracks[orbit].raster_bands]
    check_tracks_differ(tracks.values())
    dem = None if scene.dem is None else _open_elevation(scene.dem)
    if dem is not None:
        files.append(file_of(dem))
        notices += _elevation_notices(dem)
    grid = decide_grid(scene.grid, optical, tracks)
    notices += coverage_notices(grid, optical, tracks, dem)
    return SceneInputs(
        grid=grid,
        event_time=scene.event.time,
        optical=optical,
        tracks=tracks,
        dem=dem,
        files=tuple(dict.fromkeys(files)),
        notices=tuple(notices),
    )


def _open_elevation(path: Path) -> RasterBand:
    """Open elevation; a picture of it (hillshade, colours) has three bands."""
    with opened(path) as dataset:
        count = dataset.count
    if count != 1:
        raise InputError(
            "E101", f"{path}: has {count} bands; expected one, elevation in metres; correct dem in scene.yaml"
        )
    return open_band(path)


def _elevation_notices(dem: RasterBand) -> list[Notice]:
    """Warn (W380) of elevation too coarse for slopes: what it calls flat is left out of the map."""
    pixel = resolution_m(dem.grid)
    if pixel <= COARSEST_DEM_M:
        return []
    return [
        Notice(
            "W380",
            f"{dem.path}: pixels of {pixel:.0f} m smooth slopes away, so that steep ground is taken for flat "
            "and not analysed; give a DEM of 30 m, such as Copernicus GLO-30, or none",
        )
    ]
