"""``map_scenes``: several scenes, each in its own folder, and one GeoPackage of them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from os import PathLike
from pathlib import Path
from typing import Any, Final, Unpack

from landslide_map.errors import Notice, OutputExistsError, UsageError
from landslide_map.mapping.file_hashes import input_identity, versions
from landslide_map.mapping.identity import differences
from landslide_map.mapping.map_scene import map_scene
from landslide_map.mapping.options import RunFields, RunOptions, split_fields
from landslide_map.mapping.provenance import configuration, write_manifest
from landslide_map.mapping.result import MapResult
from landslide_map.mapping.setup import resolved_settings
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.bundle.options import PredictionOptions
from landslide_map.products import FORMAT_FILES, LANDSLIDES, MANIFEST, PROJECT, SCENES
from landslide_map.products.added_content import refuse_added, take_over_styles
from landslide_map.products.columns import ANALYSED, WINDOWS
from landslide_map.products.columns import LANDSLIDES as OUTLINES
from landslide_map.products.geopackage import read_layer, write_geopackage
from landslide_map.products.merge import leading_crs, merged_areas, merged_landslides, merged_objects
from landslide_map.products.mosaic import write_mosaics
from landslide_map.products.project import RASTERS, write_project
from landslide_map.products.reviews import (
    previous_reviews,
    refuse_new_verdicts,
    reviewed_layers,
    unreviewed,
)
from landslide_map.runtime.byte_size import amount
from landslide_map.runtime.own_files import Kind, tree_records
from landslide_map.runtime.progress import Report, Stage, counter, silent
from landslide_map.runtime.transaction import outputs, refuse_unfit
from landslide_map.untrusted.json_text import read_json

MERGED: Final = Kind(
    SCENES, (LANDSLIDES, PROJECT, *FORMAT_FILES, *(f"{Path(name).stem}.vrt" for name in RASTERS), SCENES)
)
FORMAT_VERSION: Final = 1
_AFRESH: Final = "Choose another --out, or map all scenes again with --overwrite."
_GENERIC_NAME: Final = "scene"
"""A file of this name says nothing of the scene; its folder does."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one scene: a result, or an error."""

    name: str
    """Name of the scene, and of its folder."""
    result: MapResult | None
    error: Exception | None = None
    kept: bool = False
    """Whether the result was there already."""


@dataclass(frozen=True, slots=True)
class SeveralResult:
    """Result of a run over several scenes."""

    out: Path
    outcomes: tuple[Outcome, ...]
    landslides: int
    """Polygons in the merged layer `landslides`."""

    @property
    def failures(self) -> dict[str, Exception]:
        """Name -> error, of the scenes without a result."""
        return {outcome.name: outcome.error for outcome in self.outcomes if outcome.error is not None}

    @property
    def project(self) -> Path:
        """QGIS project of all scenes that have a result."""
        return self.out / PROJECT

    @property
    def polygons(self) -> Path:
        """GeoPackage with the landslides and the area analysed of all scenes that have a result."""
        return self.out / LANDSLIDES

    def summary(self) -> str:
        """Return one paragraph for a person."""
        done = len(self.outcomes) - len(self.failures)
        text = f"{done} of {len(self.outcomes)} scenes are mapped"
        if done:
            areas = "1 landslide area" if self.landslides == 1 else f"{self.landslides} landslide areas"
            text += f", {areas} in {self.polygons}"
        if self.failures:
            text += f"; without a map: {', '.join(self.failures)}"
        return text


