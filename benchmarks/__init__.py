"""Measurements: each module is one command that prints what it found, and fails where it means nothing."""
