"""A finished map as the page shows it: layers, outlines with their verdicts, exports, another threshold."""

from __future__ import annotations

import getpass
import json
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
from pyproj.exceptions import ProjError
from rasterio.errors import RasterioError

from landslide_map import products
from landslide_map.errors import InputError, LandslideMapError, UsageError
from landslide_map.grid import Grid
from landslide_map.mapping.redraw import redraw
from landslide_map.products import columns as names
from landslide_map.products.formats import FORMATS
from landslide_map.products.geopackage import read_layer, read_tags
from landslide_map.products.outline_classes import classes_of
from landslide_map.products.pixel_outlines import KINDS, PixelDrawing, pixel_outlines
from landslide_map.products.project import title_of
from landslide_map.products.report.pictures import differences, rings
from landslide_map.products.review_summary import export_confirmed, reviewed_outlines
from landslide_map.products.reviews import tally
from landslide_map.products.save_verdict import SHAPE, Verdict, rows_to_review, save_verdict
from landslide_map.raster.dataset import open_dataset
from landslide_map.untrusted.files import read_bytes
from landslide_map.view.tiles import LAYERS, levels, tile

_FACTS: Final = (
    "probability_low",
    "probability_high",
    "area_m2",
    "length_m",
    "width_m",
    "slope_mean_deg",
    "evidence_optical",
    "evidence_descending",
    "evidence_ascending",
    "evidence_vegetation",
    "pixel_probability",
    "window_probability",
    "method",
)
"""Columns that the page shows of an outline, where there are any."""
_ROWS: Final = 2**63
"""Rows that a table of SQLite can number."""
_ANY_THRESHOLD: Final = "outline_threshold_"


@dataclass
class ResultView:
    """A folder with a finished map, read again for each request: other programs may write there."""

    folder: Path
    grid: Grid
    writing: threading.Lock = field(default_factory=threading.Lock)
    """Held while a verdict or new outlines are written: the browser may send several requests at once."""

    @classmethod
    def open(cls, folder: Path) -> ResultView:
        """Return the view of a folder.

        Raises
        ------
        InputError
            E160: it holds no finished map with rasters.
        """
        try:
            json.loads(read_bytes(folder / products.MANIFEST, 64 * 2**20))
            with open_dataset(folder / products.PROBABILITY) as source:
                grid = Grid(source.crs, source.transform, source.width, source.height)
        except (OSError, ValueError, RecursionError, RasterioError, InputError) as error:
            raise InputError(
                "E160", f"{folder} holds no finished map ({error}); expected run.json and probability.tif."
            ) from None
        return cls(folder.absolute(), grid)

    def description(self) -> dict[str, Any]:
        """Return the data of the page before the outlines: size, layers, classes, thresholds, words."""
        with self._of_a_map():
            return self._described()

    def _described(self) -> dict[str, Any]:
        found, tags = read_layer(self.folder / products.LANDSLIDES, names.LANDSLIDES)
        threshold = _lowest_threshold(tags)
        drawn = {
            name.removeprefix(_ANY_THRESHOLD): float(value)
            for name, value in tags.items()
            if name.startswith(_ANY_THRESHOLD)
        }
        return {
            "title": title_of(tags, datetime.fromisoformat(tags["event_time"])),
            "folder": str(self.folder),
            "width": self.grid.width,
            "height": self.grid.height,
            "metres": abs(self.grid.transform.a),
            "levels": levels(self.grid),
            "layers": [
                {"name": name, "title": layer.title, "overlay": layer.overlay}
                for name, layer in LAYERS.items()
                if (self.folder / layer.file).is_file()
            ],
            "classes": [
                {"key": one.key, "label": one.label, "colour": f"rgb({one.colour})"}
                for one in classes_of(found.columns, threshold)
            ],
            "thresholds": drawn,
            "pixels": tags.get("outline") in KINDS,
            "lowest": min(drawn.values(), default=threshold),
            "redraws": (self.folder / products.CANDIDATES).is_file() and bool(drawn),
            "verdicts": dict(names.VERDICTS),
            "reviewer": _user(),
        }

    def tile(self, name: str, level: int, row: int, col: int) -> bytes:
        """Return a tile; see :func:`.tile`."""
        return tile(self.folder, self.grid, name, (level, row, col))

    def outlines(self, threshold: float | None = None) -> dict[str, Any]:
        """Return the outlines drawn, with the numbers of their rows, then the other candidates.

        Of outlines drawn from pixels the others are those at `threshold`; each says if it is one of them.
        """
        with self._of_a_map():
            return self._outlines(threshold)

    def _outlines(self, at: float | None) -> dict[str, Any]:
        rows = rows_to_review(self.folder)
        tags = read_tags(self.folder / products.LANDSLIDES, names.LANDSLIDES)
        threshold = _lowest_threshold(tags)
        entries = self._entries(rows, threshold, drawn=True)
        path, kind = self.folder / products.CANDIDATES, tags.get("outline", "")
        pixels = kind in KINDS
        if pixels or path.is_file():
            others = self._from_pixels(kind, tags, at) if pixels else read_layer(path, names.CANDIDATES)[0]
            new = others[~others["uid"].isin(set(rows["uid"]))]
            entries += self._entries(new, threshold, drawn=False)
            if pixels:
                found = set(others["uid"])
                entries = [entry | {"d": entry["u"] in found} for entry in entries]
        entries.sort(key=lambda entry: -entry["p"] if entry["p"] is not None else 1)
        return {"outlines": entries, "tally": self.tally()}

    def _from_pixels(self, kind: str, tags: Mapping[str, str], at: float | None) -> gpd.GeoDataFrame:
        """Return outlines drawn from pixels above a threshold, by default that of the result."""
        drawn = tags.get(f"{_ANY_THRESHOLD}{kind}")
        drawing = PixelDrawing.of(kind, tags, float(drawn) if at is None and drawn is not None else at)
        return pixel_outlines(self.folder, {}, drawing)

    @contextmanager
    def _of_a_map(self) -> Iterator[None]:
        """Refuse (E170) layers with other columns or tags than a map has: other programs write there."""
        try:
            yield
        except LandslideMapError:
            raise
        except (LookupError, ValueError, TypeError, AttributeError, ProjError) as error:
            raise InputError(
                "E170",
                f"{self.folder}: its layers are not those of a finished map ({error}). Map the scene again.",
            ) from error

    def tally(self) -> dict[str, Any]:
        """Return the verdicts, counted."""
        return tally(reviewed_outlines(self.folder)).as_json()

    def add_verdict(self, verdict: Verdict) -> dict[str, Any]:
        """Save a verdict and return the count of all; errors as of :func:`.save_verdict`."""
        with self.writing:
            save_verdict(self.folder, verdict)
            return self.tally()

    def redraw(self, threshold: float) -> int:
        """Redraw the outlines as ``landslide-map outline --overwrite`` does; return how many there are."""
        with self.writing:
            return redraw(self.folder, threshold=threshold, overwrite=True).landslides

    def export(self, name: str) -> bytes:
        """Return the confirmed and drawn outlines as a file ``confirmed.gpkg`` or ``confirmed.geojson``.

        Raises
        ------
        UsageError
            E451: there is no such export.
        """
        if name not in ("confirmed.gpkg", "confirmed.geojson"):
            raise UsageError("E451", f"there is no export {name}; there are confirmed.gpkg and .geojson.")
        with self._of_a_map(), tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "confirmed.gpkg"
            export_confirmed(reviewed_outlines(self.folder), path)
            if name.endswith(".geojson"):
                frame, path = pyogrio.read_dataframe(path), Path(folder) / name
                FORMATS["geojson"][1](frame, path)
            return path.read_bytes()

    def _entries(self, frame: gpd.GeoDataFrame, threshold: float, *, drawn: bool) -> list[dict[str, Any]]:
        probability = names.probability_column(frame.columns)
        facts = [column for column in _FACTS if column in frame]
        keys = _keys(frame, threshold)
        entries = []
        for (fid, row), key in zip(frame.iterrows(), keys, strict=True):
            entry = {
                "i": int(row["id"]) if pd.notna(row["id"]) else fid,  # none of what was drawn in QGIS
                "u": row["uid"] or "",
                "k": key,
                "p": _number(row[probability]),
                "m": str(row["method"]).rsplit(maxsplit=1)[-1] if "method" in frame and row["method"] else "",
                "a": _number(row["area_m2"]),
                "f": {column: _json_value(row[column]) for column in facts},
                "r": [differences(ring) for ring in rings(row.geometry, self.grid.transform)],
            }
            if drawn:
                entry |= {"fid": fid, "shape": row[SHAPE], "v": row[names.REVIEW], "c": row["comment"]}
                entry |= {"by": row["reviewer"], "at": row["reviewed_at"]}
            entries.append(entry)
        return entries


