"""QGIS styles of the vector layers: one set of elements for ``layer_styles`` and for the project.

Outlines are hollow, a white casing under a coloured line, so that the image inside can be checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from landslide_map.products.columns import (
    ADDED,
    ANALYSED,
    CONFIDENCES,
    EVIDENCE,
    INVENTORY,
    LANDSLIDES,
    REVIEW,
    REVIEW_COLUMNS,
    UNSEEN,
    VERDICTS,
    WINDOWS,
    probability_column,
    titles_of,
)
from landslide_map.products.qgis_xml import VERSION, add, add_option_map, add_options, document_text
from landslide_map.products.styles import BAND_COLOURS, probability_bands
from landslide_map.reasons import REASON_NAMES, Reason

MANY: Final = 5000
"""Outlines above which a layer has plain hairlines when zoomed out: casings would take seconds."""
FAR: Final = 100_000
"""Scale denominator from which a layer with many outlines is zoomed out, and labels are left out."""
_CASING: Final = "255,255,255,200"
_HIDDEN: Final = ("fid", "uid")
_TRACKS: Final = ("descending_pre", "descending_post", "ascending_pre", "ascending_post")
_TIMES: Final = ("event_time", "s2_pre", "s2_post", *_TRACKS)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line symbol: colour ``r,g,b``, width in mm, dash pattern, casing or not."""

    colour: str
    width: float = 0.4
    dash: str = "solid"
    casing: bool = True


@dataclass(frozen=True, slots=True)
class _Rule:
    """One entry of the legend."""

    label: str
    filter: str
    line: _Line


_VERDICT_LINES: Final = {
    "confirmed": _Line("0,158,115", 0.7),
    "rejected": _Line("119,119,119", 0.4, "dot"),
    "unsure": _Line("204,121,167", 0.6, "dash"),
    ADDED: _Line("0,114,178", 0.7, "dash dot"),
}
"""Okabe and Ito's colours; verdicts also differ by dash and width."""
_INVENTORY_LINE: Final = _Line("0,0,0", 0.5, "dash")
_HATCHES: Final = {
    Reason.FLAT: ("150,150,120", 0, 3.0),
    Reason.SNOW_OR_CLOUD: ("60,120,190", 45, 2.0),
    Reason.MISSING_CHANNELS: ("110,110,110", 135, 2.0),
    Reason.NO_DATA: ("40,40,40", 90, 2.0),
}
"""Reason -> colour, angle and distance (mm) of the hatching."""


def add_style(parent: Element, layer: str, columns: Sequence[str], threshold: float, count: int = 0) -> None:
    """Append everything QGIS reads about a vector layer: symbols, labels, form, table, map tip.

    Parameters
    ----------
    parent : Element
        ``qgis`` of a style, or ``maplayer`` of a project.
    layer : str
        ``landslides``, ``windows``, ``analysed``, ``reviews_kept`` or ``inventory``.
    columns : sequence of str
        Of the layer, without `fid` and geometry, in order.
    threshold : float
        Lowest threshold of the run: where the bands of probability begin.
    count : int
        Features; more than :data:`MANY` are drawn plainly when zoomed out.
    """
    if layer == ANALYSED:
        _add_categories(parent)
    elif layer == WINDOWS:
        _add_rules(parent, _window_rules(), 0)
    elif layer == INVENTORY:
        _add_rules(parent, [_Rule("known landslides", "TRUE", _INVENTORY_LINE)], count)
    else:
        _add_rules(parent, _review_rules(columns, threshold), count)
        _add_labels(parent)
    everything = ["fid", *columns]
    _add_fields(parent, layer, everything)
    if REVIEW in columns:
        _add_defaults(parent, everything)
        _add_form(parent, everything)
    _add_table(parent, everything)
    if layer == INVENTORY:
        add(parent, "previewExpression", text='"source"')
        add(parent, "mapTip", text='known landslide, [% "source" %]')
    elif layer != ANALYSED:
        name = "Window area" if layer == WINDOWS else "Landslide"
        add(parent, "previewExpression", text=_display(name, columns))
        add(parent, "mapTip", text=_map_tip(name, columns))
    else:
        add(parent, "previewExpression", text='concat("status", \' \', "reason")')
        add(parent, "mapTip", text='<b>[% "status" %]</b><br>[% "reason" %][% "scenario" %]')


def style_document(layer: str, columns: Sequence[str], threshold: float, count: int = 0) -> str:
    """Return the QML of a layer for ``layer_styles``; parameters as of :func:`add_style`."""
    root = Element("qgis", version=VERSION, styleCategories="AllStyleCategories")
    if layer == LANDSLIDES:
        root.set("labelsEnabled", "1")
    add_style(root, layer, columns, threshold, count)
    return document_text(root)


