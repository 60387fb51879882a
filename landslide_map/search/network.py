"""Requests to other machines: time-outs, retries, refusals by code. Each host is named before the first."""

from __future__ import annotations

import ipaddress
import json
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol, Self
from urllib.parse import urljoin, urlsplit

import requests

from landslide_map.errors import SearchError

CONNECT_S: Final = 10.0
"""Longest wait for a connection, seconds."""
ATTEMPTS: Final = 6
"""Most attempts of one request."""
LONGEST_PAUSE_S: Final = 120.0
"""Longest pause that a server may request with Retry-After, seconds."""
TEXT_LIMIT: Final = 64 << 20
"""Longest answer of a catalogue that is read, bytes."""
_AGAIN: Final = {408, 425, 429, 500, 502, 503, 504}
"""Status codes that a later attempt may mend."""
_DENIED: Final = {401, 403}
_MOST_REDIRECTS: Final = 5


class Access(Protocol):
    """Permission to read: signed addresses or tokens of one provider."""

    def covers(self, url: str) -> bool:
        """Whether `url` is of this provider."""

    def signed(self, url: str, network: Network) -> tuple[str, dict[str, str]]:
        """Return the address and the headers of a request."""

    def renew(self, url: str) -> None:
        """Discard a permission that was refused."""


class _Session(requests.Session):
    """Connections that check a redirect before they follow it."""

    def __init__(self, check: Callable[[str], None]) -> None:
        super().__init__()
        self._check = check

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where an answer leads, or raise as `check` does."""
        target = super().get_redirect_target(resp)
        if target is not None:
            try:
                self._check(urljoin(resp.url, target))
            except SearchError:
                resp.close()
                raise
        return target


@dataclass
class Network:
    """A client for one command: hosts are named once, before the first request to each."""

    show: Callable[[str], object] = lambda _text: None
    """Called with one line of text."""
    access: tuple[Access, ...] = ()
    read_s: float = 60.0
    """Longest silence of a server, seconds."""
    attempts: int = ATTEMPTS
    sleep: Callable[[float], object] = time.sleep
    _hosts: set[str] = field(default_factory=set)
    _begins_here: bool | None = None
    """Whether the first request went to this machine itself; else nothing may lead to it."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _local: threading.local = field(default_factory=threading.local)

    _sessions: list[requests.Session] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the connections of all threads."""
        for session in self._sessions:
            session.close()

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of the machines that requests were sent to, sorted."""
        return tuple(sorted(self._hosts))

    def text(self, url: str, method: str = "GET", **what: Any) -> str:
        """Return the body of an answer as text; `what` goes to :mod:`requests` (json, params, data)."""
        with self.answer(url, method, **what) as answer:
            return _body(answer, url)

    def json(self, url: str, method: str = "GET", **what: Any) -> Any:
        """Return an answer parsed as JSON.

        Raises
        ------
        SearchError
            E701 where it is a page of HTML or anything else.
        """
        return parsed(self.text(url, method, **what), url)

    def size(self, url: str) -> int | None:
        """Return the size of a file, bytes; None where the server sends none."""
        with self.answer(url, "HEAD") as answer:
            length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None

    def exists(self, url: str) -> bool:
        """Whether a file is there: 404 is an answer here, and no error."""
        with self.answer(url, "HEAD", also=frozenset({404})) as answer:
            return bool(answer.status_code != 404)

    @contextmanager
    def answer(
        self,
        url: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        also: frozenset[int] = frozenset(),
        **what: Any,
    ) -> Iterator[requests.Response]:
        """Yield the streamed answer to a request, repeated as often as is sensible.

        Parameters
        ----------
        url : str
            ``http`` or ``https`` only.
        method : str
        headers : mapping, optional
        also : set of int
            Status codes that are an answer, in addition to 200 and 206.
        what
            Goes to :mod:`requests`.

        Raises
        ------
        SearchError
            E700 no answer, E702 another refusal, E710 access denied.
        """
        response = self._tried(url, method, dict(headers or {}), also, what)
        try:
            yield response
        finally:
            response.close()

    def _tried(
        self, url: str, method: str, headers: dict[str, str], also: frozenset[int], what: dict[str, Any]
    ) -> requests.Response:
        problem, pause, renewed = "", 0.0, False
        for attempt in range(self.attempts):
            if attempt:
                self.sleep(pause)
            try:
                response = self._once(url, method, headers, what)
            except (requests.ConnectionError, requests.Timeout) as error:
                problem, pause = _reason(error), _backoff(attempt)
                continue
            except (requests.RequestException, ValueError) as error:
                if (left := getattr(error, "response", None)) is not None:
                    left.close()  # the last of too many redirects
                raise SearchError("E702", f"{shown(url)}: cannot be requested ({_reason(error)}).") from None
            status = response.status_code
            if status in {200, 206} | also:
                return response
            pause = _pause(response.headers.get("Retry-After"), attempt)
            response.close()
            if status in _DENIED:
                if renewed or not self._renew(url):
                    raise _denied(url, status)
                renewed, pause = True, 0.0
            elif status not in _AGAIN:
                raise SearchError("E702", f"{shown(url)}: the server refuses with status {status}.")
            problem = f"status {status}"
        raise SearchError(
            "E700",
            f"{shown(url)}: no usable answer in {self.attempts} attempts ({problem}). Check the connection, "
            "or try again later: what was downloaded is kept.",
        )

    def _once(
        self, url: str, method: str, headers: dict[str, str], what: dict[str, Any]
    ) -> requests.Response:
        self._name(url)
        address = url
        extra: dict[str, str] = {}
        for access in self.access:
            if access.covers(url):
                address, extra = access.signed(url, self)
        response = self._session().request(
            method,
            address,
            headers={**headers, **extra},
            timeout=(CONNECT_S, self.read_s),
            stream=True,
            allow_redirects=True,
            **what,
        )
        return response

    def _renew(self, url: str) -> bool:
        covering = [access for access in self.access if access.covers(url)]
        for access in covering:
            access.renew(url)
        return bool(covering)

    def _name(self, url: str) -> None:
        """Print the host of a request, once; refuse all but web addresses of other machines."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SearchError(
                "E702", f"{shown(url)}: only http and https addresses are followed; another was given."
            )
        with self._lock:
            new = parts.hostname not in self._hosts
            if new:
                here = _is_this_machine(parts.hostname)
                if self._begins_here is None:
                    self._begins_here = here
                if here and not self._begins_here:
                    raise SearchError(
                        "E702",
                        f"{shown(url)}: the catalogue leads to this machine itself, which no image on the "
                        "network does; report it to the provider, or take another catalogue.",
                    )
            self._hosts.add(parts.hostname)
        if new:
            self.show(f"network: requesting from {parts.hostname}")

    def _session(self) -> requests.Session:
        """Return the session of this thread: sessions are not made for several."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = _Session(self._name)
            self._sessions.append(session)
            session.max_redirects = _MOST_REDIRECTS
            session.headers["User-Agent"] = "landslide-map"
        return session


