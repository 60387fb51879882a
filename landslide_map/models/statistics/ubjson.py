"""Universal Binary JSON, as XGBoost writes its models: read with bounds, and written anew."""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_NUMBERS: Final[dict[bytes, np.dtype[Any]]] = {
    b"i": np.dtype(">i1"),
    b"U": np.dtype(">u1"),
    b"I": np.dtype(">i2"),
    b"l": np.dtype(">i4"),
    b"L": np.dtype(">i8"),
    b"d": np.dtype(">f4"),
    b"D": np.dtype(">f8"),
}
"""Marker -> type of a number."""
_CONSTANTS: Final[dict[bytes, Any]] = {b"T": True, b"F": False, b"Z": None}
_DEEPEST: Final = 16


def read_ubjson(content: bytes) -> Any:
    """Return what a document holds: dict, list, str, number, and ndarray for arrays of one type.

    Raises
    ------
    ValueError
        If it is not whole, or of another form.
    """
    reader = _Reader(content)
    found = reader.value(reader.take(1), 0)
    if reader.at != len(content):
        raise ValueError(f"{len(content) - reader.at} bytes after its end")
    return found


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self.content) - self.at:
            raise ValueError("it is cut off")
        self.at += count
        return self.content[self.at - count : self.at]

    def number(self, marker: bytes) -> int | float:
        if marker not in _NUMBERS:
            raise ValueError(f"marker {marker!r} at byte {self.at}")
        kind = _NUMBERS[marker]
        found: int | float = np.frombuffer(self.take(kind.itemsize), kind)[0].item()
        return found

    def length(self) -> int:
        found = self.number(self.take(1))
        if not isinstance(found, int) or found < 0:
            raise ValueError(f"a length of {found}")
        return found

    def text(self) -> str:
        return self.take(self.length()).decode("utf-8")

    def value(self, marker: bytes, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        if marker == b"S":
            return self.text()
        if marker == b"{":
            return self.mapping(depth)
        return self.array(depth) if marker == b"[" else self.number(marker)

    def mapping(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.content[self.at : self.at + 1] != b"}":
            key = self.text()
            if key in found:
                raise ValueError(f"key {key[:40]!r} occurs twice")
            found[key] = self.value(self.take(1), depth + 1)
        self.at += 1
        return found

    def array(self, depth: int) -> list[Any] | npt.NDArray[Any]:
        kind = None
        if self.content[self.at : self.at + 1] == b"$":
            kind = _NUMBERS.get(self.take(2)[1:])
            if kind is None:
                raise ValueError("an array of an unknown type")
        if self.content[self.at : self.at + 1] == b"#":
            self.at += 1
            count = self.length()
            if kind is not None:
                return np.frombuffer(self.take(count * kind.itemsize), kind).astype(kind.newbyteorder("="))
            if count > len(self.content) - self.at:
                raise ValueError("it is cut off")
            return [self.value(self.take(1), depth + 1) for _ in range(count)]
        found = []
        while (marker := self.take(1)) != b"]":
            found.append(self.value(marker, depth + 1))
        return found


def write_ubjson(value: Any) -> bytes:
    """Return a document of dict, list, str, int, and ndarray of int8, uint8, int32, int64 or float32."""
    if isinstance(value, dict):
        return b"{" + b"".join(_text(key) + write_ubjson(own) for key, own in value.items()) + b"}"
    if isinstance(value, list):
        return b"[#" + _length(len(value)) + b"".join(map(write_ubjson, value))
    if isinstance(value, np.ndarray):
        marker = next(key for key, kind in _NUMBERS.items() if kind == value.dtype.newbyteorder(">"))
        data: bytes = value.astype(_NUMBERS[marker]).tobytes()
        return b"[$" + marker + b"#" + _length(len(value)) + data
    if isinstance(value, str):
        return b"S" + _text(value)
    return b"l" + struct.pack(">i", value)


def _text(value: str) -> bytes:
    encoded = value.encode("utf-8")
    return _length(len(encoded)) + encoded


def _length(count: int) -> bytes:
    return b"L" + struct.pack(">q", count)
