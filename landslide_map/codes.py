"""The meaning of every code an error or notice can carry; ``docs/error-codes.md`` is made from it."""

from __future__ import annotations

from typing import Final

CODES: Final[dict[str, str]] = {
    "E001": "scene.yaml is missing or is not YAML",
    "E002": "scene.yaml has an unknown key",
    "E003": "scene.yaml has a missing or invalid value",
    "E120": "the table of window statistics is missing or has another layout",
    "E121": "the table of window statistics has missing or infinite values",
    "E122": "the labels are not 0 and 1, or all the same",
    "E123": "the table of window statistics names a window twice",
    "E401": "the output folder holds a result already",
    "E402": "the command line asks for something that cannot be",
    "E501": "the bundle is missing or incomplete",
    "E502": "a file of the bundle does not match its hash",
    "E503": "the bundle has another format version",
    "E504": "the bundle has a model file that bundle.json does not list",
    "E505": "bundle.json is not a valid description",
    "E506": "a model file of the bundle cannot be loaded",
    "E510": "the recipe is unknown or invalid",
    "E601": "the disk is full or not writable",
}
