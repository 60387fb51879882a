"""Finished files that appear in a folder together, in place of an earlier result of ours, or not at all.

A run writes into a hidden folder inside the output folder (same file system, so that a rename moves no
bytes). When everything is there, a journal lists the names. The previous result is moved aside, the new files
are moved in and the journal is removed. An error, Ctrl-C, a kill or a loss of power before that last step is
undone from the journal, at once or by the next run. Undoing moves only what the journal proves to be of that
run: by the numbers that the file system gave to the hidden folder and its files.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from landslide_map.errors import LandslideMapError, OutputExistsError, ResourceError, UsageError
from landslide_map.runtime.edit_session import refuse_edited
from landslide_map.runtime.own_files import UNKNOWN, Kind, foreign, is_unsealed, known_files, top_level

HIDDEN_PREFIX = ".landslide-map-"
"""Prefix of all temporary names in an output folder."""
STAGING_PREFIX = f"{HIDDEN_PREFIX}stage-"
_NEW, _OLD, _JOURNAL = "new", "old", "journal.json"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_DENIED = {errno.EACCES, errno.EPERM}
_NEARLY_FULL = 1 << 20
"""Free bytes below which a failed write is put down to a full disk."""
_LARGEST_JOURNAL = 16 << 20

_Mark = list[int]
"""Identity of a file or folder, also after a move: its number, and of a file size and time."""


@contextmanager
def outputs(
    out: str | os.PathLike[str],
    kind: Kind,
    *,
    overwrite: bool = False,
    obsolete: tuple[str, ...] = (),
    carried: tuple[str, ...] = (),
    left: tuple[str, ...] = (),
) -> Iterator[Path]:
    """Yield an empty folder to write into; its files move to `out` when the block ends without error.

    Parameters
    ----------
    out : path
        Output folder; created, with its parents, if absent, and removed again after a failure.
    kind : Kind
        Names the manifest and the files that such a result may consist of.
    overwrite : bool
        Replace an existing result, at the very end: what its manifest names, unchanged since. Other files are
        never touched.
    obsolete : tuple of str
        Files or folders in `out` that are of no use once the result is there: they go as it appears.
    carried : tuple of str
        Files that are replaced although a person changed them
        (:func:`~landslide_map.runtime.own_files.changed_since`): the caller writes those changes into the new
        ones. If one changes again before the end, nothing is replaced.
    left : tuple of str
        Files that stay as they are, unless they are provably ours and unchanged; the new one goes.

    Raises
    ------
    OutputExistsError
        E401, before any work: `out` holds a result and `overwrite` is false. E404, before any work and again
        at the end: a file in the way is not of a result of ours, or was changed since.
    UsageError
        E402 if `out` is not a folder. E403 if another run writes there or a file of the result is open. E405
        if an installation that a killed run began cannot be undone.
    ResourceError
        E601: the disk is full, or `out` is not writable.
    """
    out = Path(out).absolute()
    if out.exists() and not out.is_dir():
        raise UsageError("E402", f"{out} is a file; --out must name a folder. Give another name.")
    created: list[Path] = []
    try:
        _create(out, created)
        # Explained first: once the staging folder is removed, a disk that was full no longer is.
        with locked(out), _staging(out, kind, overwrite, carried, left) as (staging, seen), _explained(out):
            yield staging / _NEW
            _install(staging, out, kind, overwrite, obsolete, left, seen)
    except BaseException:
        for folder in reversed(created):
            with suppress(OSError):
                folder.rmdir()
        raise


def refuse_unfit(
    out: Path,
    kind: Kind,
    *,
    overwrite: bool,
    carried: Iterable[str] = (),
    left: Iterable[str] = (),
    staged: Iterable[str] = (),
) -> None:
    """Refuse a folder in which a result of `kind`, with the files `staged`, must not appear.

    The other parameters are those of :func:`outputs`.

    Raises
    ------
    OutputExistsError
        E401 if it holds a result and `overwrite` is false, E404 if something is in the way that is not
        provably ours.
    UsageError
        E402 if a folder has the name of a file, E403 if a file is open in another program.
    """
    names = (*kind.names, *staged, *top_level(known_files(out, kind)), kind.manifest)
    present = [name for name in dict.fromkeys(names) if os.path.lexists(out / name)]
    if folders := [name for name in present if (out / name).is_dir() and not kind.exclusive]:
        raise UsageError(
            "E402", f"{out / folders[0]} is a folder where a file belongs. Choose another --out."
        )
    if overwrite:
        _refuse_open(out, present)
    known = known_files(out, kind)
    found = _in_the_way(out, kind, present, staged)
    allowed = {*left, *(name for name in carried if name in known and not (out / name).is_symlink())}
    wrong = {name: why for name, why in found.items() if name not in allowed}
    if wrong and is_unsealed(out, kind.manifest):
        raise OutputExistsError(
            "E401" if not overwrite else "E404",
            f"{out} holds {kind.holds} of an earlier version of landslide-map ({kind.manifest} has no seal, "
            "so that nothing shows which files are its own); nothing was done. Choose another --out, or move "
            "the folder away.",
        )
    if (present or wrong) and (not overwrite or (kind.exclusive and not (out / kind.manifest).is_file())):
        _refuse_existing(out, kind, present, wrong)
    if wrong:
        raise OutputExistsError(
            "E404",
            f"{out}: {_listed(f'{name} {why}' for name, why in wrong.items())}; nothing was replaced. "
            "--overwrite replaces only files that a run wrote and that were not changed since. Move "
            "what you want to keep "
            "elsewhere, or choose another --out.",
        )


def refuse_inputs(out: Path, kind: Kind, inputs: Iterable[Path]) -> None:
    """Refuse a run with an output that is an input, or part of one (E402).

    Parameters
    ----------
    out : Path
        Output folder.
    kind : Kind
        Of the result.
    inputs : iterable of Path
        Files and folders that the run reads.
    """
    home = out.resolve()
    for path in inputs:
        real = path.resolve()
        inside = real.relative_to(home).parts[0] if home in real.parents else ""
        if inside in (*kind.names, kind.manifest) or inside.startswith(HIDDEN_PREFIX):
            raise UsageError(
                "E402",
                f"{path} is an input of this run, and an output would take its place. Choose another --out.",
            )
        if real == home or (path.is_dir() and real in home.parents):
            raise UsageError(
                "E402", f"{out} lies in {path}, which is an input of this run. Choose another --out."
            )


def refuse_unfit_file(
    path: Path, *, overwrite: bool, signs: tuple[bytes, ...], inputs: Iterable[Path | None] = ()
) -> None:
    """Refuse to write a single file, before any work.

    Parameters
    ----------
    path : Path
    overwrite : bool
        Replace an existing file that begins as files of this kind do.
    signs : tuple of bytes
        What the first 64 KiB of a file of this kind hold, one of them.
    inputs : iterable of Path
        What the run reads.

    Raises
    ------
    OutputExistsError
        E401 if it exists and `overwrite` is false, E404 if it is of another kind.
    UsageError
        E402 if it is a folder or an input of the run.
    """
    if path.is_dir():
        raise UsageError("E402", f"{path} is a folder; --out must name a file.")
    if not path.exists():
        return
    if any(own is not None and own.exists() and path.samefile(own) for own in inputs):
        raise UsageError("E402", f"{path} is an input of this run. Choose another --out.")
    if not overwrite:
        raise OutputExistsError(
            "E401",
            f"{path} exists already; nothing was done. Choose another --out, or replace it with --overwrite.",
        )
    beginning = b""
    if path.is_file():
        with path.open("rb") as file:
            beginning = file.read(1 << 16)
    if not any(sign in beginning for sign in signs):
        raise OutputExistsError(
            "E404",
            f"{path} {UNKNOWN} that writes such files: --overwrite does not replace it. Move it elsewhere, "
            "or choose another --out.",
        )


def _in_the_way(out: Path, kind: Kind, present: Iterable[str], staged: Iterable[str]) -> dict[str, str]:
    """Return the files in `out` that must not be replaced: name -> reason."""
    known = top_level(known_files(out, kind))
    unknown = {name: UNKNOWN for name in present if name in staged and name not in known}
    found = unknown | foreign(out, kind)
    return {name: why for name, why in found.items() if not name.startswith(STAGING_PREFIX)}


def _refuse_existing(out: Path, kind: Kind, present: list[str], wrong: Mapping[str, str]) -> None:
    if kind.exclusive and not (out / kind.manifest).is_file():
        raise OutputExistsError(
            "E401", f"{out}: exists and does not hold {kind.holds}; choose another folder."
        )
    advice = "or replace the result with --overwrite"
    if wrong:
        advice = f"as --overwrite would not replace {_listed(wrong)}: not as a run wrote it"
    raise OutputExistsError(
        "E401", f"{out} holds {_listed(present)} already; nothing was done. Choose another --out, {advice}."
    )


def _refuse_open(out: Path, present: list[str]) -> None:
    for name in present:
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


def _listed(names: Iterable[str], shown: int = 8) -> str:
    found = list(names)
    more = f" and {len(found) - shown} more" if len(found) > shown else ""
    return ", ".join(found[:shown]) + more


def _create(out: Path, created: list[Path]) -> None:
    """Create `out` and its missing parents, and list them in `created`, outermost first."""
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
def locked(out: Path) -> Iterator[None]:
    """Lock `out` for this process, E403 if another one has it; the lock ends with the process."""
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
            pass  # some network file systems have no locks: there, the user must prevent two runs at once
        yield
    finally:
        os.close(handle)


@contextmanager
def _staging(
    out: Path, kind: Kind, overwrite: bool, carried: tuple[str, ...], left: tuple[str, ...]
) -> Iterator[tuple[Path, dict[str, _Mark]]]:
    """Remove files of killed runs, check that `out` may be written, and yield a fresh staging folder.

    Beside it come the marks of the files that are `carried`.
    """
    with _explained(out):
        for leftover in sorted(out.glob(STAGING_PREFIX + "*")):
            _discard(leftover, out)
        refuse_unfit(out, kind, overwrite=overwrite, carried=carried, left=left)
        seen = {name: _mark(out / name) for name in carried}
        staging = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=out))
    try:
        with _explained(out):
            (staging / _NEW).mkdir()
            (staging / _OLD).mkdir()
        yield staging, seen
    finally:
        _discard(staging, out)


def _install(
    staging: Path,
    out: Path,
    kind: Kind,
    overwrite: bool,
    obsolete: tuple[str, ...],
    left: tuple[str, ...],
    seen: Mapping[str, _Mark],
) -> None:
    """Move the staged files to `out`, the manifest last, the previous result's manifest away first."""
    staged = sorted((path.name for path in (staging / _NEW).iterdir()), key=_manifest_last(kind))
    refuse_unfit(out, kind, overwrite=overwrite, carried=seen, left=left, staged=staged)
    _refuse_changed_again(out, seen)
    stay = {name for name in foreign(out, kind) if name in left}
    staged = [name for name in staged if name not in stay]
    previous = (*kind.names, kind.manifest, *staged, *known_files(out, kind))
    aside = [n for n in top_level(previous) if n not in stay and os.path.lexists(out / n)]
    aside = [*sorted(aside, key=_manifest_last(kind), reverse=True), *obsolete]
    _flush_all(staging / _NEW)
    journal = {
        "stage": _mark(staging),
        "aside": aside,
        "staged": {n: _mark(staging / _NEW / n) for n in staged},
    }
    partial = (staging / _JOURNAL).with_suffix(".tmp")
    partial.write_text(json.dumps(journal), encoding="utf-8")
    _flush(partial)
    partial.replace(staging / _JOURNAL)
    _flush(staging)
    for name in aside:
        with suppress(FileNotFoundError):
            (out / name).replace(staging / _OLD / name)
    for name in staged:
        (staging / _NEW / name).replace(out / name)
    _flush(out)
    (staging / _JOURNAL).unlink()


