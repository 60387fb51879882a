"""Networks on pixels: architecture, inference and its speedups."""
