"""The published ensemble: its networks and its files."""
