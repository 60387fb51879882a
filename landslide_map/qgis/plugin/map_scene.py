"""Algorithm "Map landslides"."""

from pathlib import Path

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingOutputFile,
    QgsProcessingOutputNumber,
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
)

from .command import run


class MapScene(QgsProcessingAlgorithm):
    """Maps a scene.yaml."""

    def createInstance(self):  # noqa: N802
        return MapScene()

    def name(self):
        return "mapscene"

    def displayName(self):  # noqa: N802
        return "Map landslides"

    def shortHelpString(self):  # noqa: N802
        return (
            "Maps a scene.yaml: probability, classes, outlines, images, report and a QGIS project.\n"
            "The project landslides.qgz in the folder has everything in place; open it for a review."
        )

    def initAlgorithm(self, configuration=None):  # noqa: N802, ARG002
        scene = QgsProcessingParameterFile("SCENE", "Scene (scene.yaml)", fileFilter="Scenes (*.yaml *.yml)")
        self.addParameter(scene)
        self.addParameter(
            QgsProcessingParameterNumber(
                "STRIDE", "Step between windows, pixels", defaultValue=64, minValue=8, maxValue=64
            )
        )
        bundle = QgsProcessingParameterFile(
            "BUNDLE", "Model bundle", behavior=QgsProcessingParameterFile.Folder, optional=True
        )
        self.addParameter(bundle)
        self.addParameter(
            QgsProcessingParameterBoolean("OVERWRITE", "Replace an earlier result; reviews are kept", False)
        )
        self.addParameter(QgsProcessingParameterBoolean("LOAD", "Load the outlines when finished", True))
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", "Folder for the result"))
        self.addOutput(QgsProcessingOutputVectorLayer("LANDSLIDES", "Landslides"))
        self.addOutput(QgsProcessingOutputRasterLayer("PROBABILITY", "Probability"))
        self.addOutput(QgsProcessingOutputFile("PROJECT", "QGIS project"))
        self.addOutput(QgsProcessingOutputFile("REPORT", "Report"))
        self.addOutput(QgsProcessingOutputNumber("COUNT", "Number of outlines"))

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context))
        arguments = ["run", self.parameterAsFile(parameters, "SCENE", context), "--out", str(folder)]
        arguments += ["--stride", str(self.parameterAsInt(parameters, "STRIDE", context)), "--json-progress"]
        bundle = self.parameterAsFile(parameters, "BUNDLE", context)
        if bundle:
            arguments += ["--bundle", bundle]
        if self.parameterAsBoolean(parameters, "OVERWRITE", context):
            arguments.append("--overwrite")
        done = run(arguments, feedback)
        return results(self, parameters, context, feedback, folder, done.get("landslides"))


def results(algorithm, parameters, context, feedback, folder, count):
    """Return the outputs of a finished map, and have its outlines loaded with their style."""
    outlines = f"{folder / 'landslides.gpkg'}|layername=landslides"
    if algorithm.parameterAsBoolean(parameters, "LOAD", context):
        details = QgsProcessingContext.LayerDetails("Landslides to review", context.project(), "LANDSLIDES")
        context.addLayerToLoadOnCompletion(outlines, details)
    project = folder / "landslides.qgz"
    feedback.pushInfo(f"Everything in place: Project > Open > {project}")
    return {
        "OUTPUT": str(folder),
        "LANDSLIDES": outlines,
        "PROBABILITY": str(folder / "probability.tif"),
        "PROJECT": str(project),
        "REPORT": str(folder / "report.html"),
        "COUNT": count,
    }
