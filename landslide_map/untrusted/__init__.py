"""Foreign files, read with bounds: sizes are checked before reading, and no file leads elsewhere."""
