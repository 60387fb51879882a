"""How the results look when QGIS opens them: QML documents and the category names of ``class.tif``.

Only QML is written: QGIS ignores SLD in ``layer_styles``. Symbols use the ``<prop>`` form, which every
QGIS 3 reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from landslide_map.products.rasters import CLASS_COLOURS, CLASS_NAMES, NOT_LANDSLIDE
from landslide_map.reasons import REASON_NAMES, Reason

Colour = tuple[int, int, int, int]

PROBABILITY_RAMP: Final[tuple[tuple[float, Colour], ...]] = (
    (0.0, (255, 255, 178, 0)),
    (0.2, (255, 255, 178, 0)),
    (0.4, (254, 217, 118, 140)),
    (0.6, (253, 141, 60, 200)),
    (0.8, (240, 59, 32, 230)),
    (1.0, (189, 0, 38, 255)),
)
"""Probability -> red, green, blue, alpha; linear in between, the low end clear of the base map."""
LANDSLIDE_STEPS: Final = (
    (0.0, 0.5, (254, 217, 118, 150)),
    (0.5, 0.7, (253, 141, 60, 160)),
    (0.7, 0.9, (240, 59, 32, 170)),
    (0.9, 1.0, (189, 0, 38, 180)),
)
"""Mean probability from, to -> fill of a landslide."""
ANALYSED_FILLS: Final[tuple[tuple[str, Colour], ...]] = (
    ("", (0, 0, 0, 0)),
    (REASON_NAMES[Reason.FLAT], (217, 217, 200, 110)),
    (REASON_NAMES[Reason.SNOW_OR_CLOUD], (158, 202, 225, 150)),
    (REASON_NAMES[Reason.MISSING_CHANNELS], (150, 150, 150, 130)),
    (REASON_NAMES[Reason.NO_DATA], (80, 80, 80, 110)),
)
"""`reason` of the analysed layer -> fill; the analysed area has an outline only."""


def write_side_files(folder: Path) -> None:
    """Write the files beside the rasters that QGIS and GDAL find by name."""
    for name, text in {
        "probability.qml": probability_qml(),
        "class.qml": class_qml(),
        "class.tif.aux.xml": class_categories_xml(),
    }.items():
        (folder / name).write_text(text, encoding="utf-8")


def probability_qml() -> str:
    """Return the QGIS style of ``probability.tif``: a continuous ramp from clear to dark red."""
    root, pipe = _raster_document()
    renderer = SubElement(
        pipe,
        "rasterrenderer",
        type="singlebandpseudocolor",
        band="1",
        opacity="1",
        alphaBand="-1",
        classificationMin="0",
        classificationMax="1",
    )
    shader = SubElement(
        SubElement(renderer, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        minimumValue="0",
        maximumValue="1",
    )
    for value, colour in PROBABILITY_RAMP:
        SubElement(
            shader,
            "item",
            value=f"{value:g}",
            label=f"{value:.1f}",
            color=_hex(colour),
            alpha=str(colour[3]),
        )
    return _text(root, doctype=True)


def class_qml() -> str:
    """Return the QGIS style of ``class.tif``: one colour and name per class, "no landslide" clear."""
    root, pipe = _raster_document()
    renderer = SubElement(pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1")
    palette = SubElement(renderer, "colorPalette")
    for value, name in CLASS_NAMES.items():
        if value == Reason.NO_DATA:
            continue  # the raster's nodata value: QGIS never draws it
        colour = CLASS_COLOURS[value]
        alpha = 0 if value == NOT_LANDSLIDE else colour[3]
        SubElement(
            palette, "paletteEntry", value=str(int(value)), label=name, color=_hex(colour), alpha=str(alpha)
        )
    return _text(root, doctype=True)


def class_categories_xml() -> str:
    """Return GDAL's side file of ``class.tif`` with the names of its values."""
    root = Element("PAMDataset")
    names = SubElement(SubElement(root, "PAMRasterBand", band="1"), "CategoryNames")
    for value in range(max(CLASS_NAMES) + 1):
        SubElement(names, "Category").text = CLASS_NAMES.get(value, "")
    return _text(root, doctype=False)


def landslides_qml() -> str:
    """Return the QGIS style of the landslides layer: graduated by `prob_mean`."""
    root, renderer = _vector_document("graduatedSymbol", "prob_mean")
    renderer.set("graduatedMethod", "GraduatedColor")
    ranges = SubElement(renderer, "ranges")
    for index, (lower, upper, _) in enumerate(LANDSLIDE_STEPS):
        SubElement(
            ranges,
            "range",
            symbol=str(index),
            lower=f"{lower:.6f}",
            upper=f"{upper:.6f}",
            label=f"probability {lower:.1f} to {upper:.1f}",
            render="true",
        )
    _symbols(renderer, (fill for _, _, fill in LANDSLIDE_STEPS), outline=(103, 0, 13, 255))
    return _text(root, doctype=True)


def analysed_qml() -> str:
    """Return the QGIS style of the analysed layer: by `reason`, what was analysed left clear."""
    root, renderer = _vector_document("categorizedSymbol", "reason")
    categories = SubElement(renderer, "categories")
    for index, (reason, _) in enumerate(ANALYSED_FILLS):
        label = f"not analysed: {reason}" if reason else "analysed"
        SubElement(
            categories,
            "category",
            symbol=str(index),
            value=reason,
            label=label,
            type="string",
            render="true",
        )
    _symbols(renderer, (fill for _, fill in ANALYSED_FILLS), outline=(90, 90, 90, 255))
    return _text(root, doctype=True)


def _raster_document() -> tuple[Element, Element]:
    root = Element("qgis", version="3.22.0", styleCategories="Symbology")
    return root, SubElement(root, "pipe")


def _vector_document(renderer_type: str, attribute: str) -> tuple[Element, Element]:
    root = Element("qgis", version="3.22.0", styleCategories="Symbology")
    renderer = SubElement(
        root, "renderer-v2", type=renderer_type, attr=attribute, symbollevels="0", forceraster="0"
    )
    return root, renderer


def _symbols(renderer: Element, fills: Iterable[Colour], outline: Colour) -> None:
    symbols = SubElement(renderer, "symbols")
    for index, fill in enumerate(fills):
        symbol = SubElement(
            symbols, "symbol", name=str(index), type="fill", alpha="1", clip_to_extent="1", force_rhr="0"
        )
        layer = SubElement(
            symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"}
        )
        properties = {
            "color": ",".join(map(str, fill)),
            "outline_color": ",".join(map(str, outline)),
            "outline_style": "solid",
            "outline_width": "0.3",
            "outline_width_unit": "MM",
            "style": "solid",
        }
        for key, value in properties.items():
            SubElement(layer, "prop", k=key, v=value)


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour[:3])


def _text(root: Element, doctype: bool) -> str:
    indent(root)
    header = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" if doctype else ""
    return header + tostring(root, encoding="unicode") + "\n"
