"""Statistics of windows."""