def _review_rules(columns: Sequence[str], threshold: float) -> list[_Rule]:
    """Rules of unseen outlines by confidence or probability, then of each verdict, then of all others."""
    probability = probability_column(columns)
    seen = f"(\"{REVIEW}\" IS NULL OR \"{REVIEW}\" IN ('{UNSEEN}', ''))" if REVIEW in columns else "TRUE"
    rules = []
    if "confidence" in columns:
        for name, colour in zip(CONFIDENCES, reversed(BAND_COLOURS), strict=True):
            which = f"{seen} AND \"confidence\" = '{name}'"
            rules.append(_Rule(f"not reviewed: {name} confidence", which, _Line(colour)))
    else:
        for (lower, upper), colour in zip(probability_bands(threshold), BAND_COLOURS, strict=True):
            # The mean over an outline may lie below the lowest threshold where windows overlap.
            above = f'"{probability}" >= {lower:g} AND ' if lower > threshold else ""
            which = f'{seen} AND {above}"{probability}" < {upper if upper < 1 else 2:g}'
            rules.append(_Rule(f"not reviewed: probability {lower:g} to {upper:g}", which, _Line(colour)))
    if REVIEW in columns:
        words = {"confirmed": "confirmed", "rejected": "rejected"}
        rules += [
            _Rule(words.get(verdict, VERDICTS[verdict]), f"\"{REVIEW}\" = '{verdict}'", line)
            for verdict, line in _VERDICT_LINES.items()
        ]
    return [*rules, _Rule("other", "ELSE", _Line("0,0,0", 0.4))]


def _window_rules() -> list[_Rule]:
    return [_Rule("windows above the threshold", "TRUE", _Line("213,94,0", 0.35, "dash", casing=False))]


def _add_rules(parent: Element, rules: Sequence[_Rule], count: int) -> None:
    """Append a rule renderer; with many features a second set of rules serves the zoomed-out map."""
    renderer = add(parent, "renderer-v2", {"type": "RuleRenderer", "symbollevels": 0, "forceraster": 0})
    root = add(renderer, "rules", {"key": "{root}"})
    symbols = add(renderer, "symbols")
    groups: list[tuple[str, dict[str, int], bool]] = [("", {}, False)]
    if count > MANY:
        groups = [("near", {"scalemaxdenom": FAR}, False), ("far", {"scalemindenom": FAR}, True)]
    for name, scales, plain in groups:
        group = add(root, "rule", {"key": f"{{{name}}}", "label": name, **scales}) if name else root
        for index, rule in enumerate(rules):
            number = len(symbols)
            add(
                group,
                "rule",
                {
                    "key": f"{{{name}{index}}}",
                    "symbol": number,
                    "filter": rule.filter,
                    "label": f"zoomed out: {rule.label}" if plain else rule.label,
                },
            )
            line = _Line(rule.line.colour, 0, casing=False) if plain else rule.line
            _add_line_symbol(symbols, number, line)


def _add_line_symbol(symbols: Element, name: int, line: _Line) -> None:
    symbol = _symbol(symbols, str(name))
    layers = [(_CASING, line.width + 0.4, "solid")] if line.casing else []
    for colour, width, dash in (*layers, (f"{line.colour},255", line.width, line.dash)):
        layer = add(symbol, "layer", {"class": "SimpleLine", "enabled": 1, "locked": 0, "pass": 0})
        add_options(
            layer,
            {
                "line_color": colour,
                "line_width": f"{width:g}",
                "line_width_unit": "MM",
                "line_style": dash,
                "joinstyle": "bevel",  # four times as fast as round joins
            },
        )


def _add_categories(parent: Element) -> None:
    """Append the style of the analysed layer: a dashed edge if analysed, hatching by reason if not."""
    renderer = add(
        parent,
        "renderer-v2",
        {"type": "categorizedSymbol", "attr": "reason", "symbollevels": 0, "forceraster": 0},
    )
    categories = add(renderer, "categories")
    symbols = add(renderer, "symbols")
    labels = {"": "analysed"} | {REASON_NAMES[r]: f"not analysed: {REASON_NAMES[r]}" for r in _HATCHES}
    for index, (value, label) in enumerate(labels.items()):
        add(
            categories,
            "category",
            {"symbol": index, "value": value, "label": label, "type": "string", "render": "true"},
        )
    _add_line_symbol(symbols, 0, _Line("90,90,90", 0.4, "dash", casing=False))
    for index, (colour, angle, distance) in enumerate(_HATCHES.values(), start=1):
        _add_hatch(symbols, index, colour, angle, distance)


