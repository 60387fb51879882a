"""Addresses of the page, and the answers: files, JSON or a refusal with its code."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from landslide_map.errors import LandslideMapError, ResourceError, UsageError, optional_packages
from landslide_map.view.guard import http_status
from landslide_map.view.patches import PatchView
from landslide_map.view.results import ResultView, verdict_of

_LARGEST_REQUEST: Final = 64 * 2**10
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".gpkg": "application/geopackage+sqlite3",
    ".geojson": "application/geo+json",
    ".npy": "application/octet-stream",
}
_FILES: Final = ("style.css", "results.js", "patches.js", "common.js")
_SHARED: Final = ("navigation.js",)
"""Files that the report has as well."""


class _Count(Convertor[int]):
    """Number in an address: Starlette's own takes digits without end, which Python refuses to convert."""

    regex = "[0-9]{1,9}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("count", _Count())


@dataclass(frozen=True)
class Page:
    """Content of the page: one result, or patches."""

    result: ResultView | None
    patches: PatchView


def make_app(page: Page) -> Starlette:
    """Return the application behind the gate; the tests talk to it as the server does."""
    routes = [Route("/", _of_thread(lambda _: _own("results.html" if page.result else "patches.html")))]
    routes += [Route(f"/{name}", _static(name)) for name in (*_FILES, *_SHARED)]
    routes += _result_routes(page.result) if page.result is not None else _patch_routes(page.patches)
    return Starlette(
        routes=routes,
        exception_handlers={LandslideMapError: _refused, HTTPException: _no_such, Exception: _bug},
    )


def _result_routes(result: ResultView) -> list[Route]:
    async def add_verdict(request: Request) -> Response:
        verdict = verdict_of(await _document(request))
        return JSONResponse(await run_in_threadpool(result.add_verdict, verdict))

    async def redraw(request: Request) -> Response:
        threshold = (await _document(request)).get("threshold")
        if not isinstance(threshold, int | float):
            raise UsageError("E455", "redrawing needs a threshold, a number.")
        return JSONResponse({"landslides": await run_in_threadpool(result.redraw, _number(str(threshold)))})

    def tile(request: Request) -> Response:
        at = request.path_params
        return _file(".png", result.tile(at["layer"], at["level"], at["row"], at["col"]))

    def outlines(request: Request) -> Response:
        at = request.query_params.get("threshold")
        return JSONResponse(result.outlines(None if at is None else _number(at)))

    def export(request: Request) -> Response:
        name = request.path_params["name"]
        return _download(name, result.export(name))

    return [
        Route("/result", _of_thread(lambda _: JSONResponse(result.description()))),
        Route("/outlines", outlines),
        Route("/tiles/{layer}/{level:count}/{row:count}/{col:count}.png", tile),
        Route("/export/{name}", export),
        Route("/verdict", add_verdict, methods=["POST"]),
        Route("/redraw", redraw, methods=["POST"]),
    ]


def _patch_routes(patches: PatchView) -> list[Route]:
    async def upload(request: Request) -> Response:
        name = Path(request.query_params.get("name", "")).name[:200]
        path = patches.new_file(name)
        await _receive(request, path, name, patches.largest_upload)
        return JSONResponse(await run_in_threadpool(patches.add, path, name, uploaded=True))

    async def place(request: Request) -> Response:
        return JSONResponse(patches.place(request.path_params["key"], await _document(request)))

    def remove(request: Request) -> Response:
        patches.remove(request.path_params["key"])
        return JSONResponse({})

    def picture(request: Request) -> Response:
        return _file(".png", patches.picture(request.path_params["key"], request.path_params["number"]))

    def score(request: Request) -> Response:
        at, raw = request.path_params, request.query_params.get("raw") == "1"
        with optional_packages("networks need", "networks"):
            values = patches.score(at["key"], at["number"], at["model"], raw=raw)
        return _file(".npy", values.astype("<f4").tobytes())

    def export(request: Request) -> Response:
        at, query = request.path_params, request.query_params
        threshold = _number(query.get("threshold", "0.5"))
        where, raw = (at["name"], at["key"], at["number"], at["model"]), query.get("raw") == "1"
        with optional_packages("networks need", "networks"):
            content = patches.export(*where, raw=raw, threshold=threshold)
        stem = Path(patches.patch(at["key"]).name).stem
        return _download(f"{stem}_{at['number']}_{at['name']}", content)

    one = "/patches/{key}"
    image = one + "/{number:count}"
    return [
        Route("/patches", _of_thread(lambda _: JSONResponse(patches.description()))),
        Route("/patches", upload, methods=["POST"]),
        Route(one, remove, methods=["DELETE"]),
        Route(one + "/place", place, methods=["POST"]),
        Route(image + "/picture.png", picture),
        Route(image + "/{model}/probability", score),
        Route(image + "/{model}/{name}", export),
    ]


