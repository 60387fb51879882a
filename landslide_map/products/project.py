"""``landslides.qgz``: a QGIS project of a result, with relative paths and nothing but the files beside it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import Element

import geopandas as gpd
import pyogrio
import pyproj
import rasterio
from rasterio.crs import CRS

from landslide_map import products
from landslide_map.products import columns as names
from landslide_map.products.mosaic import Mosaic
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
    names.INVENTORY: "Known landslides",
}
_RASTER_NAMES: Final = {
    "outline_probability.tif": "Probability of outlines, 10 m",
    products.PROBABILITY: "Probability of windows",
    products.CLASSES: "Classes",
}
RASTERS: Final = (*_RASTER_NAMES, *products.IMAGES)
"""File names of rasters that a project shows."""
_MARGIN_M: Final = 250.0
"""Ground around the outline of a bookmark, metres."""


def write_project(
    path: Path,
    folder: Path,
    *,
    mosaics: Sequence[Mosaic] | None = None,
    threshold: float,
    tags: Mapping[str, str],
    event_time: datetime,
) -> None:
    """Write the project of a result.

    Parameters
    ----------
    path : Path
        The ``.qgz`` to write; beside it lies ``landslides.gpkg``.
    folder : Path
        Where the rasters of one scene lie, beside the project.
    mosaics : sequence of Mosaic, optional
        Of several scenes, instead of rasters in `folder`.
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
    for inventory in (path.parent / products.INVENTORY, folder / products.INVENTORY):
        if inventory.exists():
            results.insert(1, vector_layer(inventory, names.INVENTORY, threshold))
            break
    groups = [LayerGroup("Results", tuple(results))]
    sources = _files_of(folder) if mosaics is None else [_of_mosaic(mosaic) for mosaic in mosaics]
    rasters = tuple(_rasters(sources, threshold))
    images = tuple(_images(sources, event_time))
    if rasters:
        groups.append(LayerGroup("Rasters", rasters, expanded=False))
    if images:
        several = any(source.suffix for source in sources)  # then one image is several layers
        groups.append(LayerGroup("Images", images, exclusive=not several))
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
        visible=layer in (names.LANDSLIDES, names.ANALYSED, names.INVENTORY),
        read_only=layer in (names.WINDOWS, names.ANALYSED, names.INVENTORY),
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """A raster beside the project."""

    raster: str
    """Raster that it shows, by the file name of a single scene."""
    file: str
    crs: pyproj.CRS
    suffix: str = ""


def _files_of(folder: Path) -> list[_Source]:
    found = []
    for name in RASTERS:
        if (folder / name).exists():
            with rasterio.open(folder / name) as raster:
                found.append(_Source(name, name, _crs_of(raster.crs)))
    return found


def _of_mosaic(mosaic: Mosaic) -> _Source:
    return _Source(mosaic.raster, mosaic.path.name, _crs_of(mosaic.crs), mosaic.suffix)


def _crs_of(crs: CRS) -> pyproj.CRS:
    epsg = crs.to_epsg()
    return pyproj.CRS.from_epsg(epsg) if epsg else pyproj.CRS.from_user_input(crs.to_wkt())


def _rasters(sources: Sequence[_Source], threshold: float) -> Iterator[ProjectLayer]:
    for file, name in _RASTER_NAMES.items():
        for source in sources:
            if source.raster == file:
                pipe = class_pipe() if file == products.CLASSES else probability_pipe(threshold)
                yield _raster_layer(source, name, pipe, visible=False)


def _images(sources: Sequence[_Source], event_time: datetime) -> Iterator[ProjectLayer]:
    month = timedelta(days=30)
    periods = {
        "before": (event_time - month, event_time - timedelta(seconds=1)),
        "after": (event_time, event_time + month),
    }
    for file, image in products.IMAGES.items():
        for source in sources:
            if source.raster == file:
                first = next(one.raster for one in sources if one.raster in products.IMAGES)
                yield _raster_layer(
                    *(source, image.title, image_pipe()),
                    visible=file == first,
                    period=periods.get(image.side),
                )


def _raster_layer(source: _Source, name: str, pipe: Element, **how: Any) -> ProjectLayer:
    return ProjectLayer(
        id=_identifier(f"landslide_map_{Path(source.file).stem}"),
        name=f"{name} ({source.suffix})" if source.suffix else name,
        source=f"./{source.file}",
        crs=source.crs,
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
    images = [group.layers for group in groups[1:] if group.name == "Images"]
    after = [name for layers in images for name in _showing(layers, products.IMAGE_AFTER)]
    before = [name for layers in images for name in _showing(layers, products.IMAGE_BEFORE)]
    if not after and images:  # no optical image: the first one there is
        after = [images[0][0].id]
    probability = [
        layer.id for group in groups[1:] for layer in group.layers if "probability" in layer.source
    ]
    themes = {_AFTER: (*results, *after)}
    if before:
        themes[_BEFORE] = (*landslides, *before)
    themes[_PROBABILITY] = (*landslides, *probability, *after)
    if after:
        themes[_IMAGE] = tuple(after)
    return themes


def _showing(layers: Sequence[ProjectLayer], file: str) -> list[str]:
    """Return the ids of the layers that show an image, in every reference system."""
    title = products.IMAGES[file].title
    return [layer.id for layer in layers if layer.name == title or layer.name.startswith(f"{title} (")]


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

    known = {layer.id for layer in project.groups[0].layers} & {"landslide_map_inventory"}
    legend = {landslides: "Landslides", **dict.fromkeys(known, "Inventory")}
    legend["landslide_map_analysed"] = "Area analysed"

    def add_layouts(parent: Element) -> None:
        add_print_layout(
            parent,
            project.bounds,
            theme=_AFTER,
            legend=legend,
            subtitle=(
                f"{count()} outlines: {count('confirmed')} confirmed, {count(names.ADDED)} drawn by hand, "
                f"{count('rejected')} rejected, {count('unsure')} unsure, "
                f"{count(names.UNSEEN)} not reviewed. Probabilities are not a survey."
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
            "s2_pre": "Sentinel-2 before",
            "s2_post": "Sentinel-2 after" if not tags.get("s2_pre") else "after",
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
