"""Vector layers: read, reprojected, measured."""
