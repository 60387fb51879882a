"""Training on windows of pixels."""
