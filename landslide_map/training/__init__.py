"""Training: recipes in, bundles with honest figures out."""