def _is_this_machine(host: str) -> bool:
    """Whether a name stands for this machine, or for addresses that no router passes on."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False  # perhaps a proxy resolves it
    addresses = [ipaddress.ip_address(address.partition("%")[0]) for address in found]
    return any(
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or ((mapped := getattr(address, "ipv4_mapped", None)) is not None and mapped.is_loopback)
        for address in addresses
    )


def parsed(text: str, url: str) -> Any:
    """Return `text` parsed as JSON, or refuse it (E701) with its kind, such as a web page."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        what = "a page of HTML" if looks_like_html(text[:500]) else f"{text[:40]!r}"
        raise SearchError(
            "E701",
            f"{shown(url)}: answers with {what}, expected JSON of a STAC catalogue. Give the address of the "
            "API itself (its landing page is JSON), and check that no login page or proxy stands before it.",
        ) from None


def looks_like_html(start: str) -> bool:
    """Whether a text begins as a web page does.

    >>> looks_like_html("  <!DOCTYPE html><html>"), looks_like_html('{"type": "Catalog"}')
    (True, False)
    """
    return bool(re.match(r"\s*(<!doctype html|<html|<head|<body)", start, re.IGNORECASE))


def shown(url: str) -> str:
    """Return an address without its query, which may hold a key.

    >>> shown("https://a.example/b/c.tif?sig=secret")
    'https://a.example/b/c.tif'
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}" if parts.scheme else url[:200]


def _denied(url: str, status: int) -> SearchError:
    return SearchError(
        "E710",
        f"{shown(url)}: access is denied (status {status}), also with a new permission. Check the account "
        "that the provider requires (docs/finding-images.md says which), or take another catalogue.",
    )


def _body(answer: requests.Response, url: str) -> str:
    pieces, length = [], 0
    try:
        for piece in answer.iter_content(1 << 16):
            length += len(piece)
            if length > TEXT_LIMIT:
                raise SearchError("E701", f"{shown(url)}: the answer is longer than {TEXT_LIMIT >> 20} MB.")
            pieces.append(piece)
    except requests.RequestException as error:
        raise SearchError("E700", f"{shown(url)}: the answer broke off ({_reason(error)}).") from None
    return b"".join(pieces).decode("utf-8", "replace")


def _pause(retry_after: str | None, attempt: int) -> float:
    """Return the time to wait, seconds: the server's Retry-After (seconds or a date), else by `attempt`."""
    if retry_after is None:
        return _backoff(attempt)
    if retry_after.strip().isdigit():
        seconds = float(retry_after)
    else:
        try:
            seconds = (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return _backoff(attempt)
    return min(max(seconds, 0.0), LONGEST_PAUSE_S)


def _backoff(attempt: int) -> float:
    """Return a pause that doubles with each attempt, with some randomness: clients must not come together."""
    return float(2**attempt * random.uniform(0.5, 1.0))


def _reason(error: BaseException) -> str:
    """Return the kind of an error, without addresses, which may hold keys."""
    return {
        "ConnectTimeout": "no connection in time",
        "ReadTimeout": "the server fell silent",
        "ConnectionError": "no connection",
        "ChunkedEncodingError": "the connection broke off",
        "SSLError": "the certificate is not trusted",
        "TooManyRedirects": "too many redirects",
    }.get(type(error).__name__, type(error).__name__)
