"""Labelled windows: on disk, cut from scenes, joined, divided into folds."""
