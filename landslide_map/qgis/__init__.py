"""Processing provider for QGIS: the plugin files, and their installer."""
