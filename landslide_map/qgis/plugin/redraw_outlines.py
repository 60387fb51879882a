"""Algorithm "Redraw outlines"."""

from qgis.core import QgsProcessingParameterFile, QgsProcessingParameterNumber

from .result_algorithm import ResultAlgorithm


class RedrawOutlines(ResultAlgorithm):
    """Draws the outlines of a finished map again, with another threshold or least area."""

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
        self.addResult()

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        arguments = ["outline", self.parameterAsFile(parameters, "RESULT", context)]
        for name, option in (("THRESHOLD", "--threshold"), ("MIN_AREA", "--min-area")):
            if parameters.get(name) is not None:
                arguments += [option, str(self.parameterAsDouble(parameters, name, context))]
        return self.runCommand(arguments, parameters, context, feedback)
