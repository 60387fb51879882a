"""Recipe of a command: a recipe by name, with the changes of the command line."""

from __future__ import annotations

from typing import Any

from landslide_map.errors import UsageError
from landslide_map.models.published import landslide4sense
from landslide_map.models.segmentation.spec import SIX_CHANNEL
from landslide_map.training.pixels.recipe import PixelNetwork, PixelRecipe, load_pixel_recipe


def chosen_recipe(
    name: str,
    *,
    row: str | None = None,
    from_scratch: bool = False,
    minutes: float | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    correct_ranking: bool = False,
) -> PixelRecipe:
    """Return a recipe with changes.

    Raises
    ------
    UsageError
        E510 if there is no such recipe, E402 if a change does not fit it.
    """
    recipe = load_pixel_recipe(name)
    changes: dict[str, Any] = {}
    if row is not None:
        recipe = _row(recipe, row)
    if from_scratch:
        changes["network"] = recipe.network.model_copy(update={"encoder_weights": None})
    if minutes is not None:
        changes["minutes"] = minutes
    if seed is not None:
        changes["seed"] = seed
    stopping: dict[str, Any] = {}
    if epochs is not None:
        stopping = {"most_epochs": epochs, "least_epochs": min(recipe.stopping.least_epochs, epochs)}
    if correct_ranking:
        stopping["sanity_pass"] = False
    if stopping:
        changes["stopping"] = recipe.stopping.model_copy(update=stopping)
    return recipe.model_copy(update=changes)


def _row(recipe: PixelRecipe, row: str) -> PixelRecipe:
    """Return the recipe of another row of the published table.

    DenseNet121 starts from weights that the library puts into its first convolution by its own rule, where
    the published code fills three inputs by hand.
    """
    if recipe.layout != "l4s":
        raise UsageError("E402", f"--row belongs to the recipe l4s, not to {recipe.name}.")
    if row not in landslide4sense.ROWS:
        raise UsageError("E402", f"no row {row!r}; rows are {', '.join(landslide4sense.ROWS)}.")
    own = landslide4sense.ROWS[row]
    six = own.architecture == SIX_CHANNEL
    network = PixelNetwork(
        architecture=own.architecture,
        encoder=own.encoder,
        encoder_weights=None if six else recipe.network.encoder_weights,
        adapter=own.adapter,
        tile=recipe.network.tile,
        overlap=recipe.network.overlap,
    )
    changes: dict[str, Any] = {"name": row, "network": network}
    if six:
        stopping = recipe.stopping.model_copy(update={"monitor": "f1"})
        changes |= {"scaling": "six-channel", "loss": "bce", "stopping": stopping}
    return recipe.model_copy(update=changes)
