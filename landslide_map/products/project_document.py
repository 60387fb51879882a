"""Document of a QGIS project: layers, groups, themes, bookmarks and time, written by hand.

QGIS 3.22 and later read it without a message; which parts they insist on is in
docs/decisions/0060-qgis-project.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import NAMESPACE_URL, uuid5
from xml.etree.ElementTree import Element

import pyproj

from landslide_map.products.qgis_xml import VERSION, add, add_crs, document_text

Bounds = tuple[float, float, float, float]
"""West, south, east, north in the units of a CRS."""
BOOKMARKS: Final = 200
"""Most bookmarks of a project."""


@dataclass(frozen=True, slots=True)
class ProjectLayer:
    """One layer of a project."""

    id: str
    """Identifier of at least 11 characters: QGIS replaces shorter ones."""
    name: str
    source: str
    """Relative to the project, e.g. ``./probability.tif``."""
    crs: pyproj.CRS
    style: Callable[[Element], None]
    """Appends the style to the layer's element."""
    vector: bool = False
    visible: bool = True
    read_only: bool = False
    period: tuple[datetime, datetime] | None = None
    """Time in which the time controller shows an image."""

    def __post_init__(self) -> None:
        if len(self.id) < 11:
            raise ValueError(f"layer id {self.id!r} has fewer than 11 characters")


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """A group of the layer tree; of an exclusive one, one layer is visible."""

    name: str
    layers: tuple[ProjectLayer, ...]
    exclusive: bool = False
    expanded: bool = True
    visible: bool = True


