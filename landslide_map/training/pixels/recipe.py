"""Recipes of pixel members: network, loss, sampling, schedule, stopping and split, as a strict model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from landslide_map.errors import UsageError
from landslide_map.models.segmentation.spec import ARCHITECTURES
from landslide_map.training.statistics.recipe import invalid_recipe, recipe_content

LossName = Literal["bce", "dice", "focal", "jaccard", "lovasz", "l4s"]
KIND: Final = "pixels"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PixelNetwork(_Strict):
    """The network and its tiles."""

    architecture: Literal[ARCHITECTURES]  # type: ignore[valid-type]  # the names are written once, in spec
    encoder: str
    encoder_weights: Literal["imagenet"] | None = None
    """Pretrained weights the encoder starts from; fetched or from the local cache."""
    adapter: PositiveInt | None = None
    decoder_channels: tuple[PositiveInt, ...] = ()
    tile: PositiveInt = 128
    overlap: Annotated[int, Field(ge=0)] = 32


class Sampling(_Strict):
    """Training samples."""

    crop: PositiveInt = 128
    """Edge of a sample, pixels."""
    per_epoch: PositiveInt | None = None
    """Random crops around landslide pixels; without, every patch once."""
    anywhere: Annotated[float, Field(ge=0, le=1)] = 0
    """Share of the random crops that lie anywhere, not around a landslide."""
    batch: PositiveInt = 16
    augment: bool = False
    """Flips and quarter turns, each with probability 0.5."""
    jitter: Annotated[float, Field(ge=0, le=1)] = 0
    """Random gain and offset of each plane of a sample: another illumination, another season. Standard
    deviation of both, where planes are standardised."""


class Schedule(_Strict):
    """Optimiser (Adam) and learning rate."""

    learning_rate: PositiveFloat = 1e-3
    decay: Literal["plateau", "step", "cosine"] = "plateau"
    """``plateau``: x 0.1 after `wait` epochs without a lower validation loss; ``step``: x 0.1 every `wait`
    epochs; ``cosine``: to 0 at the end."""
    wait: PositiveInt = 10


class Stopping(_Strict):
    """The end of the training, and which weights are kept."""

    most_epochs: PositiveInt = 100
    least_epochs: Annotated[int, Field(ge=0)] = 0
    monitor: Literal["f1", "loss"] = "f1"
    """Pooled F1 (0.5) or loss of the validation part."""
    patience: PositiveInt = 10
    keep: Literal["best", "last"] = "best"
    sanity_pass: bool = False
    """Whether the untrained network's F1 on two validation samples counts for the rank, as published."""


class PixelRecipe(_Strict):
    """Everything but the data of one pixel member."""

    kind: Literal["pixels"]
    name: str
    description: str = ""
    layout: Literal["ganerod", "l4s", "tiles"]
    setting: Literal["s1", "s2", "s1s2", "all"] | None = None
    """Setting of the layout ``ganerod``."""
    channels: tuple[str, ...] = ()
    """Channels of the layout ``tiles``."""
    scaling: Literal["standard", "six-channel", "none"] = "standard"
    network: PixelNetwork
    loss: LossName
    sampling: Sampling = Sampling()
    schedule: Schedule = Schedule()
    stopping: Stopping = Stopping()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    """Seed of the split and of everything random."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.2
    minutes: PositiveFloat | None = None
    """Longest time of training; the schedule is stretched over the epochs that fit."""

    @model_validator(mode="after")
    def _layout_agrees(self) -> Self:
        if (self.layout == "ganerod") != (self.setting is not None):
            raise ValueError("setting belongs to the layout ganerod, and only to it")
        if (self.layout == "tiles") != bool(self.channels):
            raise ValueError("channels belong to the layout tiles, and only to it")
        return self


def load_pixel_recipe(name: str | Path) -> PixelRecipe:
    """Return a recipe by name or file; E510 where there is none, or it is no recipe of a pixel member."""
    path, content = recipe_content(name)
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise UsageError("E510", f"{path}: is no recipe of a pixel member (kind: {KIND}).")
    return parse_pixel_recipe(content, path)


def parse_pixel_recipe(content: Any, path: Path) -> PixelRecipe:
    """Return the recipe that a file's content describes; E510 where it is not one."""
    try:
        return PixelRecipe.model_validate(content)
    except ValidationError as error:
        raise invalid_recipe(path, error, PixelRecipe) from None
