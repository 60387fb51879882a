"""Search for images: catalogues, choice, downloads, and the scene.yaml of an event.

The only package that uses the network.
"""
