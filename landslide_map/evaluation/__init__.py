"""Evaluation of ensembles on windows and of maps on landslides."""
