"""Sentinel-1 products in radar geometry (GRD), read as backscatter on a map grid."""
