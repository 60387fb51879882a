"""Checks of the page in a headless browser; not collected by pytest."""
