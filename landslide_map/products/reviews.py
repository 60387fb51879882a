"""Verdicts of reviewers: read from a GeoPackage, carried over to a new map, counted.

A verdict belongs to an outline by its `uid`, a hash of the geometry, or by overlap. It never belongs by `fid`
or `id`, which are ranks and change from run to run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely

from landslide_map.errors import InputError, Notice, UsageError
from landslide_map.products.columns import (
    ADDED,
    LANDSLIDES,
    REVIEW,
    REVIEW_COLUMNS,
    REVIEWS_KEPT,
    UNSEEN,
    VERDICTS,
)
from landslide_map.products.geopackage import readable
from landslide_map.runtime.edit_session import refuse_edited
from landslide_map.vector.areas import overlaps
from landslide_map.vector.layers import check_coordinates

_EDITED: Final = "edited"
LEAST_OVERLAP: Final = 0.5
"""Intersection over union from which two outlines are the same landslide."""


@dataclass(frozen=True, slots=True)
class CarriedOver:
    """A new layer with the verdicts of the old one."""

    landslides: gpd.GeoDataFrame
    kept: gpd.GeoDataFrame
    """Outlines with a verdict that the new map does not have; layer `reviews_kept`."""
    same: int = 0
    """Verdicts carried over by identity."""
    overlapping: int = 0
    """Verdicts carried over by overlap."""
    drawn: int = 0
    """Outlines drawn or changed by hand, all kept."""

    def notices(self) -> tuple[Notice, ...]:
        """Return a notice (I430), if there were any verdicts."""
        found = self.same + self.overlapping + self.drawn + len(self.kept)
        if not found:
            return ()
        message = (
            f"{found} reviewed outlines of the previous result: {self.same} are found again as they were, "
            f"{self.overlapping} by overlap, {self.drawn} drawn or changed by hand are kept, and "
            f"{len(self.kept)} without a partner are in layer {REVIEWS_KEPT}"
        )
        return (Notice("I430", message),)


def with_review_columns(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a layer of outlines with `uid` first and the review columns last, nothing reviewed yet."""
    frame = frame.drop(columns="uid", errors="ignore")
    frame.insert(0, "uid", pd.Series(uids(frame), index=frame.index, dtype="str"))
    for column in REVIEW_COLUMNS:
        if column not in frame:
            frame[column] = pd.Series(UNSEEN if column == REVIEW else "", index=frame.index, dtype="str")
    others = [c for c in frame.columns if c not in (*REVIEW_COLUMNS, "geometry")]
    return frame[[*others, *REVIEW_COLUMNS, "geometry"]]


def uids(frame: gpd.GeoDataFrame, salt: Sequence[str] | None = None) -> list[str]:
    """Return one identity per outline: a hash of its shape in metres, of its CRS and of `salt`."""
    crs = str(frame.crs.to_authority() or frame.crs.to_wkt()) if frame.crs else ""
    rounded = shapely.set_precision(frame.geometry.to_numpy(), 1.0, mode="pointwise")
    shapes = shapely.to_wkb(shapely.normalize(rounded))
    salts = [""] * len(frame) if salt is None else salt
    return [
        hashlib.sha256(f"{crs}{own}".encode() + shape).hexdigest()[:16]
        for shape, own in zip(shapes, salts, strict=True)
    ]


def read_reviews(path: Path) -> gpd.GeoDataFrame:
    """Return the outlines of a GeoPackage that a person reviewed, drew or changed, and those kept.

    Returns
    -------
    GeoDataFrame
        As in the file, and `edited`: whether a person drew the outline or changed its shape. Every outline
        has a `uid`.

    Raises
    ------
    InputError
        E170: the file or its layer cannot be read. E171: a verdict is none of the five words.
    """
    frame = _read(path, (LANDSLIDES, REVIEWS_KEPT))
    touched = (frame[REVIEW] != UNSEEN) | (frame["comment"] != "") | frame[_EDITED]
    return frame[touched].reset_index(drop=True)


