"""What was understood of a scene, next to the training data."""
