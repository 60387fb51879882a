"""Rewrites of a network's arithmetic with the same numbers to rounding."""
