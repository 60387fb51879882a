"""Connection of a run to a cluster: a scheduler's address, or processes on this machine."""

# mypy: untyped-calls-exclude="dask,distributed"

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import dask
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster
from distributed.utils import silence_logging_cmgr
from distributed.versions import VersionMismatchWarning

from landslide_map.errors import ResourceError
from landslide_map.mapping.cluster import worker
from landslide_map.mapping.cluster.client import Cluster

CONNECT_S: Final = 10.0
"""Seconds to try to reach a scheduler."""
GREETINGS: Final = 5
"""How often to try anew where a scheduler greets a client along with other messages."""


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """Yield the cluster of a scheduler that runs somewhere, ``tcp://host:port``.

    Raises
    ------
    ResourceError
        E630 nobody answers there, E631 it has no worker, E632 a worker or the scheduler has another version.
    """
    with silence_logging_cmgr(logging.CRITICAL), client_of(address) as client:
        yield Cluster(client)


@contextmanager
def local_workers(count: int) -> Iterator[Cluster]:
    """Yield a cluster of `count` processes on this machine, which share its cores; they end with it.

    A script that calls this needs the usual ``if __name__ == "__main__":``, as each process begins by
    importing it.
    """
    threads = max(1, CPU_COUNT // count)
    # Dask would give the libraries in a worker one thread, as it runs one task for each of its threads; here
    # one task uses all of them. Products of matrices keep one: their rounding depends on it.
    environment = {"distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": threads}
    with (
        silence_logging_cmgr(logging.CRITICAL),
        dask.config.set(environment),
        LocalCluster(
            n_workers=count,
            threads_per_worker=threads,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
            preload=[worker.__name__],
            memory_limit=None,  # a row of blocks is the bound, not a limit at which workers are killed
        ) as local,
        client_of(local.scheduler_address) as client,
    ):
        yield Cluster(client, here=count)


@contextmanager
def client_of(address: str, timeout: float | None = None) -> Iterator[Client]:
    """Yield a client of a scheduler, closed afterwards; `timeout` in seconds, by default ``CONNECT_S``.

    Raises
    ------
    ResourceError
        E630 nobody answers there.
    """
    client, failure = _begun(address, CONNECT_S if timeout is None else timeout)
    if client is None:
        raise ResourceError(
            "E630",
            f"no scheduler answers at {address} ({failure}). Start one with: dask scheduler; give the "
            "address that it prints, e.g. --scheduler tcp://192.168.1.10:8786, and check firewalls.",
        )
    try:
        yield client
    finally:
        with suppress(Exception):
            client.close(timeout=CONNECT_S)


def _begun(address: str, timeout: float) -> tuple[Client | None, str]:
    """Return a client, or None and why there is none."""
    failure = ""
    for _ in range(GREETINGS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", VersionMismatchWarning)  # said better by E632 and W630
                # Not the default client: what dask computes in this process stays here.
                return Client(address, timeout=timeout, set_as_default=False), ""
        except (OSError, ValueError) as error:
            failure, again = str(error), False
        except AssertionError:
            # A scheduler sends in batches what it has to say to all its clients. Where there is such a thing,
            # as a worker leaves, just while it greets this one, both come at once and the client gives up.
            failure, again = "its greeting came along with other messages, time and again", True
        # A client that failed ends its thread when it is deleted. Now: while another one starts, it would
        # wait for a lock that its own thread holds.
        gc.collect()
        if not again:
            break
    return None, failure
