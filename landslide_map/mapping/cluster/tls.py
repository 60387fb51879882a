"""Certificate files of an encrypted connection to a scheduler."""

# mypy: untyped-calls-exclude="dask,distributed"

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
            # An empty passphrase, as OpenSSL would ask for one on the terminal.
            lambda: context.load_cert_chain(self.certificate, self.key, password=""),
            self.key,
        )
        return Security(
            tls_ca_file=str(self.ca),
            tls_client_cert=str(self.certificate),
            tls_client_key=str(self.key),
            require_encryption=True,
        )


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
