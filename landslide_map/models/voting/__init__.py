"""The vote: scenarios, order of predictions, calibration."""