def all_outlines(path: Path) -> gpd.GeoDataFrame:
    """Return the layer `landslides` with its review columns, reviewed or not; errors as of `read_reviews`."""
    return _read(path, (LANDSLIDES,))


def _read(path: Path, wanted: Sequence[str]) -> gpd.GeoDataFrame:
    """Return the outlines of those layers that there are; refuse words that are no verdicts."""
    with readable(path):
        layers = {str(name) for name, _ in pyogrio.list_layers(path)}
        if LANDSLIDES not in layers:
            raise InputError("E170", f"{path} has no layer {LANDSLIDES}; found {', '.join(sorted(layers))}.")
        frames = [_outlines(path, layer) for layer in wanted if layer in layers]
    frame = frames[0] if len(frames) == 1 else _stacked(frames)
    unknown = sorted(set(frame[REVIEW]) - set(VERDICTS))
    if unknown:
        raise InputError(
            "E171",
            f"{path}: review {', '.join(map(repr, unknown))} is not a verdict; expected one of "
            f"{', '.join(VERDICTS)}. Correct it in QGIS.",
        )
    return frame


def _outlines(path: Path, layer: str) -> gpd.GeoDataFrame:
    """Return a layer with all review columns as text; one without them has no verdicts."""
    frame = pyogrio.read_dataframe(path, layer=layer)
    check_coordinates(frame.geometry.to_numpy())
    frame = frame[frame.geometry.notna() & ~frame.geometry.is_empty].reset_index(drop=True)
    identified = "uid" in frame
    for column in ("uid", *REVIEW_COLUMNS):
        values = frame[column] if column in frame else pd.Series("", index=frame.index)
        frame[column] = values.fillna("").astype("str").str.strip()
    frame[REVIEW] = frame[REVIEW].where(frame[REVIEW] != "", UNSEEN)
    lacking = (frame["uid"] == "").to_numpy()  # drawn in QGIS, or from a version without identities
    changed = ~lacking & (frame["uid"].to_numpy() != np.array(uids(frame), dtype=object))
    by_hand = (lacking & identified) | changed
    frame[_EDITED] = (frame[REVIEW] == ADDED).to_numpy() | (by_hand & (layer == LANDSLIDES))
    if lacking.any():
        drawn = frame[lacking]
        salt = np.where(drawn[_EDITED], "drawn " + drawn["comment"], "")
        frame.loc[lacking, "uid"] = uids(drawn, salt.tolist())
    return frame


