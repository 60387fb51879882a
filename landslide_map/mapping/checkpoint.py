"""Checkpoint of a run: finished rows of blocks on disk, from which a killed run resumes.

A hidden folder in the output folder holds one file per finished row, and beside it its pixels for display.
The name of a file has a hash of its content, and of the run's identity
(:mod:`landslide_map.mapping.identity`). So a torn or changed file, or one of another run, is never taken for
this run's. The folder goes as the result appears (:mod:`landslide_map.runtime.transaction`).
"""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any, Final
from zipfile import ZIP_STORED

import numpy as np

from landslide_map._version import __version__
from landslide_map.delineation.pixels import Strip
from landslide_map.errors import LandslideMapError, Notice, ResourceError, UsageError
from landslide_map.inference.rows import RowPredictor, RowResult, Tick
from landslide_map.mapping.identity import InputFiles, differences
from landslide_map.runtime.atomic import whole_file, writable
from landslide_map.untrusted.arrays import ARRAY_ERRORS
from landslide_map.untrusted.files import read_bytes
from landslide_map.untrusted.json_text import read_json
from landslide_map.window_record import WindowRecord

FOLDER: Final = ".landslide-map-journal"
FORMAT_VERSION: Final = 6
_DOCUMENT: Final = "journal.json"
_ROWS: Final = "row-*.npz"
_OWN_NAME: Final = re.compile(
    r"\.?(journal\.json|row-\d+-[0-9a-f]{64}\.npz|(after|before|descending|ascending)-\d+-[0-9a-f]{64}\.tif)(\.part)?"
)
_MOST_BYTES: Final = 8 * 2**30
"""Greatest size of a file of a row: a row of blocks of the largest grid."""
_AFRESH: Final = "start afresh with --overwrite, or choose another --out."


