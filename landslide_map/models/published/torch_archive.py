"""Inert reader of torch archives: tensors come out, and no class or function that a file names is run.

A torch archive is a zip file with a pickle (``data.pkl``) and the bytes of each storage. An unpickler that
knows ordered dictionaries and tensors reads the pickle; everything else becomes an inert object.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final, NoReturn

import torch
from torch import Tensor

from landslide_map.errors import BundleError
from landslide_map.untrusted.files import refuse_waiting

_LARGEST_PICKLE: Final = 64 * 2**20
_MOST_SHARED: Final = 4
"""Tensors may share their numbers. A file of little else would fill the memory."""
_MOST_PICKLES: Final = 6
"""Pickles after each other in a file of torch before 1.6: five, then the numbers."""
_PICKLE_ERRORS: Final = (
    pickle.UnpicklingError,
    struct.error,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,  # recursion, an encrypted member
)
"""Exceptions of an unpickler on bytes that are no pickle, or a damaged one."""
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
        "cloudpickle",
        "code",
        "codeop",
        "commands",
        "ctypes",
        "dill",
        "ftplib",
        "http",
        "importlib",
        "joblib",
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
_PROGRAMS: Final = {
    "builtins": {"eval", "exec", "compile", "open", "__import__", "input", "breakpoint"},
    "numpy": {"load", "fromfile", "memmap"},
    "torch": {"load", "serialization", "hub", "jit", "package", "ops"},
    "types": {"CodeType", "FunctionType"},
}
"""Package -> its names that run programs, or load them."""


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
    """Placeholder of any object of a class that is not read; accepts all operations of a pickle."""

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


def _is_program(module: str, name: str) -> bool:
    """Whether a pickle names a function that runs programs; no network or loss needs one."""
    package, _, within = f"{module}.{name}".partition(".")
    package = "builtins" if package == "__builtin__" else package
    return package in _PROGRAM_MODULES or within.partition(".")[0] in _PROGRAMS.get(package, ())


class _InertUnpickler(pickle._Unpickler):
    """The slow unpickler in Python: unlike the compiled one it cannot be made to reserve memory."""

    def __init__(self, content: BinaryIO, path: Path) -> None:
        super().__init__(content, encoding="utf-8")
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few known things, or an inert class; refuse programs (E552)."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in _REBUILD:
            return _REBUILD[name]
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if _is_program(module, name):
            raise BundleError(
                "E552",
                f"{self.path}: holds a call of {module}.{name}, which no checkpoint needs. Nothing of it "
                "was run. Do not open this file with other programs; fetch it again from its authors.",
            )
        return _Inert

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the description of a storage."""
        kind, dtype, key, _location, length, *_view = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError(f"unknown storage {str(pid)[:80]}")
        return _Storage(str(key), dtype, int(length))

    def refuse_reserving(self) -> NoReturn:
        """Refuse the one kind of object that takes memory before its bytes are read."""
        raise pickle.UnpicklingError("a bytearray, which no checkpoint holds")

    dispatch: ClassVar[dict[int, Any]] = {
        **pickle._Unpickler.dispatch,
        pickle.BYTEARRAY8[0]: refuse_reserving,
    }


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
    """Return the state dict that a torch file holds, alone or under ``state_dict``; nothing is run.

    Raises
    ------
    BundleError
        E524 if the file is damaged or no torch archive, E552 if it holds calls of programs, E521 if it holds
        no state dict.
    """
    try:
        refuse_waiting(path)
        if not zipfile.is_zipfile(path):
            _refuse_pickle(path)
        with zipfile.ZipFile(path) as archive:
            return _tensors(archive, path)
    except BundleError:
        raise
    except (zipfile.BadZipFile, OSError) as error:
        _damaged(path, str(error) or type(error).__name__)
    except _PICKLE_ERRORS as error:
        _damaged(path, f"its pickle is malformed: {error or type(error).__name__}")


def _refuse_pickle(path: Path) -> None:
    """Refuse a file that is no archive: E552 where it is a pickle, or several, with calls of programs.

    Torch before 1.6 wrote several pickles after each other; pickle itself writes one.
    """
    with path.open("rb") as file:
        content = io.BytesIO(file.read(_LARGEST_PICKLE))
    read = 0
    try:
        while read < _MOST_PICKLES:
            _InertUnpickler(content, path).load()
            read += 1
    except BundleError:
        raise
    except _PICKLE_ERRORS:
        pass  # the numbers after the pickles, or no pickle at all
    if read:
        raise BundleError(
            "E524",
            f"{path}: is a pickle, or was written by torch before 1.6; expected a torch archive. Save its "
            "state_dict() with a newer torch.",
        )


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
    root = _InertUnpickler(io.BytesIO(archive.read(pickles[0])), path).load()
    state = root.get("state_dict", root) if isinstance(root, Mapping) else root
    if (
        not isinstance(state, Mapping)
        or not state
        or not all(isinstance(key, str) and isinstance(value, _StoredTensor) for key, value in state.items())
    ):
        raise BundleError(
            "E521",
            f"{path}: holds no state dict (names and tensors), alone or under 'state_dict'. Save the "
            "network's state_dict().",
        )
    size = sum(prod(own.size) * own.storage.dtype.itemsize for own in state.values())
    if size > _MOST_SHARED * path.stat().st_size:
        _damaged(path, f"its tensors have {size} bytes, {_MOST_SHARED} times as many as the file")
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
