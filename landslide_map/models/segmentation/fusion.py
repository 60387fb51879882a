"""Probability of a pixel from two sources: pixel members, and the outline that the pixel is in."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit, logit

from landslide_map.array_types import Floats, Floats32

_EDGE: Final = 1e-3
"""Probabilities are kept this far from 0 and 1: outlines store three decimals."""


class Fusion(BaseModel):
    """``expit(shift + pixels * logit(p) + outlined + outlines * logit(q))``; the last two inside an outline.

    `p` is the probability of the pixel members, `q` that of the outline by its own evidence. Learned by
    logistic regression on events that neither was trained on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    shift: float
    pixels: float = Field(ge=0)
    outlined: float
    outlines: float = Field(ge=0)
    threshold: float = Field(gt=0, lt=1)
    """Probability above which a pixel is landslide: that of the best F1 on the events."""
    measured: dict[str, Any] = {}
    """Figures on events that were left out, and the names of these events."""

    def __call__(self, pixels: Floats32, outlines: Floats32) -> Floats32:
        """Return the joint probability, NaN where `pixels` is; arrays of one shape.

        Parameters
        ----------
        pixels : float32
            Of the pixel members.
        outlines : float32
            Of the outline that a pixel is in; 0 or NaN in none.
        """
        inside, terms = planes(pixels, outlines)
        own = self.shift + self.pixels * terms[0]
        joint: Floats32 = expit(own + inside * (self.outlined + self.outlines * terms[1])).astype(np.float32)
        return joint


def planes(pixels: Any, outlines: Any) -> tuple[Any, tuple[Floats, Floats]]:
    """Return whether pixels are in an outline, and the logits of both probabilities."""
    own = logit(np.clip(np.asarray(pixels, np.float64), _EDGE, 1 - _EDGE))
    other = np.nan_to_num(np.asarray(outlines, np.float64))
    return other > 0, (own, logit(np.clip(other, _EDGE, 1 - _EDGE)))
