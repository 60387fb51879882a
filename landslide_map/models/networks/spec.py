"""Specification of a network member: readable without torch, written into bundles and recipes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal, get_args

from landslide_map.bands import CHANNELS, INDEX_PAIRS, MODEL_BANDS

Head = Literal["single", "v2", "v3", "v3c", "v4"]
Scaling = Literal["standard", "robust"]
IndexStage = Literal["after", "before"]

ENCODERS: Final[Mapping[Head, int]] = {"single": 1, "v2": 2, "v3": 3, "v3c": 3, "v4": 4}
"""Head -> number of encoders it joins."""
_ENCODER: Final = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")
_LARGEST_IMAGE: Final = 2048


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Everything but the weights of a network: enough to build it and to prepare its input.

    Raises
    ------
    ValueError
        If a name is unknown or the head does not fit the number of encoders.
    """

    head: Head
    encoders: tuple[str, ...]
    """timm model names, one for each encoder of the head."""
    groups: tuple[tuple[str, ...], ...]
    """Channel names that each encoder sees, in the order of its input planes."""
    scaling: Scaling
    """``standard``: ``(x - mean) / std``; ``robust``: ``(x - q50) / (q95 - q05)``, training pixels."""
    indices: IndexStage = "after"
    """Whether indices are computed from the bands ``after`` or ``before`` they are scaled."""
    image_size: int = 256
    """Edge of the enlarged window that the encoders see, pixels."""

    def __post_init__(self) -> None:
        for value, allowed in (
            (self.head, get_args(Head)),
            (self.scaling, get_args(Scaling)),
            (self.indices, get_args(IndexStage)),
        ):
            if value not in allowed:
                raise ValueError(f"{value!r} is none of {', '.join(allowed)}")
        wanted = ENCODERS[self.head]
        if not len(self.encoders) == len(self.groups) == wanted:
            raise ValueError(
                f"head {self.head} joins {wanted} encoder(s); found {len(self.encoders)} encoder name(s) "
                f"and {len(self.groups)} channel group(s)"
            )
        if unknown := [name for name in chain(*self.groups) if name not in CHANNELS]:
            raise ValueError(f"unknown channel {unknown[0]!r}; channels are {', '.join(CHANNELS)}")
        if not all(self.groups) or any(len(set(group)) != len(group) for group in self.groups):
            raise ValueError("every encoder needs at least one channel, and none of them twice")
        if wrong := [name for name in self.encoders if not _ENCODER.fullmatch(name)]:
            raise ValueError(f"{wrong[0]!r} is no name of an encoder in timm")  # hf-hub:... would be fetched
        if not 1 <= self.image_size <= _LARGEST_IMAGE:
            raise ValueError(f"image_size={self.image_size} px is not between 1 and {_LARGEST_IMAGE}")

    @property
    def channels(self) -> tuple[str, ...]:
        """Every channel that some encoder sees, in the published order."""
        seen = set(chain(*self.groups))
        return tuple(name for name in CHANNELS if name in seen)

    @property
    def bands(self) -> tuple[str, ...]:
        """The model bands that must be measured: those seen, and those that indices are made of."""
        needed = set(chain.from_iterable(INDEX_PAIRS.get(name, (name,)) for name in self.channels))
        return tuple(name for name in MODEL_BANDS if name in needed)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values from which :meth:`from_json` makes an equal spec."""
        return {
            "head": self.head,
            "encoders": list(self.encoders),
            "groups": [list(group) for group in self.groups],
            "scaling": self.scaling,
            "indices": self.indices,
            "image_size": self.image_size,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> NetworkSpec:
        """Return the spec that :meth:`as_json` wrote; ``ValueError`` where it is not one."""
        known = set(cls.__slots__)
        if set(values) - known or not {"head", "encoders", "groups", "scaling"} <= set(values):
            raise ValueError(f"a network is described by {', '.join(sorted(known))}; found {sorted(values)}")
        return cls(
            head=values["head"],
            encoders=_names(values["encoders"]),
            groups=tuple(_names(group) for group in values["groups"]),
            scaling=values["scaling"],
            indices=values.get("indices", "after"),
            image_size=int(values.get("image_size", 256)),
        )


def _names(values: Sequence[Any]) -> tuple[str, ...]:
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"expected a list of names, found {values!r}")
    return tuple(values)