def _refuse_changed_again(out: Path, seen: Mapping[str, _Mark]) -> None:
    for name, mark in seen.items():
        if _mark(out / name) != mark:
            raise OutputExistsError(
                "E404",
                f"{out / name} was changed while the run worked, and these changes are not in the new one; "
                "nothing was replaced. Save your work there and run the same command again.",
            )


def _discard(staging: Path, out: Path) -> None:
    """Undo an installation that did not finish, then remove the staging folder; may itself be interrupted.

    Raises
    ------
    UsageError
        E405 if it cannot be undone; everything is then where it was.
    """
    if staging.is_symlink() or not staging.is_dir():
        return  # only what looks like a staging folder: no run made this
    if os.path.lexists(staging / _JOURNAL):
        _undo(staging, out, _read_journal(staging))
        (staging / _JOURNAL).unlink()
    shutil.rmtree(staging, ignore_errors=True)


def _undo(staging: Path, out: Path, journal: Mapping[str, Any]) -> None:
    moved_in = [n for n in journal["staged"] if not os.path.lexists(staging / _NEW / n)]
    own = [name for name in moved_in if _mark(out / name) == journal["staged"][name]]
    moved_aside = [name for name in journal["aside"] if os.path.lexists(staging / _OLD / name)]
    blocked = [name for name in moved_aside if os.path.lexists(out / name) and name not in own]
    if blocked:
        raise _not_undone(staging, f"{_listed(blocked)} in {out} is of neither")
    for name in own:
        (out / name).rename(staging / _NEW / name)
    for name in reversed(moved_aside):
        (staging / _OLD / name).rename(out / name)


