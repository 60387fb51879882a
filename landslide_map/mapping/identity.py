"""Identity of a run, as plain JSON: runs with the same identity may share finished rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from hashlib import sha256
from os import SEEK_END
from pathlib import Path
from typing import Any, Final

from landslide_map.errors import InputError
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping.file_hashes import (
    HEADER_BYTES,
    every_file,
    input_identities,
    input_identity,
    versions,
)
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.bundle.options import PLACEMENT, PredictionOptions, placed_on
from landslide_map.raster.source_files import source_files
from landslide_map.runtime.own_files import file_record
from landslide_map.scene.model import Scene

HASHED_WHOLE: Final = 16 << 20
"""Bytes up to which a file is identified by its content; hashing larger ones would cost as much as reading
them."""
_SHOWN: Final = 6


def run_identity(
    settings: Scene,
    prediction: PredictionOptions,
    ensemble: Bundle,
    inputs: SceneInputs,
    files: InputFiles,
    *,
    on_cluster: bool = False,
) -> dict[str, Any]:
    """Return everything that decides the bytes of a result; workers, memory and progress do not.

    Parameters
    ----------
    settings : Scene
        As understood: paths resolved, the command line's own settings in place.
    prediction : PredictionOptions
        Of members and thresholds.
    ensemble : Bundle
        As loaded by `prediction`.
    inputs : SceneInputs
        Gives the grid that was decided.
    files : InputFiles
        That the run reads.
    on_cluster : bool
        Whether networks are computed by workers: on what, is theirs to choose.
    """
    grid = inputs.grid
    networks = placed_on(ensemble)
    if networks is not None and on_cluster:
        networks |= {"device": f"{prediction.device}, on workers", "precision": prediction.precision}
    described = {*Scene.model_fields, *PLACEMENT}  # known from the scene, the bundle's hash, `placed_on`
    identity = {
        **settings.model_dump(mode="json", by_alias=True),
        **{name: value for name, value in asdict(prediction).items() if name not in described},
        "bundle": {"name": ensemble.name, "sha256": ensemble.sha256},
        "networks": networks,
        "decided grid": {
            "crs": grid.crs.to_string(),
            "transform": list(grid.transform)[:6],
            "shape": grid.shape,
        },
        "inputs": files.identities,
        "versions": versions(),
    }
    plain: dict[str, Any] = json.loads(json.dumps(identity))
    return plain


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the differences of two identities, file by file and setting by setting.

    Examples
    --------
    >>> differences({"stride": 64, "inputs": {"a.tif": 1}}, {"stride": 32, "inputs": {"a.tif": 2}})
    'a.tif was changed; stride was 64 and is 32'
    """
    files, files_now = before["inputs"], now["inputs"]
    found = [f"{path} was changed" for path in files if files_now.get(path, files[path]) != files[path]]
    found += [f"{path} is not read any more" for path in files if path not in files_now]
    found += [f"{path} was not read then" for path in files_now if path not in files]
    old, new = dict(_settings(before)), dict(_settings(now))
    found += [
        f"{name} was {_as_text(old.get(name))} and is {_as_text(new.get(name))}"
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + more


def _settings(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted name and value of every setting; files are identified one by one instead."""
    if isinstance(value, dict | list) and value:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if key != "inputs":
                yield from _settings(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _as_text(value: Any) -> str:
    return "not set" if value is None else str(value)


class InputFiles:
    """The files of a run as they were when it began, with those that they lead to or that lie beside them."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._seen = {path: _size_and_time(path) for path in sorted(source_files(every_file(paths)))}
        self.identities = {str(path): file_identity(path) for path in self._seen}
        """Path -> identity of the file."""
        self.listed = input_identities(self._seen)
        """The same for ``run.json``, which people compare between machines."""

    def refuse_changed(self) -> None:
        """Refuse a file that changed; a missing file is left to its reader.

        Raises
        ------
        InputError
            E111.
        """
        for path, seen in self._seen.items():
            now = _size_and_time(path)
            if now in (None, seen):
                continue
            if file_identity(path) != self.identities[str(path)]:
                raise InputError(
                    "E111",
                    f"{path} was changed while the run read it. Restore it and run the same "
                    "command again, or start afresh with --overwrite.",
                )
            self._seen[path] = now


def file_identity(path: Path) -> dict[str, Any]:
    """Return the identity of a file: a hash of its content, or of a large one size, time and both ends.

    The end of a zip lists a checksum of every file in it.

    Raises
    ------
    InputError
        E101 if it cannot be read.
    """
    try:
        status = path.stat()
        if status.st_size <= HASHED_WHOLE:
            return file_record(path)
        return {**input_identity(path), "mtime_ns": status.st_mtime_ns, "end_sha256": _end_hash(path)}
    except OSError as error:
        raise InputError("E101", f"{path}: cannot be read ({error.strerror or error}).") from error


def _end_hash(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(-HEADER_BYTES, SEEK_END)
        return sha256(file.read()).hexdigest()


def _size_and_time(path: Path) -> tuple[int, int] | None:
    """Return size and time of last change; None if there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
