"""Folder of a bundle: written whole; format version and hashes checked before reading."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import file_digest, sha256
from os import PathLike
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from landslide_map.errors import BundleError
from landslide_map.models.bundle.format import (
    FORMAT,
    FORMAT_VERSION,
    SEGMENTATION,
    BundleDocument,
    FileEntry,
)
from landslide_map.runtime.own_files import Kind, sealed
from landslide_map.runtime.transaction import outputs, refuse_unfit
from landslide_map.untrusted.files import TooLargeError, read_bytes, unreadable_kind
from landslide_map.untrusted.json_text import parse_json
from landslide_map.untrusted.validation import first_problem

DOCUMENT: Final = "bundle.json"
BUNDLE: Final = Kind(DOCUMENT, holds="a bundle", exclusive=True)
_MOST_BYTES: Final = 2**26
"""Greatest size of ``bundle.json``; that of the default bundle has 70 kB."""


def save_bundle(
    folder: str | PathLike[str],
    document: Mapping[str, Any],
    contents: Mapping[str, bytes | Callable[[Path], None]],
    *,
    overwrite: bool = False,
) -> None:
    """Write a bundle; it appears complete or not at all.

    Parameters
    ----------
    folder : path
        Must not exist, or be empty, or be replaced with `overwrite`.
    document : mapping
        Everything of ``bundle.json`` but ``files``, which is made from `contents`.
    contents : mapping
        File name -> bytes, or for large files a function that writes the file at the path it is given.
    overwrite : bool
        Replace an existing bundle, unchanged since it was written (and nothing else).

    Raises
    ------
    OutputExistsError
        E401 if the folder holds something already, E404 if something that is not of a bundle of ours.
    BundleError
        E505 if the document is not valid.
    """
    folder = Path(folder)
    with outputs(folder, BUNDLE, overwrite=overwrite) as staging:
        for name, content in contents.items():
            if isinstance(content, bytes):
                (staging / name).write_bytes(content)
            else:
                content(staging / name)
        files = {name: _entry(staging / name) for name in contents}
        try:
            checked = BundleDocument.model_validate({**document, "files": files})
        except ValidationError as error:
            raise _invalid(folder, error) from None
        text = json.dumps(sealed(checked.model_dump(mode="json")), indent=1, allow_nan=False) + "\n"
        (staging / DOCUMENT).write_text(text, encoding="utf-8")


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder in which a bundle must not be written (E401, E404)."""
    refuse_unfit(folder, BUNDLE, overwrite=overwrite)


def read_document(folder: Path) -> bytes:
    """Return the bytes of ``bundle.json`` (E501 where there is none)."""
    if not folder.is_dir():
        raise BundleError(
            "E501", f"{folder}: no such folder; expected a model bundle (a folder with {DOCUMENT})."
        )
    try:
        return read_bytes(folder / DOCUMENT, _MOST_BYTES)
    except FileNotFoundError:
        raise BundleError(
            "E501", f"{folder}: holds no {DOCUMENT}, so it is not a model bundle. Check the path."
        ) from None
    except (OSError, TooLargeError) as error:
        raise BundleError("E501", f"{folder / DOCUMENT}: cannot be read ({error}).") from error


def parse(content: bytes, folder: Path) -> BundleDocument:
    """Return the description that `content` is (E503 another format version, E505 not valid)."""
    try:
        raw = parse_json(content)
    except ValueError as error:
        raise BundleError("E505", f"{folder / DOCUMENT}: is not JSON ({error}).") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise BundleError(
            "E505", f"{folder / DOCUMENT}: does not say format: {FORMAT!r}; it is no model bundle."
        )
    if raw.get("format_version") != FORMAT_VERSION:
        raise BundleError(
            "E503",
            f"{folder / DOCUMENT}: format version {raw.get('format_version')!r}, but this "
            f"landslide-map reads version {FORMAT_VERSION}. Update landslide-map, or train the bundle again.",
        )
    try:
        return BundleDocument.model_validate_json(content)
    except ValidationError as error:
        raise _invalid(folder, error) from None


def _invalid(folder: Path, error: ValidationError) -> BundleError:
    return BundleError(
        "E505", f"{folder / DOCUMENT}: {first_problem(error, BundleDocument, 'document').text}."
    )


def _entry(path: Path) -> FileEntry:
    with path.open("rb") as file:
        return FileEntry(sha256=file_digest(file, "sha256").hexdigest(), bytes=path.stat().st_size)


def verified(folder: Path, document: BundleDocument) -> dict[str, bytes | Path]:
    """Return the content of every listed file, read once and checked; of networks' large files the path."""
    networks = [member for member in document.members if member.kind in ("network", SEGMENTATION)]
    large = {name for member in networks for name in member.files}
    contents: dict[str, bytes | Path] = {}
    for name, entry in document.files.items():
        data: bytes | Path
        try:
            if kind := unreadable_kind(folder / name):
                raise OSError(f"it is {kind}")
            if (size := (folder / name).stat().st_size) != entry.bytes:
                data, read = b"", FileEntry(sha256="0" * 64, bytes=size)  # as large as said, or not read
            elif name in large:
                data = folder / name
                read = _entry(folder / name)
            else:
                data = (folder / name).read_bytes()
                read = FileEntry(sha256=sha256(data).hexdigest(), bytes=len(data))
        except OSError:
            raise BundleError(
                "E501",
                f"{folder / name}: listed in {DOCUMENT} but missing or unreadable. Restore the bundle.",
            ) from None
        if read != entry:
            raise BundleError(
                "E502",
                f"{folder / name}: differs from the hash in {DOCUMENT} ({read.bytes} bytes, expected "
                f"{entry.bytes}); it was changed or damaged. Restore the bundle.",
            )
        contents[name] = data
    found = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    if unlisted := sorted(found - set(contents) - {DOCUMENT}):
        raise BundleError(
            "E504",
            f"{folder / unlisted[0]}: not listed in {DOCUMENT} ({len(unlisted)} such files); nothing "
            "unlisted belongs in a bundle. Remove it, or restore the bundle.",
        )
    return contents
