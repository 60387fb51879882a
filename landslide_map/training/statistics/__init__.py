"""Training on tables of window statistics."""
