"""Aligned pixels of a scene, by name."""
