"""Bundles on disk: format, loading, options."""
