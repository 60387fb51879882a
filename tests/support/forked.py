"""Processes of their own without seconds of imports: forked from a server that has imported the package.

Enough wherever signals, pipes, exit statuses and kills are tested, and starting and imports are not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.reduction import DupFd
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import dask

PATIENCE_S = 120  # a busy machine is slow

_SERVER = get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "__main__",
        "distributed.cli.dask_scheduler",
        "distributed.cli.dask_worker",
        "PIL.JpegImagePlugin",
        "PIL.PngImagePlugin",
        "pyogrio",
        "scipy.io",
        "landslide_map_cli.main",
        "landslide_map.mapping.map_scene",
        "landslide_map.mapping.cluster.worker",
        "tests.support.preloaded",
    ]
)


class Forked:
    """A process that calls a function, ``module:name``, or the ``main`` of a module, as a script does.

    Methods are those of ``subprocess.Popen``.

    What it says goes to the files `stdout` and `stderr`, or is read from the attributes of these names.
    """

    def __init__(
        self,
        function: str,
        *arguments: object,
        stdout: IO[Any] | None = None,
        stderr: IO[Any] | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        own_group: bool = False,
    ) -> None:
        self.stdout, out = _stream(stdout)
        self.stderr, err = _stream(stderr)
        surroundings = (cwd or Path.cwd(), dict(env or os.environ), own_group)
        call = (function, [str(argument) for argument in arguments], _Ends(out, err))
        self._process = _SERVER.Process(target=_called, args=(*surroundings, *call))
        self._process.start()
        for one, end in ((stdout, out), (stderr, err)):
            if one is None:
                os.close(end)
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float = PATIENCE_S) -> int:
        self._process.join(timeout)
        if (status := self.poll()) is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return status

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        if self.poll() is None:
            self._process.kill()

    def communicate(self) -> tuple[str, str]:
        """Wait for the end; return what was not yet read."""
        said = [stream.read() for stream in (self.stdout, self.stderr)]
        self.wait()
        return said[0], said[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self.wait()
        for stream in (self.stdout, self.stderr):
            stream.close()


class _Ends:
    """Descriptors that the process gets as its output and its errors."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, tuple(map(DupFd, self._numbers))


def _received(*ends: Any) -> list[int]:
    return [end.detach() for end in ends]


def _stream(given: IO[Any] | None) -> tuple[IO[Any], int]:
    """Return what can be read here, and the descriptor for the process."""
    if given is not None:
        return given, given.fileno()
    here, there = os.pipe()
    return os.fdopen(here), there


def _called(
    folder: Path, environment: dict[str, str], own_group: bool, function: str, arguments: list[str], ends: Any
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    if own_group:
        os.setsid()
    for number, end in enumerate(ends, 1):
        os.dup2(end, number)
        os.close(end)
    dask.config.refresh()
    sys.argv = [function, *arguments]
    module, _, name = function.partition(":")
    getattr(import_module(module), name or "main")()
