"""Recipes for training on the pixels of windows: networks and published boosters, in readable files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from landslide_map.bands import CHANNELS
from landslide_map.errors import UsageError
from landslide_map.models.networks.spec import Head, IndexStage, NetworkSpec, Scaling
from landslide_map.training.statistics.recipe import invalid_recipe

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Division = Literal["shuffled", "grouped"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkRecipe(_Strict):
    """One network member: architecture and length of training."""

    head: Head
    encoders: tuple[str, ...] = Field(min_length=1)
    """timm names; one stands for as many as the head joins."""
    groups: tuple[str, ...] = Field(min_length=1)
    """The channel group that each encoder sees, by name."""
    scaling: Scaling
    indices: IndexStage = "after"
    image_size: int = Field(default=256, ge=32, le=1024)
    pretrained: bool = True
    """Whether its encoders begin with the weights that timm publishes for them."""
    epochs: int = Field(ge=1)
    batch: int = Field(ge=2)
    learning_rate: Positive
    gflop: Positive | None = None
    """Operations of one forward pass of one window, to estimate the time of training."""
    milliseconds: Positive | None = None
    """Time of that pass on a GPU, to order networks by cost."""


class BoosterRecipe(_Strict):
    """One booster on the 126 published features."""

    library: Literal["lightgbm", "xgboost"]
    trees: int = Field(ge=1)
    settings: dict[str, Any]
    """The library's own parameters."""


class Augmentation(_Strict):
    """Probabilities of changes to a training window, each time it is read."""

    rotation: Share
    """Turned by 0 to 3 quarter turns."""
    row_flip: Share
    column_flip: Share


class Learning(_Strict):
    """Settings that all networks share."""

    optimiser: Literal["adamw"]
    weight_decay: float = Field(ge=0)
    schedule: Literal["cosine"]
    """Per epoch: ``learning_rate / 2 * (1 + cos(pi * epoch / epochs))``."""
    loss: Literal["bce", "bce + soft f1"]
    augmentation: Augmentation
    kept: Literal["last epoch"]


class ScenarioRecipe(_Strict):
    """Which members vote together; those that were not trained are left out."""

    name: str
    weights: dict[str, Positive] = Field(min_length=1)
    needs: Literal["all", "any"] = "all"


class WindowRecipe(_Strict):
    """Everything that makes a bundle from labelled windows, but the windows."""

    name: str
    version: str
    description: str
    data: dict[str, str] = {}
    """Source, licence and attribution of the labels; copied into the bundle and its card."""
    limits: tuple[str, ...] = ()
    """Limits, for readers of the card."""
    folds: int = Field(ge=2, le=20)
    division: Division
    """``shuffled`` as ``KFold(folds, shuffle=True, random_state=seed)``; ``grouped`` keeps groups whole."""
    seed: int = Field(ge=0, lt=2**32)
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Threshold of every scenario; without it, learned out of fold with a calibration."""
    learning: Learning
    channel_groups: dict[str, tuple[str, ...]] = {}
    networks: dict[str, NetworkRecipe] = {}
    boosters: dict[str, BoosterRecipe] = {}
    scenarios: tuple[ScenarioRecipe, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        if not self.members:
            raise ValueError("there is no member: give networks, boosters or both")
        if twice := set(self.networks) & set(self.boosters):
            raise ValueError(f"a network and a booster are both called {twice.pop()}")
        for name, network in self.networks.items():
            if unknown := set(network.groups) - set(self.channel_groups):
                raise ValueError(f"network {name!r} sees the unknown channel group {unknown.pop()!r}")
            self.spec(name)
        for scenario in self.scenarios:
            if unknown := set(scenario.weights) - set(self.members):
                raise ValueError(f"scenario {scenario.name!r} has the unknown member {unknown.pop()!r}")
        return self

    @property
    def members(self) -> tuple[str, ...]:
        """Names of all members, networks first."""
        return (*self.networks, *self.boosters)

    def spec(self, name: str) -> NetworkSpec:
        """Return the architecture of a network."""
        network = self.networks[name]
        encoders = network.encoders * len(network.groups) if len(network.encoders) == 1 else network.encoders
        groups = tuple(self.channel_groups[group] for group in network.groups)
        return NetworkSpec(
            network.head, encoders, groups, network.scaling, network.indices, network.image_size
        )

    def channels(self, name: str) -> tuple[str, ...]:
        """Return the channels that a member reads."""
        return CHANNELS if name in self.boosters else self.spec(name).channels

    def reduced(self, members: tuple[str, ...]) -> WindowRecipe:
        """Return the recipe with some of its members only; E510 if one is unknown."""
        if unknown := [name for name in members if name not in self.members]:
            raise UsageError(
                "E510",
                f"recipe {self.name} has no member {unknown[0]!r}; it has {', '.join(self.members)}.",
            )
        scenarios: list[dict[str, Any]] = []
        for scenario in self.scenarios:
            weights = {name: weight for name, weight in scenario.weights.items() if name in members}
            if weights and all(weights != other["weights"] for other in scenarios):
                scenarios.append(scenario.model_dump() | {"weights": weights})
        parts = {
            "networks": {k: v for k, v in self.model_dump()["networks"].items() if k in members},
            "boosters": {k: v for k, v in self.model_dump()["boosters"].items() if k in members},
        }
        return WindowRecipe.model_validate(self.model_dump() | parts | {"scenarios": scenarios})


def parse_window_recipe(content: Any, path: Path) -> WindowRecipe:
    """Return the recipe that a file's content describes; E510 where it is not one."""
    try:
        return WindowRecipe.model_validate(content)
    except ValidationError as error:
        raise invalid_recipe(path, error, WindowRecipe) from None