class Checkpoint:
    """The rows of blocks that runs of one identity have finished in one output folder.

    Parameters
    ----------
    out : path
        Output folder; nothing is written there before the first row is kept.
    identity : mapping
        As from :func:`landslide_map.mapping.identity.run_identity`.
    total : int
        Rows of blocks in all.
    overwrite : bool
        Throw away what is there, unless it was begun with `overwrite` too by a run of the same identity: the
        same command always goes on.
    notices : list of Notice, optional
        Collects what happened to rows that were found.

    Raises
    ------
    UsageError
        E410 if it holds rows of another run, E411 of another version of the software, E412 if it cannot be
        read.
    """

    def __init__(
        self,
        out: str | PathLike[str],
        identity: Mapping[str, Any],
        total: int,
        *,
        overwrite: bool = False,
        notices: list[Notice] | None = None,
    ) -> None:
        self.folder = _folder(out)
        self.notices = [] if notices is None else notices
        """Notices about rows that were found."""
        self.counts = {"predicted": 0, "resumed": 0}
        """Rows of blocks, once they are completed."""
        self._display: dict[int, Mapping[str, Path]] = {}
        """Row of blocks -> files of its pixels for display, by name."""
        self._document: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "software": __version__,
            "rows_of_blocks": total,
            "overwrite": overwrite,
            "identity": dict(identity),
            "identity_sha256": _hash(identity).hex(),
        }
        _refuse_foreign(self.folder)
        if not _goes_on(self.folder, self._document):
            shutil.rmtree(self.folder, ignore_errors=True)

    def completed(
        self, predictor: RowPredictor, block_rows: Sequence[int], tick: Tick, files: InputFiles
    ) -> Iterator[RowResult]:
        """Yield all rows of blocks: first those on disk, then the others, each predicted and saved.

        Raises
        ------
        LandslideMapError
            E111 if one of `files` was changed, E601 if a row cannot be kept, and whatever `predictor` raises.
        """
        finished = self._rows()
        for row in finished:
            tick(len(row.record.probability))
            yield row
        done = {row.block_row for row in finished}
        missing = [number for number in block_rows if number not in done]
        self.counts = {"predicted": len(missing), "resumed": len(finished)}
        for row in predictor(missing, tick):
            files.refuse_changed()
            self._keep(row)
            yield replace(row, strip=None, display={})

    @property
    def display(self) -> dict[str, list[Path]]:
        """Files of the pixels for display of the rows completed, from the top downwards, by name."""
        rows = [self._display[number] for number in sorted(self._display)]
        return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}

    def strips(self) -> Iterator[Strip]:
        """Yield the pixels kept for outlines of every row of blocks, from the top downwards.

        Raises
        ------
        ResourceError
            E601 if a row that was kept is not there any more.
        """
        for path in sorted(self.folder.glob(_ROWS)):
            row = self._read(path)
            if row is None:
                raise ResourceError(
                    "E601", f"{path} does not read back as it was written. Run the same command again."
                )
            if row.strip is not None:
                yield row.strip

    def _rows(self) -> list[RowResult]:
        """Return the finished rows of blocks; a changed file is removed."""
        found = []
        for path in sorted(self.folder.glob(_ROWS)):
            row = self._read(path)
            if row is None or not self._has_display(row):
                path.unlink()
                self.notices.append(
                    Notice("W410", f"{path} was damaged on disk: its row of blocks was predicted again")
                )
            else:
                found.append(replace(row, strip=None, display={}))
        if found:
            total = self._document["rows_of_blocks"]
            self.notices.append(
                Notice("I410", f"{len(found)} of {total} rows of blocks were taken from an interrupted run")
            )
        return found

    def _keep(self, row: RowResult) -> None:
        """Put a finished row on disk, whole or not at all.

        Raises
        ------
        ResourceError
            E601 if it cannot be written.
        """
        display = {
            self.folder / f"{name}-{row.block_row:05}-{self._digest(content)}.tif": (name, content)
            for name, content in row.display.items()
        }
        self._display[row.block_row] = {name: path for path, (name, _) in display.items()}
        names = {name: path.name.encode() for path, (name, _) in display.items()}
        content = _packed(replace(row, display=names))
        document = self.folder / _DOCUMENT
        with writable(self.folder, "Free disk space, or choose another --out"):
            self.folder.mkdir(exist_ok=True)
            if not document.exists():
                with whole_file(document) as path:
                    path.write_text(json.dumps(self._document, indent=1) + "\n", encoding="utf-8")
            for path, (_, shown) in display.items():
                path.write_bytes(shown)  # compared with its name before it is used again
            with whole_file(self.folder / f"row-{row.block_row:05}-{self._digest(content)}.npz") as path:
                path.write_bytes(content)

    def _has_display(self, row: RowResult) -> bool:
        """Whether a row's pixels for display are as they were written; note their files."""
        paths = {name: self.folder / Path(file.decode()).name for name, file in row.display.items()}
        try:
            contents = ((path, read_bytes(path, _MOST_BYTES)) for path in paths.values())
            whole = all(path.stem.endswith(self._digest(content)) for path, content in contents)
        except (OSError, ValueError):
            return False
        self._display[row.block_row] = paths
        return whole

    def _read(self, path: Path) -> RowResult | None:
        try:
            content = read_bytes(path, _MOST_BYTES)
            if not path.stem.endswith(self._digest(content)):
                return None
            return _unpacked(content)
        except (*ARRAY_ERRORS, AttributeError, IndexError):
            return None

    def _digest(self, content: bytes) -> str:
        return sha256(_hash(self._document["identity"]) + content).hexdigest()


@contextmanager
def report_checkpoint_on_error(out: str | PathLike[str]) -> Iterator[None]:
    """Report the kept work in an interruption or refusal that ends a run."""
    try:
        yield
    except UsageError:
        raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_kept(_folder(out))) from None
    except LandslideMapError as error:
        if kept := _kept(_folder(out)):
            raise type(error)(error.code, f"{error.message} {kept}.") from error
        raise


def _folder(out: str | PathLike[str]) -> Path:
    return Path(out).absolute() / FOLDER


