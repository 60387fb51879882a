"""Files and folders that appear complete, in place of what was there, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from landslide_map.errors import LandslideMapError, OutputExistsError, ResourceError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`; the file written there takes its place when the block ends without error.

    Its bytes are on disk before it has its name: neither a kill nor a loss of power leaves half of it.
    """
    partial = path.with_name(f".{path.name}.part")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def check_free(folder: Path, mark: str, holds: str, *, overwrite: bool) -> None:
    """Refuse a folder in which nothing must be written.

    Parameters
    ----------
    folder : Path
        May be absent or empty.
    mark : str
        Name of the file that tells a folder of the kind that may be replaced.
    holds : str
        What such a folder holds, e.g. ``a bundle``, for the refusal.
    overwrite : bool
        Whether a folder with `mark` may be replaced; no other ever is.

    Raises
    ------
    OutputExistsError
        E401.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / mark).is_file():
        raise OutputExistsError("E401", f"{folder}: exists and does not hold {holds}; choose another folder.")
    if not overwrite:
        raise OutputExistsError(
            "E401", f"{folder}: holds {holds} already; replace it with --overwrite or choose another folder."
        )


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder` that takes its place when the block ends without error.

    Raises
    ------
    ResourceError
        E601 where it cannot be written; what was there before is then there still.
    """
    stage: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        yield stage
        stage.chmod(0o755)  # mkdtemp lets nobody else in
        _take_place(stage, folder)
    except OSError as error:
        if isinstance(error, LandslideMapError):
            raise
        raise ResourceError("E601", f"{folder}: cannot be written ({error}).") from error
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)


def _take_place(stage: Path, folder: Path) -> None:
    if not folder.exists():
        stage.rename(folder)
        return
    retired = stage.with_name(stage.name + ".old")
    folder.rename(retired)
    try:
        stage.rename(folder)
    except OSError:
        retired.rename(folder)
        raise
    shutil.rmtree(retired, ignore_errors=True)
