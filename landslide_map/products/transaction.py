"""Finished files appear together or not at all.

A run writes into a hidden folder inside the output folder (same file system, so that a rename moves no
bytes). When everything is there, a journal lists the names, the previous result is moved aside, the new
files are moved in and the journal is removed. Whatever happens before that last step - an error, Ctrl-C, a
kill - is undone, at once or by the next run, from the journal.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from landslide_map.errors import LandslideMapError, OutputExistsError, ResourceError, UsageError
from landslide_map.products import FILES, MANIFEST, PROJECT
from landslide_map.products.edit_session import refuse_edited
from landslide_map.products.saved_project import saved_by_person

STAGE_PREFIX = ".landslide-map-stage-"
_NEW, _OLD, _JOURNAL = "new", "old", "journal.json"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_DENIED = {errno.EACCES, errno.EPERM}
_NEARLY_FULL = 1 << 20
"""Free bytes below which a failed write is put down to a full disk."""


@contextmanager
def outputs(
    out: str | os.PathLike[str],
    overwrite: bool = False,
    names: tuple[str, ...] = FILES,
    obsolete: tuple[str, ...] = (),
) -> Iterator[Path]:
    """Yield an empty folder to write into; its files move to `out` when the block ends without error.

    Parameters
    ----------
    out : path
        Output folder; created, with its parents, if absent, and removed again if nothing comes of it.
    overwrite : bool
        Replace an existing result, at the very end. Files whose names are not in `names`
        and that the run did not write are never touched.
    names : tuple of str
        Every file that such a result may consist of.
    obsolete : tuple of str
        Files or folders in `out` that are of no use once the result is there: they go as it appears.

    Raises
    ------
    OutputExistsError
        E401, before any work: `out` holds a result and `overwrite` is false.
    UsageError
        E402 if `out` is not a folder; E403 if another run writes there or a file of the result is open.
    ResourceError
        E601: the disk is full, or `out` is not writable.
    """
    out = Path(out).absolute()
    if out.exists() and not out.is_dir():
        raise UsageError("E402", f"{out} is a file; --out must name a folder. Give another name.")
    created: list[Path] = []
    try:
        _create(out, created)
        # Explained first: once the stage is removed, a disk that was full no longer is.
        with _locked(out), _stage(out, overwrite, names) as stage, _explained(out):
            yield stage / _NEW
            _install(stage, out, overwrite, names, obsolete)
    except BaseException:
        for folder in reversed(created):
            with suppress(OSError):
                folder.rmdir()
        raise


def _create(out: Path, created: list[Path]) -> None:
    """Create `out` and its missing parents, noting in `created` what was made, outermost first."""
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    for folder in reversed(missing):
        try:
            folder.mkdir()
        except OSError as error:
            raise ResourceError(
                "E601", f"{folder} cannot be created ({error.strerror}). Choose another --out."
            ) from error
        created.append(folder)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold `out` for this run; the lock goes with the process, however it ends."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                "E403", f"{out}: another run is writing to this folder. Wait for it, or choose another --out."
            ) from None
        except OSError:
            pass  # some network file systems have no locks: two runs at once are then the user's care
        yield
    finally:
        os.close(handle)


@contextmanager
def _stage(out: Path, overwrite: bool, names: tuple[str, ...]) -> Iterator[Path]:
    """Clear what killed runs left, check that `out` may be written, and yield a fresh stage."""
    with _explained(out):
        for leftover in sorted(out.glob(STAGE_PREFIX + "*")):
            _discard(leftover, out)
        _refuse_unfit(out, names, overwrite)
        stage = Path(tempfile.mkdtemp(prefix=STAGE_PREFIX, dir=out))
    try:
        with _explained(out):
            (stage / _NEW).mkdir()
            (stage / _OLD).mkdir()
        yield stage
    finally:
        _discard(stage, out)


def _refuse_unfit(out: Path, names: tuple[str, ...], overwrite: bool) -> None:
    """Refuse an existing result without `overwrite`, and one that another program has open."""
    present = [name for name in names if os.path.lexists(out / name)]
    if present and not overwrite:
        raise OutputExistsError(
            "E401",
            f"{out} holds {', '.join(present)} already; nothing was done."
            " Choose another --out, or replace the result with --overwrite.",
        )
    for name in present:
        if (out / name).is_dir():
            raise UsageError("E402", f"{out / name} is a folder where a file belongs. Choose another --out.")
        if name.endswith(".gpkg"):
            refuse_edited(out / name)
        # SQLite would apply another database's write-ahead log to the new file and corrupt it.
        side_files = [name + suffix for suffix in ("-wal", "-shm", "-journal")]
        held = [side for side in side_files if (out / side).exists()]
        if held:
            raise UsageError(
                "E403",
                f"{out / name} is open in another program ({held[0]} exists, left by QGIS for example)."
                " Close it there, or choose another --out.",
            )


def _install(
    stage: Path, out: Path, overwrite: bool, names: tuple[str, ...], obsolete: tuple[str, ...]
) -> None:
    """Move the staged files to `out`, the manifest last, the previous result's manifest away first."""
    staged = sorted((path.name for path in (stage / _NEW).iterdir()), key=_manifest_last)
    names = tuple(dict.fromkeys((*names, *staged)))
    _refuse_unfit(out, names, overwrite)
    if saved_by_person(out / PROJECT):
        names = tuple(name for name in names if name != PROJECT)
        staged = [name for name in staged if name != PROJECT]
    journal = stage / _JOURNAL
    partial = journal.with_suffix(".tmp")
    partial.write_text(json.dumps(staged), encoding="utf-8")
    partial.replace(journal)
    for name in (*sorted(names, key=_manifest_last, reverse=True), *obsolete):
        with suppress(FileNotFoundError):
            (out / name).replace(stage / _OLD / name)
    for name in staged:
        (stage / _NEW / name).replace(out / name)
    journal.unlink()


def _discard(stage: Path, out: Path) -> None:
    """Undo an installation that did not finish, then remove the stage; may itself be interrupted."""
    journal = stage / _JOURNAL
    if journal.exists():
        for name in json.loads(journal.read_text(encoding="utf-8")):
            if not (stage / _NEW / name).exists():
                (out / name).replace(stage / _NEW / name)
        for name in sorted((path.name for path in (stage / _OLD).iterdir()), key=_manifest_last):
            (stage / _OLD / name).replace(out / name)
        journal.unlink()
    shutil.rmtree(stage, ignore_errors=True)


def _manifest_last(name: str) -> tuple[bool, str]:
    return name == MANIFEST, name


@contextmanager
def _explained(out: Path) -> Iterator[None]:
    """Turn a failure to write below `out` into E601; libraries name a full disk in many ways."""
    try:
        yield
    except LandslideMapError:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        where = str(getattr(error, "filename", None) or "")
        if number in _FULL or _nearly_full(out):
            reason, advice = "the disk is full or read-only", "Free some space or choose another --out"
        elif number in _DENIED and where.startswith(str(out)):
            reason, advice = "the folder is not writable", "Change its permissions or choose another --out"
        else:
            raise
        raise ResourceError(
            "E601", f"{out}: {reason} ({error}). {advice}; nothing was left half-written."
        ) from error


def _nearly_full(out: Path) -> bool:
    existing = next(folder for folder in (out, *out.parents) if folder.exists())
    return shutil.disk_usage(existing).free < _NEARLY_FULL
