"""Server of the page: the loopback address only, a token in the address, until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from landslide_map.errors import ResourceError
from landslide_map.view.guard import Guard, new_token

HOST: Final = "127.0.0.1"
_MOST_REQUESTS: Final = 100
_MOST_HEADERS: Final = 16 * 2**10


def serve(app: ASGIApp, port: int, opened: Callable[[str], object]) -> None:
    """Serve an application on this machine's loopback address until Ctrl-C.

    Parameters
    ----------
    app : ASGI application
    port : int
        0: any free one.
    opened : callable
        Called with the address, token included, as soon as connections are taken.

    Raises
    ------
    ResourceError
        E641: the port is taken.
    """
    with _listening(port) as listener:
        number = listener.getsockname()[1]
        token = new_token()
        config = uvicorn.Config(
            Guard(app, token, number),
            log_level="error",
            access_log=False,  # it would show the token
            server_header=False,
            proxy_headers=False,
            ws="none",
            lifespan="off",
            limit_concurrency=_MOST_REQUESTS,
            h11_max_incomplete_event_size=_MOST_HEADERS,
            timeout_graceful_shutdown=2,
        )
        logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
        opened(f"http://{HOST}:{number}/{token}/")
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Whether a record is no request that Ctrl-C broke off: its trace would look like a fault."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise ResourceError(
            "E641", f"port {port} cannot be served on ({error.strerror}). Choose another --port, or none."
        ) from error
    return listener