def map_scenes(
    scenes: Sequence[str | PathLike[str]],
    out: str | PathLike[str],
    *,
    prediction: PredictionOptions = PredictionOptions(),
    run: RunOptions = RunOptions(),
    progress: Report = silent,
    announce: Callable[[Notice], object] = lambda _: None,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
    **given: Unpack[RunFields],
) -> SeveralResult:
    """Map several scenes; one that fails does not keep the others from being mapped.

    Parameters
    ----------
    scenes : sequence of paths
        ``scene.yaml`` files. The folder of each result is named after the file, or after the file's folder
        where the file is just ``scene.yaml``.
    out : path
        Folder for the folders, and for ``landslides.gpkg`` and ``scenes.json``, written each time.
    prediction, run, announce, **given
        As of :func:`~landslide_map.mapping.map_scene.map_scene`, for every scene. Bundles are loaded once.
        With ``overwrite=True`` scenes that have a result are mapped again; otherwise a result is kept, if
        this command would make the same one.
    progress : callable
        Called as ``progress(stage, done, total)``; stages of a scene carry its name.
    on_outcome : callable
        Called with the outcome of each scene as soon as it is known.

    Raises
    ------
    LandslideMapError
        Before any work: E401 `out` holds a result of one scene, E402 two scenes have the same name. E403 the
        merged GeoPackage is being edited, E440 `memory` is no memory size. Errors of scenes are in the
        outcomes.
    """
    prediction, run = split_fields(prediction, run, given)
    named = scene_names(scenes)
    out = Path(out).absolute()
    _refuse_single_result(out)
    memory = None if run.memory is None else amount(run.memory)
    run = replace(run, memory=memory, load=_cached(run.load))
    tick = counter(progress, Stage("scenes", "scenes"), len(named))
    outcomes: list[Outcome] = []
    try:
        for name, scene in named.items():
            report = partial(_of_scene, progress, name)
            outcome = _outcome(name, scene, out / name, prediction, run, progress=report, announce=announce)
            outcomes.append(outcome)
            on_outcome(outcome)
            tick(1)
        return SeveralResult(out, tuple(outcomes), _write_merged(out, outcomes))
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(_standing(outcomes, list(named), str(stop))) from None


def scene_names(scenes: Iterable[str | PathLike[str]]) -> dict[str, Path]:
    """Return name -> scene; a name depends on its own scene only, so that it is the same in every command.

    >>> list(scene_names(["tiles/51RUH.yaml", "tiles/51RUG/scene.yaml"]))
    ['51RUH', '51RUG']

    Raises
    ------
    UsageError
        E402 if two scenes have the same name.
    """
    named: dict[str, Path] = {}
    for path in map(Path, scenes):
        name = path.absolute().parent.name if path.stem == _GENERIC_NAME else path.stem
        if name in named:
            raise UsageError(
                "E402",
                f"{named[name]} and {path} would both be mapped into the folder {name!r}: scenes are named "
                f"after their file, or their folder if the file is {_GENERIC_NAME}.yaml. Rename one of them.",
            )
        named[name] = path
    return named


def _cached(load: Callable[[Path | None], Bundle]) -> Callable[[Path | None], Bundle]:
    return cache(load)


def _refuse_single_result(out: Path) -> None:
    """Refuse a folder with other polygons than merged ones, or changed ones, before any work."""
    present = [name for name in (MANIFEST, LANDSLIDES) if (out / name).exists()]
    if present and not (out / SCENES).exists():
        raise OutputExistsError(
            "E401",
            f"{out} holds {' and '.join(present)} of one scene; nothing was done. Choose another --out for "
            "several scenes.",
        )
    refuse_unfit(out, MERGED, overwrite=True, carried=(LANDSLIDES,), left=(PROJECT,))
    refuse_added(out / LANDSLIDES, MERGED)


def _outcome(
    name: str, scene: Path, out: Path, prediction: PredictionOptions, run: RunOptions, **calls: Any
) -> Outcome:
    """Map one scene, unless that was done before; an error belongs to the scene, not to the run."""
    try:
        if not run.overwrite and (out / MANIFEST).exists():
            return Outcome(name, _finished(scene, out, prediction, run), kept=True)
        return Outcome(name, map_scene(scene, out, prediction=prediction, run=run, **calls))
    except Exception as error:
        return Outcome(name, None, error)