def _add_hatch(symbols: Element, name: int, colour: str, angle: float, distance: float) -> None:
    symbol = _symbol(symbols, str(name))
    layer = add(symbol, "layer", {"class": "LinePatternFill", "enabled": 1, "locked": 0, "pass": 0})
    add_options(
        layer,
        {
            "angle": angle,
            "distance": distance,
            "distance_unit": "MM",
            "line_width": 0.26,
            "line_width_unit": "MM",
            "color": f"{colour},255",
        },
    )
    line = _symbol(layer, f"@{name}@0", "line")
    stroke = add(line, "layer", {"class": "SimpleLine", "enabled": 1, "locked": 0, "pass": 0})
    add_options(stroke, {"line_color": f"{colour},200", "line_width": 0.26, "line_width_unit": "MM"})
    edge = add(symbol, "layer", {"class": "SimpleLine", "enabled": 1, "locked": 0, "pass": 0})
    add_options(edge, {"line_color": f"{colour},255", "line_width": 0.2, "line_width_unit": "MM"})


def _symbol(parent: Element, name: str, kind: str = "fill") -> Element:
    return add(
        parent, "symbol", {"name": name, "type": kind, "alpha": 1, "clip_to_extent": 1, "force_rhr": 0}
    )


def _add_labels(parent: Element) -> None:
    """Append labels by number; at most 200, none when zoomed out."""
    labeling = add(parent, "labeling", {"type": "simple"})
    settings = add(labeling, "settings", {"calloutType": "simple"})
    style = add(
        settings,
        "text-style",
        {
            "fieldName": '"id"',
            "isExpression": 1,
            "fontFamily": "Open Sans",
            "fontSize": 8,
            "fontSizeUnit": "Point",
            "fontWeight": 75,
            "namedStyle": "Bold",
            "textColor": "30,30,30,255",
            "textOpacity": 1,
        },
    )
    add(
        style,
        "text-buffer",
        {
            "bufferDraw": 1,
            "bufferSize": 0.8,
            "bufferSizeUnits": "MM",
            "bufferColor": "255,255,255,255",
            "bufferOpacity": 1,
        },
    )
    # Around the point: on it, the number would hide a small outline.
    around = {"placement": 0, "priority": 5, "dist": 2.2, "distUnits": "MM", "centroidInside": 1}
    add(settings, "placement", around)
    add(
        settings,
        "rendering",
        {
            # `scaleMin` is the nearest scale and `scaleMax` the farthest.
            "scaleVisibility": 1,
            "scaleMin": 1,
            "scaleMax": FAR,
            "obstacle": 1,
            "limitNumLabels": 1,
            "maxNumLabels": 200,
            "drawLabels": 1,
        },
    )


def _add_fields(parent: Element, layer: str, columns: Sequence[str]) -> None:
    """Append widgets, aliases and which columns may be edited."""
    fields = add(parent, "fieldConfiguration")
    for column in columns:
        field = add(fields, "field", {"name": column, "configurationFlags": "None"})
        _add_widget(field, column)
    titles = {name: title for name, (title, _) in titles_of(layer, columns).items()}
    aliases = add(parent, "aliases")
    for index, column in enumerate(columns):
        add(aliases, "alias", {"index": index, "field": column, "name": titles.get(column, "")})
    editable = add(parent, "editable")
    for column in columns:
        yes = int(column in REVIEW_COLUMNS and column != "reviewed_at")
        add(editable, "field", {"name": column, "editable": yes})


def _add_widget(field: Element, column: str) -> None:
    if column == REVIEW:
        config = add(add(field, "editWidget", {"type": "ValueMap"}), "config")
        values = add(add(config, "Option", {"type": "Map"}), "Option", {"name": "map", "type": "List"})
        for code, words in VERDICTS.items():  # a list of maps of one entry keeps this order
            add_option_map(values, {words: code})
        return
    kind = "TextEdit"
    options: dict[str, object] = {}
    if column in _HIDDEN:
        kind = "Hidden"
    elif column == "comment":
        options = {"IsMultiline": True, "UseHtml": False}
    elif column in _TIMES:
        kind = "DateTime"
        options = {"display_format": "yyyy-MM-dd HH:mm", "allow_null": True, "calendar_popup": True}
    add_option_map(add(add(field, "editWidget", {"type": kind}), "config"), options)


