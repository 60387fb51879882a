"""Algorithm "Check scene"."""

from qgis.core import QgsProcessingAlgorithm, QgsProcessingOutputBoolean, QgsProcessingParameterFile

from .command import run


class CheckScene(QgsProcessingAlgorithm):
    """Checks a scene.yaml without mapping it."""

    def createInstance(self):  # noqa: N802
        return CheckScene()

    def name(self):
        return "checkscene"

    def displayName(self):  # noqa: N802
        return "Check scene"

    def shortHelpString(self):  # noqa: N802
        return "Opens every file of a scene.yaml and says in the log what was understood. Writes nothing."

    def initAlgorithm(self, configuration=None):  # noqa: N802, ARG002
        scene = QgsProcessingParameterFile("SCENE", "Scene (scene.yaml)", fileFilter="Scenes (*.yaml *.yml)")
        self.addParameter(scene)
        self.addOutput(QgsProcessingOutputBoolean("FIT", "Whether the scene can be mapped"))

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        run(["check", self.parameterAsFile(parameters, "SCENE", context)], feedback)
        return {"FIT": True}
