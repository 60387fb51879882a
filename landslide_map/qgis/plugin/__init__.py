"""QGIS plugin: algorithms that run the installed command ``landslide-map``."""


def classFactory(iface):  # noqa: N802, D103 - the name that QGIS calls
    from .plugin import LandslideMapPlugin

    return LandslideMapPlugin(iface)
