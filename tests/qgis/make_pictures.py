"""Draws the pictures of the documentation: QGIS with a result, the review form, and the printed map.

Usage: QT_QPA_PLATFORM=offscreen /usr/bin/python3 tests/qgis/make_pictures.py RESULT PICTURES

`.ci/make_pictures` runs it, and shrinks what it draws.
"""

from __future__ import annotations

import sys
from pathlib import Path

from qgis.core import QgsApplication, QgsLayoutExporter, QgsProject, QgsVectorLayer
from qgis.gui import QgsAttributeForm, QgsGui, QgsLayerTreeMapCanvasBridge, QgsLayerTreeView, QgsMapCanvas
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import QDockWidget, QMainWindow, QTreeView

WAIT_MS = 6000
"""Time to draw everything."""


def window_of(project: QgsProject) -> QMainWindow:
    """Return a window with the layers and the map, as QGIS arranges them."""
    try:
        from qgis.core import QgsLayerTreeModel
    except ImportError:
        from qgis.gui import QgsLayerTreeModel
    window = QMainWindow()
    canvas = QgsMapCanvas(window)
    canvas.setCanvasColor(Qt.white)
    window.bridge = QgsLayerTreeMapCanvasBridge(project.layerTreeRoot(), canvas)
    model = QgsLayerTreeModel(project.layerTreeRoot(), window)
    model.setFlag(QgsLayerTreeModel.AllowNodeChangeVisibility)
    view: QTreeView = QgsLayerTreeView(window)
    view.setModel(model)
    dock = QDockWidget("Layers", window)
    dock.setWidget(view)
    dock.setMinimumWidth(430)
    window.addDockWidget(Qt.LeftDockWidgetArea, dock)
    window.setCentralWidget(canvas)
    window.resize(1200, 760)
    window.show()
    canvas.setDestinationCrs(project.crs())
    extent = project.viewSettings().defaultViewExtent()
    extent.setXMaximum(extent.xMinimum() + extent.width() * 0.6)
    extent.setYMinimum(extent.yMaximum() - extent.height() * 0.6)
    canvas.setExtent(extent)
    canvas.refresh()
    return window


def form_of(layer: QgsVectorLayer) -> QgsAttributeForm:
    """Return the form of the first outline, ready to edit."""
    layer.startEditing()
    form = QgsAttributeForm(layer, next(layer.getFeatures()))
    form.resize(440, 640)
    form.show()
    return form


def main() -> None:
    """Draw the pictures of a result."""
    result, pictures = Path(sys.argv[1]), Path(sys.argv[2])
    application = QgsApplication([], True)
    application.initQgis()
    QgsGui.editorWidgetRegistry().initEditors()
    project = QgsProject.instance()
    if not project.read(str(result / "landslides.qgz")):
        sys.exit("the project cannot be read")
    layer = project.mapLayer("landslide_map_landslides")
    window, form = window_of(project), form_of(layer)

    def draw() -> None:
        window.grab().save(str(pictures / "qgis_window.png"))
        form.grab().save(str(pictures / "qgis_form.png"))
        layer.rollBack()
        settings = QgsLayoutExporter.ImageExportSettings()
        settings.dpi = 80
        settings.exportMetadata = settings.generateWorldFile = False
        for layout in project.layoutManager().printLayouts():
            QgsLayoutExporter(layout).exportToImage(str(pictures / "qgis_print.png"), settings)
        application.exit()

    QTimer.singleShot(WAIT_MS, draw)
    application.exec_()
    # Qt's order of deletion at exit can crash; everything is on disk.
    sys.stdout.flush()
    __import__("os")._exit(0)


main()
