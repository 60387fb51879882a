"""Protocol of a member: windows in, probabilities out, from the channels it names."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

MemberInput = Literal["statistics", "pixels", "tiles"]


class Member(Protocol):
    """One voice of an ensemble; its folds are averaged inside."""

    @property
    def name(self) -> str:
        """Unique in its bundle."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that must be valid in a window for the member to vote there."""

    @property
    def input(self) -> MemberInput:
        """Kind of input of :meth:`predict`."""

    def predict(self, x: Any) -> npt.NDArray[np.float64]:
        """Return the probability of landslide, ``(window,)``, in [0, 1].

        `x` is a complete ``(window, channel, statistic)`` DataArray for ``statistics``, never NaN in
        `channels`, and :class:`~landslide_map.models.networks.batch.WindowPixels` for ``pixels``.
        """
