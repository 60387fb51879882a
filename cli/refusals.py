"""Exit status and message of a command that fails: one code, one sentence, never a traceback."""

from __future__ import annotations

import errno
import os
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from landslide_map.errors import LandslideMapError

from .signals import was_stopped

INTERRUPTED = 130
_EXTRAS: Final = {
    "torch": "networks",
    "timm": "networks",
    "safetensors": "networks",
    "joblib": "pickles",
    "sklearn": "pickles",
    "matplotlib": "report",
    "distributed": "cluster",
    "pyarrow": "formats",
    "starlette": "view",
    "uvicorn": "view",
    "segmentation_models_pytorch": "networks",
    "h5py": "networks",
}
"""Optional package -> extra of ours that brings it."""
_NOT_WRITABLE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Code, message and exit status of an error."""

    exit_status: int
    code: str | None
    """Code as in ``docs/error-codes.md``; None for an invalid command line and an interrupted command."""
    message: str

    def __str__(self) -> str:
        return self.message if self.code is None else f"error {self.code}: {self.message}"


def refusal_of(error: BaseException) -> Refusal:
    """Return exit status, code and message of any error."""
    if isinstance(error, click.ClickException):
        return Refusal(error.exit_code, None, error.format_message())
    if isinstance(error, KeyboardInterrupt | click.Abort):
        stop = error.__cause__ if isinstance(error, click.Abort) else error  # click turns Ctrl-C into Abort
        # A command that keeps something adds a message; what all commands write is whole or not there.
        kept = str(stop or "")
        return Refusal(INTERRUPTED, None, f"interrupted: {kept or 'nothing is left half-written'}")
    if isinstance(error, LandslideMapError):
        return Refusal(error.exit_status, error.code, error.message)
    if isinstance(error, ModuleNotFoundError) and (extra := _EXTRAS.get((error.name or "").split(".")[0])):
        return Refusal(
            6,
            "E612",
            f"this command needs the package {error.name!r}, which is not installed. "
            f"Install it with: pip install 'landslide-map[{extra}]'",
        )
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return Refusal(6, "E602", "out of memory; close other programs or map a smaller area (grid: aoi)")
    if isinstance(error, OSError) and error.errno in _NOT_WRITABLE:
        where = error.filename or "standard output"
        return Refusal(
            6,
            "E601",
            f"{where}: cannot be written ({error.strerror}). Free some space there, change its permissions, "
            "or choose another place.",
        )
    if isinstance(error, PermissionError):
        advice = "Change its permissions, or give another path"
        return Refusal(6, "E601", f"{error.filename or 'a file'}: {error.strerror}. {advice}.")
    if was_stopped():
        return refusal_of(KeyboardInterrupt())
    return _of_a_bug(error)


def _of_a_bug(error: BaseException) -> Refusal:
    if os.environ.get("LANDSLIDE_MAP_TRACEBACK"):
        traceback.print_exception(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    return Refusal(
        1,
        "E999",
        f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}: {error}. "
        "This is a bug in landslide-map: please report it, with the output of the same command run with "
        "LANDSLIDE_MAP_TRACEBACK=1 in the environment",
    )
