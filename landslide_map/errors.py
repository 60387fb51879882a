"""Errors and notices, each with a code.

Every refusal is a :class:`LandslideMapError` with a documented code (``docs/error-codes.md``)
and the exit status of the command line. What does not stop a run but changes how its result
must be read is a :class:`Notice`: plain data that ``check`` prints and ``run.json`` keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class LandslideMapError(Exception):
    """Base of every refusal; `code` is documented, `exit_status` is what the command returns.

    The message has what was found, what was expected, where, and what to do.
    """

    exit_status = 1

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def __reduce__(self) -> tuple[type[LandslideMapError], tuple[str, str]]:
        return type(self), (self.code, self.message)  # survives a process boundary


class UsageError(LandslideMapError, ValueError):
    """The command or call itself is wrong (exit 2)."""

    exit_status = 2


class SceneError(LandslideMapError, ValueError):
    """``scene.yaml`` is wrong (exit 3)."""

    exit_status = 3


class InputError(LandslideMapError, ValueError):
    """A file does not hold what the scene declares, or cannot be used (exit 4)."""

    exit_status = 4


class BundleError(LandslideMapError, ValueError):
    """A model bundle is missing, changed or of another format (exit 5)."""

    exit_status = 5


class ResourceError(LandslideMapError, OSError):
    """Disk, memory or device is not enough (exit 6)."""

    exit_status = 6


class SearchError(LandslideMapError, OSError):
    """A catalogue or a download fails, or no image of the event can be had (exit 7)."""

    exit_status = 7


class OutputExistsError(UsageError, FileExistsError):
    """The output folder holds a result already and ``--overwrite`` was not given (exit 2)."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user must know although the run goes on."""

    code: str
    """Documented code, ``W...`` (read the result with care) or ``I...`` (for information)."""
    message: str
    """One sentence: finding, place and meaning."""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@contextmanager
def optional_packages(needing: str, extra: str) -> Iterator[None]:
    """Turn the absence of a package in a block into E612.

    Parameters
    ----------
    needing : str
        Subject and verb, such as ``a search needs``.
    extra : str
        Extra of this package that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ResourceError(
            "E612",
            f"{needing} the package {error.name!r}, which is not installed. "
            f"Install it with: pip install 'landslide-map[{extra}]'",
        ) from error
