"""``hparams.yaml`` beside a Lightning checkpoint: its network and channels must agree with the weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from landslide_map.errors import BundleError
from landslide_map.models.published import ganerod
from landslide_map.models.segmentation.spec import CLASSES
from landslide_map.untrusted.yaml_text import YamlError, read_yaml


def check_hparams(folder: Path, setting: str, network: str) -> None:
    """Refuse a run if its ``tensorboard/**/hparams.yaml`` names other channels or another network (E521).

    Parameters
    ----------
    folder : Path
        Of the run. A file that is no plain YAML says nothing.
    setting, network : str
        What its weights are: keys of :data:`.ganerod.SETTINGS` and :data:`.ganerod.NETWORKS`.
    """
    for path in sorted(folder.glob("tensorboard/**/hparams.yaml")):
        try:
            document = read_yaml(path)
        except (OSError, YamlError):
            continue
        bands = ganerod.SETTINGS[setting]
        channels, planes = _at(document, "data", "channels"), _at(document, "model", "net", "in_channels")
        target = _at(document, "model", "net", "_target_")
        if isinstance(channels, list) and [*channels] != [*bands]:
            _refuse(path, f"data.channels {channels}", f"setting {setting}, channels {[*bands]}")
        if isinstance(planes, int) and planes != len(bands):
            _refuse(path, f"model.net.in_channels {planes}", f"setting {setting}, {len(bands)} channels")
        expected = CLASSES[ganerod.NETWORKS[network]]
        if isinstance(target, str) and target.rsplit(".", 1)[-1] != expected:
            _refuse(path, f"model.net {target}", expected)


def _at(document: Any, *keys: str) -> Any:
    """Return a value of nested mappings, or of one with dotted keys; None where there is none."""
    if isinstance(document, Mapping) and ".".join(keys) in document:
        return document[".".join(keys)]
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def _refuse(path: Path, said: str, found: str) -> None:
    raise BundleError("E521", f"{path}: says {said}; the weights beside it are of {found}. Sort the folders.")
