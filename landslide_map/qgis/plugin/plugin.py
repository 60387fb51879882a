"""The plugin: registers the Processing provider, and nothing else."""

from qgis.core import QgsApplication

from .provider import LandslideMapProvider


class LandslideMapPlugin:
    """Registers the provider; works without a window, as ``qgis_process`` runs it."""

    def __init__(self, iface):
        self.iface = iface
        self.provider = None

    def initProcessing(self):  # noqa: N802
        """Register the provider; all that ``qgis_process`` calls."""
        self.provider = LandslideMapProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self):  # noqa: N802
        """Register the provider in the QGIS window."""
        self.initProcessing()

    def unload(self):
        """Remove the provider."""
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