@dataclass(frozen=True, slots=True)
class Project:
    """Content of a project."""

    title: str
    crs: pyproj.CRS
    bounds: Bounds
    groups: tuple[LayerGroup, ...]
    themes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name -> ids of the visible layers."""
    bookmarks: Sequence[tuple[str, Bounds]] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    """About the run, kept under ``properties/landslide_map``."""

    @property
    def layers(self) -> tuple[ProjectLayer, ...]:
        """All layers, the uppermost first."""
        return tuple(layer for group in self.groups for layer in group.layers)


def project_text(project: Project, layouts: Callable[[Element], None] | None = None) -> str:
    """Return the XML of a project; `layouts` appends print layouts."""
    root = Element("qgis", version=VERSION, projectname=project.title)
    add(root, "homePath", {"path": ""})
    add(root, "title", text=project.title)
    add_crs(add(root, "projectCrs"), project.crs)
    _add_tree(root, project)
    layers = add(root, "projectlayers")
    for layer in project.layers:
        _add_layer(layers, layer)
    _add_properties(root, project)
    _add_themes(root, project)
    if layouts is not None:
        layouts(add(root, "Layouts"))
    _add_bookmarks(root, project)
    _add_view(root, project)
    return document_text(root)


def _add_tree(root: Element, project: Project) -> None:
    tree = add(root, "layer-tree-group")
    for group in project.groups:
        branch = add(
            tree,
            "layer-tree-group",
            {"name": group.name, "checked": _checked(group.visible), "expanded": int(group.expanded)},
        )
        if group.exclusive:
            shown = [index for index, layer in enumerate(group.layers) if layer.visible]
            branch.set("mutually-exclusive", "1")
            branch.set("mutually-exclusive-child", str(shown[0] if shown else 0))
        for index, layer in enumerate(group.layers):
            add(
                branch,
                "layer-tree-layer",
                {
                    "id": layer.id,
                    "name": layer.name,
                    "checked": _checked(layer.visible),
                    "expanded": int(index == 0 and group.expanded and layer.vector),
                    "source": layer.source,
                    "providerKey": "ogr" if layer.vector else "gdal",
                },
            )


def _checked(visible: bool) -> str:
    return "Qt::Checked" if visible else "Qt::Unchecked"


def _add_layer(parent: Element, layer: ProjectLayer) -> None:
    element = add(parent, "maplayer", {"type": "vector" if layer.vector else "raster"})
    if layer.vector:
        element.attrib |= {"geometry": "Polygon", "wkbType": "MultiPolygon"}
    if layer.read_only:
        element.set("readOnly", "1")
    add(element, "id", text=layer.id)
    add(element, "datasource", text=layer.source)
    add(element, "layername", text=layer.name)
    add_crs(add(element, "srs"), layer.crs)
    if layer.vector:
        add(element, "provider", {"encoding": "UTF-8"}, "ogr")
    else:
        add(element, "provider", text="gdal")
    if layer.period:
        temporal = add(element, "temporal", {"mode": 0, "enabled": 1, "fetchMode": 0})
        _add_range(temporal, "fixedRange", layer.period)
    layer.style(element)
    if element.find("labeling") is not None:
        element.set("labelsEnabled", "1")
    if not layer.vector:
        add(element, "blendMode", text=0)


def _add_range(parent: Element, tag: str, period: tuple[datetime, datetime]) -> None:
    element = add(parent, tag)
    for name, when in zip(("start", "end"), period, strict=True):
        add(element, name, text=f"{when:%Y-%m-%dT%H:%M:%SZ}")


def _add_properties(root: Element, project: Project) -> None:
    properties = add(root, "properties")
    add(add(properties, "Paths"), "Absolute", {"type": "bool"}, "false")
    # Without both this and `projectCrs` the project has no CRS.
    add(add(properties, "SpatialRefSys"), "ProjectionsEnabled", {"type": "int"}, 1)
    units = add(properties, "Measurement")
    add(units, "AreaUnits", {"type": "QString"}, "ha")
    add(units, "DistanceUnits", {"type": "QString"}, "meters")
    add(add(properties, "Measure"), "Ellipsoid", {"type": "QString"}, "EPSG:7030")
    own = add(properties, "landslide_map")
    for key, value in sorted(project.properties.items()):
        add(own, key, {"type": "QString"}, value)


def _add_themes(root: Element, project: Project) -> None:
    presets = add(root, "visibility-presets")
    for name, ids in project.themes.items():
        preset = add(
            presets,
            "visibility-preset",
            {"name": name, "has-expanded-info": 1, "has-checked-group-info": 1},
        )
        for layer in ids:
            add(preset, "layer", {"id": layer, "visible": 1, "expanded": 0, "style": "default"})
        checked = add(preset, "checked-group-nodes")
        expanded = add(preset, "expanded-group-nodes")
        for group in project.groups:
            if any(layer.id in ids for layer in group.layers):
                add(checked, "checked-group-node", {"id": group.name})
            if group.expanded:
                add(expanded, "expanded-group-node", {"id": group.name})


def _add_bookmarks(root: Element, project: Project) -> None:
    bookmarks = add(root, "Bookmarks")
    for name, (west, south, east, north) in project.bookmarks[:BOOKMARKS]:
        corners = ((west, south), (east, south), (east, north), (west, north), (west, south))
        ring = ", ".join(f"{x:.0f} {y:.0f}" for x, y in corners)
        identity = uuid5(NAMESPACE_URL, f"landslide-map {name}")  # the same in every run
        bookmark = add(
            bookmarks,
            "Bookmark",
            {"id": f"{{{identity}}}", "name": name, "group": "Landslides", "extent": f"POLYGON(({ring}))"},
        )
        add_crs(bookmark, project.crs)


def _add_view(root: Element, project: Project) -> None:
    corners = dict(zip(("xmin", "ymin", "xmax", "ymax"), project.bounds, strict=True))
    view = add(root, "ProjectViewSettings", {"UseProjectScales": 0, "rotation": 0})
    add_crs(add(view, "DefaultViewExtent", corners), project.crs)
    periods = [layer.period for layer in project.layers if layer.period]
    if periods:
        whole = (min(start for start, _ in periods), max(end for _, end in periods))
        times = add(
            root,
            "ProjectTimeSettings",
            {"cumulativeTemporalRange": 0, "timeStepUnit": "d", "timeStep": 1, "frameRate": 1},
        )
        _add_range(times, "TemporalRange", whole)
    canvas = add(root, "mapcanvas", {"name": "theMapCanvas", "annotationsVisible": 1})
    add(canvas, "units", text="meters")
    extent = add(canvas, "extent")
    for name, value in corners.items():
        add(extent, name, text=value)
    add(canvas, "rotation", text=0)
    add_crs(add(canvas, "destinationsrs"), project.crs)
