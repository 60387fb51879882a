"""Guard of the page: permitted requests, by address, token and origin, before any other work."""

from __future__ import annotations

import json
import secrets
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from landslide_map.errors import LandslideMapError, UsageError

_STATUS: Final = {"E403": 409, "E450": 403, "E451": 404, "E452": 413, "E453": 409, "E999": 500}
"""Code -> HTTP status, where the class of the refusal does not decide it."""
_BY_EXIT: Final = {2: 400, 6: 507}
HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; img-src 'self' blob: data:; script-src 'self'; style-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",  # the address holds the token
    "x-content-type-options": "nosniff",
}
"""Sent with every answer."""


def new_token() -> str:
    """Return a random word for the address, 192 bits."""
    return secrets.token_urlsafe(24)


def http_status(error: LandslideMapError) -> int:
    """Return the HTTP status of a refusal."""
    return _STATUS.get(error.code, _BY_EXIT.get(error.exit_status, 422))


class Guard:
    """ASGI application that lets requests through to `app` if their address begins with ``/TOKEN/``.

    Another web page in the same browser does not know the token. Its name for this machine is refused too
    (DNS rebinding), and requests that a browser marks as another site's.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have `app` answer it with the token taken off its path."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a WebSocket: the server closes it with 403
        try:
            path = self._checked(scope)
        except LandslideMapError as error:
            await _refuse(error, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.encode(): value.encode() for name, value in HEADERS.items()}
                message = {**message, "headers": [*message.get("headers", []), *own.items()]}
            await send(message)

        await self._app({**scope, "path": path, "raw_path": path.encode()}, receive, with_headers)

    def _checked(self, scope: Scope) -> str:
        """Return the path behind the token."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        hosts = headers.get(b"host", [])
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            raise UsageError("E450", "the page is open under the printed address only.")
        origins = headers.get(b"origin", [])
        if any(origin != b"http://" + hosts[0] for origin in origins):
            raise UsageError("E450", "the request comes from another web page.")
        if any(site not in (b"same-origin", b"none") for site in headers.get(b"sec-fetch-site", [])):
            raise UsageError("E450", "the request comes from another web page.")
        token, _, rest = scope["path"].lstrip("/").partition("/")
        if not secrets.compare_digest(token.encode(), self._token):
            raise UsageError("E450", "the address lacks the token; open the one that was printed.")
        return "/" + str(rest)


async def _refuse(error: LandslideMapError, send: Send) -> None:
    body = json.dumps({"code": error.code, "message": error.message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    await send({"type": "http.response.start", "status": http_status(error), "headers": headers})
    await send({"type": "http.response.body", "body": body})
