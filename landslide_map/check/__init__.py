"""Checks of a scene without mapping it."""
