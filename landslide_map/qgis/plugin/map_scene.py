"""Algorithm "Map landslides"."""

from qgis.core import (
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
)

from .result_algorithm import ResultAlgorithm


class MapScene(ResultAlgorithm):
    """Maps a scene.yaml."""

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
        self.addResult()

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        arguments = ["run", self.parameterAsFile(parameters, "SCENE", context)]
        arguments += ["--stride", str(self.parameterAsInt(parameters, "STRIDE", context))]
        bundle = self.parameterAsFile(parameters, "BUNDLE", context)
        if bundle:
            arguments += ["--bundle", bundle]
        if self.parameterAsBoolean(parameters, "OVERWRITE", context):
            arguments.append("--overwrite")
        return self.runCommand(arguments, parameters, context, feedback)
