"""A web server on this machine that serves files, answers searches, and fails on demand."""

from __future__ import annotations

import json
import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Fault:
    """What a server does once instead of its duty."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    """Send so many bytes of the true file, then break the connection."""
    silent_s: float = 0.0
    """Say nothing for so long, then close."""
    damaged: bool = False
    """Send the true file with its bytes inverted."""


@dataclass
class Loopback:
    """What is served; `url` is its address."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)
    faults: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, path and headers of each request, in order."""
    searches: list[dict[str, Any]] = field(default_factory=list)
    page: int = 200
    circular: bool = False
    """Whether the search pages for ever."""
    ranges: bool = True
    authorised: Callable[[str, dict[str, str]], bool] = lambda _path, _headers: True

    def fail(self, path: str, *faults: Fault) -> None:
        """Let the next requests for `path` fail, one after the other."""
        self.faults[path].extend(faults)

    def count(self, path: str, method: str = "GET") -> int:
        """Return how often a path was requested."""
        return sum(1 for m, p, _ in self.requests if (m, p.split("?")[0]) == (method, path))


@contextmanager
def loopback(folder: Path | None = None) -> Iterator[Loopback]:
    """Yield a running server; files of `folder` are served under their names."""
    served = Loopback()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(self, served, folder)

        def do_HEAD(self) -> None:
            _answer(self, served, folder)

        def do_POST(self) -> None:
            _answer(self, served, folder)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, served: Loopback, folder: Path | None) -> None:
    path = handler.path.split("?")[0]
    headers = dict(handler.headers.items())
    length = int(headers.get("Content-Length", 0))
    body = handler.rfile.read(length)
    served.requests.append((handler.command, handler.path, headers))
    fault = served.faults[path].popleft() if served.faults[path] else None
    if fault is not None and fault.silent_s:
        threading.Event().wait(fault.silent_s)
        handler.close_connection = True
        return
    if fault is not None and fault.cut is None and not fault.damaged:
        _send(handler, fault.status, fault.body, fault.headers)
        return
    if not served.authorised(handler.path, headers):
        _send(handler, 403, b"denied")
        return
    if path in {"/api", "/api/", "/api/collections", "/api/search"}:
        _send(
            handler, 200, json.dumps(_api(served, path, body)).encode(), {"Content-Type": "application/json"}
        )
        return
    data = served.files.get(path)
    if data is None and folder is not None and (folder / path.lstrip("/")).is_file():
        data = (folder / path.lstrip("/")).read_bytes()
    if data is None:
        _send(handler, 404, b"no such file")
        return
    _send_file(handler, served, data, headers, fault)


def _send(
    handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None
) -> None:
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


def _send_file(
    handler: BaseHTTPRequestHandler,
    served: Loopback,
    data: bytes,
    headers: dict[str, str],
    fault: Fault | None,
) -> None:
    tag = f'"{hash(data) & 0xFFFFFFFF:x}"'
    start, status = 0, 200
    wanted = re.fullmatch(r"bytes=(\d+)-", headers.get("Range", ""))
    if wanted and served.ranges and headers.get("If-Range", tag) == tag:
        start, status = int(wanted.group(1)), 206
        if start >= len(data):
            _send(handler, 416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
    piece = data[start:]
    if fault is not None and fault.damaged:
        piece = piece[:8] + bytes(255 - byte for byte in piece[8:])
    handler.send_response(status)
    handler.send_header("ETag", tag)
    handler.send_header("Content-Length", str(len(piece)))
    if status == 206:
        handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    handler.end_headers()
    if handler.command == "HEAD":
        return
    if fault is not None and fault.cut is not None:
        handler.wfile.write(piece[: fault.cut])
        handler.close_connection = True
        return
    handler.wfile.write(piece)


def _api(served: Loopback, path: str, body: bytes) -> dict[str, Any]:
    """Answer as a STAC API does: landing page, collections, search with pages."""
    links = [
        {"rel": "search", "href": f"{served.url}/api/search", "method": "GET"},
        {"rel": "search", "href": f"{served.url}/api/search", "method": "POST"},
        {"rel": "data", "href": f"{served.url}/api/collections"},
    ]
    if path == "/api/search":
        return _search(served, json.loads(body))
    if path == "/api/collections":
        names = sorted({item["collection"] for item in served.items})
        return {"collections": [{"id": name} for name in names], "links": []}
    return {"type": "Catalog", "id": "loopback", "stac_version": "1.0.0", "description": "", "links": links}


def _search(served: Loopback, query: dict[str, Any]) -> dict[str, Any]:
    served.searches.append(query)
    begin = int(query.get("token", 0))
    hits = [item for item in served.items if item["collection"] in query["collections"]]
    start, end = (datetime.fromisoformat(text) for text in query["datetime"].split("/"))
    hits = [i for i in hits if start <= datetime.fromisoformat(i["properties"]["datetime"]) <= end]
    west, south, east, north = query["bbox"]
    hits = [
        i
        for i in hits
        if i["bbox"][0] <= east and i["bbox"][2] >= west and i["bbox"][1] <= north and i["bbox"][3] >= south
    ]
    page = hits[begin : begin + served.page]
    links = []
    if begin + served.page < len(hits) or served.circular:
        body = {**query, "token": 0 if served.circular else begin + served.page}
        href = f"{served.url}/api/search"
        links = [{"rel": "next", "href": href, "method": "POST", "body": body}]
    return {"type": "FeatureCollection", "features": page, "links": links}
