"""Print layout of the project: an A4 map with title, legend, scale bar, north arrow, dates and source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import NAMESPACE_URL, uuid5
from xml.etree.ElementTree import Element

from landslide_map.products.project_document import Bounds
from landslide_map.products.qgis_xml import add, add_option_map
from landslide_map.products.scale_bar import round_length

NAME: Final = "Map A4"
_MAP_MM: Final = (200.0, 164.0)
"""Width and height of the map, mm."""
_FONT: Final = "Open Sans"


@dataclass(frozen=True, slots=True)
class _Item:
    """One item of the layout, in the vocabulary of QGIS."""

    kind: int
    """Number of its type."""
    place: tuple[float, float, float, float]
    """Left, top, width and height on the page, mm."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Attributes; an empty one is filled in for each project."""


_LABEL: Final = {"labelText": "", "htmlState": 0, "halign": 1, "valign": ""}
_ITEMS: Final = {
    "page": _Item(65638, (0, 0, 297, 210), {"background": "true"}),
    "map": _Item(
        65639,
        (10, 23, *_MAP_MM),
        {
            "frame": "true",
            "background": "true",
            "followPreset": "true",
            "followPresetName": "",
            "mapRotation": 0,
            "keepLayerSet": "false",
            "drawCanvasItems": "true",
        },
    ),
    "north": _Item(
        65640,
        (274, 172, 13, 13),
        {
            "file": ":/images/north_arrows/layout_default_north_arrow.svg",
            "mode": 1,
            "mapUuid": "",
            "northMode": 0,
            "northOffset": 0,
            "pictureRotation": 0,
            "resizeMode": 0,
            "anchorPoint": 4,
            "svgFillColor": "0,0,0,255",
            "svgBorderColor": "0,0,0,255",
            "svgBorderWidth": 0.2,
        },
    ),
    "title": _Item(65641, (10, 6, 277, 9), _LABEL),
    "subtitle": _Item(65641, (10, 15, 277, 6), _LABEL),
    "notes": _Item(65641, (10, 189, 277, 17), _LABEL),
    "legend": _Item(
        65642,
        (214, 23, 73, 120),
        {
            "title": "",
            "legendFilterByAtlas": 0,
            "legendFilterByMap": 1,  # only what the map shows
            "map_uuid": "",
            "symbolWidth": 7,
            "symbolHeight": 4,
            "columnCount": 1,
            "resizeToContents": 1,
            "boxSpace": 1,
            "columnSpace": 2,
            "fontColor": "#000000",
        },
    ),
    "scale": _Item(
        65646,
        (214, 172, 58, 13),
        {
            "mapUuid": "",
            "style": "Single Box",
            "unitType": "",
            "unitLabel": "",
            "numUnitsPerSegment": "",
            "numMapUnitsPerScaleBarUnit": 1,
            "numSegments": 2,
            "numSegmentsLeft": 0,
            "segmentSizeMode": 0,
            "height": 3,
            "labelBarSpace": 2,
            "boxContentSpace": 1,
            "outlineWidth": 0.3,
            "alignment": 0,
            "lineJoinStyle": "miter",
            "lineCapStyle": "square",
        },
    ),
}
"""Items of the layout by name."""


def add_print_layout(
    parent: Element,
    bounds: Bounds,
    *,
    theme: str,
    legend: Mapping[str, str],
    subtitle: str,
    notes: Sequence[str],
) -> None:
    """Append the layout.

    Parameters
    ----------
    parent : Element
        ``Layouts`` of a project.
    bounds : tuple of float
        Ground to show, in the project's CRS.
    theme : str
        Theme that the map follows, whatever is ticked in the layer tree.
    legend : mapping of str to str
        Layer id -> title; layers that the theme shows.
    subtitle : str
        Below the title; may hold QGIS expressions.
    notes : sequence of str
        Lines below the map: dates, source.
    """
    layout = add(parent, "Layout", {"name": NAME, "units": "mm", "printResolution": 200})
    page = add(layout, "PageCollection")
    _item(page, "page")
    map_item = _item(layout, "map", followPresetName=theme)
    west, south, east, north = _fitted(bounds)
    add(map_item, "Extent", {"xmin": west, "ymin": south, "xmax": east, "ymax": north})
    add(map_item, "LayerSet")
    add(map_item, "AtlasMap", {"atlasDriven": 0, "margin": 0.1, "scalingMode": 2})
    _label(layout, "title", "[% @project_title %]", 16, bold=True)
    _label(layout, "subtitle", subtitle, 9)
    _legend(layout, legend)
    _scale_bar(layout, east - west)
    _item(layout, "north", mapUuid=_uuid("map"))
    _label(layout, "notes", "\n".join(notes), 7)


