"""Import of the author's weight files as a bundle: nothing is unpickled unless the user allows it."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import Tensor

from landslide_map.errors import BundleError, Notice
from landslide_map.models.bundle.folder import check_free, save_bundle
from landslide_map.models.networks.architecture import misfits
from landslide_map.models.networks.spec import NetworkSpec
from landslide_map.models.published import nasios
from landslide_map.models.published.bundle import Sources, bundle_document, file_name
from landslide_map.models.published.nasios import BOOSTERS, FOLDS, MEMBERS
from landslide_map.models.published.unpickle import converted_booster
from landslide_map.runtime.notices import Notices
from landslide_map.runtime.progress import Report, silent

_NETWORK_FILE: Final = re.compile(r"Landslide_Class_S2S1_(v\d+\w*)_Fold(\d+)_last\.pt")
_BOOSTER_FILE: Final = re.compile(r"Landslide_Class_S2S1_(v\d+\w*)_fold(\d+)(?:\.joblib|\.pkl)?")


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Imported files, and files that were left out."""

    folds: dict[str, tuple[int, ...]]
    """Member -> folds that the bundle holds."""
    notices: tuple[Notice, ...]
    """W520 missing, W521 refused pickles, W522 unknown files."""


def import_nasios(
    folder: str | PathLike[str],
    out: str | PathLike[str],
    *,
    trust_pickles: bool = False,
    overwrite: bool = False,
    report: Report = silent,
) -> ImportReport:
    """Read the published weight files in `folder` and write a bundle of those that are there.

    Parameters
    ----------
    folder : path
        Holds ``Landslide_Class_S2S1_<version>_Fold<k>_last.pt`` (state dicts) and perhaps the pickled
        boosters ``Landslide_Class_S2S1_<v18b|v44>_fold<k>``.
    out : path
        Folder of the new bundle.
    trust_pickles : bool
        Whether to unpickle the boosters. A pickle can run any program: only for files of known origin.
    overwrite : bool
        Replace an existing bundle.
    report : Report
        Called with every file.

    Raises
    ------
    BundleError
        E520 if there is nothing to import, E521 if a state dict is not of its architecture. E522 if a file
        would have to be unpickled, E524 if a file is damaged.
    OutputExistsError
        E401 if `out` holds something already.
    """
    folder, out = Path(folder), Path(out)
    check_free(out, overwrite=overwrite)
    networks, boosters, found_unknown = _find(folder)
    notices = Notices(about_inputs=found_unknown)
    if boosters and not trust_pickles:
        files = [path.name for folds in boosters.values() for path in folds.values()]
        refused = (
            f"{folder}: {len(files)} booster file(s) left out, e.g. {files[0]}: they are pickles, which can "
            "run any program when read. If their source is safe, import again with --trust-pickles."
        )
        if not networks:
            raise BundleError("E522", refused + " Nothing else is here to import.")
        notices.about_inputs.append(Notice("W521", refused))
        boosters = {}
    if not networks and not boosters:
        raise BundleError(
            "E520",
            f"{folder}: no weights of the published ensemble; expected files named "
            "Landslide_Class_S2S1_<version>_Fold<k>_last.pt, e.g. Landslide_Class_S2S1_v10_Fold0_last.pt.",
        )
    found = {**networks, **boosters}
    present = {version: found[version] for version in MEMBERS if version in found}
    notices.about_inputs += _missing(present)
    contents: dict[str, bytes | Callable[[Path], None]] = {}
    total = sum(map(len, present.values()))
    for version, folds in present.items():
        for fold, path in folds.items():
            done = partial(report, "import", len(contents) + 1, total)
            contents[file_name(version, fold)] = partial(_convert, version, path, done)
    report("import", 0, total)
    save_bundle(out, bundle_document(present), contents, overwrite=overwrite)
    return ImportReport({v: tuple(folds) for v, folds in present.items()}, notices.all)


def _check_tensors(found: Mapping[str, Any], spec: NetworkSpec, where: str) -> None:
    """Refuse tensors that are not exactly those of a network (E521): every key, then every shape."""
    if problems := misfits({key: tensor.shape for key, tensor in found.items()}, spec):
        raise BundleError(
            "E521",
            f"{where}: not the weights of head {spec.head} on {', '.join(dict.fromkeys(spec.encoders))}: "
            f"{problems[0]} ({len(problems)} differences). Check that the file is "
            "of the version that its name says.",
        )


def _find(folder: Path) -> tuple[Sources, Sources, list[Notice]]:
    """Return the files of networks and of boosters, folds ascending, and unknown files."""
    if not folder.is_dir():
        raise BundleError(
            "E520", f"{folder}: no such folder; expected the folder with the published weights."
        )
    networks: Sources = {}
    boosters: Sources = {}
    unknown = []
    for path in sorted(folder.iterdir()):
        for pattern, versions, found in (
            (_NETWORK_FILE, nasios.NETWORKS, networks),
            (_BOOSTER_FILE, BOOSTERS, boosters),
        ):
            match = pattern.fullmatch(path.name)
            if match and match[1] in versions:
                folds = found.setdefault(match[1], {})
                fold = int(match[2])
                if fold in folds:
                    raise BundleError(
                        "E524", f"{path}: a second file of {match[1]} fold {fold}; keep one of them."
                    )
                folds[fold] = path
                break
        else:
            if path.suffix in (".pt", ".pth") or path.name.startswith("Landslide_Class_S2S1_"):
                unknown.append(path.name)
    for found in (networks, boosters):
        for version, folds in found.items():
            found[version] = dict(sorted(folds.items()))
    notices = [
        Notice("W522", f"{folder / name}: not a file of the published nine members; left out.")
        for name in unknown
    ]
    return networks, boosters, notices


def _missing(present: Sources) -> list[Notice]:
    notices = []
    for version in MEMBERS:
        lacking = [fold for fold in range(FOLDS) if fold not in present.get(version, {})]
        if version not in present:
            notices.append(Notice("W520", f"member {version} is missing; the others vote without it."))
        elif lacking:
            folds = ", ".join(map(str, lacking))
            notices.append(
                Notice("W520", f"member {version} lacks fold {folds}; its other folds are averaged without.")
            )
    return notices


def _convert(version: str, source: Path, done: Callable[[], None], target: Path) -> None:
    """Write one fold's file in the bundle's format."""
    if version in BOOSTERS:
        target.write_bytes(converted_booster(source, BOOSTERS[version]))
    else:
        tensors = _state_dict(source)
        _check_tensors(tensors, nasios.NETWORKS[version], str(source))
        save_file({key: _storable(key, tensor, source) for key, tensor in tensors.items()}, target)
    done()


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BundleError(
            "E522",
            f"{path}: holds more than tensors and would have to be unpickled, which can run any program "
            f"({_first_line(error)}). It is refused; save the network's state_dict() instead.",
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise BundleError(
            "E524", f"{path}: cannot be read as a torch file ({_first_line(error)}). Copy it again."
        ) from None
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise BundleError(
            "E521", f"{path}: holds a {type(state).__name__}, expected a state dict (names and tensors)."
        )
    return dict(state)


def _storable(key: str, tensor: Tensor, path: Path) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.contiguous().clone()
    if not bool(torch.isfinite(tensor).all()):
        raise BundleError("E524", f"{path}: {key} holds values that are not numbers. Copy the file again.")
    return tensor.float().contiguous().clone()  # a copy of its own: safetensors refuses shared storage


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
