"""A run: from scene.yaml to the files of a map."""
