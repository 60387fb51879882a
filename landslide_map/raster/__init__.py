"""Raster bands: opened, sampled, resampled."""
