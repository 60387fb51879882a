"""Universal Binary JSON, as XGBoost writes its models: read with bounds, and written again."""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_FORMS: Final = {
    b"i": struct.Struct(">b"),
    b"U": struct.Struct(">B"),
    b"I": struct.Struct(">h"),
    b"l": struct.Struct(">i"),
    b"L": struct.Struct(">q"),
    b"d": struct.Struct(">f"),
    b"D": struct.Struct(">d"),
}
"""Marker -> form of a number."""
_NUMBERS: Final[dict[bytes, np.dtype[Any]]] = {m: np.dtype(form.format) for m, form in _FORMS.items()}
"""The same for arrays: numpy is slow for one number, and a model has 20,000 lengths of names."""
_CONSTANTS: Final[dict[bytes, Any]] = {b"T": True, b"F": False, b"Z": None}
_DEEPEST: Final = 16


def read_ubjson(content: bytes) -> Any:
    """Return the content of a document: dict, list, str, number, and ndarray for arrays of one type.

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
        form = _FORMS.get(marker)
        if form is None:
            raise ValueError(f"marker {marker!r} at byte {self.at}")
        found: int | float = form.unpack(self.take(form.size))[0]
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
