"""Recipes: readable files with the members of a bundle and how they are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from landslide_map.bands import CHANNELS
from landslide_map.errors import UsageError
from landslide_map.options import OperatingPoint
from landslide_map.untrusted.validation import first_problem
from landslide_map.untrusted.yaml_text import YamlError, read_yaml

RECIPES: Final = Path(__file__).resolve().parents[2] / "recipes"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelRecipe(_Strict):
    """Training of one kind of model."""

    kind: Literal["lightgbm", "xgboost", "perceptron"]
    settings: dict[str, Any]
    """The kind's own parameters; for boosters also ``trees``."""


class ChannelSet(_Strict):
    """Channels that users have together, and the models trained on them."""

    channels: tuple[str, ...] = Field(min_length=1)
    models: tuple[str, ...] = Field(min_length=1)
    """Each becomes the member ``<channel set>.<model>``."""


class ScenarioRecipe(_Strict):
    """Which members vote together."""

    name: str
    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(min_length=1)
    average: Literal["probability", "logit"] = "logit"
    clear_sky: bool = False
    operating_point: OperatingPoint = "f1"
    """Which of its operating points is the scenario's threshold."""


class Recipe(_Strict):
    """Everything that makes a bundle from labelled window statistics, but the labels."""

    name: str
    version: str
    description: str
    data: dict[str, str] = {}
    """Source, licence and attribution of the labels; copied into the bundle and its card."""
    folds: int = Field(ge=2, le=20)
    seed: int = Field(ge=0)
    models: dict[str, ModelRecipe]
    channel_sets: dict[str, ChannelSet]
    scenarios: tuple[ScenarioRecipe, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        for name, own in self.channel_sets.items():
            if unknown := set(own.channels) - set(CHANNELS):
                raise ValueError(f"channel set {name!r} has unknown channels: {', '.join(sorted(unknown))}")
            if unknown := set(own.models) - set(self.models):
                raise ValueError(f"channel set {name!r} has unknown models: {', '.join(sorted(unknown))}")
        members = {name for name, _, _ in self.members()}
        for scenario in self.scenarios:
            if unknown := set(scenario.weights) - members:
                raise ValueError(
                    f"scenario {scenario.name!r} has unknown members: {', '.join(sorted(unknown))}"
                )
        return self

    def members(self) -> list[tuple[str, tuple[str, ...], ModelRecipe]]:
        """Return name, channels and model of every member, in the recipe's order."""
        return [
            (f"{set_name}.{model}", own.channels, self.models[model])
            for set_name, own in self.channel_sets.items()
            for model in own.models
        ]


def recipe_content(name: str | Path) -> tuple[Path, Any]:
    """Return the file of a recipe, by name or path, and its content; E510 where there is none.

    A recipe with ``extends: <recipe>`` changes that one. Mappings are joined, key by key;
    anything else takes the place of what it had.
    """
    path, content = _read_content(name)
    if not isinstance(content, dict) or "extends" not in content:
        return path, content
    origin, base = _read_content(content.pop("extends"))
    if not isinstance(base, dict) or "extends" in base:
        raise UsageError("E510", f"{path}: extends {origin}, which is no recipe that stands by itself.")
    return path, _joined(base, content)


def _joined(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    both = {name for name in base.keys() & changes if isinstance(base[name], dict)}
    inner = {name: _joined(base[name], changes[name]) for name in both if isinstance(changes[name], dict)}
    return base | changes | inner


def _read_content(name: str | Path) -> tuple[Path, Any]:
    path = Path(name) if Path(name).suffix in (".yaml", ".yml") else RECIPES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in RECIPES.glob("*.yaml")))
        raise UsageError(
            "E510", f"no recipe {str(name)!r}; there is {known}, or give the path of a .yaml file."
        )
    try:
        return path, read_yaml(path)
    except (YamlError, OSError) as error:
        raise UsageError("E510", f"{path}: cannot be read ({error}).") from error


def trains_on_windows(content: Any) -> bool:
    """Whether a recipe's content is for pixels of windows rather than for a table of statistics."""
    return isinstance(content, dict) and bool({"networks", "boosters"} & set(content))


def read_recipe(name: str | Path) -> Recipe:
    """Return a recipe for statistics that ships with the package, by name, or one from a YAML file.

    Raises
    ------
    UsageError
        E510 if there is none of that name, or it is not valid.
    """
    path, content = recipe_content(name)
    if trains_on_windows(content):
        raise UsageError("E510", f"{path}: trains on pixels, a table of statistics is not enough. Give DATA.")
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise invalid_recipe(path, error, Recipe) from None


def invalid_recipe(path: Path | str, error: ValidationError, kind: type[BaseModel]) -> UsageError:
    """Return E510 with the first problem of a recipe's content."""
    return UsageError("E510", f"{path}: {first_problem(error, kind, 'recipe').text}.")
