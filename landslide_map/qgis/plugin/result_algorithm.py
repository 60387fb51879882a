"""Shared part of the algorithms that make a result: folder, outputs, and loading of the outlines."""

from pathlib import Path

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingOutputFile,
    QgsProcessingOutputNumber,
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFolderDestination,
)

from .command import run


class ResultAlgorithm(QgsProcessingAlgorithm):
    """Runs a command that writes a result into a folder."""

    def createInstance(self):  # noqa: N802
        return type(self)()

    def addResult(self):  # noqa: N802
        """Add the folder of the result, and its files."""
        self.addParameter(QgsProcessingParameterBoolean("LOAD", "Load the outlines when finished", True))
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", "Folder for the result"))
        self.addOutput(QgsProcessingOutputVectorLayer("LANDSLIDES", "Landslides"))
        self.addOutput(QgsProcessingOutputRasterLayer("PROBABILITY", "Probability"))
        self.addOutput(QgsProcessingOutputFile("PROJECT", "QGIS project"))
        self.addOutput(QgsProcessingOutputFile("REPORT", "Report"))
        self.addOutput(QgsProcessingOutputNumber("COUNT", "Number of outlines"))

    def runCommand(self, arguments, parameters, context, feedback):  # noqa: N802
        """Run the command; return the outputs that it wrote, and have the styled outlines loaded."""
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context))
        done = run([*arguments, "--out", str(folder), "--json-progress"], feedback)
        outlines = f"{folder / 'landslides.gpkg'}|layername=landslides"
        if self.parameterAsBoolean(parameters, "LOAD", context):
            details = QgsProcessingContext.LayerDetails(
                "Landslides to review", context.project(), "LANDSLIDES"
            )
            context.addLayerToLoadOnCompletion(outlines, details)
        files = {
            "PROBABILITY": folder / "probability.tif",
            "PROJECT": folder / "landslides.qgz",
            "REPORT": folder / "report.html",
        }
        made = {key: str(path) for key, path in files.items() if path.exists()}
        if "PROJECT" in made:
            feedback.pushInfo(f"Everything in place: Project > Open > {made['PROJECT']}")
        return {"OUTPUT": str(folder), "LANDSLIDES": outlines, "COUNT": done.get("landslides"), **made}
