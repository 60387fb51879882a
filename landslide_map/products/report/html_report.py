"""``report.html``: map with swipe, counts, largest outlines, analysed area, inputs, remarks, limits."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pyogrio
import pyproj
from affine import Affine

from landslide_map import products
from landslide_map.errors import Notice
from landslide_map.products import columns as names
from landslide_map.products.imagery import read_small
from landslide_map.products.outline_classes import OutlineClass, classes_of, present_classes
from landslide_map.products.quicklook import background
from landslide_map.products.report.pictures import chips, data_uri, differences, rings
from landslide_map.runtime.threads import in_threads

LARGEST: Final = 12
"""Outlines shown with chips."""
_SIZES: Final = ((0, 1000), (1000, 10_000), (10_000, 100_000), (100_000, float("inf")))
"""Classes of area, m2."""
_LONGEST: Final = (1400, 1100, 850, 600)
"""Longest side of the images, pixels: the next smaller one where the page would be too large."""
_MOST_BYTES: Final = 2_800_000
_MOST_OUTLINE_BYTES: Final = 1_000_000
_LIMITS: Final = (
    "An outline says where to look. It is not a survey, and a probability is not a certainty.",
    "Ground that was not analysed is not ground without landslides.",
    "Bare fields, clear-cuts, roads, quarries and river bars can look like landslides. Check the image.",
)
_LIMITS_OF_WINDOWS: Final = (
    "A window of 640 m x 640 m is classified as a whole; slides much smaller than a window may be missed.",
    "Probabilities were calibrated on labelled windows of other events; yours may differ.",
)
_LIMITS_OF_OBJECTS: Final = (
    "Outlines follow pixels of 10 m; a landslide of a few pixels may be missed.",
    "Probabilities of outlines were learned on simulated events, those of windows on windows of other "
    "events; yours may differ.",
)


@dataclass(frozen=True, slots=True)
class ReportText:
    """Text of the report besides the layers and images of a result."""

    title: str
    tags: Mapping[str, str]
    threshold: float
    inputs: Sequence[tuple[str, str, str]] = ()
    """Rows of the table of images: kind, time, product."""
    notices: Sequence[Notice] = field(default=())


def write_report(path: Path, folder: Path, text: ReportText, outlines: Path | None = None) -> None:
    """Write the report of a result; the same result makes the same bytes.

    Parameters
    ----------
    path : Path
        The HTML file to write.
    folder : Path
        With ``landslides.gpkg`` and the images that there are.
    text : ReportText
    outlines : Path, optional
        GeoPackage to report on instead of ``landslides.gpkg`` in `folder`.
    """
    layers = outlines or folder / products.LANDSLIDES
    found = pyogrio.read_dataframe(layers, layer=names.LANDSLIDES)
    analysed = pyogrio.read_dataframe(layers, layer=names.ANALYSED)
    classes = present_classes(found, classes_of(found.columns, text.threshold))
    parts = _texts(found, analysed, classes, text)
    parts["chips"] = _chips(folder, found)
    for longest in _LONGEST:
        page = _page(folder, longest, found, classes, parts)
        if len(page.encode()) <= _MOST_BYTES:
            break
    path.write_text(page, encoding="utf-8")


def _page(
    folder: Path,
    longest: int,
    found: gpd.GeoDataFrame,
    classes: Sequence[OutlineClass],
    parts: Mapping[str, str],
) -> str:
    """Return the page with images of at most `longest` pixels."""
    pictures = {
        image.title: read_small(folder / name, longest)
        for name, image in products.IMAGES.items()
        if "false" not in name and (folder / name).exists()
    } or {"no image": background(folder, longest)}
    first, transform = next(iter(pictures.values()))
    outlines, note = _outlines(found, classes, transform)
    data = {
        "width": first.shape[2],
        "height": first.shape[1],
        "metres": abs(transform.a),
        "images": [{"element": f"image{index}"} for index in range(len(pictures))],
        "classes": {one.key: {"colour": f"rgb({one.colour})"} for one in classes},
        "outlines": outlines,
    }
    titles = list(pictures)
    right = next((i for i, title in enumerate(titles) if title.startswith("Before")), min(1, len(titles) - 1))
    images = "".join(
        f'<img id="image{index}" alt="" src="{data_uri(pixels, 62 if "change" in title else 76)}">'
        for index, (title, (pixels, _)) in enumerate(pictures.items())
    )
    read = resources.files(__package__)
    return Template((read / "template.html").read_text(encoding="utf-8")).substitute(
        parts,
        style=(read / "style.css").read_text(encoding="utf-8"),
        script="".join((read / name).read_text(encoding="utf-8") for name in ("navigation.js", "map.js")),
        # "<" would let a name in the data end the script element.
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        choices=_choices(titles, 0),
        choices_right=_choices(titles, right),
        images=images,
        aspect=f"{first.shape[2]} / {first.shape[1]}",
        map_note=escape(note),
    )


def _choices(titles: Sequence[str], chosen: int) -> str:
    return "".join(
        f'<option value="{index}"{" selected" if index == chosen else ""}>{escape(title)}</option>'
        for index, title in enumerate(titles)
    )


def _outlines(
    found: gpd.GeoDataFrame, classes: Sequence[OutlineClass], transform: Affine
) -> tuple[list[dict[str, Any]], str]:
    """Return the outlines in half pixels of the image, as differences, and a note on their selection."""
    order = found.iloc[np.argsort(-found["area_m2"].to_numpy(), kind="stable")]
    keys = np.full(len(order), "", dtype=object)
    for one in classes:
        keys[(keys == "") & one.mask(order)] = one.key
    probability = names.probability_column(found.columns)
    entries: list[dict[str, Any]] = []
    spent = 0
    simple = order.geometry.simplify(abs(transform.a) / 2)
    rows = order.drop(columns="geometry").to_dict("records")  # rows of a frame take several times as long
    for shape, key, row in zip(simple, keys, rows, strict=True):
        if not key:
            continue
        entry = {
            "i": int(row["id"]),
            "k": key,
            "t": _line(row, probability),
            "r": [differences(ring) for ring in rings(shape, transform)],
        }
        spent += len(json.dumps(entry, separators=(",", ":")))
        if spent > _MOST_OUTLINE_BYTES:
            note = (
                f"The map shows the {len(entries)} largest of {len(found)} outlines; the GeoPackage has all."
            )
            return entries, note
        entries.append(entry)
    return entries, "Drag to move, scroll or pinch to zoom, click an outline for its figures."


def _line(row: Mapping[Hashable, Any], probability: str) -> str:
    """Return one line about an outline."""
    value = row[probability]
    chance = f"probability {value:.2f}" if np.isfinite(value) else "no probability"
    confidence = f", {row['confidence']} confidence" if row.get("confidence") else ""
    review = row.get("review", "")
    verdict = f", {names.VERDICTS.get(review, review)}" if review and review != names.UNSEEN else ""
    return f"Number {int(row['id'])}: {chance}{confidence}, {_area(row['area_m2'])}{verdict}{_evidence(row)}"


def _evidence(row: Mapping[Hashable, Any]) -> str:
    """Return the evidence for an outline by sensor, after a semicolon; nothing where it has none."""
    found = [
        f"{str(key).removeprefix(names.EVIDENCE)} {value:.2f}"
        for key, value in row.items()
        if str(key).startswith(names.EVIDENCE) and np.isfinite(value)
    ]
    return f"; evidence: {', '.join(found)}" if found else ""


def _area(square_metres: float) -> str:
    if not np.isfinite(square_metres):
        return "-"
    if square_metres < 10_000:
        return f"{square_metres:,.0f} m²"
    if square_metres < 1_000_000:
        return f"{square_metres / 10_000:.1f} ha"
    return f"{square_metres / 1_000_000:,.2f} km²"


def _texts(
    found: gpd.GeoDataFrame,
    analysed: gpd.GeoDataFrame,
    classes: Sequence[OutlineClass],
    text: ReportText,
) -> dict[str, str]:
    """Return the parts of the page that need no image."""
    yes = analysed["status"] == "analysed"
    whole, done = float(analysed["area_m2"].sum()), float(analysed.loc[yes, "area_m2"].sum())
    share = done / whole if whole else 0.0
    count = len(found)
    what = "1 outline was" if count == 1 else f"{count:,} outlines were" if count else "No outline was"
    summary = f"{what} found in the {_area(done)} that could be analysed ({share:.0%} of the scene)."
    if done == 0:
        summary = "Nothing could be analysed. This is not the same as no landslide."
    cards = {
        "outlines": f"{count:,}",
        "their area": _area(float(found["area_m2"].sum())),
        "area analysed": _area(done),
        "of the scene": f"{share:.0%}",
    }
    own = _LIMITS_OF_OBJECTS if "confidence" in found else _LIMITS_OF_WINDOWS
    legend = "".join(
        f'<label><input type="checkbox" checked data-class="{one.key}"><span class="key" style="border-color:'
        f'rgb({one.colour})"></span>{escape(one.label)} ({int(one.mask(found).sum())})</label>'
        for one in classes
    )
    return {
        "title": escape(text.title),
        "place": escape(_place(analysed)),
        "summary": escape(summary),
        "cards": "".join(f'<div class="card"><b>{v}</b><small>{k}</small></div>' for k, v in cards.items()),
        "legend": legend,
        "sizes": _sizes(found, classes),
        "analysed": _analysed(analysed, whole),
        "inputs": _table(("image", "time (UTC)", "product"), text.inputs),
        "notices": _notices(text.notices),
        "limits": "<ul>" + "".join(f"<li>{escape(limit)}</li>" for limit in (*_LIMITS, *own)) + "</ul>",
        "model": _model(text.tags),
        "footer": _footer(text.tags),
    }


def _place(analysed: gpd.GeoDataFrame) -> str:
    """Return where the scene lies, in degrees."""
    west, south, east, north = analysed.total_bounds
    to_degrees = pyproj.Transformer.from_crs(analysed.crs, "EPSG:4326", always_xy=True)
    x, y = to_degrees.transform((west + east) / 2, (south + north) / 2)
    latitude, longitude = f"{abs(y):.3f}° {'NS'[y < 0]}", f"{abs(x):.3f}° {'EW'[x < 0]}"
    size = f"{(east - west) / 1000:.1f} km x {(north - south) / 1000:.1f} km"
    return f"Centre {latitude}, {longitude}; {size}; {analysed.crs.name}"


def _sizes(found: gpd.GeoDataFrame, classes: Sequence[OutlineClass]) -> str:
    """Return the table of counts and areas by class and size."""
    areas = found["area_m2"].to_numpy()
    heads = ["", *(_size_name(low, high) for low, high in _SIZES), "all", "area"]
    rows = []
    for label, mask, key in [
        *((one.label, one.mask(found), one.colour) for one in classes),
        ("all", np.ones(len(found), dtype=bool), ""),
    ]:
        counts = [int((mask & (areas >= low) & (areas < high)).sum()) for low, high in _SIZES]
        swatch = f'<span class="key" style="border-color:rgb({key})"></span>' if key else ""
        cells = [f"{number:,}" for number in (*counts, int(mask.sum()))] + [_area(float(areas[mask].sum()))]
        body = "".join(f'<td class="n">{cell}</td>' for cell in cells)
        rows.append(f"<tr{'' if key else ' class=total'}><td>{swatch}{escape(label)}</td>{body}</tr>")
    head = "".join(f'<th class="n">{escape(name)}</th>' if name else "<th></th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _size_name(low: float, high: float) -> str:
    if low == 0:
        return f"< {_limit(high)}"
    return f"≥ {_limit(low)}" if high == float("inf") else f"{_limit(low)} to {_limit(high)}"


def _limit(square_metres: float) -> str:
    return _area(square_metres).replace(".0 ha", " ha")


def _analysed(analysed: gpd.GeoDataFrame, whole: float) -> str:
    """Return the table of ground analysed, by set of channels, and not analysed, by reason."""
    rows = []
    for _, row in analysed.iterrows():
        done = row["status"] == "analysed"
        how = f"with {row['scenario']}" if done else str(row["reason"])
        share = row["area_m2"] / whole if whole else 0
        rows.append((str(row["status"]), how, _area(row["area_m2"]), f"{share:.1%}"))
    return _table(("ground", "how or why", "area", "share"), rows, numbers=(2, 3))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    kinds = [' class="n"' if index in numbers else "" for index in range(len(heads))]
    head = "".join(f"<th{kind}>{escape(name)}</th>" for kind, name in zip(kinds, heads, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{k}>{escape(cell)}</td>" for k, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _notices(notices: Sequence[Notice]) -> str:
    if not notices:
        return "<p>None.</p>"
    items = (
        f'<li class="{"info" if notice.code.startswith("I") else "warn"}"><b>{escape(notice.code)}</b> '
        f"{escape(notice.message)}</li>"
        for notice in notices
    )
    return f'<ul class="notes">{"".join(items)}</ul>'


def _model(tags: Mapping[str, str]) -> str:
    words = {
        "bundle": "bundle",
        "bundle_sha256": "hash of the bundle",
        "scenarios": "sets of channels used",
        "thresholds": "threshold of each",
        "unlike_training": "unlike the training data",
        "redrawn": "outlines redrawn",
        "operating_point": "operating point",
        "method": "method of outlines",
        "stride": "step between windows",
        "window_size": "window",
        "effective_resolution": "resolution of windows",
        "software": "software",
    }
    return _table(("", ""), [(label, tags[key]) for key, label in words.items() if tags.get(key)])


def _footer(tags: Mapping[str, str]) -> str:
    year = tags.get("event_time", "")[:4]
    software = tags.get("software", "landslide-map")
    return escape(
        f"Made with {software}. Contains modified Copernicus Sentinel data {year}. landslides.qgz opens the "
        "result in QGIS; landslides.gpkg holds outlines and areas; run.json says how the map was made."
    )


def _chips(folder: Path, found: gpd.GeoDataFrame) -> str:
    """Return the largest outlines, each with a picture of every image there is."""
    order = np.argsort(-found["area_m2"].to_numpy(), kind="stable")[:LARGEST]
    images = {
        image: folder / name
        for name, image in products.IMAGES.items()
        if "false" not in name and (folder / name).exists()
    }
    probability = names.probability_column(found.columns)
    cards = []
    largest = found.iloc[order]
    drawn = in_threads(partial(chips, shapes=list(largest.geometry)), images.values())
    for place, row in enumerate(largest.drop(columns="geometry").to_dict("records")):
        pictures = "".join(
            f'<figure><img alt="{escape(image.title)}" src="{own[place]}"><figcaption>'
            f"{escape(_short(image.title))}</figcaption></figure>"
            for image, own in zip(images, drawn, strict=True)
        )
        number = int(row["id"])
        cards.append(
            f'<div class="chip"><h3><a href="#map" data-outline="{number}">{number}</a></h3>'
            f'<div class="pictures">{pictures}</div><p>{escape(_line(row, probability))}</p></div>'
        )
    return f'<div class="chips">{"".join(cards)}</div>' if cards else "<p>None.</p>"


def _short(title: str) -> str:
    """Return the first words of an image's title.

    Examples
    --------
    >>> _short("Radar change, descending (red: more backscatter)")
    'Radar change, descending'
    """
    return title.partition(" (")[0].replace(", true colour", "")
