"""Permission to download: signed addresses of the Planetary Computer, tokens of the Copernicus Data Space."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from landslide_map.errors import SearchError
from landslide_map.search.network import Network

_EARLY_S: Final = 60.0
"""A permission is renewed so long before it ends, seconds."""


@dataclass
class PlanetaryComputer:
    """Signatures for the Planetary Computer's files, one for each container of its storage.

    No account is needed. A signature is valid for 45 minutes to some hours.
    """

    tokens: str = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
    storage: str = ".blob.core.windows.net"
    _signatures: dict[str, tuple[str, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def covers(self, url: str) -> bool:
        """Whether `url` is a file in the storage."""
        return (urlsplit(url).hostname or "").endswith(self.storage)

    def signed(self, url: str, network: Network) -> tuple[str, dict[str, str]]:
        """Return the address with a signature that is still valid."""
        key = self._container(url)
        with self._lock:  # one request for a signature, not one of each download
            token, end = self._signatures.get(key, ("", 0.0))
            if end - _EARLY_S < time.time():
                token, end = self._fetched(key, network)
                self._signatures[key] = token, end
        return f"{url}{'&' if urlsplit(url).query else '?'}{token}", {}

    def renew(self, url: str) -> None:
        """Discard the signature of the container that `url` is in."""
        with self._lock:
            self._signatures.pop(self._container(url), None)

    def _container(self, url: str) -> str:
        parts = urlsplit(url)
        return f"{(parts.hostname or '').split('.')[0]}/{parts.path.lstrip('/').split('/')[0]}"

    def _fetched(self, key: str, network: Network) -> tuple[str, float]:
        answer = network.json(f"{self.tokens}/{key}")
        try:
            return str(answer["token"]), datetime.fromisoformat(answer["msft:expiry"]).timestamp()
        except (KeyError, TypeError, ValueError):
            raise SearchError(
                "E701", f"{self.tokens}/{key}: the answer holds no signature; try again later."
            ) from None


@dataclass
class CopernicusDataSpace:
    """Tokens for the Copernicus Data Space: `CDSE_USERNAME` and `CDSE_PASSWORD` of the environment.

    A token is valid for ten minutes and is refreshed, not requested again: sessions are limited.
    """

    login: str = "https://identity.dataspace.copernicus.eu/auth/realms/CDSE/protocol/openid-connect/token"
    hosts: tuple[str, ...] = ("download.dataspace.copernicus.eu", "zipper.dataspace.copernicus.eu")
    _token: str = ""
    _refresh: str = ""
    _end: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def covers(self, url: str) -> bool:
        """Whether `url` is a product of the Data Space."""
        return urlsplit(url).hostname in self.hosts

    def signed(self, url: str, network: Network) -> tuple[str, dict[str, str]]:
        """Return the address and a header with a token that is still valid."""
        with self._lock:
            if self._end - _EARLY_S < time.time():
                self._fetch(network)
            return url, {"Authorization": f"Bearer {self._token}"}

    def renew(self, url: str) -> None:  # noqa: ARG002
        """Discard the token; the permission to refresh it stays."""
        with self._lock:
            self._end = 0.0

    def _fetch(self, network: Network) -> None:
        form: dict[str, Any] = {"client_id": "cdse-public"}
        if self._refresh:
            form |= {"grant_type": "refresh_token", "refresh_token": self._refresh}
            self._refresh = ""  # where it is refused, the next attempt logs in
        else:
            form |= {"grant_type": "password", **self._account()}
        answer = network.json(self.login, "POST", data=form)
        try:
            self._token, self._refresh = str(answer["access_token"]), str(answer.get("refresh_token", ""))
            self._end = datetime.now(UTC).timestamp() + float(answer.get("expires_in", 600))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise SearchError("E701", f"{self.login}: the answer holds no token; try again later.") from None

    def _account(self) -> dict[str, str]:
        name, word = os.environ.get("CDSE_USERNAME", ""), os.environ.get("CDSE_PASSWORD", "")
        if not name or not word:
            raise SearchError(
                "E712",
                "the Copernicus Data Space needs a (free) account to download: set CDSE_USERNAME and "
                "CDSE_PASSWORD in the environment, or take --catalog planetary-computer, which needs none.",
            )
        return {"username": name, "password": word}
