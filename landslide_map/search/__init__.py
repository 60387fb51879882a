"""Search for images: catalogues, the choice among what they hold, downloads, and the scene.yaml of an event.

The only package that uses the network.
"""