def _read_journal(staging: Path) -> dict[str, Any]:
    """Return the journal of a staging folder if this very folder is the one it was written for."""
    path = staging / _JOURNAL
    try:
        if not stat.S_ISREG(path.lstat().st_mode) or path.stat().st_size > _LARGEST_JOURNAL:
            raise ValueError("it is no file that a run wrote")
        journal: dict[str, Any] = json.loads(path.read_bytes())
        names = (*journal["aside"], *journal["staged"])
        if any(name in ("", ".", "..") or Path(name).name != name for name in names):
            raise ValueError("it names files elsewhere")
        if journal["stage"] != _mark(staging):
            raise ValueError("it was written for another folder, or this one was copied")
        if any((staging / part).is_symlink() for part in (_NEW, _OLD)):
            raise ValueError("a folder in it is a link")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _not_undone(staging, f"{_JOURNAL} there: {error}") from None
    return journal


def _not_undone(staging: Path, why: str) -> UsageError:
    return UsageError(
        "E405",
        f"{staging} is from a run that was killed while it put its files in place, and it cannot be undone "
        f"safely ({why}). Its folder {_OLD} holds files of the previous result, {_NEW} of the new "
        "one. Move back what you want to keep, remove the folder and run the command again; or choose "
        "another --out.",
    )


