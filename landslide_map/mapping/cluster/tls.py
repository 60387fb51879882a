"""Certificate files of an encrypted connection to a scheduler."""

# mypy: untyped-calls-exclude="dask,distributed"

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from distributed.security import Security

from landslide_map.errors import ResourceError
from landslide_map.untrusted.files import refuse_waiting


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files; scheduler, workers and client show certificates of one authority to each other."""

    ca: Path
    """Certificate of the authority that signed the certificates of scheduler and workers."""
    certificate: Path
    """Certificate of this client."""
    key: Path
    """Private key of `certificate`, without a passphrase."""

    def security(self) -> Security:
        """Return dask's form of these files.

        Raises
        ------
        ResourceError
            E636 a file is missing, unreadable or holds something else.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _tried(self.ca, "certificate of an authority", lambda: context.load_verify_locations(self.ca))
        _tried(
            self.certificate,
            f"certificate with the private key {self.key}, which has no passphrase",
            # An empty passphrase, as OpenSSL would prompt for one on the terminal.
            lambda: context.load_cert_chain(self.certificate, self.key, password=""),
            self.key,
        )
        return Security(
            tls_ca_file=str(self.ca),
            tls_client_cert=str(self.certificate),
            tls_client_key=str(self.key),
            require_encryption=True,
        )


def refusal(address: str, files: TlsFiles, timeout: float) -> str | None:
    """Return why a server ends an encrypted connection, or None if it does not.

    In TLS 1.3 a server reads the client's certificate after the client's own handshake is over. The refusal
    then reaches dask as a stream that closed, the same as a scheduler that is gone.

    Parameters
    ----------
    address : str
        ``tls://host:port``.
    timeout : float
        Seconds.
    """
    where = urlsplit(address)
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=files.ca)
    context.check_hostname = False
    context.load_cert_chain(files.certificate, files.key)
    try:
        plain = socket.create_connection((where.hostname, where.port or 0), timeout)
    except (OSError, ValueError):
        return None
    with plain:
        try:
            with context.wrap_socket(plain) as encrypted:
                first_byte = encrypted.recv(1)
        except TimeoutError:
            return None
        except OSError as error:  # its ssl.SSLError, or a connection that it resets
            return str(error)
    return None if first_byte else "it closes the connection"


def _tried(path: Path, what: str, load: Callable[[], object], *others: Path) -> None:
    for file in (path, *others):
        try:
            refuse_waiting(file)
            file.open("rb").close()
        except OSError as error:
            raise ResourceError("E636", f"{file}: cannot be read ({error.strerror or error})") from error
    try:
        load()
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ResourceError("E636", f"{path}: no {what} in PEM form ({error})") from error
