"""Scene -> SceneInputs: files opened once, the grid chosen, notices collected."""

from __future__ import annotations

from pathlib import Path

from landslide_map.errors import Notice
from landslide_map.inputs.coverage import coverage_notices
from landslide_map.inputs.elevation import elevation_notices, open_elevation, without_fill
from landslide_map.inputs.elevation_files import elevation_name
from landslide_map.inputs.missing_files import refuse_missing
from landslide_map.inputs.scene_inputs import LevelOneImage, OpticalImage, SceneInputs
from landslide_map.inputs.sentinel1.consistency import check_tracks_differ
from landslide_map.inputs.sentinel1.folder import sorted_radar
from landslide_map.inputs.sentinel1.ground_range import has_ground_range, on_grid
from landslide_map.inputs.sentinel1.incidence import angle_files, with_angles
from landslide_map.inputs.sentinel1.track import open_track
from landslide_map.inputs.sentinel2.before import compared, open_before
from landslide_map.inputs.sentinel2.image import open_optical
from landslide_map.inputs.sentinel2.level_1c import open_level_1c
from landslide_map.inputs.sentinel2.turned import beside_radar_notices
from landslide_map.inputs.target_grid import decide_grid
from landslide_map.inputs.water import open_water
from landslide_map.raster.open import files_of
from landslide_map.runtime.threads import reading_threads
from landslide_map.scene.model import Scene, TrackSpec


def open_inputs(scene: Scene) -> SceneInputs:
    """Open and check everything that `scene` names, and decide the grid.

    Metadata and thinned pixels are read, nothing is aligned.

    Raises
    ------
    InputError
        For every file that does not hold what the scene says (docs/error-codes.md).
    """
    refuse_missing(scene)
    notices: list[Notice] = []
    files: list[Path] = []
    optical = None
    before: tuple[OpticalImage, ...] = ()
    tracks = {}
    specs: dict[str, TrackSpec] = {}
    if scene.s1 is not None:
        specs, notices = sorted_radar(scene.s1, scene.event.time)
    with reading_threads() as submit:
        image = submit(open_optical, scene.s2.post, scene.event.time) if scene.s2 else None
        if has_ground_range(specs):
            target = decide_grid(scene.grid, None if image is None else image.result()[0], {})
            heights = None if scene.dem is None else elevation_name(scene.dem, target)
            orbits = (scene.s1.orbits if scene.s1 else None) or ()
            specs, found = on_grid(specs, target, heights, orbits)
            notices += found
        opening = {
            orbit: submit(open_track, orbit, spec, scene.event.time, scene.s1.registration)
            for orbit, spec in specs.items()
            if scene.s1 is not None
        }
        if image is not None:
            optical, found, read = image.result()
            notices += found
            files += read
        if scene.s2 is not None and scene.s2.pre is not None:
            before, found, read = open_before(scene.s2.pre, scene.event.time)
            notices += found
            files += read
        for orbit, track in opening.items():
            tracks[orbit], found = track.result()
            notices += found
            files += [file for band in tracks[orbit].raster_bands for file in files_of(band)]
    level_1c, read = _level_1c(scene, optical)
    files += read
    tracks = {orbit: with_angles(track, specs[orbit]) for orbit, track in tracks.items()}
    files += [file for track in tracks.values() for file in angle_files(track)]
    check_tracks_differ(tracks.values())
    grid = decide_grid(scene.grid, optical, tracks)
    dem = None
    if scene.dem is not None:
        dem, found = without_fill(open_elevation(elevation_name(scene.dem, grid)), grid)
        files += files_of(dem)
        notices += [*elevation_notices(dem), *found]
    water, found, read = (None, [], ()) if scene.water is None else open_water(scene.water, grid)
    notices += found
    files += read
    notices += coverage_notices(grid, optical, tracks, dem)
    notices += compared(before, optical, grid)
    if optical is not None:
        notices += beside_radar_notices(
            optical, [image for track in tracks.values() for image in track.post[-1:]]
        )
    return SceneInputs(
        grid=grid,
        event_time=scene.event.time,
        optical=optical,
        tracks=tracks,
        dem=dem,
        optical_before=before,
        optical_l1c=level_1c,
        water=water,
        every_member=scene.members == "all",
        files=tuple(dict.fromkeys(files)),
        notices=tuple(notices),
    )


def _level_1c(scene: Scene, optical: OpticalImage | None) -> tuple[LevelOneImage | None, tuple[Path, ...]]:
    """Return the Level-1C product of a scene, and its files; None where the scene names none."""
    if scene.s2 is None or scene.s2.post_l1c is None:
        return None, ()
    return open_level_1c(scene.s2.post_l1c, scene.event.time, optical)
