"""Downloads: parallel, resumed after a broken connection, verified, complete or absent."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import requests

from landslide_map.errors import ResourceError, SearchError
from landslide_map.runtime.atomic import writable
from landslide_map.runtime.progress import Report, Stage
from landslide_map.search.network import Network, looks_like_html, shown
from landslide_map.untrusted.json_text import read_json

PARALLEL: Final = 4
"""Files that are downloaded at once: the limit of an account of the Copernicus Data Space."""
CONFIRM_ABOVE: Final = 5_000_000_000
"""Bytes above which the user must confirm the download."""
_CHUNK: Final = 1 << 16
"""Bytes written at once: so much of a broken connection is lost at most."""
_MB: Final = 1_000_000
_STARTS: Final = {
    ".tif": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ".jp2": (b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51"),
    ".zip": (b"PK",),
}
"""Ending -> how such files begin."""
_HASHES: Final = {"1220": "sha256", "1620": "sha3_256", "1340": "sha512", "1114": "sha1", "d50110": "md5"}
"""Beginning of a multihash in hexadecimal -> hash function."""


@dataclass(frozen=True, slots=True)
class Download:
    """One file to fetch."""

    url: str
    target: Path
    size: int | None = None
    """Bytes, if known."""
    checksum: str | None = None
    """A multihash or MD5, in hexadecimal; one of another kind is not checked."""


def with_sizes(downloads: Iterable[Download], network: Network) -> list[Download]:
    """Return downloads with the sizes from the servers where the catalogue has none."""

    def sized(one: Download) -> Download:
        if one.size is not None or one.target.exists():
            return one
        return replace(one, size=network.size(one.url))

    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(sized, downloads))


def remaining(downloads: Iterable[Download]) -> int:
    """Return how many bytes are still to fetch; files of unknown size count nothing."""
    return sum(
        max((one.size or 0) - (_part(one).stat().st_size if _part(one).exists() else 0), 0)
        for one in downloads
        if not one.target.exists()
    )


def fetch(
    downloads: Sequence[Download], network: Network, progress: Report, parallel: int = PARALLEL
) -> None:
    """Fetch files; those that are there already are left alone, parts of an earlier attempt are continued.

    Raises
    ------
    SearchError
        E700 no answer, E708 broken off too often, E709 another checksum or size, E710 access denied. E713 a
        file of another size is there, E714 a web page instead of a file.
    ResourceError
        E601 not enough space.
    """
    for one in downloads:
        if one.target.exists() and one.size is not None and one.target.stat().st_size != one.size:
            raise SearchError(
                "E713",
                f"{one.target}: exists with {one.target.stat().st_size:,} bytes, expected {one.size:,}. It "
                "is not from this search: move it away, or choose another folder for --download.",
            )
    left = [one for one in downloads if not one.target.exists()]
    _check_space(left)
    total = -(-remaining(left) // _MB)
    stop = threading.Event()
    tick = _ticker(progress, Stage("download", "MB"), total)
    with ThreadPoolExecutor(parallel) as pool:
        jobs = [pool.submit(_Fetch(one, network, tick, stop).run) for one in left]
        try:
            done, _ = wait(jobs, return_when=FIRST_EXCEPTION)
        except BaseException:
            stop.set()
            raise
        failed = [job for job in done if job.exception() is not None]
        if failed:
            stop.set()  # what has arrived of the others stays, as parts
            for job in jobs:
                job.cancel()
            failed[0].result()
    progress(Stage("download", "MB"), max(total, 1), max(total, 1))


def file_name(url: str) -> str:
    """Return a safe name for the file of an address.

    >>> file_name("https://a.example/x/T51_B04.tif?sig=1"), file_name("https://a.example/..")
    ('T51_B04.tif', 'file')
    """
    if node := re.search(r"Nodes\(([^()]+)\)/\$value$", url):  # the Copernicus Data Space's
        url = node.group(1)
    name = re.sub(r"[^A-Za-z0-9._-]", "_", url.split("?")[0].split("#")[0].rstrip("/").rsplit("/", 1)[-1])
    return name.strip(".")[-200:] or "file"


class _StoppedError(Exception):
    """Another download failed, or a person interrupted."""


@dataclass
class _Fetch:
    one: Download
    network: Network
    tick: Callable[[int], None]
    stop: threading.Event

    def run(self) -> None:
        """Fetch the file; a broken connection is continued as long as anything arrives."""
        with writable(self.one.target):
            self.one.target.parent.mkdir(parents=True, exist_ok=True)
            self._run()

    def _run(self) -> None:
        idle = wrong = 0
        problem = ""
        while idle < self.network.attempts:
            before = self._have()
            try:
                self._continue()
            except _StoppedError:
                return
            except requests.RequestException as error:
                problem = f"the connection broke off ({type(error).__name__})"
                idle = idle + 1 if self._have() <= before else 0
                self.network.sleep(min(2.0**idle, 60.0))
                continue
            found = self._wrong()
            if found is None:
                self._finish()
                return
            problem, short = found
            if not short:
                wrong += 1
                self._forget()
                if wrong > 1:
                    raise SearchError(
                        "E709",
                        f"{shown(self.one.url)}: {problem}, twice. The file is damaged at its source, or on "
                        "the way; take another catalogue, or try again later.",
                    )
            idle = idle + 1 if self._have() <= before else 0
        raise SearchError(
            "E708",
            f"{shown(self.one.url)}: {problem}; {self._have():,} bytes are kept in {_part(self.one)}: the "
            "same command goes on from there.",
        )

    def _continue(self) -> None:
        """Request the missing bytes, and append them."""
        have, tag = self._have(), self._tag()
        headers = {"Accept-Encoding": "identity"}
        if have and (tag or self.one.checksum):
            headers["Range"] = f"bytes={have}-"
            if tag:
                headers["If-Range"] = tag
        elif have:
            self._forget()
            have = 0
        with self.network.answer(self.one.url, headers=headers, also=frozenset({416})) as answer:
            self._check_size(answer)
            if answer.status_code == 416:
                if self.one.size is None:
                    self._forget()
                return
            started = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
            if answer.status_code == 200 or started is None or int(started.group(1)) != have:
                self._forget()  # the whole file comes, or another piece than was requested
                if answer.status_code != 200:
                    return
            self._remember(answer.headers.get("ETag"))
            self._append(answer)

    def _check_size(self, answer: requests.Response) -> None:
        """Refuse a file if its whole size, by the server, is another than the catalogue's."""
        content_range = re.search(r"/(\d+)$", answer.headers.get("Content-Range", ""))
        length = answer.headers.get("Content-Length", "")
        whole = int(content_range.group(1)) if content_range else None
        if whole is None and answer.status_code == 200 and length.isdigit():
            whole = int(length)
        if self.one.size is None or whole is None or whole == self.one.size:
            return
        if "text/html" in answer.headers.get("Content-Type", ""):
            return  # refused as such when its first bytes come
        raise SearchError(
            "E709",
            f"{shown(self.one.url)}: has {whole:,} bytes, the catalogue says {self.one.size:,}; the file was "
            "replaced, or is another. Take another catalogue, or try again later.",
        )

    def _append(self, answer: requests.Response) -> None:
        with _part(self.one).open("ab") as file:
            first = file.tell() == 0
            for piece in answer.iter_content(_CHUNK):
                if first:
                    self._check_start(piece, answer)
                    first = False
                file.write(piece)
                self.tick(len(piece))
                if self.stop.is_set():
                    raise _StoppedError
                if self.one.size is not None and file.tell() > self.one.size:
                    return

    def _check_start(self, piece: bytes, answer: requests.Response) -> None:
        """Refuse a login or error page that is sent in place of a file."""
        kind = answer.headers.get("Content-Type", "")
        starts = _STARTS.get(self.one.target.suffix.lower().replace(".tiff", ".tif"))
        if looks_like_html(piece[:500].decode("latin-1")) or "text/html" in kind:
            raise SearchError(
                "E714",
                f"{shown(self.one.url)}: a web page comes in place of the file (a login or error page?). Log "
                "in at the provider and accept its terms, or take another catalogue.",
            )
        if starts and len(piece) >= 8 and not piece.startswith(starts):
            raise SearchError(
                "E709",
                f"{shown(self.one.url)}: does not begin as a {self.one.target.suffix} file does; take "
                "another catalogue, or try again later.",
            )

    def _wrong(self) -> tuple[str, bool] | None:
        """Return the fault of the file and whether it is only short; None without a fault."""
        have, size = self._have(), self.one.size
        if size is not None and have < size:
            return f"only {have:,} of {size:,} bytes came", True
        if size is not None and have > size:
            return f"{have:,} bytes came, expected {size:,}", False
        if have == 0:
            return "nothing came", True
        if not _matches(_part(self.one), self.one.checksum):
            return "its checksum is another than the catalogue's", False
        return None

    def _finish(self) -> None:
        _part(self.one).replace(self.one.target)
        _note(self.one).unlink(missing_ok=True)

    def _have(self) -> int:
        part = _part(self.one)
        return part.stat().st_size if part.exists() else 0

    def _tag(self) -> str | None:
        try:
            note: Any = read_json(_note(self.one))
            tag = note["etag"] if note["url"] == shown(self.one.url) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return tag if isinstance(tag, str) else None

    def _remember(self, tag: str | None) -> None:
        strong = tag if tag and not tag.startswith("W/") else None
        _note(self.one).write_text(json.dumps({"url": shown(self.one.url), "etag": strong}))

    def _forget(self) -> None:
        self.tick(-self._have())
        _part(self.one).unlink(missing_ok=True)


