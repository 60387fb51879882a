"""Opens a finished result in QGIS and checks what a person would see.

Usage: QT_QPA_PLATFORM=offscreen /usr/bin/python3 tests/qgis/check_project.py RESULT PYTHON PICTURES

RESULT is the folder of a run, PYTHON an interpreter with landslide_map, PICTURES a folder for what is drawn.
QGIS brings its own Python, so this is no pytest module; `.ci/check_qgis` runs it.
"""

from __future__ import annotations

import subprocess
import sys
import time
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from qgis.core import (
    QgsApplication,
    QgsExpressionContextUtils,
    QgsFeature,
    QgsLayoutExporter,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize, qInstallMessageHandler
from qgis.PyQt.QtGui import QColor

MESSAGES: list[str] = []
HARMLESS = ("XDG_RUNTIME_DIR",)
"""Said by Qt of the machine, not of the project."""
VERDICT = {"review": "confirmed", "comment": "seen in QGIS"}


def heard(text: str) -> None:
    """Keep a message."""
    if not any(word in text for word in HARMLESS):
        MESSAGES.append(text)


def expect(fact: bool, what: str) -> None:
    """End with what is wrong."""
    if not fact:
        sys.exit(f"FAILED: {what}")
    print("ok:", what)


def read_project(path: Path) -> QgsProject:
    """Read the project; QGIS must have nothing to say."""
    project = QgsProject.instance()
    started = time.perf_counter()
    expect(project.read(str(path)), f"{path.name} is read")
    print(f"    in {time.perf_counter() - started:.2f} s")
    expect(not project.isDirty(), "the project is not changed by reading it")
    expect(project.crs().isValid(), "the project has a CRS")
    expect(project.ellipsoid() not in ("", "NONE"), "the project has an ellipsoid")
    with zipfile.ZipFile(path) as archive:
        root = ElementTree.fromstring(archive.read(archive.namelist()[0]))
    ids = [layer.findtext("id") for layer in root.iter("maplayer")]
    layers = project.mapLayers()
    expect(sorted(layers) == sorted(ids), f"all {len(ids)} layers are there under their ids")
    expect(all(layer.isValid() for layer in layers.values()), "all layers are valid")
    bound = [node.layer() for node in project.layerTreeRoot().findLayers()]
    expect(None not in bound and len(bound) == len(ids), "the tree shows every layer")
    return project


def check_landslides(layer: QgsVectorLayer, where: str) -> None:
    """Check aliases, widgets, labels, map tip and style of the layer to review."""
    titles = {field.name(): layer.attributeDisplayName(i) for i, field in enumerate(layer.fields())}
    expect(titles["area_m2"] == "Area, m2" and titles["review"] == "Review", f"{where}: columns have titles")
    index = layer.fields().indexOf("review")
    setup = layer.editorWidgetSetup(index)
    expect(
        setup.type() == "ValueMap" and len(setup.config()["map"]) == 5, f"{where}: review is a list of words"
    )
    expect(layer.renderer().type() == "RuleRenderer", f"{where}: drawn by rules")
    expect(layer.labelsEnabled(), f"{where}: labels are on")
    expect("review" in layer.mapTipTemplate(), f"{where}: there is a map tip")
    expect("id" in layer.displayExpression(), f"{where}: features are named by number")
    expect(
        layer.editFormConfig().readOnly(layer.fields().indexOf("area_m2")), f"{where}: figures are read-only"
    )


def drawn(project: QgsProject, layers: list, path: Path) -> set[int]:
    """Draw layers; return a sample of the picture's colours by place."""
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(project.crs())
    settings.setOutputSize(QSize(800, 800))
    settings.setExtent(QgsRectangle(project.viewSettings().defaultViewExtent()))
    settings.setBackgroundColor(QColor("white"))
    settings.setTransformContext(project.transformContext())
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    expect(not job.errors(), f"{path.name}: drawn without an error")
    image = job.renderedImage()
    image.save(str(path))
    return {(x, y, image.pixel(x, y)) for x in range(0, 800, 5) for y in range(0, 800, 5)}


def check_pictures(project: QgsProject, folder: Path) -> None:
    """Draw every theme, and print the layout."""
    for name in project.mapThemeCollection().mapThemes():
        layers = project.mapThemeCollection().mapThemeVisibleLayers(name)
        found = drawn(project, layers, folder / f"theme {name}.png")
        expect(len({colour for _, _, colour in found}) > 50, f"theme {name!r} is not blank")
        if name.startswith("1"):
            without = drawn(project, [x for x in layers if x.type() != 0], folder / "without outlines.png")
            expect(len(found - without) > 20, "outlines are drawn over the image")
    for layout in project.layoutManager().printLayouts():
        exporter = QgsLayoutExporter(layout)
        pdf = folder / "map.pdf"
        expect(
            exporter.exportToPdf(str(pdf), QgsLayoutExporter.PdfExportSettings()) == 0,
            "the layout is printed",
        )
        expect(pdf.stat().st_size > 20_000, "the PDF has content")
        settings = QgsLayoutExporter.ImageExportSettings()
        settings.dpi = 110
        settings.exportMetadata = settings.generateWorldFile = False
        exporter.exportToImage(str(folder / "map.png"), settings)


def answer(python: str, call: str, path: Path) -> str:
    """Run a function of landslide_map on the GeoPackage in a process of its own, as a run would."""
    code = (
        "import sys; from pathlib import Path; from landslide_map.products import reviews\n"
        "from landslide_map.runtime import edit_session\n"
        f"try: print({call})\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([python, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def check_review(layer: QgsVectorLayer, python: str, path: Path) -> None:
    """Review an outline, draw another one by hand, and see both from outside."""
    edited = "edit_session.refuse_edited(Path(sys.argv[1]))"
    verdicts = "sorted(reviews.read_reviews(Path(sys.argv[1]))['review'])"
    expect(answer(python, edited, path) == "None", "a layer that is only shown may be replaced")
    expect(layer.startEditing(), "an edit session begins")
    feature = next(layer.getFeatures())
    for name, value in VERDICT.items():
        layer.changeAttributeValue(feature.id(), layer.fields().indexOf(name), value)
    drawn_by_hand = QgsFeature(layer.fields())
    drawn_by_hand.setGeometry(feature.geometry())
    context = layer.createExpressionContext()
    for index in range(layer.fields().count()):
        default = layer.defaultValue(index, drawn_by_hand, context)
        drawn_by_hand.setAttribute(
            index, default if layer.defaultValueDefinition(index).expression() else None
        )
    layer.addFeature(drawn_by_hand)
    expect(answer(python, edited, path).startswith("E403"), "an edit session is noticed (E403)")
    expect(layer.commitChanges(), f"edits are saved {layer.commitErrors()}")
    expect(answer(python, verdicts, path) == "['added', 'confirmed']", "verdicts are read while QGIS is open")
    QgsProject.instance().clear()
    expect(answer(python, edited, path) == "None", "after the project is closed the result may be replaced")


def check_read_only(project: QgsProject) -> None:
    """The area analysed cannot be edited by accident."""
    analysed = project.mapLayer("landslide_map_analysed")
    expect(not analysed.startEditing(), "the area analysed cannot be edited")


def main() -> None:
    """Check a result."""
    result, python, pictures = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    pictures.mkdir(parents=True, exist_ok=True)
    qInstallMessageHandler(lambda _kind, _context, text: heard(text))
    application = QgsApplication([], True)
    application.initQgis()
    QgsApplication.messageLog().messageReceived.connect(lambda text, tag, _level: heard(f"{tag}: {text}"))
    alone = QgsVectorLayer(f"{result / 'landslides.gpkg'}|layername=landslides", "alone", "ogr")
    check_landslides(alone, "GeoPackage alone")
    del alone
    project = read_project(result / "landslides.qgz")
    landslides = project.mapLayer("landslide_map_landslides")
    check_landslides(landslides, "project")
    check_read_only(project)
    check_pictures(project, pictures)
    expect(QgsExpressionContextUtils.projectScope(project).hasVariable("project_title"), "there is a title")
    expect(not MESSAGES, f"QGIS has nothing to say: {MESSAGES}")
    check_review(landslides, python, result / "landslides.gpkg")


main()
