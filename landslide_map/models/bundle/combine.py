"""One bundle of the window members of one and the pixel members of another."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from landslide_map.errors import BundleError
from landslide_map.models.bundle.folder import save_bundle
from landslide_map.models.bundle.format import SEGMENTATION
from landslide_map.models.bundle.load import load_bundle
from landslide_map.models.segmentation.fusion import Fusion


def add_pixel_members(
    windows: Path | None,
    pixels: Path,
    out: Path,
    *,
    fusion: Fusion | None = None,
    overwrite: bool = False,
) -> list[str]:
    """Write a bundle with all of `windows` and the pixel members of `pixels`; return their names.

    Parameters
    ----------
    windows : path, optional
        By default the built-in bundle.
    pixels, out : path
    fusion : Fusion, optional
        How the probability of the first pixel scenario is joined with that of outlines.
    overwrite : bool

    Raises
    ------
    BundleError
        E554 if `pixels` has no pixel members, E505 if a name occurs in both.
    OutputExistsError
        E401.
    """
    base, added = load_bundle(windows), load_bundle(pixels, pixel_members_suffice=True)
    if not added.pixel_members:
        raise BundleError("E554", f"{pixels}: has no pixel members.")
    document: dict[str, Any] = base.document.model_dump(mode="json", exclude={"files"})
    members = [own for own in added.document.members if own.kind == SEGMENTATION]
    document["members"] += [own.model_dump(mode="json") for own in members]
    scenarios = [own.model_dump(mode="json") for own in added.pixel_scenarios]
    if fusion is not None:
        scenarios[0]["fusion"] = fusion.model_dump(mode="json")
    document["scenarios"] += scenarios
    document["training"] |= {"pixel_members": added.document.training}
    document["name"] += f" with {added.document.name}"
    contents: dict[str, bytes | Callable[[Path], None]] = {
        name: partial(shutil.copyfile, base.path / name) for name in base.document.files
    }
    for name in (file for own in members for file in own.files):
        if name in contents:
            raise BundleError("E505", f"{pixels}: file {name} has the name of one of {base.path}.")
        contents[name] = partial(shutil.copyfile, added.path / name)
    save_bundle(out, document, contents, overwrite=overwrite)
    return [own.name for own in members]
