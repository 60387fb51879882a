"""Algorithm "Redraw outlines"."""

from pathlib import Path

from qgis.core import (
    QgsProcessingAlgorithm,
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
from .map_scene import results


class RedrawOutlines(QgsProcessingAlgorithm):
    """Draws the outlines of a finished map again, with another threshold or least area."""

    def createInstance(self):  # noqa: N802
        return RedrawOutlines()

    def name(self):
        return "redrawoutlines"

    def displayName(self):  # noqa: N802
        return "Redraw outlines"

    def shortHelpString(self):  # noqa: N802
        return "Draws the outlines of a finished map with another threshold or least area, without a new run."

    def initAlgorithm(self, configuration=None):  # noqa: N802, ARG002
        folder = QgsProcessingParameterFile.Folder
        self.addParameter(QgsProcessingParameterFile("RESULT", "Folder of a finished map", behavior=folder))
        number = QgsProcessingParameterNumber
        self.addParameter(
            number("THRESHOLD", "Probability", number.Double, minValue=0.01, maxValue=0.99, optional=True)
        )
        self.addParameter(number("MIN_AREA", "Least area, m2", number.Double, minValue=0, optional=True))
        self.addParameter(QgsProcessingParameterBoolean("LOAD", "Load the outlines when finished", True))
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", "Folder for the result"))
        self.addOutput(QgsProcessingOutputVectorLayer("LANDSLIDES", "Landslides"))
        self.addOutput(QgsProcessingOutputRasterLayer("PROBABILITY", "Probability"))
        self.addOutput(QgsProcessingOutputFile("PROJECT", "QGIS project"))
        self.addOutput(QgsProcessingOutputFile("REPORT", "Report"))
        self.addOutput(QgsProcessingOutputNumber("COUNT", "Number of outlines"))

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context))
        arguments = ["outline", self.parameterAsFile(parameters, "RESULT", context), "--out", str(folder)]
        arguments.append("--json-progress")
        for name, option in (("THRESHOLD", "--threshold"), ("MIN_AREA", "--min-area")):
            if parameters.get(name) is not None:
                arguments += [option, str(self.parameterAsDouble(parameters, name, context))]
        done = run(arguments, feedback)
        return results(self, parameters, context, feedback, folder, done.get("landslides"))