def _finished(scene: Path, out: Path, prediction: PredictionOptions, run: RunOptions) -> MapResult:
    """Return the result that is in `out`; E401 if mapping the scene now would make another one.

    Input files that are gone are taken to be what they were: users may delete them once the map exists.
    """
    try:
        written = read_json(out / MANIFEST)
        inputs = {identity["path"]: identity for identity in written["inputs"]}
        then = {
            **written["configuration"],
            "bundle": {key: written["bundle"][key] for key in ("name", "sha256")},
            "versions": written["versions"],
            "inputs": inputs,
        }
        counts, notes = written["counts"], written["notices"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise OutputExistsError(
            "E401", f"{out / MANIFEST} is not what this version writes ({error!r}). {_AFRESH}"
        ) from None
    settings, prediction = resolved_settings(scene, prediction, run)
    bundle = run.load(settings.bundle)
    now = {
        **configuration(settings, prediction),
        "bundle": {"name": bundle.name, "sha256": bundle.sha256},
        "versions": versions(),
        "inputs": {
            path: input_identity(Path(path)) if Path(path).exists() else inputs[path] for path in inputs
        },
    }
    if then != now:
        raise OutputExistsError(
            "E401",
            f"{out} holds a result that this command would not make: {differences(then, now)}. {_AFRESH}",
        )
    notices = tuple(Notice(note["code"], note["message"]) for note in notes)
    return MapResult(out, counts["landslides"], counts["windows"], notices, 0.0)


def _write_merged(out: Path, outcomes: Sequence[Outcome]) -> int:
    """Write the polygons of all scenes that have a result, and the outcome of every scene."""
    results = {outcome.name: outcome.result for outcome in outcomes if outcome.result is not None}
    if not results:
        return 0
    merged_before = previous_reviews(out / LANDSLIDES)
    reviews = previous_reviews(out / LANDSLIDES, *(result.polygons for result in results.values()))
    found = {name: read_layer(result.polygons, OUTLINES) for name, result in results.items()}
    analysed = {name: read_layer(result.polygons, ANALYSED)[0] for name, result in results.items()}
    tags = [tags for _, tags in found.values()]
    crs = leading_crs(analysed.values())
    scenarios = dict.fromkeys(name for own in tags for name in own["bundle_scenarios"].split("; "))
    own = {name: unreviewed(frame) for name, (frame, _) in found.items()}
    objects = all("probability" in frame for frame in own.values())
    landslides = (merged_objects if objects else merged_landslides)(own, crs)
    common = {key: value for key, value in tags[0].items() if all(own.get(key) == value for own in tags)}
    for key in ("scenarios", "thresholds"):  # of all scenes: a name with two thresholds stands there twice
        common[key] = "; ".join(dict.fromkeys(one for own in tags for one in own[key].split("; ") if one))
    common["threshold_lowest"] = min((own["threshold_lowest"] for own in tags), key=float)
    missing = [outcome.name for outcome in outcomes if outcome.result is None]
    if missing:
        common["scenes_missing"] = "; ".join(missing)
    event_time = min(datetime.fromisoformat(own["event_time"]) for own in tags)
    threshold = min(float(own["threshold_lowest"]) for own in tags)
    about = {**common, "scenes": "; ".join(results)}
    with outputs(out, MERGED, overwrite=True, carried=(LANDSLIDES,), left=(PROJECT,)) as staging:
        layers, _ = reviewed_layers(landslides, reviews)
        if objects:
            windows = {name: read_layer(result.polygons, WINDOWS)[0] for name, result in results.items()}
            layers[WINDOWS] = merged_landslides(windows, crs)
        layers[ANALYSED] = merged_areas(analysed, crs, list(scenarios))
        write_geopackage(staging / LANDSLIDES, layers, event_time, about, threshold)
        take_over_styles(out / LANDSLIDES, staging / LANDSLIDES, MERGED)
        folders = {name: result.out for name, result in results.items()}
        mosaics = write_mosaics(staging, folders, RASTERS)
        write_project(
            *(staging / PROJECT, out),
            mosaics=mosaics,
            threshold=threshold,
            tags=about,
            event_time=event_time,
        )
        write_manifest(staging / SCENES, _account(outcomes, len(landslides), staging))
        refuse_new_verdicts(out / LANDSLIDES, merged_before)
    return len(landslides)


def _account(outcomes: Sequence[Outcome], landslides: int, files: Path) -> dict[str, Any]:
    """Return the content of ``scenes.json``; `files` is the folder of the results."""
    return {
        "format_version": FORMAT_VERSION,
        "written": datetime.now(UTC),
        "landslides": landslides,
        "scenes": {
            outcome.name: {"landslides": outcome.result.landslides, "windows": outcome.result.windows}
            if outcome.result is not None
            else {"error": str(outcome.error)}
            for outcome in outcomes
        },
        "outputs": tree_records(files),
    }


def _of_scene(report: Report, name: str, stage: str, done: int, total: int) -> None:
    report(Stage(f"{name}: {stage}", getattr(stage, "unit", "")), done, total)


def _standing(outcomes: Sequence[Outcome], names: Sequence[str], kept: str) -> str:
    """Report the results that an interruption leaves; with every scene mapped, polygons were being merged."""
    done = sum(outcome.result is not None for outcome in outcomes)
    rest = f"goes on with {names[len(outcomes)]}" if len(outcomes) < len(names) else "merges their polygons"
    finished = f"{done} of {len(names)} scenes are finished; the same command {rest}"
    return f"{finished} ({kept})" if kept else finished
