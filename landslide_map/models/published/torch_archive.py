"""Inert reader of torch archives: tensors come out, and no class or function that a file names is run.

A torch archive is a zip file with a pickle (``data.pkl``) and the bytes of each storage. An unpickler that
knows ordered dictionaries and tensors reads the pickle; everything else becomes an inert object.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final, NoReturn

import torch
from torch import Tensor

from landslide_map.errors import BundleError

_LARGEST_PICKLE: Final = 64 * 2**20
_DTYPES: Final = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_PROGRAM_MODULES: Final = frozenset(
    {
        "asyncio",
        "code",
        "codeop",
        "commands",
        "ctypes",
        "ftplib",
        "http",
        "importlib",
        "marshal",
        "multiprocessing",
        "nt",
        "os",
        "pdb",
        "pickle",
        "platform",
        "posix",
        "pty",
        "runpy",
        "shutil",
        "smtplib",
        "socket",
        "subprocess",
        "sys",
        "timeit",
        "urllib",
        "webbrowser",
    }
)
_PROGRAM_BUILTINS: Final = frozenset({"eval", "exec", "compile", "open", "__import__", "input", "breakpoint"})


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: torch.dtype
    length: int


@dataclass(frozen=True, slots=True)
class _StoredTensor:
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Inert:
    """Stands for any object of a class that is not read; accepts what a pickle does to objects."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        pass

    def __call__(self, *_args: Any, **_kwargs: Any) -> _Inert:
        return self

    def __setstate__(self, _state: Any) -> None:
        pass

    def __setitem__(self, _key: Any, _value: Any) -> None:
        pass

    def append(self, _value: Any) -> None:
        """Take nothing."""

    def extend(self, _values: Any) -> None:
        """Take nothing."""

    def add(self, _value: Any) -> None:
        """Take nothing."""


class _InertUnpickler(pickle._Unpickler):
    """The slow unpickler in Python: unlike the compiled one it cannot be made to reserve memory."""

    def __init__(self, content: bytes, path: Path) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few known things, or an inert class; refuse programs (E552)."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in _REBUILD:
            return _REBUILD[name]
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        root = module.partition(".")[0]
        if root in _PROGRAM_MODULES or (
            root in ("builtins", "__builtin__") and name.partition(".")[0] in _PROGRAM_BUILTINS
        ):
            raise BundleError(
                "E552",
                f"{self.path}: holds a call of {module}.{name}, which no checkpoint needs. Nothing of it "
                "was run. Do not open this file with other programs; fetch it again from its authors.",
            )
        return _Inert

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the description of a storage."""
        kind, dtype, key, _location, length = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError(f"unknown storage {str(pid)[:80]}")
        return _Storage(str(key), dtype, int(length))


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_rest: Any) -> _StoredTensor:
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without storage")
    numbers = [int(offset), *map(int, size), *map(int, stride)]
    if min(numbers) < 0 or len(size) != len(stride):
        raise pickle.UnpicklingError("a tensor of impossible shape")
    return _StoredTensor(storage, int(offset), tuple(map(int, size)), tuple(map(int, stride)))


def _rebuild_parameter(data: Any, *_rest: Any) -> Any:
    return data


_REBUILD: Final[dict[str, Callable[..., Any]]] = {
    "_rebuild_tensor_v2": _rebuild_tensor,
    "_rebuild_parameter": _rebuild_parameter,
}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the state dict that a torch file holds, by itself or under ``state_dict``; nothing is run.

    Raises
    ------
    BundleError
        E524 if the file is damaged or no torch archive, E552 if it holds calls of programs, E521 if it holds
        no state dict.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _tensors(archive, path)
    except (zipfile.BadZipFile, pickle.UnpicklingError, OSError, EOFError, KeyError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        _damaged(path, str(error) or type(error).__name__)
    except (TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        _damaged(path, f"its pickle is malformed: {error}")


def _tensors(archive: zipfile.ZipFile, path: Path) -> dict[str, Tensor]:
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        _damaged(path, "its entries are compressed, which torch never does")
    pickles = [
        entry for entry in entries if entry.filename.count("/") == 1 and entry.filename.endswith("/data.pkl")
    ]
    if len(pickles) != 1:
        _damaged(path, "it is a zip file without data.pkl")
    if pickles[0].file_size > _LARGEST_PICKLE:
        _damaged(path, f"its data.pkl has {pickles[0].file_size} bytes")
    folder = pickles[0].filename.partition("/")[0]
    names = {entry.filename for entry in entries}
    if f"{folder}/byteorder" in names and archive.read(f"{folder}/byteorder").strip() != b"little":
        _damaged(path, "its numbers are big-endian")
    root = _InertUnpickler(archive.read(pickles[0]), path).load()
    state = root.get("state_dict", root) if isinstance(root, Mapping) else root
    if (
        not isinstance(state, Mapping)
        or not state
        or not all(isinstance(key, str) and isinstance(value, _StoredTensor) for key, value in state.items())
    ):
        raise BundleError(
            "E521",
            f"{path}: holds no state dict (names and tensors), by itself or under 'state_dict'. Save the "
            "network's state_dict().",
        )
    storages: dict[str, Tensor] = {}
    return {key: _read(archive, folder, value, storages, path) for key, value in state.items()}


def _read(
    archive: zipfile.ZipFile, folder: str, stored: _StoredTensor, storages: dict[str, Tensor], path: Path
) -> Tensor:
    storage = stored.storage
    if storage.key not in storages:
        content = archive.read(f"{folder}/data/{storage.key}")
        if len(content) != storage.length * storage.dtype.itemsize:
            _damaged(path, f"storage {storage.key} has {len(content)} bytes")
        flat = torch.frombuffer(bytearray(content), dtype=storage.dtype) if content else torch.empty(0)
        storages[storage.key] = flat
    last = stored.offset + sum((n - 1) * step for n, step in zip(stored.size, stored.stride, strict=True))
    count: int = prod(int(n) for n in stored.size)
    if count > storage.length or (count and last >= storage.length):
        _damaged(path, f"a tensor reaches beyond storage {storage.key}")
    flat = storages[storage.key]
    return flat.as_strided(stored.size, stored.stride, stored.offset).contiguous().clone()


def _damaged(path: Path, reason: str) -> NoReturn:
    raise BundleError(
        "E524", f"{path}: cannot be read as a torch archive ({reason[:200]}). Copy the file again."
    )