def _mark(path: Path) -> _Mark:
    """Return the identity of a file or folder; a rename keeps it, a copy has another."""
    try:
        status = path.lstat()
    except OSError:
        return []
    if stat.S_ISREG(status.st_mode):
        return [status.st_ino, status.st_size, status.st_mtime_ns]
    return [status.st_ino, stat.S_IFMT(status.st_mode)]


def _flush_all(folder: Path) -> None:
    for where, _, files in os.walk(folder):
        for name in files:
            _flush(Path(where, name))
        _flush(Path(where))


def _flush(path: Path) -> None:
    """Have the bytes of a file, or the names in a folder, on disk."""
    if sys.platform == "win32" and path.is_dir():
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot flush a folder
            raise
    finally:
        os.close(handle)


def _manifest_last(kind: Kind) -> Callable[[str], tuple[bool, str]]:
    return lambda name: (name == kind.manifest, name)


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
        elif number is not None and STAGING_PREFIX in where:
            reason, advice = "it cannot be written", "Choose another --out"
        else:
            raise
        raise ResourceError(
            "E601", f"{out}: {reason} ({error}). {advice}; nothing was left half-written."
        ) from error


def _nearly_full(out: Path) -> bool:
    existing = next(folder for folder in (out, *out.parents) if folder.exists())
    return shutil.disk_usage(existing).free < _NEARLY_FULL
