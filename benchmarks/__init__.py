"""Measurements, never assertions: each module is one command that prints what it found."""
