"""What the files of a result say of the run that made them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from landslide_map import __version__
from landslide_map.classification import Classification
from landslide_map.errors import Notice
from landslide_map.models import skipping
from landslide_map.models.bundle import Bundle
from landslide_map.models.choice import Choice
from landslide_map.products.manifest import run_manifest
from landslide_map.products.window_record import WindowRecord
from landslide_map.reasons import REASON_NAMES, Reason
from landslide_map.runs.preparation import Run
from landslide_map.scene import Scene
from landslide_map.sources import SceneInputs
from landslide_map.timings import Timings


def configuration(settings: Scene, choice: Choice) -> dict[str, Any]:
    """Return what ``run.json`` keeps of how a scene was mapped."""
    return {**asdict(choice), **settings.model_dump(mode="json", by_alias=True)}


def acquisition_dates(inputs: SceneInputs) -> dict[str, datetime | None]:
    """Return the dates every landslide carries: the event, Sentinel-2, and the pair around it per track."""
    dates: dict[str, datetime | None] = {
        "event_time": inputs.event_time,
        "s2_post": inputs.optical.acquired if inputs.optical else None,
    }
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
        "scenarios": "; ".join(scenario.name for scenario in ensemble.scenarios),
        "window_size": "64 px (640 m)",
        "stride": f"{settings.stride} px ({settings.stride * 10} m)",
        "effective_resolution": "640 m: a value answers for the windows around a pixel, not for the pixel",
        "threshold": _threshold(settings),
        "event": settings.event.name or "",
        "products": "; ".join(products),
        **skipping.tags(ensemble),
        **dates,
    }


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
        "not_analysed": {REASON_NAMES[r]: reasons[r] for r in Reason if r and reasons[r]},
    }


def timings(run: Run, spent: Timings, limit: int | None, *, judging_seconds: float) -> dict[str, Any]:
    """Return where the time went, for ``run.json``.

    Parameters
    ----------
    run : Run
    spent : Timings
        Of the whole run.
    limit : int, optional
        Of resident memory, bytes.
    judging_seconds : float
        Wall time in which windows were judged.
    """
    judged = run.plan.count * run.journal.counts["judged"] / len(run.plan.block_rows)
    return spent.as_json() | {
        "memory_limit_bytes": limit,
        "windows_per_second": round(judged / judging_seconds, 1),
    }


def manifest(
    run: Run,
    result: Classification,
    landslides: int,
    notices: Sequence[Notice],
    timings: Mapping[str, Any],
    started: datetime,
    outputs: Path,
) -> dict[str, Any]:
    """Return the content of ``run.json``.

    Parameters
    ----------
    run : Run
    result : Classification
    landslides : int
        Polygons.
    notices, timings, started, outputs
        As of :func:`~landslide_map.products.manifest.run_manifest`; `timings` are those of :func:`timings`.
    """
    ensemble = run.ensemble
    return run_manifest(
        configuration=configuration(run.settings, run.choice),
        inputs=run.files.listed,
        bundle={"name": ensemble.name, "sha256": ensemble.sha256, "path": ensemble.path},
        counts={
            "windows": window_counts(result.record),
            "votes": skipping.account(ensemble, result.votes),
            "landslides": landslides,
            "rows_of_blocks": run.journal.counts,
        },
        bands=result.distributions,
        notices=notices,
        timings=timings,
        started=started,
        outputs=outputs,
    )
