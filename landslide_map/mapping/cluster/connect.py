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
from distributed.comm.core import FatalCommClosedError
from distributed.security import Security
from distributed.utils import silence_logging_cmgr
from distributed.versions import VersionMismatchWarning

from landslide_map.errors import ResourceError, UsageError
from landslide_map.mapping.cluster import worker
from landslide_map.mapping.cluster.client import PATIENCE_S, Cluster
from landslide_map.mapping.cluster.tls import TlsFiles, refusal

CONNECT_S: Final = 10.0
"""Seconds to try to reach a scheduler."""
HANDSHAKES: Final = 5
"""Attempts where the first answer of a scheduler comes along with other messages."""
_NOT_ACCEPTED: Final = (
    "the certificates are not accepted ({}). Scheduler, workers and client need certificates that one "
    "authority signed, and the file of that authority."
)


@contextmanager
def connected(
    address: str, tls: TlsFiles | None = None, *, timeout: float = CONNECT_S, patience: float = PATIENCE_S
) -> Iterator[Cluster]:
    """Yield the cluster of a scheduler that runs somewhere, ``tcp://host:port`` or ``tls://host:port``.

    Parameters
    ----------
    address : str
        As the scheduler prints it.
    tls : TlsFiles, optional
        Certificates of a connection by TLS; by default those of dask's own configuration.
    timeout : float
        Seconds to try to reach the scheduler.
    patience : float
        Seconds to wait for a worker, and for a finished row to arrive.

    Raises
    ------
    ResourceError
        E630 no answer from there, E631 it has no worker, E632 a worker or the scheduler has another version.
        E636 certificates are missing or not accepted.
    UsageError
        E402 certificates with an address that is not ``tls://``.
    """
    if tls is not None and not address.startswith("tls://"):
        raise UsageError(
            "E402",
            f"certificates are given, but {address} is not encrypted; give the address as tls://host:port",
        )
    with silence_logging_cmgr(logging.CRITICAL), client_of(address, timeout, tls) as client:
        yield Cluster(client, patience=patience)


@contextmanager
def local_workers(count: int) -> Iterator[Cluster]:
    """Yield a cluster of `count` processes on this machine, which share its cores; they end with it.

    A script that calls this needs the usual ``if __name__ == "__main__":``, as each process begins by
    importing it.
    """
    threads = max(1, CPU_COUNT // count)
    # Dask would give the libraries in a worker one thread, as it runs one task for each of its threads. Here
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
def client_of(address: str, timeout: float = CONNECT_S, tls: TlsFiles | None = None) -> Iterator[Client]:
    """Yield a client of a scheduler, closed afterwards; `timeout` in seconds.

    Raises
    ------
    ResourceError
        E630 no answer from there, E636 certificates are missing or not accepted.
    """
    security = None if tls is None else tls.security()
    client, failure = _begun(address, timeout, security)
    if client is None:
        refused = None if tls is None else refusal(address, tls, timeout)
        if refused is not None:
            raise ResourceError("E636", f"{address}: {_NOT_ACCEPTED.format(refused)}")
        raise ResourceError(
            "E630",
            f"no scheduler answers at {address} ({failure}). Start one with: dask scheduler; give the "
            "address that it prints, e.g. --scheduler tcp://192.168.1.10:8786, and check firewalls. A "
            "scheduler with certificates answers only at tls://, to --tls-ca, --tls-cert and --tls-key.",
        )
    try:
        yield client
    finally:
        with suppress(Exception):
            client.close(timeout=CONNECT_S)


def _begun(address: str, timeout: float, security: Security | None) -> tuple[Client | None, str]:
    """Return a client, or None and why there is none."""
    failure = ""
    for _ in range(HANDSHAKES):
        try:
            with warnings.catch_warnings():
                # E632 and W630 report it more exactly.
                warnings.simplefilter("ignore", VersionMismatchWarning)
                # Not the default client: what dask computes in this process stays here.
                return Client(address, timeout=timeout, security=security, set_as_default=False), ""
        except (FatalCommClosedError, TypeError, RuntimeError) as error:  # as dask raises for TLS
            raise ResourceError("E636", f"{address}: {_reason(error)}") from error
        except (OSError, ValueError) as error:
            failure, again = str(error), False
        except AssertionError:
            # A scheduler sends messages for all its clients in batches. If one is due at the handshake, for
            # example as a worker leaves, both come at once and the client fails.
            failure, again = "its first answer came along with other messages, repeatedly", True
        # A client that failed ends its thread when it is deleted. Now: while another one starts, it would
        # wait for a lock that its own thread holds.
        gc.collect()
        if not again:
            break
    return None, failure


def _reason(error: Exception) -> str:
    if not isinstance(error, OSError):  # before any connection
        return (
            f"the address and the certificates do not fit ({error}). With certificates (--tls-ca, "
            "--tls-cert, --tls-key) the address begins with tls://; without, with tcp://."
        )
    return _NOT_ACCEPTED.format(error.__cause__ or error)
