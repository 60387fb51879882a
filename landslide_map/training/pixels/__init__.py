"""Training of pixel members: crops, augmentation, recipes."""
