"""Bytes of a foreign file: plain files only, and never more than the reader's limit."""

from __future__ import annotations

import stat
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from lzma import LZMAError
from pathlib import Path
from typing import Final

KIND: Final = {
    stat.S_ISFIFO: "a pipe",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISSOCK: "a socket",
}
_MOST_LISTED: Final = 8 * 2**20
"""Bytes of the list of a zip's members, which is read whole: a Sentinel-2 product has some hundred."""
_LONGEST_END: Final = 2**16 + 256
"""Bytes after the list of members."""
ZIP_ERRORS: Final = (
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    EOFError,
    KeyError,
    NotImplementedError,  # a compression that Python does not have, such as Deflate64
    RuntimeError,  # an encrypted member
    ValueError,
    OSError,
)
"""Exceptions of :mod:`zipfile` for members that are incomplete or unreadable."""


class TooLargeError(ValueError):
    """A file, or a member of a zip, is larger than its kind ever is."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a zip."""

    zip: Path
    name: str


def unreadable_kind(path: Path) -> str | None:
    """Return the kind of a path where reading could wait for ever: a pipe, a device, a socket."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return None
    return next((name for is_kind, name in KIND.items() if is_kind(mode)), None)


def refuse_waiting(path: Path) -> None:
    """Raise OSError for all but plain files, where reading could wait for ever."""
    if kind := unreadable_kind(path):
        raise OSError(f"it is {kind}")


def read_bytes(path: Path, most: int) -> bytes:
    """Return the whole of a plain file of at most `most` bytes.

    Raises
    ------
    OSError
        If it cannot be read, or is no plain file.
    TooLargeError
        If it is larger.
    """
    refuse_waiting(path)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise TooLargeError(f"it is larger than {_size(most)}")
    return content


def inside_zip(path: str | Path) -> Member | None:
    """Return the zip and the member that `path` leads to; None where no folder of it is a zip file.

    >>> inside_zip("/data/B04.tif") is None
    True
    """
    path = Path(str(path).removeprefix("/vsizip/"))
    for parent in path.parents:
        if parent.suffix.lower() == ".zip" and not parent.is_dir():
            return Member(parent, path.relative_to(parent).as_posix())
    return None


def zip_names(path: Path) -> list[str]:
    """Return the names of a zip's members that are safe below a folder: no ``..``, no root, no NUL.

    Raises
    ------
    OSError, zipfile.BadZipFile, TooLargeError
    """
    refuse_waiting(path)
    status = path.stat()
    return list(_names(path, status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=16)
def _names(path: Path, _changed: int, _size: int) -> tuple[str, ...]:
    if _listed_bytes(path) > _MOST_LISTED:
        raise TooLargeError("it lists more members than any product has")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (NotImplementedError, ValueError, UnicodeError) as error:
        raise zipfile.BadZipFile(str(error)) from None
    return tuple(name for name in names if _is_safe(name))


def _listed_bytes(path: Path) -> int:
    """Return how long the list of members is, as the end of a zip says; 0 where it is no zip."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LONGEST_END))
        end = file.read()
    long, short = end.rfind(b"PK\x06\x06"), end.rfind(b"PK\x05\x06")
    if long >= 0 and len(end) >= long + 48:
        return int.from_bytes(end[long + 40 : long + 48], "little")
    return int.from_bytes(end[short + 12 : short + 16], "little") if short >= 0 else 0


def _is_safe(name: str) -> bool:
    return not (name.startswith(("/", "\\")) or "\0" in name or ".." in name.replace("\\", "/").split("/"))


def read_member(member: Member, most: int) -> bytes:
    """Return the whole of a zip's member of at most `most` bytes, however small it is packed.

    Raises
    ------
    ZIP_ERRORS, TooLargeError
    """
    content = member_header(member, most + 1)
    if len(content) > most:
        raise TooLargeError(f"unpacked, it is larger than {_size(most)}")
    return content


def member_header(member: Member, length: int) -> bytes:
    """Return the first bytes of a zip's member; any of :data:`ZIP_ERRORS`."""
    zip_names(member.zip)
    with zipfile.ZipFile(member.zip) as archive, archive.open(member.name) as file:
        return file.read(length)


def _size(most: int) -> str:
    return f"{most / 2**20:.0f} MB"
