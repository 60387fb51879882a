"""Training: recipes in, bundles with out-of-fold figures out."""