def _kept(folder: Path) -> str:
    """Say how much of a run is kept; nothing if nothing is."""
    count = len(list(folder.glob(_ROWS)))
    try:
        total = read_json(folder / _DOCUMENT)["rows_of_blocks"]
    except (OSError, ValueError, LookupError, TypeError):
        return ""
    return (
        f"{count} of {total} rows of blocks are kept in {folder}; the same command continues" if count else ""
    )


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder with anything that no run writes there: it goes, whole, as the result appears."""
    found = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    foreign = sorted(name for name in found if not _OWN_NAME.fullmatch(name))
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        foreign = ["is no folder of a run"]
    if foreign:
        raise UsageError(
            "E412",
            f"{folder} is where finished rows of blocks are kept, but no run made all of it "
            f"({', '.join(foreign[:5])}). Move that elsewhere, or choose another --out.",
        )


def _goes_on(folder: Path, document: Mapping[str, Any]) -> bool:
    """Whether the rows in `folder` are of the run that `document` describes; a refusal if of another."""
    if not any(folder.glob(_ROWS)):
        return False
    try:
        begun = _read_document(folder / _DOCUMENT)
        _refuse_another(folder, begun, document)
    except UsageError:
        if document["overwrite"]:
            return False
        raise
    return not document["overwrite"] or begun["overwrite"] is True


def _read_document(path: Path) -> dict[str, Any]:
    try:
        begun: dict[str, Any] = read_json(path)
        version, software = begun["format_version"], begun["software"]
        if (version, software) == (FORMAT_VERSION, __version__) and (
            begun["identity_sha256"] != _hash(begun["identity"]).hex()
        ):
            raise ValueError("it was changed")
        if (version, software) == (FORMAT_VERSION, __version__):
            _ = begun["overwrite"], int(begun["rows_of_blocks"])  # read later
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(
            "E412",
            f"{path} cannot be read ({error}), and the finished rows of blocks beside it are of no use "
            f"without it. Restore it, {_AFRESH}",
        ) from None
    if (version, software) != (FORMAT_VERSION, __version__):
        raise UsageError(
            "E411",
            f"{path.parent} was written by landslide-map {software} (checkpoint format {version}); rows of "
            f"blocks of this version {__version__} (format {FORMAT_VERSION}) may differ. Finish the run with "
            f"the version that began it, {_AFRESH}",
        )
    return begun


def _refuse_another(folder: Path, begun: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    if begun["identity"] != document["identity"]:
        raise UsageError(
            "E410",
            f"{folder} keeps finished rows of blocks of another run: "
            f"{differences(begun['identity'], document['identity'])}. Finish that run as it was begun, "
            f"{_AFRESH}",
        )


def _hash(identity: Mapping[str, Any]) -> bytes:
    return sha256(json.dumps(identity, sort_keys=True).encode()).digest()


def _packed(row: RowResult) -> bytes:
    """Return the bytes of a row: every array of its record, whatever they are, and all others by name.

    Of its pixels for display the names of their files, which :func:`_unpacked` returns in their place.
    """
    parts: dict[str, dict[str, Any]] = {"record": row.record.arrays(), "sample": row.sample}
    if row.strip is not None:
        parts["strip"] = {name: getattr(row.strip, name) for name in ("starts", "cols", "codes", "match")}
        parts["strip"] |= {"top": np.array(row.strip.top), "layers": np.array(row.strip.layers)}
        parts["cells"] = dict(row.strip.cells)
    parts["display"] = {name: np.array(file.decode()) for name, file in row.display.items()}
    present = {f"{kind}.{name}": values for kind, arrays in parts.items() for name, values in arrays.items()}
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, block_row=np.array(row.block_row), **present)
    return file.getvalue()


def _unpacked(content: bytes) -> RowResult:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        if any(member.compress_type != ZIP_STORED for member in arrays.zip.infolist()):
            raise ValueError("no run packs its rows")  # a few bytes could stand for gigabytes
        kinds = ("record", "sample", "strip", "cells", "display")
        parts: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
        for name in arrays.files:
            kind, _, key = name.partition(".")
            if key:
                parts[kind][key] = arrays[name]
        kept, cells = parts["strip"], parts["cells"]
        strip = None
        if kept:
            top, layers = int(kept.pop("top")), tuple(str(name) for name in kept.pop("layers"))
            strip = Strip(top=top, layers=layers, cells=cells, **kept)
        record = WindowRecord.of_arrays(parts["record"])
        display = {name: str(file).encode() for name, file in parts["display"].items()}
        return RowResult(int(arrays["block_row"]), record, parts["sample"], strip, display)