def _matches(path: Path, checksum: str | None) -> bool:
    """Whether a file has the checksum; of a kind that is not known, or none: nothing contradicts it."""
    text = (checksum or "").lower()
    name, digest = next(
        ((name, text.removeprefix(code)) for code, name in _HASHES.items() if text.startswith(code)),
        ("md5", text),
    )
    if len(text) == 32:
        name, digest = "md5", text
    if len(digest) != 2 * hashlib.new(name).digest_size:
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, name).hexdigest() == digest


def _check_space(downloads: Sequence[Download]) -> None:
    if not downloads:
        return
    folder = next(path for path in downloads[0].target.absolute().parents if path.exists())
    free, needed = shutil.disk_usage(folder).free, remaining(downloads)
    if needed > free:
        raise ResourceError(
            "E601", f"{folder}: {needed / 1e9:.1f} GB are to be downloaded, {free / 1e9:.1f} GB are free."
        )


def _ticker(progress: Report, stage: Stage, total: int) -> Callable[[int], None]:
    """Return a function that counts bytes of all threads and reports MB."""
    lock, done = threading.Lock(), 0
    progress(stage, 0, max(total, 1))

    def tick(more: int) -> None:
        nonlocal done
        with lock:
            done += more
            progress(stage, min(max(done // _MB, 0), max(total, 1)), max(total, 1))

    return tick


def _part(one: Download) -> Path:
    return one.target.with_name(f"{one.target.name}.part")


def _note(one: Download) -> Path:
    return one.target.with_name(f"{one.target.name}.part.json")