def _add_defaults(parent: Element, columns: Sequence[str]) -> None:
    """Append default values for an outline drawn by hand, and the rule for verdicts."""
    new = {
        "id": 'coalesce(maximum("id"), 0) + 1',
        "area_m2": "round(area($geometry))",  # `$area` follows the project's unit of area
        REVIEW: f"'{ADDED}'",
    }
    every_edit = {
        "reviewer": "@user_full_name",
        # As text: `now()` in a DATETIME column is local time in QGIS 3.22 and UTC in 3.40.
        "reviewed_at": "format_date(now(), 'yyyy-MM-dd HH:mm t')",
    }
    defaults = add(parent, "defaults")
    constraints, expressions = add(parent, "constraints"), add(parent, "constraintExpressions")
    words = ", ".join(f"'{verdict}'" for verdict in VERDICTS)
    for column in columns:
        expression = new.get(column, every_edit.get(column, ""))
        on_update = int(column in every_edit)
        add(defaults, "default", {"field": column, "expression": expression, "applyOnUpdate": on_update})
        hard = column == REVIEW
        add(
            constraints,
            "constraint",
            {
                "field": column,
                "constraints": 5 if hard else 0,  # not null and an expression
                "notnull_strength": int(hard),
                "exp_strength": int(hard),
                "unique_strength": 0,
            },
        )
        rule = {"exp": f'"{REVIEW}" IN ({words})', "desc": "one of the five verdicts"} if hard else {}
        add(expressions, "constraint", {"field": column, "exp": "", "desc": "", **rule})


def _add_form(parent: Element, columns: Sequence[str]) -> None:
    """Append the form: the review first, then the figures of the map, then the dates."""
    add(parent, "editorlayout", text="tablayout")
    form = add(parent, "attributeEditorForm")
    shown = [column for column in columns if column not in (*_HIDDEN, *REVIEW_COLUMNS)]
    groups = {
        "Your review": [column for column in REVIEW_COLUMNS if column in columns],
        "Result of the map": [column for column in shown if column not in _TIMES],
        "Dates": [column for column in shown if column in _TIMES],
    }
    for title, members in groups.items():
        box = add(
            form,
            "attributeEditorContainer",
            {"name": title, "groupBox": 1, "columnCount": 1, "showLabel": 1},
        )
        for column in members:
            index = columns.index(column)
            add(box, "attributeEditorField", {"name": column, "index": index, "showLabel": 1})


def _add_table(parent: Element, columns: Sequence[str]) -> None:
    """Append the order of the attribute table: number and review first, the highest probability on top."""
    first = [c for c in ("id", *REVIEW_COLUMNS[:2]) if c in columns]
    order = [*first, *(c for c in columns if c not in (*first, *_HIDDEN))]
    table = add(parent, "attributetableconfig", {"actionWidgetStyle": "dropDown"})
    probability = probability_column(columns)
    if probability in columns:
        table.set("sortExpression", f'"{probability}"')
        table.set("sortOrder", "1")
    body = add(table, "columns")
    for column in order:
        add(body, "column", {"type": "field", "name": column, "hidden": 0, "width": -1})
    for column in _HIDDEN:
        if column in columns:
            add(body, "column", {"type": "field", "name": column, "hidden": 1, "width": -1})


def _display(name: str, columns: Sequence[str]) -> str:
    """Return the expression that names a feature in lists."""
    parts = [f"'{name} '", '"id"']
    probability = probability_column(columns)
    if probability in columns:
        parts.append(f"if(\"{probability}\" IS NULL, '', concat(' · ', format_number(\"{probability}\", 2)))")
    if REVIEW in columns:
        parts.append(f"' · ', represent_value(\"{REVIEW}\")")
    return f"concat({', '.join(parts)})"


def _map_tip(name: str, columns: Sequence[str]) -> str:
    """Return the HTML shown while the pointer rests on an outline."""
    probability = probability_column(columns)
    lines = [f'<b>{name} [% "id" %]</b>', f'probability [% format_number("{probability}", 2) %]']
    if "probability_low" in columns:
        lines[-1] += (
            ' ([% format_number("probability_low", 2) %] to [% format_number("probability_high", 2) %])'
        )
    if "confidence" in columns:
        lines.append('confidence [% "confidence" %]')
    lines.append('area [% format_number("area_m2" / 10000, 2) %] ha')
    if "length_m" in columns:
        lines[-1] += ', [% round("length_m") %] m x [% round("width_m") %] m'
    lines += list(_evidence_lines(columns))
    if REVIEW in columns:
        lines.append(f'review: <b>[% represent_value("{REVIEW}") %]</b>')
        lines.append("<i>[% replace(coalesce(\"comment\", ''), '<', '&lt;') %]</i>")
    return '<div style="font-family:sans-serif">' + "<br>".join(lines) + "</div>"


def _evidence_lines(columns: Iterable[str]) -> Iterable[str]:
    for column in columns:
        if column.startswith(EVIDENCE):
            value = f"coalesce(format_number(\"{column}\", 2), 'no data')"
            yield f"evidence, {column.removeprefix('evidence_')}: [% {value} %]"
