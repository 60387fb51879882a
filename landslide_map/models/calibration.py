"""From a raw vote to a probability that means what it says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

Floats = npt.NDArray[np.float64]

EDGE = 1e-7
"""Votes are kept this far from 0 and 1, where logarithms end."""


class Calibration(BaseModel):
    """``sigmoid(lower * ln(p) - upper * ln(1 - p) + shift)``: beta calibration.

    With both slopes positive it rises strictly, so the order of windows, and with it the AUC, stays.
    ``lower == upper`` is logistic (Platt) calibration of the logit; 1, 1, 0 leaves votes as they are.

    References
    ----------
    Kull, Silva Filho and Flach (2017), "Beyond sigmoids", Electronic Journal of Statistics 11(2), 5052-5080,
    doi 10.1214/17-EJS1338SI, equation 5.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    lower: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    upper: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    shift: float = Field(default=0.0, allow_inf_nan=False)

    def __call__(self, votes: Floats) -> Floats:
        """Return calibrated probabilities; NaN stays NaN."""
        p = np.clip(votes, EDGE, 1 - EDGE)
        score = self.lower * np.log(p) - self.upper * np.log1p(-p) + self.shift
        calibrated: Floats = 1 / (1 + np.exp(-score))
        return calibrated


IDENTITY = Calibration()
