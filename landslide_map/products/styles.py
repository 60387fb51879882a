"""QGIS styles of the rasters: one ``pipe`` for the side file and for the project, and names of classes.

Only QML is written: QGIS ignores SLD in ``layer_styles``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from landslide_map.products.qgis_xml import VERSION, add, document_text
from landslide_map.products.rasters import CLASS_COLOURS, CLASS_NAMES, NOT_LANDSLIDE
from landslide_map.reasons import Reason

BAND_COLOURS: Final = ("86,180,233", "230,159,0", "213,94,0")
"""Okabe and Ito's blue, orange and vermilion: bands of probability from low to high."""
_BAND_EDGES: Final = (0.6, 0.8)
_ALPHA: Final = 190


def write_side_files(folder: Path, threshold: float, *, objects: bool = False) -> None:
    """Write the files beside the rasters that QGIS and GDAL find by name.

    Parameters
    ----------
    folder : Path
    threshold : float
        Lowest threshold.
    objects : bool
        Whether there is a raster of objects.
    """
    files = {
        "probability.qml": probability_qml(threshold),
        "class.qml": class_qml(),
        "class.tif.aux.xml": class_categories_xml(),
    }
    if objects:
        files["outline_probability.qml"] = probability_qml(threshold)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def probability_bands(threshold: float) -> tuple[tuple[float, float], ...]:
    """Return three bands of probability, from the threshold to 1.

    Examples
    --------
    >>> probability_bands(0.435)
    ((0.435, 0.6), (0.6, 0.8), (0.8, 1.0))
    >>> probability_bands(0.7)
    ((0.7, 0.8), (0.8, 0.9), (0.9, 1.0))
    """
    lower, upper = _BAND_EDGES
    if threshold >= lower - 0.02:
        step = (1 - threshold) / 3
        lower, upper = round(threshold + step, 3), round(threshold + 2 * step, 3)
    return ((threshold, lower), (lower, upper), (upper, 1.0))


def probability_qml(threshold: float) -> str:
    """Return the QGIS style of ``probability.tif``: three bands above the threshold, clear below."""
    return _document(probability_pipe(threshold))


def class_qml() -> str:
    """Return the QGIS style of ``class.tif``: one colour and name per class, "no landslide" clear."""
    return _document(class_pipe())


def probability_pipe(threshold: float) -> Element:
    """Return the renderer of a probability raster."""
    pipe = _pipe("nearestNeighbour")
    renderer = add(
        pipe,
        "rasterrenderer",
        {
            "type": "singlebandpseudocolor",
            "band": 1,
            "opacity": 1,
            "alphaBand": -1,
            "classificationMin": 0,
            "classificationMax": 1,
        },
    )
    shader = add(
        add(renderer, "rastershader"),
        "colorrampshader",
        {
            "colorRampType": "DISCRETE",  # the legend of an interpolated ramp shows 0 and 1 alone
            "classificationMode": 1,
            "clip": 0,
            "minimumValue": 0,
            "maximumValue": 1,
        },
    )
    # `value` is the upper limit of a class.
    steps = [(f"{threshold:g}", f"below {threshold:g}, the threshold", "255,255,255", 0)]
    for (lower, upper), colour in zip(probability_bands(threshold), BAND_COLOURS, strict=True):
        top = upper >= 1
        label = f"above {lower:g}" if top else f"{lower:g} to {upper:g}"
        steps.append(("inf" if top else f"{upper:g}", label, colour, _ALPHA))
    for value, label, colour, alpha in steps:
        add(shader, "item", {"value": value, "label": label, "color": _hex(colour), "alpha": alpha})
    return pipe


def class_pipe() -> Element:
    """Return the renderer of ``class.tif``."""
    pipe = _pipe("nearestNeighbour")
    renderer = add(pipe, "rasterrenderer", {"type": "paletted", "band": 1, "opacity": 1, "alphaBand": -1})
    palette = add(renderer, "colorPalette")
    for value, name in CLASS_NAMES.items():
        if value == Reason.NO_DATA:
            continue  # the raster's nodata value: QGIS never draws it
        *colour, opaque = CLASS_COLOURS[value]
        alpha = 0 if value == NOT_LANDSLIDE else opaque
        add(
            palette,
            "paletteEntry",
            {"value": int(value), "label": name, "color": _hex(",".join(map(str, colour))), "alpha": alpha},
        )
    return pipe


def image_pipe() -> Element:
    """Return the renderer of an 8-bit image of three bands: as it is, without a stretch."""
    pipe = _pipe("bilinear")
    add(
        pipe,
        "rasterrenderer",
        {
            "type": "multibandcolor",
            "redBand": 1,
            "greenBand": 2,
            "blueBand": 3,
            "opacity": 1,
            "alphaBand": 4,  # as QGIS counts the mask
        },
    )
    add(pipe, "rasterresampler", {"maxOversampling": 2})
    add(pipe, "resamplingStage", text="provider")
    return pipe


def class_categories_xml() -> str:
    """Return GDAL's side file of ``class.tif`` with the names of its values."""
    root = Element("PAMDataset")
    names = SubElement(SubElement(root, "PAMRasterBand", band="1"), "CategoryNames")
    for value in range(max(CLASS_NAMES) + 1):
        SubElement(names, "Category").text = CLASS_NAMES.get(value, "")
    return document_text(root, doctype=False)


def _pipe(resampling: str) -> Element:
    """Return a pipe; windows must look like windows, images may be smoothed."""
    pipe = Element("pipe")
    add(
        add(pipe, "provider"),
        "resampling",
        {
            "enabled": str(resampling == "bilinear").lower(),
            "zoomedInResamplingMethod": resampling,
            "zoomedOutResamplingMethod": resampling,
            "maxOversampling": 2,
        },
    )
    return pipe


def _document(pipe: Element) -> str:
    root = Element("qgis", version=VERSION, styleCategories="Symbology")
    root.append(pipe)
    return document_text(root)


def _hex(colour: str) -> str:
    red, green, blue = map(int, colour.split(","))
    return f"#{red:02x}{green:02x}{blue:02x}"
