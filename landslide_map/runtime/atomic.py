"""A file that appears complete, in place of what was there, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from landslide_map.errors import LandslideMapError, ResourceError

ADVICE: Final = "Free some space there, change its permissions, or choose another place"


@contextmanager
def whole_file(path: Path, advice: str = ADVICE) -> Iterator[Path]:
    """Yield a path beside `path`; the file written there takes its place when the block ends without error.

    Its bytes are on disk before it has its name: neither a kill nor a loss of power leaves half of it. Its
    folder is made where it is missing.

    Raises
    ------
    ResourceError
        E601 if it cannot be written, with `advice`.
    """
    partial = path.with_name(f".{path.name}.part")
    with writable(path, advice):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            with suppress(OSError):  # a disk that is read-only says so of files that are not there, too
                partial.unlink(missing_ok=True)
            raise


@contextmanager
def writable(path: Path, advice: str = ADVICE) -> Iterator[None]:
    """Turn a failure to write `path`, or the folder that it is, into E601; refusals pass."""
    try:
        yield
    except LandslideMapError:
        raise
    except OSError as error:
        why = error.strerror or error
        raise ResourceError(
            "E601", f"{path}: cannot be written ({why}). {advice}; nothing is left half-written."
        ) from error
