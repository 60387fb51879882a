"""Sentinel-2 files: read and checked."""
