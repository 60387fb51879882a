"""Sentinel-1 files: read, sorted and checked."""
