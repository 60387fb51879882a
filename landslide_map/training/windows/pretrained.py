"""Starting weights of encoders: timm's hub, files, or random numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from landslide_map.errors import BundleError, ResourceError, UsageError

_ENDINGS: Final = (".safetensors", ".pt", ".pth", ".bin")


def starting_weights(
    encoders: Iterable[str], folder: str | PathLike[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return, for each encoder, the options of ``timm.create_model`` that give it pretrained weights.

    Everything is fetched or read here, before any training.

    Parameters
    ----------
    encoders : iterable of str
        timm names, with the tag of their weights.
    folder : path, optional
        Holds ``<name>.safetensors`` (or a state dict ``.pt``, ``.pth``, ``.bin``) or
        ``<name>/model.safetensors``, or is a Hugging Face cache. Without it timm looks in its own cache and
        then on its hub.

    Raises
    ------
    ResourceError
        E620 if the hub cannot be reached and nothing is cached.
    BundleError
        E530 if `folder` lacks the weights of an encoder, or they do not fit it.
    UsageError
        E402 if `folder` is none.
    """
    names = sorted(set(encoders))
    if folder is None:
        return {name: _from_hub(name) for name in names}
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError("E402", f"--weights {folder}: no such folder; expected one with encoders' weights.")
    found = {name: next(_candidates(folder, name), None) for name in names}
    if missing := [name for name, path in found.items() if path is None]:
        raise BundleError(
            "E530",
            f"{folder}: no weights of {missing[0]} ({len(missing)} of {len(names)} encoders are missing). "
            f"Expected {missing[0]}.safetensors or {missing[0]}/model.safetensors; download it from "
            f"https://huggingface.co/timm/{missing[0]}",
        )
    return {name: _from_file(name, path) for name, path in found.items() if path is not None}


def _candidates(folder: Path, name: str) -> Iterator[Path]:
    for ending in _ENDINGS:
        yield from (path for path in (folder / f"{name}{ending}",) if path.is_file())
    for inside in (folder / name, *sorted(folder.glob(f"models--timm--{name}/snapshots/*"))):
        for file in ("model.safetensors", "pytorch_model.bin"):
            yield from (path for path in (inside / file,) if path.is_file())


def _from_file(name: str, path: Path) -> dict[str, Any]:
    options = {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": _state_dict(path)}}
    _try(name, options, str(path))
    return options


def _state_dict(path: Path) -> Mapping[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and pickle raise almost anything on a file that is not theirs
        raise BundleError(
            "E530", f"{path}: cannot be read as tensors ({_first_line(error)}). Download it again."
        ) from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise BundleError("E530", f"{path}: is no state dict (names and tensors) of an encoder.")
    return state


def _try(name: str, options: Mapping[str, Any], where: str) -> None:
    """Load the weights once into timm's own network, where they must fit exactly."""
    try:
        timm.create_model(name, **options)
    except (RuntimeError, SafetensorError, KeyError, ValueError) as error:
        raise BundleError(
            "E530", f"{where}: these are not the weights of {name} ({_first_line(error)})."
        ) from None


def _from_hub(name: str) -> dict[str, Any]:
    options: dict[str, Any] = {"pretrained": True}
    try:
        timm.create_model(name, **options)
    except Exception as error:  # every layer of the hub's client has its own
        raise ResourceError(
            "E620",
            f"the pretrained weights of {name} cannot be fetched ({type(error).__name__}: "
            f"{_first_line(error)}). Without network, download them elsewhere and name their folder with "
            "--weights; or train without them, which gives much worse networks, with --from-scratch.",
        ) from None
    return options


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