def _lowest_threshold(tags: Mapping[str, str]) -> float:
    return float(tags.get("threshold_lowest", 0.5))


def _keys(frame: gpd.GeoDataFrame, threshold: float) -> list[str]:
    """Return the class of each outline, leaving verdicts aside: the page colours those itself."""
    bare = frame.drop(columns=names.REVIEW, errors="ignore")
    keys = np.full(len(bare), "", dtype=object)
    for one in classes_of(bare.columns, threshold):
        keys[(keys == "") & one.mask(bare)] = one.key
    return [str(key) for key in keys]


def verdict_of(document: Mapping[str, Any]) -> Verdict:
    """Return the verdict in a request.

    Raises
    ------
    UsageError
        E455: the request is none.
    """
    words = [document.get(key) for key in ("shape", "review", "comment", "reviewer")]
    seen, fid = document.get("seen"), document.get("fid")
    if not isinstance(seen, list) or len(seen) != 2 or type(fid) is not int or not 0 <= fid < _ROWS:
        raise UsageError("E455", "a verdict names a row and what was seen of it.")
    if not all(isinstance(word, str) for word in (*words, *seen)):
        raise UsageError("E455", "a verdict needs fid, shape, review, comment, reviewer and what was seen.")
    shape, review, comment, reviewer = map(str, words)
    if not _is_text(shape + comment + reviewer):
        raise UsageError("E455", "a word of the verdict holds characters that are no text.")
    return Verdict(fid, shape, review, comment.strip(), reviewer.strip(), (seen[0], seen[1]))


def _is_text(words: str) -> bool:
    """Whether UTF-8 can hold words: JSON may escape half a character; a NUL would end the text."""
    return "\0" not in words and not any(0xD800 <= ord(char) <= 0xDFFF for char in words)


def _number(value: Any) -> float | None:
    return round(float(value), 3) if pd.notna(value) and np.isfinite(value) else None


def _json_value(value: Any) -> Any:
    if pd.isna(value) or (not isinstance(value, str) and not np.isfinite(value)):
        return None
    return value if isinstance(value, str) else round(float(value), 3)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
