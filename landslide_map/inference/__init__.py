"""Probabilities of windows: predicted, recorded, scored."""