def _fitted(bounds: Bounds) -> Bounds:
    """Return bounds with a margin of 4 % and the shape of the map item."""
    west, south, east, north = bounds
    scale = 1.04 * max((east - west) / _MAP_MM[0], (north - south) / _MAP_MM[1])
    x, y = (west + east) / 2, (south + north) / 2
    half_width, half_height = scale * _MAP_MM[0] / 2, scale * _MAP_MM[1] / 2
    return x - half_width, y - half_height, x + half_width, y + half_height


def _uuid(name: str) -> str:
    return f"{{{uuid5(NAMESPACE_URL, f'landslide-map layout {name}')}}}"


def _item(parent: Element, name: str, **filled: object) -> Element:
    """Append an item of :data:`_ITEMS` with its settings, the empty ones `filled`."""
    item = _ITEMS[name]
    left, top, width, height = item.place
    place = f"{left:g},{top:g},mm"
    common = {
        "type": item.kind,
        "id": name,
        "uuid": _uuid(name),
        "position": place,
        "positionOnPage": place,
        "size": f"{width:g},{height:g},mm",
        "visibility": 1,
        "opacity": 1,
        "referencePoint": 0,
        "background": "false",
        "frame": "false",
    }
    return add(parent, "LayoutItem", {**common, **item.settings, **filled})


def _label(layout: Element, name: str, text: str, points: int, bold: bool = False) -> None:
    item = _item(layout, name, labelText=text, valign=32 if "\n" in text else 128)
    add(item, "LabelFont", _font(points, bold))


def _font(points: int, bold: bool) -> dict[str, str]:
    """Return a font as old projects have it, which every version reads."""
    return {"description": f"{_FONT},{points},-1,5,{75 if bold else 50},0,0,0,0,0", "style": ""}


def _legend(layout: Element, layers: Mapping[str, str]) -> None:
    item = _item(layout, "legend", map_uuid=_uuid("map"))
    styles = add(item, "styles")
    for style, points, top, left in (
        ("title", 12, 0, 0),
        ("group", 9, 2, 0),
        ("subgroup", 9, 2.5, 0),
        ("symbol", 8, 1.3, 0),
        ("symbolLabel", 8, 1.2, 2),
    ):
        margins = {"marginTop": top, "marginLeft": left, "alignment": 1, "indent": 0}
        element = add(styles, "style", {"name": style, **margins})
        add(element, "styleFont", _font(points, style == "subgroup"))
    tree = add(item, "layer-tree-group")
    for layer, title in layers.items():
        node = add(
            tree, "layer-tree-layer", {"id": layer, "name": title, "checked": "Qt::Checked", "expanded": 1}
        )
        add_option_map(add(node, "customproperties"), {"cached_name": title, "legend/title-label": title})


def _scale_bar(layout: Element, width: float) -> None:
    """Append a bar of two segments of a round length, together about a quarter of the map."""
    segment = round_length(width / _MAP_MM[0] * 25)
    kilometres = segment >= 1000
    item = _item(
        layout,
        "scale",
        mapUuid=_uuid("map"),
        unitType="km" if kilometres else "meters",
        unitLabel="km" if kilometres else "m",
        numUnitsPerSegment=f"{segment / 1000 if kilometres else segment:g}",
    )
    add(
        item,
        "text-style",
        {"fontFamily": _FONT, "fontSize": 8, "fontSizeUnit": "Point", "textColor": "0,0,0,255"},
    )
