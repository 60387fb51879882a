"""``landslides.qgz``: a QGIS project of a result, with relative paths and nothing but the files beside it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import Element

import geopandas as gpd
import pyogrio
import pyproj
import rasterio

from landslide_map import products
from landslide_map.products import columns as names
from landslide_map.products.print_layout import add_print_layout
from landslide_map.products.project_document import (
    BOOKMARKS,
    Bounds,
    LayerGroup,
    Project,
    ProjectLayer,
    project_text,
)
from landslide_map.products.styles import class_pipe, image_pipe, probability_pipe
from landslide_map.products.vector_styles import add_style

_MEMBER: Final = "landslides.qgs"
_AFTER, _BEFORE, _PROBABILITY, _IMAGE = (
    "1 After the event",
    "2 Before the event",
    "3 Probability",
    "4 Image only",
)
"""Themes, in the order of the eye menu."""
_VECTOR_NAMES: Final = {
    names.LANDSLIDES: "Landslides to review",
    names.REVIEWS_KEPT: "Verdicts on outlines of earlier runs",
    names.WINDOWS: "Windows above the threshold",
    names.ANALYSED: "Area analysed",
}
_RASTER_NAMES: Final = {
    "outline_probability.tif": "Probability of outlines, 10 m",
    products.PROBABILITY: "Probability of windows",
    products.CLASSES: "Classes",
}
_MARGIN_M: Final = 250.0
"""Ground around the outline of a bookmark, metres."""


def write_project(
    path: Path,
    folders: Mapping[str, Path],
    *,
    threshold: float,
    tags: Mapping[str, str],
    event_time: datetime,
) -> None:
    """Write the project of a result.

    Parameters
    ----------
    path : Path
        The ``.qgz`` to write; beside it lies ``landslides.gpkg``.
    folders : mapping of str to Path
        Folder with rasters, relative to the project's -> folder where they lie now. One scene has ``""``.
    threshold : float
        Lowest threshold of the run.
    tags : mapping of str to str
        About the run; kept in the project.
    event_time : datetime
        Images before and after it are shown by the time controller.
    """
    vectors = path.parent / products.LANDSLIDES
    layers = {str(name) for name, _ in pyogrio.list_layers(vectors)} & set(_VECTOR_NAMES)
    results = [vector_layer(vectors, layer, threshold) for layer in _VECTOR_NAMES if layer in layers]
    groups = [LayerGroup("Results", tuple(results))]
    for relative, folder in folders.items():
        prefix = f"{relative}: " if relative else ""
        rasters = tuple(_rasters(relative, folder, threshold))
        images = tuple(_images(relative, folder, event_time))
        if rasters:
            groups.append(LayerGroup(f"{prefix}Rasters", rasters, expanded=False))
        if images:
            groups.append(LayerGroup(f"{prefix}Images", images, exclusive=True, expanded=len(folders) == 1))
    found = pyogrio.read_dataframe(vectors, layer=names.LANDSLIDES, columns=["id"], max_features=BOOKMARKS)
    extent = _extent(vectors, found)
    project = Project(
        title=title_of(tags, event_time),
        crs=results[0].crs,
        bounds=extent,
        groups=tuple(groups),
        themes=_themes(groups),
        bookmarks=_bookmarks(found),
        properties={key: value for key, value in tags.items() if key.isidentifier()},
    )
    text = project_text(project, _layouts(project, tags))
    write_zipped(path, text)


def write_zipped(path: Path, text: str) -> None:
    """Write the text of a project as ``.qgz``; the same text makes the same bytes."""
    member = zipfile.ZipInfo(_MEMBER, date_time=(1980, 1, 1, 0, 0, 0))
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, text.encode())


def vector_layer(path: Path, layer: str, threshold: float) -> ProjectLayer:
    """Return a layer of the GeoPackage beside the project."""
    info = pyogrio.read_info(path, layer=layer)
    columns = [str(name) for name in info["fields"]]

    def style(element: Element) -> None:
        add_style(element, layer, columns, threshold, info["features"])

    return ProjectLayer(
        id=f"landslide_map_{layer}",
        name=_VECTOR_NAMES[layer],
        source=f"./{path.name}|layername={layer}",
        crs=pyproj.CRS.from_user_input(info["crs"]),
        style=style,
        vector=True,
        visible=layer in (names.LANDSLIDES, names.ANALYSED),
        read_only=layer in (names.WINDOWS, names.ANALYSED),
    )


def _rasters(relative: str, folder: Path, threshold: float) -> Iterator[ProjectLayer]:
    for file, name in _RASTER_NAMES.items():
        if (folder / file).exists():
            pipe = class_pipe() if file == products.CLASSES else probability_pipe(threshold)
            yield _raster_layer(relative, folder / file, name, pipe, visible=False)


def _images(relative: str, folder: Path, event_time: datetime) -> Iterator[ProjectLayer]:
    month = timedelta(days=30)
    periods = {
        "before": (event_time - month, event_time - timedelta(seconds=1)),
        "after": (event_time, event_time + month),
    }
    visible = True
    for file, image in products.IMAGES.items():
        if (folder / file).exists():
            period = periods.get(image.side)
            yield _raster_layer(
                relative, folder / file, image.title, image_pipe(), visible=visible, period=period
            )
            visible = False


def _raster_layer(relative: str, path: Path, name: str, pipe: Element, **how: Any) -> ProjectLayer:
    with rasterio.open(path) as source:
        crs = pyproj.CRS.from_user_input(source.crs.to_wkt())
        epsg = source.crs.to_epsg()
    return ProjectLayer(
        id=_identifier(f"landslide_map_{relative}_{path.stem}" if relative else f"landslide_map_{path.stem}"),
        name=f"{relative}: {name}" if relative else name,
        source=f"./{relative}/{path.name}" if relative else f"./{path.name}",
        crs=pyproj.CRS.from_epsg(epsg) if epsg else crs,
        style=lambda element: element.append(pipe),
        **how,
    )


def _identifier(text: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in text)


def _extent(path: Path, found: gpd.GeoDataFrame) -> Bounds:
    """Return the bounds of the grid, or of the outlines where nothing says where the grid lies."""
    west, south, east, north = pyogrio.read_info(path, layer=names.ANALYSED, force_total_bounds=True)[
        "total_bounds"
    ] or tuple(found.total_bounds)
    return float(west), float(south), float(east), float(north)


def title_of(tags: Mapping[str, str], event_time: datetime) -> str:
    """Return the title of a result: name and day of the event."""
    name = tags.get("event", "")
    return f"Landslides, {name}, {event_time:%Y-%m-%d}" if name else f"Landslides, {event_time:%Y-%m-%d}"


def _themes(groups: Sequence[LayerGroup]) -> dict[str, tuple[str, ...]]:
    results = [layer.id for layer in groups[0].layers if layer.visible]
    landslides = [groups[0].layers[0].id]
    images = [group.layers for group in groups[1:] if group.exclusive]
    after = [_first(layers, products.IMAGE_AFTER) for layers in images]
    before = [_first(layers, products.IMAGE_BEFORE) for layers in images]
    probability = [layer.id for group in groups for layer in group.layers if layer.id.endswith("probability")]
    themes = {_AFTER: (*results, *filter(None, after))}
    if any(before):
        themes[_BEFORE] = (*landslides, *filter(None, before))
    themes[_PROBABILITY] = (*landslides, *probability, *filter(None, after))
    if any(after):
        themes[_IMAGE] = tuple(filter(None, after))
    return themes


def _first(layers: Sequence[ProjectLayer], file: str) -> str | None:
    """Return the id of the layer of a file; of images after the event, the first there is."""
    for layer in layers:
        if layer.source.endswith(f"/{file}"):
            return layer.id
    return layers[0].id if file == products.IMAGE_AFTER and layers else None


def _bookmarks(found: gpd.GeoDataFrame) -> list[tuple[str, Bounds]]:
    boxes = found.geometry.bounds.to_numpy()
    return [
        (
            f"Landslide {number}",
            (west - _MARGIN_M, south - _MARGIN_M, east + _MARGIN_M, north + _MARGIN_M),
        )
        for number, (west, south, east, north) in zip(found["id"], boxes.tolist(), strict=True)
    ]


def _layouts(project: Project, tags: Mapping[str, str]) -> Callable[[Element], None]:
    landslides = "landslide_map_landslides"

    def count(where: str = "") -> str:
        condition = f", \"review\" = '{where}'" if where else ""
        return f"[% aggregate('{landslides}', 'count', \"id\"{condition}) %]"

    def add_layouts(parent: Element) -> None:
        add_print_layout(
            parent,
            project.bounds,
            theme=_AFTER,
            legend={landslides: "Landslides", "landslide_map_analysed": "Area analysed"},
            subtitle=(
                f"{count()} outlines: {count('confirmed')} confirmed, {count('rejected')} rejected, "
                f"{count('unseen')} not looked at. Probabilities are not a survey."
            ),
            notes=_notes(tags),
        )

    return add_layouts


def _notes(tags: Mapping[str, str]) -> list[str]:
    """Return the lines below the printed map."""
    dates = [
        f"{words} {tags[key][:10]}"
        for key, words in {
            "event_time": "Event",
            "s2_post": "Sentinel-2 after",
            "descending_pre": "Sentinel-1 descending before",
            "descending_post": "after",
            "ascending_pre": "ascending before",
            "ascending_post": "after",
        }.items()
        if tags.get(key)
    ]
    year = tags.get("event_time", "")[:4]
    source = f"Contains modified Copernicus Sentinel data {year}. Made with {tags.get('software', '')}"
    return [f"{', '.join(dates)} (UTC).", f"{source}, bundle {tags.get('bundle', '')}. [% @project_crs %]"]
