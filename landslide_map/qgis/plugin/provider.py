"""The Processing provider: its name and its algorithms."""

from qgis.core import QgsProcessingProvider

from .check_scene import CheckScene
from .map_scene import MapScene
from .redraw_outlines import RedrawOutlines


class LandslideMapProvider(QgsProcessingProvider):
    """Algorithms of landslide-map."""

    def loadAlgorithms(self):  # noqa: N802
        """Add every algorithm."""
        for algorithm in (MapScene, RedrawOutlines, CheckScene):
            self.addAlgorithm(algorithm())

    def id(self):
        """Return the prefix of the algorithms."""
        return "landslidemap"

    def name(self):
        """Return the name in the toolbox."""
        return "landslide-map"
