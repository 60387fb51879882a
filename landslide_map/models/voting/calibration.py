"""Calibration: from a raw vote to a probability."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit, logit

from landslide_map.array_types import Floats

EDGE = 1e-7
"""Votes are kept this far from 0 and 1, where logarithms end."""


class Calibration(BaseModel):
    """``sigmoid(slope * logit(p) + shift)``: logistic (Platt) calibration.

    It rises strictly, so the order of windows, and with it the AUC, stays. 1 and 0 leave votes as they are.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    slope: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    shift: float = Field(default=0.0, allow_inf_nan=False)

    def __call__(self, votes: Floats) -> Floats:
        """Return calibrated probabilities; NaN stays NaN."""
        if self == IDENTITY:
            return votes
        calibrated: Floats = expit(self.slope * logit(np.clip(votes, EDGE, 1 - EDGE)) + self.shift)
        return calibrated

    def before(self, probability: float) -> float:
        """Return the vote that becomes a probability."""
        return float(expit((logit(probability) - self.shift) / self.slope))


IDENTITY = Calibration()
