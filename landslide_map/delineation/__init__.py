"""Outlines of landslides on pixels: candidates, evidence for each, and a calibrated probability."""
