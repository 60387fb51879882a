"""Provenance of a result: tags, configuration, run.json."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, Final

import dask
import numpy as np
from dask.system import CPU_COUNT

from landslide_map._version import __version__
from landslide_map.inference.gather import SceneResult
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping.file_hashes import versions
from landslide_map.mapping.report_facts import report_facts
from landslide_map.mapping.setup import PreparedRun
from landslide_map.models.bundle import skipped
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.bundle.options import PredictionOptions
from landslide_map.models.statistics.training_range import UNLIKE
from landslide_map.products.objects import LEAST_AREA_TAG
from landslide_map.reasons import REASON_NAMES, Reason
from landslide_map.runtime.atomic import whole_file
from landslide_map.runtime.own_files import sealed, tree_records
from landslide_map.runtime.timings import Timings
from landslide_map.scene.model import Scene
from landslide_map.window_record import WindowRecord

FORMAT_VERSION: Final = 1


def configuration(settings: Scene, prediction: PredictionOptions) -> dict[str, Any]:
    """Return the configuration of a run for ``run.json``."""
    return {**asdict(prediction), **settings.model_dump(mode="json", by_alias=True)}


def acquisition_dates(inputs: SceneInputs) -> dict[str, datetime | None]:
    """Return the dates every landslide carries: the event, Sentinel-2, and the pair around it per track."""
    dates: dict[str, datetime | None] = {
        "event_time": inputs.event_time,
        "s2_post": inputs.optical.acquired if inputs.optical else None,
    }
    if inputs.optical_before:
        dates["s2_pre"] = inputs.optical_before[0].acquired
    for orbit in ("descending", "ascending"):
        track = inputs.tracks.get(orbit)
        pre = [image.acquired for image in track.pre] if track else []
        post = [image.acquired for image in track.post] if track else []
        dates[f"{orbit}_pre"] = max(pre, default=None)
        dates[f"{orbit}_post"] = min(post, default=None)
    return dates


def tags(settings: Scene, inputs: SceneInputs, ensemble: Bundle) -> dict[str, str]:
    """Describe the run inside its files; nothing here depends on the clock."""
    dates = {name: when.isoformat() for name, when in acquisition_dates(inputs).items() if when}
    products = [inputs.optical.product] if inputs.optical else []
    for track in inputs.tracks.values():
        products += [image.product for image in (*track.pre, *track.post)]
        products += [track.composite.product] if track.composite else []
    return {
        "software": f"landslide-map {__version__}",
        "bundle": ensemble.name,
        "bundle_sha256": ensemble.sha256,
        "bundle_scenarios": "; ".join(scenario.name for scenario in ensemble.scenarios),
        "window_size": "64 px (640 m)",
        "stride": f"{settings.stride} px ({settings.stride * 10} m)",
        "effective_resolution": "640 m: a value answers for the windows around a pixel, not for the pixel",
        "threshold": _threshold(settings),
        "operating_point": _operating_point(settings),
        "outline": settings.output.outline,
        "delineation": settings.output.outline,
        LEAST_AREA_TAG: f"{settings.output.min_area_m2:g}",
        "versions": "; ".join(f"{name} {version}" for name, version in versions().items()),
        "event": settings.event.name or "",
        "products": "; ".join(products),
        **skipped.tags(ensemble),
        **dates,
    }


def unlike_tags(record: WindowRecord) -> dict[str, str]:
    """Return the tag about windows unlike the training data; none where the bundle does not know."""
    unlike = unlike_training(record)
    if unlike is None:
        return {}
    words = f"{unlike['windows']} windows (distance above {unlike['limit']}; median {unlike['median']})"
    return {"unlike_training": words}


def _operating_point(settings: Scene) -> str:
    if settings.threshold is not None:
        return "none: a threshold was given"
    return settings.operating_point or "of the bundle"


def _threshold(settings: Scene) -> str:
    if settings.threshold is not None:
        return f"{settings.threshold:g}"
    point = settings.operating_point
    return "of each window's scenario" + (f" (operating point {point})" if point else "")


def window_counts(record: WindowRecord) -> dict[str, Any]:
    """Return how many windows there are of every kind, for ``run.json``."""
    reasons = Counter(record.reason.ravel().tolist())
    scenarios = Counter(record.scenario.ravel().tolist())
    return {
        "planned": int(record.reason.size),
        "analysed": reasons[Reason.ANALYSED],
        "landslide": int(record.positive.sum()),
        "scenarios": {name: scenarios[i] for i, name in enumerate(record.scenarios) if scenarios[i]},
        "unlike_training": unlike_training(record),
        "not_analysed": {REASON_NAMES[r]: reasons[r] for r in Reason if r and reasons[r]},
    }


def unlike_training(record: WindowRecord) -> dict[str, float | None] | None:
    """Return how many windows are unlike the training data, and the median distance of all."""
    if record.unlike_training is None:
        return None
    known = record.unlike_training[np.isfinite(record.unlike_training)]
    middle = round(float(np.median(known)), 4) if known.size else None
    return {"limit": UNLIKE, "windows": int((known > UNLIKE).sum()), "median": middle}


def thresholds_used(record: WindowRecord) -> dict[str, float]:
    """Return the threshold of every scenario that some window used."""
    used = {name: record.threshold[record.scenario == i] for i, name in enumerate(record.scenarios)}
    return {name: round(float(values[0]), 6) for name, values in used.items() if len(values)}


def timings(
    run: PreparedRun, spent: Timings, limit: int | None, *, inference_seconds: float
) -> dict[str, Any]:
    """Return where the time went, for ``run.json``.

    Parameters
    ----------
    run : PreparedRun
    spent : Timings
        Of the whole run.
    limit : int, optional
        Of resident memory, bytes.
    inference_seconds : float
        Wall time of the prediction of windows.
    """
    computed = run.plan.count * run.checkpoint.counts["predicted"] / len(run.plan.block_rows)
    return spent.as_json() | {
        "threads": dask.config.get("num_workers", CPU_COUNT),
        "memory_limit_bytes": limit,
        "windows_per_second": round(computed / inference_seconds, 1),
    }


def manifest(
    run: PreparedRun,
    result: SceneResult,
    landslides: int,
    timings: Mapping[str, Any],
    started: datetime,
    outputs: Path,
) -> dict[str, Any]:
    """Return the content of ``run.json``, for :func:`write_manifest`.

    Parameters
    ----------
    run : PreparedRun
    result : SceneResult
    landslides : int
        Polygons.
    timings : mapping
        As of :func:`timings`.
    started : datetime
        With time zone.
    outputs : Path
        Folder with the finished files, before they are moved.
    """
    ensemble = run.ensemble
    return {
        "format_version": FORMAT_VERSION,
        "started": started.astimezone(UTC),
        "configuration": configuration(run.settings, run.prediction),
        "inputs": run.files.listed,
        "bundle": {
            "name": ensemble.name,
            "sha256": ensemble.sha256,
            "path": ensemble.path,
            "thresholds": thresholds_used(result.record),
            "networks": run.networks,
        },
        "counts": {
            "windows": window_counts(result.record),
            "votes": skipped.vote_counts(ensemble, result.record),
            "landslides": landslides,
            "rows_of_blocks": run.checkpoint.counts,
        },
        "bands": result.distributions,
        "notices": run.notices.all,
        "report": report_facts(run.inputs, run.notices.about_inputs),
        "timings": timings,
        "versions": versions(),
        "outputs": tree_records(outputs),
    }


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write strict JSON with a seal, keys sorted; appears whole or not at all."""
    text = json.dumps(sealed(_plain(manifest)), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with whole_file(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """Return `value` in JSON's own types; numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return _plain(value.value)
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [_plain(item) for item in items]
    if isinstance(value, datetime | date):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} of type {type(value).__name__} has no place in run.json")
