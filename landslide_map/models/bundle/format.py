"""Format of ``bundle.json``, as a strict model (``docs/bundle-format.md``)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from landslide_map.bands import CHANNELS
from landslide_map.models.member import MemberInput
from landslide_map.models.segmentation.channels import PIXEL_CHANNELS
from landslide_map.models.segmentation.fusion import Fusion
from landslide_map.models.voting.calibration import IDENTITY, Calibration
from landslide_map.options import OperatingPoint

FORMAT: Final = "landslide-map bundle"
FORMAT_VERSION: Final = 1

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
SEGMENTATION: Final = "segmentation"
"""Kind of a pixel member."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FileEntry(_Strict):
    """One file of the folder."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class MemberEntry(_Strict):
    """One member and the files it is loaded from."""

    name: str
    kind: str
    """``lightgbm``, ``xgboost``, ``perceptron``, ``network`` or ``segmentation``."""
    input: MemberInput
    channels: tuple[str, ...] = Field(min_length=1)
    files: tuple[FileName, ...] = Field(min_length=1)
    """One file per fold."""
    settings: dict[str, Any] = {}
    """Settings of the kind beside its files, and of its training."""
    metrics: dict[str, Any] = {}

    @model_validator(mode="after")
    def _channels_known(self) -> Self:
        known = PIXEL_CHANNELS if self.kind == SEGMENTATION else CHANNELS
        if unknown := [name for name in self.channels if name not in known]:
            raise ValueError(f"no channel {unknown[0]!r}; channels are {', '.join(known)}")
        if (self.input == "tiles") != (self.kind == SEGMENTATION):
            raise ValueError(f"a member of kind {self.kind!r} does not read {self.input}")
        return self


def by_cost(networks: Iterable[MemberEntry]) -> list[MemberEntry]:
    """Return networks by the time of a pass, quickest first; by its operations where none is known."""

    def number(own: MemberEntry, name: str) -> float:
        said = own.settings.get(name)
        return float(said) if isinstance(said, int | float) and math.isfinite(said) else math.inf

    return sorted(networks, key=lambda own: (number(own, "milliseconds"), number(own, "gflop")))


class ScenarioEntry(_Strict):
    """A set of channels that users have, and how its members are joined there."""

    name: str
    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(min_length=1)
    """Member name -> weight in the mean."""
    average: Literal["probability", "logit"] = "probability"
    """Quantity that is averaged over members."""
    needs: Literal["all", "any"] = "all"
    """``all``: fits where every member can vote; ``any``: where one can, the others' weights renormalised."""
    clear_sky: bool = False
    """Does not vote in windows that are mostly snow or cloud."""
    calibration: Calibration = IDENTITY
    threshold: float = Field(gt=0, lt=1)
    """Threshold of the calibrated probability; a window is a landslide above it."""
    operating_points: dict[OperatingPoint, Annotated[float, Field(gt=0, lt=1)]] = {}
    """Other thresholds, learned out of fold."""
    fusion: Fusion | None = None
    """Rule of a scenario of pixel members: joins their probability with that of outlines, if measured."""
    metrics: dict[str, Any] = {}


class BundleDocument(_Strict):
    """The whole of ``bundle.json``."""

    format: Literal["landslide-map bundle"] = FORMAT
    format_version: Literal[1] = FORMAT_VERSION
    name: str
    version: str
    description: str
    unit: str
    """Unit of one probability, e.g. window level, 64 x 64 px of 10 m."""
    licence: str
    created_with: dict[str, str] = {}
    training: dict[str, Any] = {}
    """Data, its licence and hashes, recipe and seed."""
    members: tuple[MemberEntry, ...] = Field(min_length=1)
    scenarios: tuple[ScenarioEntry, ...] = Field(min_length=1, max_length=100)
    """Best first: a window takes the first that fits."""
    files: dict[FileName, FileEntry]
    seal: str | None = None
    """Hash of the rest of the document: shows a change before it is replaced."""

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        names = [member.name for member in self.members]
        for what, found in (("member", names), ("scenario", [s.name for s in self.scenarios])):
            if len(set(found)) < len(found):
                raise ValueError(f"a {what} name occurs twice: {', '.join(found)}")
        for scenario in self.scenarios:
            if unknown := set(scenario.weights) - set(names):
                raise ValueError(f"scenario {scenario.name!r} names no member: {', '.join(sorted(unknown))}")
            pixel = {
                member.kind == SEGMENTATION for member in self.members if member.name in scenario.weights
            }
            if len(pixel) > 1:
                raise ValueError(f"scenario {scenario.name!r} joins window members and pixel members")
            if scenario.fusion is not None and pixel != {True}:
                raise ValueError(f"scenario {scenario.name!r} has a fusion, but no pixel members")
        listed = [name for member in self.members for name in member.files]
        if unlisted := set(listed) - set(self.files):
            raise ValueError(f"files without hash: {', '.join(sorted(unlisted))}")
        return self
