"""Labelled windows and arrays of pixels: on disk, cut from scenes, joined, divided into folds."""
