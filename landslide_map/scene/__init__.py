"""scene.yaml as a model."""
