"""Files that appear complete, in place of an earlier one, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from landslide_map.errors import LandslideMapError, ResourceError

ADVICE: Final = "Free some space there, change its permissions, or choose another place"


@contextmanager
def whole_file(path: Path, advice: str = ADVICE, ending: str = "") -> Iterator[Path]:
    """Yield a path beside `path`; the file written there takes its place when the block ends without error.

    Its bytes are on disk before it has its name: neither a kill nor a loss of power leaves half of it. Its
    folder is made where it is missing. Until then its name has the `ending` that its writer needs.

    Raises
    ------
    ResourceError
        E601 if it cannot be written, with `advice`.
    """
    partial = path.with_name(f".{path.name}.part{ending}")
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
def folder_beside(path: Path, advice: str = ADVICE) -> Iterator[Path]:
    """Yield an empty hidden folder beside `path`, for files that come before it; it goes when the block ends.

    The finished file or folder takes its place by one rename within the block. The folder of `path` is made
    where it is missing.

    Raises
    ------
    ResourceError
        E601 if the folder cannot be made, with `advice`.
    """
    with writable(path, advice):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.stem}-", dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
