"""Runs on workers of dask.distributed."""
