"""Speed of the search for images, and of downloads over a link that is throttled, on loopback.

The server is a process of its own. It answers a search as a STAC API does, with images of a tile for a year
and scene classifications of full size. Its own time is taken off. All connections share a link of a fixed
rate.
"""

from __future__ import annotations

import io
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import rasterio
from affine import Affine

from landslide_map.runtime.progress import silent
from landslide_map.search.area import Area
from landslide_map.search.download import Download, fetch
from landslide_map.search.event_time import EventTime
from landslide_map.search.find_images import Query, find_images
from landslide_map.search.network import Network

MOST_S: Final = 10.0
"""Seconds that a search may take beside the time of the server."""
LEAST_SHARE: Final = 0.9
"""Share of a link that downloads must use."""
FILES: Final = 8
CHUNK: Final = 1 << 15


def _classification() -> bytes:
    """Return an SCL of a full tile, 20 m, with patches of cloud."""
    coarse = np.random.default_rng(1).choice([4, 5, 9], (61, 61), p=[0.6, 0.3, 0.1])
    classes = np.kron(coarse, np.ones((90, 90))).astype(np.uint8)
    buffer = io.BytesIO()
    with rasterio.MemoryFile() as memory:
        with memory.open(
            driver="GTiff", width=classes.shape[1], height=classes.shape[0], count=1, dtype="uint8",
            tiled=True, compress="deflate", crs="EPSG:32651", transform=Affine(20, 0, 3e5, 0, -20, 2.7e6),
        ) as file:  # fmt: skip
            file.write(classes, 1)
        buffer.write(memory.read())
    return buffer.getvalue()


def _catalogue(pipe: Connection) -> None:
    """Serve a year of images of one tile, and their classifications; answer how long answers took."""
    from tests.support import loopback as served_by
    from tests.support.stac_items import sentinel1, sentinel2, utc

    answer, spent, lock = served_by._answer, [0.0], threading.Lock()

    def timed(*arguments: Any) -> None:
        began = time.perf_counter()
        answer(*arguments)
        with lock:
            spent[0] += time.perf_counter() - began

    vars(served_by)["_answer"] = timed
    first = utc("2023-06-01T02:25")
    with served_by.loopback() as served:
        served.files["/scl.tif"] = _classification()
        for i in range(146):
            item = sentinel2(first + timedelta(days=2.5 * i), cloud=float(i * 37 % 90))
            item["assets"]["SCL"] = {"href": f"{served.url}/scl.tif"}
            served.items.append(item)
        for i in range(61):
            for k, state in enumerate(("descending", "ascending")):
                start = first + timedelta(days=6.0 * i, hours=12.0 * k)
                orbit = 49_000 + 87 * i + 7 * k
                served.items.append(sentinel1(start, orbit=orbit, relative=105 - 36 * k, state=state))
        pipe.send(served.url)
        while pipe.recv() is not None:
            pipe.send(spent[0])


def _link(pipe: Connection, rate: float, size: int) -> None:
    """Serve files of `size` bytes; all connections together get `rate` bytes a second."""
    lock, free = threading.Lock(), [0.0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            piece = b"II*\0" + bytes(CHUNK - 4)
            for _ in range(size // CHUNK):
                with lock:
                    now = time.monotonic()
                    free[0] = max(free[0], now) + CHUNK / rate
                    pause = free[0] - now
                time.sleep(max(pause, 0.0))
                self.wfile.write(piece)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.send(f"http://127.0.0.1:{server.server_address[1]}")
    pipe.recv()


@contextmanager
def _process(target: Any, *arguments: Any) -> Iterator[tuple[str, Connection]]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=target, args=(there, *arguments), daemon=True
    )
    process.start()
    try:
        yield here.recv(), here
    finally:
        here.send(None)
        process.join(10)


def search_seconds(folder: Path) -> tuple[float, float]:
    """Return the seconds of a search, and those of the server in it."""
    with _process(_catalogue) as (url, pipe), Network() as network:
        query = Query(
            EventTime.read("2024-04-02T23:58:00Z"), Area.of_box(121.2, 23.9, 121.5, 24.1), (f"{url}/api",)
        )
        began = time.perf_counter()
        selection = find_images(query, network, folder)
        seconds = time.perf_counter() - began
        assert selection.optical.post is not None
        assert len(selection.radar.tracks) == 2
        pipe.send(True)
        return seconds, float(pipe.recv())


def share_of_link(folder: Path, rate: float, size: int) -> float:
    """Return the rate of downloads as a share of that of the link."""
    with _process(_link, rate, size) as (url, _), Network() as network:
        downloads = [Download(f"{url}/{i}.tif", folder / f"{i}.tif", size) for i in range(FILES)]
        began = time.perf_counter()
        fetch(downloads, network, silent)
        return FILES * size / (time.perf_counter() - began) / rate


@click.command()
@click.option("--rate", default=50.0, show_default=True, help="Rate of the link, MB/s.")
def main(rate: float) -> None:
    """Search a year of images of a tile for those of an event, and download over a throttled link."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, server = search_seconds(Path(folder, "search"))
        share = share_of_link(Path(folder), rate * 1e6, CHUNK * 1000)
    click.echo(
        f"search: {seconds:.1f} s, of these {server:.2f} s the server's, {seconds - server:.1f} s beside"
    )
    click.echo(
        f"downloads: {share:.1%} of a link of {rate:g} MB/s, {FILES} files of {CHUNK * 1000 / 1e6:.0f} MB"
    )
    raise SystemExit(seconds - server > MOST_S or share < LEAST_SHARE)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.searching")
