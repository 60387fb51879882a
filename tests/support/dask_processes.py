"""A scheduler and workers of dask.distributed in processes of their own, on this machine, at random ports.

They are forked, without seconds of imports; ``fresh=True`` starts each as its command does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from types import TracebackType
from typing import Self

from landslide_map.mapping.cluster.connect import client_of
from landslide_map.mapping.cluster.tls import TlsFiles
from tests.support.forked import PATIENCE_S, Forked


class DaskProcesses:
    """Ends everything that it started."""

    def __init__(self, folder: Path, fresh: bool = False, **settings: object) -> None:
        """`settings` are dask's, of the scheduler: ``allowed_failures=0``."""
        self.folder = folder
        self._fresh = fresh
        self.tls: TlsFiles | None = None
        """Certificates that scheduler, workers and clients show, where set before it is entered."""
        self._settings = {f"DASK_DISTRIBUTED__SCHEDULER__{k.upper()}": str(v) for k, v in settings.items()}
        self._running: list[subprocess.Popen[bytes] | Forked] = []

    def __enter__(self) -> Self:
        self._file = self.folder / "scheduler.json"
        # What is left of a test run that was killed ends automatically: workers end with their scheduler.
        idle = ("--idle-timeout", f"{5 * PATIENCE_S}s")
        options: tuple[object, ...] = ("--port", "0", "--scheduler-file", self._file, *idle)
        if self.tls is not None:
            options = (*options, "--protocol", "tls")
        self.scheduler = self._start("scheduler", *options, log="scheduler", environment=self._settings)
        deadline = time.monotonic() + PATIENCE_S
        while not self.address:
            assert time.monotonic() < deadline, self.said("scheduler")
            assert self.scheduler.poll() is None, self.said("scheduler")
            time.sleep(0.05)
        return self

    @property
    def address(self) -> str:
        """Where the scheduler listens; empty until it has said so, all of it."""
        with suppress(FileNotFoundError, json.JSONDecodeError):
            return str(json.loads(self._file.read_text())["address"])
        return ""

    def worker(
        self, name: str, *options: object, preload: str = "", folder: Path | None = None
    ) -> subprocess.Popen[bytes] | Forked:
        """Start a worker of one thread in `folder`; `preload` is Python that runs in it first."""
        if preload:
            path = self.folder / f"{name}_preload.py"
            path.write_text(preload)
            options = (*options, "--preload", path)
        options = (self.address, "--name", name, "--nthreads", 1, "--no-nanny", *options)
        return self._start("worker", *options, log=name, folder=folder)

    def await_workers(self, *names: str) -> None:
        """Wait until these, and no others, are there."""
        with client_of(self.address, timeout=PATIENCE_S, tls=self.tls) as client:
            deadline = time.monotonic() + PATIENCE_S
            while {w["name"] for w in client.scheduler_info()["workers"].values()} != set(names):
                assert time.monotonic() < deadline, [self.said(name) for name in names]
                time.sleep(0.1)

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def _start(
        self,
        program: str,
        *options: object,
        log: str,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes] | Forked:
        if self.tls is not None:
            files = zip(("ca-file", "cert", "key"), astuple(self.tls), strict=True)
            options = (*options, *(part for name, file in files for part in (f"--tls-{name}", file)))
        module = "distributed.cli.dask_" + program
        arguments = [*map(str, options), "--host", "127.0.0.1", "--no-dashboard"]
        variables = {**os.environ, "DASK_TEMPORARY_DIRECTORY": str(self.folder), **(environment or {})}
        with (self.folder / f"{log}.log").open("wb") as out:
            started: subprocess.Popen[bytes] | Forked
            if self._fresh:
                command = [sys.executable, "-m", module, *arguments]
                started = subprocess.Popen(
                    command, stdout=out, stderr=out, cwd=folder or self.folder, env=variables
                )
            else:
                started = Forked(
                    module, *arguments, stdout=out, stderr=out, cwd=folder or self.folder, env=variables
                )
        self._running.append(started)
        return started

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._running):
            process.kill()
        for process in self._running:
            process.wait(timeout=PATIENCE_S)
