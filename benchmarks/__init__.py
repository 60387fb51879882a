"""Benchmarks: one command per module; each fails where its figures would mean nothing."""
