"""Scalars of TensorBoard event files, read without TensorBoard."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def largest_scalar(path: Path, tag: str) -> float | None:
    """Return the largest value of a scalar in an event file, or None where it is not in it.

    A record that is cut off ends the file, as in a run that was killed.

    References
    ----------
    Records: length, checksum, bytes, checksum (``tensorflow/core/lib/io/record_writer``); content: protocol
    buffers ``Event.summary = 5``, ``Summary.value = 1``, ``Value.tag = 1``, ``Value.simple_value = 2``,
    ``Value.tensor = 8`` with ``TensorProto.float_val = 5``.
    """
    found = [value for name, value in _scalars(path.read_bytes()) if name == tag and value == value]
    return max(found, default=None)


def _scalars(content: bytes) -> Iterator[tuple[str, float]]:
    for event in _records(content):
        for number, kind, summary in _fields(event):
            if (number, kind) != (5, _BYTES):
                continue
            for inner, inner_kind, value in _fields(summary):
                if (inner, inner_kind) == (1, _BYTES):
                    yield from _scalar(value)


def _scalar(value: bytes) -> Iterator[tuple[str, float]]:
    name, number = "", None
    for field, kind, content in _fields(value):
        if (field, kind) == (1, _BYTES):
            name = content.decode("utf-8", "replace")
        elif (field, kind) == (2, _FIXED32):
            number = struct.unpack("<f", content)[0]
        elif (field, kind) == (8, _BYTES):
            number = _tensor(content)
    if number is not None:
        yield name, number


def _tensor(content: bytes) -> float | None:
    for field, kind, inner in _fields(content):
        if field == 5 and kind in (_BYTES, _FIXED32) and len(inner) >= 4:
            return float(struct.unpack("<f", inner[:4])[0])
        if (field, kind) == (4, _BYTES) and len(inner) == 4:
            return float(struct.unpack("<f", inner)[0])
    return None


def _records(content: bytes) -> Iterator[bytes]:
    place = 0
    while place + 12 <= len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        start, end = place + 12, place + 12 + length
        if end + 4 > len(content):
            return
        yield content[start:end]
        place = end + 4


def _fields(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, wire type and bytes of each field of a message; a malformed rest is left out."""
    place = 0
    while place < len(content):
        key, place = _varint(content, place)
        kind = key & 7
        if kind == _VARINT:
            _, place = _varint(content, place)
            continue
        if kind == _BYTES:
            length, place = _varint(content, place)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            return
        if place + length > len(content):
            return
        yield key >> 3, kind, content[place : place + length]
        place += length


def _varint(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(content) and shift < 64:
        byte = content[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    return value, place