def _of_thread(answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """Return a function that the router runs in a thread: reading a file must not hold up other requests."""

    def endpoint(request: Request) -> Response:
        return answer(request)

    return endpoint


def _static(name: str) -> Callable[[Request], Response]:
    return _of_thread(lambda _: _own(name))


def _own(name: str) -> Response:
    """Return a file of the page."""
    folder = resources.files("landslide_map.products.report" if name in _SHARED else "landslide_map.view")
    path = folder / name if name in _SHARED else folder / "page" / name
    return _file(Path(name).suffix, path.read_bytes())


def _file(ending: str, content: bytes) -> Response:
    return Response(content, media_type=_TYPES[ending])


def _download(name: str, content: bytes) -> Response:
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    disposition = f'attachment; filename="{plain}"'
    return Response(
        content, media_type=_TYPES[Path(name).suffix], headers={"content-disposition": disposition}
    )


async def _document(request: Request) -> dict[str, Any]:
    """Return the JSON object in a request: E452 if it is too long, E455 if there is none."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise UsageError("E455", "the request is no JSON object.")
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > _LARGEST_REQUEST:
            raise UsageError("E452", f"the request is longer than {_LARGEST_REQUEST // 1024} kB.")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError("E455", "the request is no JSON object.")
    return found


async def _receive(request: Request, path: Path, name: str, largest: int) -> None:
    """Write an upload to a file; nothing of it stays if it has more than `largest` bytes or breaks off."""
    stated = request.headers.get("content-length", "")
    _check_upload(int(stated) if stated.isascii() and stated.isdigit() else 0, name, largest)
    size = 0
    try:
        with path.open("xb") as file:
            async for part in request.stream():
                size += len(part)
                _check_upload(size, name, largest)
                await run_in_threadpool(file.write, part)
    except ClientDisconnect:
        path.unlink(missing_ok=True)
        raise UsageError("E455", f"the upload of {name} broke off; nothing of it was kept.") from None
    except LandslideMapError:
        path.unlink(missing_ok=True)
        raise
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ResourceError(
            "E601", f"{name} could not be kept ({error.strerror}). Free some space."
        ) from error


def _check_upload(size: int, name: str, largest: int) -> None:
    if size > largest:
        raise UsageError(
            "E452",
            f"{name} is larger than {largest // 2**20} MB; nothing of it was kept. Name it on the "
            "command line instead: landslide-map view FILE.",
        )


def _number(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found < 1:
        raise UsageError("E431", f"the threshold is {text[:20]}; it must lie between 0 and 1")
    return found


def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, LandslideMapError)
    return JSONResponse({"code": error.code, "message": error.message}, http_status(error))


def _no_such(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"the page has no {request.method} {request.url.path[:80]}."
    headers = dict(error.headers or {})
    return JSONResponse({"code": "E451", "message": what}, error.status_code, headers)


def _bug(_request: Request, error: Exception) -> Response:
    message = f"{type(error).__name__}: {str(error)[:200]}. This is a bug in landslide-map: please report it."
    return JSONResponse({"code": "E999", "message": message}, 500)