def _stacked(frames: list[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    first = filled[0]
    rest = [frame.to_crs(first.crs) for frame in filled[1:]]
    table = pd.concat([pd.DataFrame(frame) for frame in (first, *rest)], ignore_index=True)
    return gpd.GeoDataFrame(table, geometry="geometry", crs=first.crs)


def carry_over(frame: gpd.GeoDataFrame, old: gpd.GeoDataFrame) -> CarriedOver:
    """Return a new layer with the verdicts on the outlines that it shares with an old one.

    Parameters
    ----------
    frame : GeoDataFrame
        New outlines, as of :func:`with_review_columns`.
    old : GeoDataFrame
        Reviewed outlines, as of :func:`read_reviews`; any CRS.

    Returns
    -------
    CarriedOver
        Verdicts go by `uid`, then by the greatest overlap of at least :data:`LEAST_OVERLAP`, one to one.
        Outlines that a person drew or changed stay as they are; an outline of the map that is the same
        landslide gives way. Nothing of `old` is lost.
    """
    new = with_review_columns(frame)
    old = old.to_crs(new.crs)
    shape = pd.Series(shapely.to_wkb(old.geometry.to_numpy()), index=old.index, dtype="object")
    # Halves of an outline that was split in QGIS have one identity and two shapes.
    old = old[~pd.DataFrame({"uid": old["uid"], "shape": shape}).duplicated()].reset_index(drop=True)
    by_hand = old[_EDITED].to_numpy(dtype=bool)
    drawn, reviewed = old[by_hand].reset_index(drop=True), old[~by_hand].reset_index(drop=True)
    replaced = _pairs_by_uid(new, drawn)
    replaced |= _pairs_by_overlap(new, drawn, replaced)
    new = new[~np.isin(np.arange(len(new)), list(replaced))].reset_index(drop=True)
    if replaced:
        new["id"] = np.arange(1, len(new) + 1, dtype=new["id"].dtype)
    by_uid = _pairs_by_uid(new, reviewed)
    by_overlap = _pairs_by_overlap(new, reviewed, by_uid)
    pairs = by_uid | by_overlap
    for position, source in pairs.items():
        for column in REVIEW_COLUMNS:
            new.loc[new.index[position], column] = reviewed.at[source, column]
    lost = reviewed[~reviewed.index.isin(pairs.values())]
    landslides = _appended(new, drawn)
    return CarriedOver(landslides, _conformed(lost, new), len(by_uid), len(by_overlap), len(drawn))


def _pairs_by_uid(new: gpd.GeoDataFrame, old: gpd.GeoDataFrame) -> dict[int, int]:
    """Return new position -> old position; of several old ones, the first."""
    places = {uid: index for index, uid in enumerate(new["uid"])}
    pairs: dict[int, int] = {}
    for index, uid in enumerate(old["uid"]):
        if uid in places:
            pairs.setdefault(places[uid], index)
    return pairs


def _pairs_by_overlap(new: gpd.GeoDataFrame, old: gpd.GeoDataFrame, taken: dict[int, int]) -> dict[int, int]:
    """Return new position -> old position, the greatest overlap first, each outline once."""
    shapes, others = new.geometry.to_numpy(), old.geometry.make_valid().to_numpy()
    theirs, mine, share = overlaps(others, shapes)
    used_new, used_old = set(taken), set(taken.values())
    pairs: dict[int, int] = {}
    for index in np.lexsort((theirs, mine, -share)):
        a, b = int(mine[index]), int(theirs[index])
        if share[index] < LEAST_OVERLAP:
            break
        if a in used_new or b in used_old:
            continue
        pairs[a] = b
        used_new.add(a)
        used_old.add(b)
    return pairs


def _appended(new: gpd.GeoDataFrame, drawn: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the layer with outlines drawn or changed by hand after its own, numbered on."""
    if not len(drawn):
        return new
    extra = _conformed(drawn, new)
    extra["id"] = np.arange(len(extra)) + int(new["id"].max() if len(new) else 0) + 1
    if not len(new):
        return extra
    table = pd.concat([pd.DataFrame(new), pd.DataFrame(extra)], ignore_index=True)
    return gpd.GeoDataFrame(table, geometry="geometry", crs=new.crs)


def _conformed(frame: gpd.GeoDataFrame, like: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return `frame` with the columns and types of `like`; figures that it lacks are missing."""
    made: dict[str, Any] = {}
    for column in like.columns.drop("geometry"):
        dtype = like[column].dtype
        values = frame[column] if column in frame else pd.Series(None, index=frame.index, dtype="object")
        made[column] = _typed(values, dtype)
    return gpd.GeoDataFrame(made, geometry=frame.geometry.make_valid(), crs=like.crs).reset_index(drop=True)


def _typed(values: pd.Series[Any], dtype: Any) -> pd.Series[Any]:
    if dtype.kind in "iu":
        return pd.to_numeric(values, errors="coerce").fillna(0).astype(dtype)
    if dtype.kind == "f":
        return pd.to_numeric(values, errors="coerce").astype(dtype)
    if dtype.kind == "M":
        times = pd.to_datetime(values, errors="coerce", utc=True)
        return times.astype("datetime64[ms, UTC]").astype(dtype)
    return values.fillna("").astype(dtype)


@dataclass(frozen=True, slots=True)
class Tally:
    """Verdicts of a result, counted."""

    counts: dict[str, int]
    """Verdict -> outlines."""
    precision: float | None
    """Share of landslides among the confirmed and rejected; None if there are none."""
    interval: tuple[float, float] | None
    """Wilson's interval of `precision`, 95 %."""
    area_m2: dict[str, float]
    """Verdict -> area."""

    def as_json(self) -> dict[str, object]:
        """Return the tally by plain names."""
        return {
            "counts": self.counts,
            "area_m2": self.area_m2,
            "precision": self.precision,
            "precision_95": self.interval,
        }


def tally(frame: gpd.GeoDataFrame) -> Tally:
    """Count the verdicts of a layer `landslides`; unsure ones do not count towards the precision."""
    verdicts = frame[REVIEW] if REVIEW in frame else pd.Series(UNSEEN, index=frame.index)
    counts = {name: int((verdicts == name).sum()) for name in VERDICTS}
    measured = frame["area_m2"].where(np.isfinite(frame["area_m2"]), 0.0)  # other programs write there too
    areas = {name: float(measured[verdicts == name].sum()) for name in VERDICTS}
    yes, no = counts["confirmed"], counts["rejected"]
    if yes + no == 0:
        return Tally(counts, None, None, areas)
    return Tally(counts, yes / (yes + no), wilson(yes, yes + no), areas)


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the interval of a share after Wilson (1927), 95 % by default.

    Examples
    --------
    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]
    """
    share = successes / trials
    scale = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    half = z * float(np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))) / scale
    return max(centre - half, 0.0), min(centre + half, 1.0)


def previous_reviews(*paths: Path) -> gpd.GeoDataFrame | None:
    """Return the reviewed outlines of earlier results, the first of equal ones; None if there are none.

    Raises
    ------
    UsageError
        E403: one of the files is being edited.
    InputError
        As of :func:`read_reviews`: a review that cannot be read must not be overwritten.
    """
    frames = []
    for path in paths:
        if path.exists():
            refuse_edited(path)
            frames.append(read_reviews(path))
    frames = [frame for frame in frames if len(frame)]
    return _stacked(frames) if frames else None


def joined_reviews(
    first: gpd.GeoDataFrame | None, second: gpd.GeoDataFrame | None
) -> gpd.GeoDataFrame | None:
    """Return the reviews of two results; of one landslide those of the first, by identity or by overlap."""
    if first is None or second is None:
        return second if first is None else first
    second = second.to_crs(first.crs)
    pairs = _pairs_by_uid(first, second)
    pairs |= _pairs_by_overlap(first.set_geometry(first.geometry.make_valid()), second, pairs)
    rest = second[~second.index.isin(pairs.values())]
    return _stacked([first, rest]) if len(rest) else first


def reviewed_layers(
    frame: gpd.GeoDataFrame, old: gpd.GeoDataFrame | None
) -> tuple[dict[str, gpd.GeoDataFrame], tuple[Notice, ...]]:
    """Return the layers with outlines that a GeoPackage gets, by name, and notices about verdicts."""
    if old is None:
        return {LANDSLIDES: with_review_columns(frame)}, ()
    carried = carry_over(frame, old)
    layers = {LANDSLIDES: carried.landslides}
    if len(carried.kept):
        layers[REVIEWS_KEPT] = carried.kept
    return layers, carried.notices()


def unreviewed(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the outlines that the map itself made, without identities and verdicts."""
    made = frame[frame[REVIEW] != ADDED] if REVIEW in frame else frame
    own = [column for column in ("uid", *REVIEW_COLUMNS) if column in made]
    return made.drop(columns=own).reset_index(drop=True)


def refuse_new_verdicts(path: Path, known: gpd.GeoDataFrame | None) -> None:
    """Refuse to replace a GeoPackage that got verdicts since they were read.

    Raises
    ------
    UsageError
        E403: a verdict was added or changed, or an edit session holds the file.
    """
    now = previous_reviews(path)
    columns = ["uid", *REVIEW_COLUMNS]
    before, after = (
        [] if frame is None else sorted(map(tuple, frame[columns].to_numpy().tolist()))
        for frame in (known, now)
    )
    if before != after:
        raise UsageError(
            "E403",
            f"{path} was reviewed while this run went on; nothing was changed. Run the same command again: "
            "it takes the new verdicts over.",
        )
