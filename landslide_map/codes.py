"""The meaning of every code an error or notice can carry; ``docs/error-codes.md`` is made from it."""

from __future__ import annotations

from typing import Final

CODES: Final[dict[str, str]] = {
    "E001": "scene.yaml is missing or is not YAML",
    "E002": "scene.yaml has an unknown key",
    "E003": "scene.yaml has a missing or invalid value",
    "E401": "the output folder holds a result already",
    "E402": "the command line asks for something that cannot be",
    "E501": "the bundle is missing or incomplete",
    "E502": "a file of the bundle does not match its hash",
    "E503": "the bundle has another format version",
    "E601": "the disk is full or not writable",
}
