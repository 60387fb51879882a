"""Finished work of a training on disk, so that a kill costs less than one epoch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from landslide_map.errors import UsageError
from landslide_map.runtime.atomic import whole_file, writable
from landslide_map.untrusted.arrays import open_npy
from landslide_map.untrusted.json_text import read_json

CONFIGURATION: Final = "configuration.json"
_FIRST_NAME: Final = re.compile(rf"\.{CONFIGURATION}\.part")
_OWN_NAME: Final = re.compile(rf"\.?({CONFIGURATION}|.+_fold\d+\.\w+)(\.part)?")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder beside the bundle to be; every file in it is written whole or not at all."""

    folder: Path

    @classmethod
    def open(cls, out: Path, configuration: Mapping[str, Any], *, restart: bool = False) -> Workspace:
        """Make the work folder of the bundle `out`, or go on in it.

        Parameters
        ----------
        out : Path
            The bundle to be.
        configuration : mapping
            JSON values: all that the result depends on.
        restart : bool
            Throw away what is there.

        Raises
        ------
        UsageError
            E531 if the folder was begun with another configuration.
        ResourceError
            E601 if it cannot be written.
        """
        space = cls(work_folder(out))
        own = json.loads(json.dumps(configuration))
        with writable(space.folder):
            space._refuse_foreign()
            if restart:
                space.remove()
            space.folder.mkdir(parents=True, exist_ok=True)
        begun = space._configuration()
        if begun is None:
            space.write(CONFIGURATION, (json.dumps(own, indent=1) + "\n").encode())
        elif begun != own:
            changed = [key for key in {**begun, **own} if begun.get(key) != own.get(key)]
            raise UsageError(
                "E531",
                f"{space.folder}: was begun with another configuration ({', '.join(sorted(changed))} "
                "changed). Finish it as it was begun, choose another --out, or discard its work with "
                "--restart.",
            )
        return space

    @property
    def identity(self) -> str:
        """Hash of the configuration."""
        return sha256((self.folder / CONFIGURATION).read_bytes()).hexdigest()

    def finished(self, fold: str) -> dict[str, Any] | None:
        """Return the record of a fold, if it is finished."""
        record: dict[str, Any] | None = self._read(f"{fold}.json")
        return record

    def finish(
        self,
        fold: str,
        model: Callable[[Path], None],
        ending: str,
        votes: npt.NDArray[np.float64],
        record: Mapping[str, Any],
    ) -> None:
        """Keep a finished fold: model file, votes on the windows left out, and last its record."""
        self.write(f"{fold}.{ending}", model)
        self.write(f"{fold}.npy", lambda path: _save_array(path, votes))
        self.write(f"{fold}.json", (json.dumps(record) + "\n").encode())
        with suppress(FileNotFoundError):
            self.checkpoint(fold).unlink()

    def votes(self, fold: str) -> npt.NDArray[np.float64]:
        """Return the votes of a finished fold on the windows left out."""
        return np.array(open_npy(self.folder / f"{fold}.npy", "E531"), np.float64)

    def checkpoint(self, fold: str) -> Path:
        """Return the file of an unfinished fold's last epoch."""
        return self.folder / f"{fold}.checkpoint"

    def write(self, name: str, content: bytes | Callable[[Path], None]) -> None:
        """Write a file, whole or not at all; E601 where that fails."""
        advice = "Finished folds are kept; free disk space and run the same command again to go on"
        with whole_file(self.folder / name, advice) as staged:
            if isinstance(content, bytes):
                staged.write_bytes(content)
            else:
                content(staged)

    def remove(self) -> None:
        """Remove the folder, its own record last: the bundle is complete."""
        for path in sorted(self._files(), key=lambda path: path.name == CONFIGURATION):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def _files(self) -> list[Path]:
        return list(self.folder.iterdir()) if self.folder.is_dir() else []

    def _refuse_foreign(self) -> None:
        """Refuse a folder that no training run began, or with files beside those that one writes."""
        found = sorted(path.name for path in self._files())
        expected = _OWN_NAME if CONFIGURATION in found else _FIRST_NAME
        foreign = [name for name in found if not expected.fullmatch(name)]
        if self.folder.is_symlink() or foreign:
            raise UsageError(
                "E404",
                f"{self.folder} is where unfinished training is kept, but holds {', '.join(foreign[:5])} "
                "(no run wrote that) or is a link. Move it elsewhere, or choose another --out.",
            )

    def _configuration(self) -> Any:
        return self._read(CONFIGURATION)

    def _read(self, name: str) -> Any:
        """Return a document; None where there is none."""
        try:
            return read_json(self.folder / name)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise UsageError(
                "E531",
                f"{self.folder / name}: cannot be read ({error}). Discard the work there with "
                "--restart, or choose another --out.",
            ) from None


def work_folder(out: Path) -> Path:
    """Return where work for the bundle `out` is kept until it is complete: ``<out>.training``, beside it."""
    return out.with_name(out.name + ".training")


def _save_array(path: Path, values: npt.NDArray[np.float64]) -> None:
    with path.open("wb") as file:  # np.save appends .npy to a bare path
        np.save(file, values, allow_pickle=False)
