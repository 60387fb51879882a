"""From the author's weight files to a bundle: nothing is unpickled unless the user says so."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from os import PathLike
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import Tensor

from landslide_map import __version__
from landslide_map.bands import CHANNELS, DIFFERENCES, GROUPS, OPTICAL
from landslide_map.errors import BundleError, Notice
from landslide_map.models.bundle_folder import check_free, save_bundle
from landslide_map.models.network_heads import expected_tensors
from landslide_map.models.network_spec import NetworkSpec
from landslide_map.models.published import (
    BOOSTERS,
    ENSEMBLE_F1,
    FOLDS,
    GFLOP,
    MEMBERS,
    MILLISECONDS,
    NETWORKS,
    PUBLISHED_F1,
    THRESHOLD,
)
from landslide_map.models.unpickle_boosters import converted_booster
from landslide_map.progress import Report, silent

_NETWORK_FILE: Final = re.compile(r"Landslide_Class_S2S1_(v\d+\w*)_Fold(\d+)_last\.pt")
_BOOSTER_FILE: Final = re.compile(r"Landslide_Class_S2S1_(v\d+\w*)_fold(\d+)(?:\.joblib|\.pkl)?")
_SUFFIX: Final = {"lightgbm": "txt", "xgboost": "ubj"}

Sources = dict[str, dict[int, Path]]
"""Version -> fold -> file."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What came in and what did not."""

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
    """Read the published weight files in `folder` and write a bundle of whatever is there.

    Parameters
    ----------
    folder : path
        Holds ``Landslide_Class_S2S1_<version>_Fold<k>_last.pt`` (state dicts) and perhaps the pickled
        boosters ``Landslide_Class_S2S1_<v18b|v44>_fold<k>``.
    out : path
        Folder of the new bundle.
    trust_pickles : bool
        Whether to unpickle the boosters. A pickle can run any program: only for files whose origin is known.
    overwrite : bool
        Replace an existing bundle.
    report : Report
        Told of every file.

    Raises
    ------
    BundleError
        E520 if there is nothing to import, E521 if a state dict is not of its architecture, E522 if a file
        would have to be unpickled, E524 if a file is damaged.
    OutputExistsError
        E401 if `out` holds something already.
    """
    folder, out = Path(folder), Path(out)
    check_free(out, overwrite=overwrite)
    networks, boosters, notices = _find(folder)
    if boosters and not trust_pickles:
        files = [path.name for folds in boosters.values() for path in folds.values()]
        refused = (
            f"{folder}: {len(files)} booster file(s) left out, e.g. {files[0]}: they are pickles, which can "
            "run any program when read. If you trust where they come from, import again with --trust-pickles."
        )
        if not networks:
            raise BundleError("E522", refused + " Nothing else is here to import.")
        notices.append(Notice("W521", refused))
        boosters = {}
    if not networks and not boosters:
        raise BundleError(
            "E520",
            f"{folder}: no weights of the published ensemble; expected files named "
            "Landslide_Class_S2S1_<version>_Fold<k>_last.pt, e.g. Landslide_Class_S2S1_v10_Fold0_last.pt.",
        )
    found = {**networks, **boosters}
    present = {version: found[version] for version in MEMBERS if version in found}
    notices += _missing(present)
    contents: dict[str, bytes | Callable[[Path], None]] = {}
    total = sum(map(len, present.values()))
    for version, folds in present.items():
        for fold, path in folds.items():
            done = partial(report, "import", len(contents) + 1, total)
            contents[_file_name(version, fold)] = partial(_convert, version, path, done)
    report("import", 0, total)
    save_bundle(out, _document(present), contents, overwrite=overwrite)
    return ImportReport({v: tuple(folds) for v, folds in present.items()}, tuple(notices))


def check_tensors(found: Mapping[str, Any], spec: NetworkSpec, where: str) -> None:
    """Refuse tensors that are not exactly those of a network (E521): every key, then every shape."""
    expected = expected_tensors(spec)
    problems = [f"{key} is missing" for key in expected if key not in found]
    problems += [f"{key} is unexpected" for key in found if key not in expected]
    for key in expected.keys() & found.keys():
        shape, wanted = tuple(found[key].shape), tuple(expected[key].shape)
        if shape != wanted:
            problems.append(f"{key} has shape {shape}, expected {wanted}")
    if problems:
        raise BundleError(
            "E521",
            f"{where}: not the weights of head {spec.head} on {', '.join(dict.fromkeys(spec.encoders))}: "
            f"{problems[0]} ({len(problems)} differences in {len(expected)} tensors). Check that the file is "
            "of the version that its name says.",
        )


def _find(folder: Path) -> tuple[Sources, Sources, list[Notice]]:
    """Return the files of networks and of boosters, folds ascending, and what was not recognised."""
    if not folder.is_dir():
        raise BundleError(
            "E520", f"{folder}: no such folder; expected the folder with the published weights."
        )
    networks: Sources = {}
    boosters: Sources = {}
    unknown = []
    for path in sorted(folder.iterdir()):
        for pattern, versions, found in (
            (_NETWORK_FILE, NETWORKS, networks),
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


def _file_name(version: str, fold: int) -> str:
    suffix = _SUFFIX[BOOSTERS[version]] if version in BOOSTERS else "safetensors"
    return f"{version}_fold{fold}.{suffix}"


def _convert(version: str, source: Path, done: Callable[[], None], target: Path) -> None:
    """Write one fold's file in the bundle's format."""
    if version in BOOSTERS:
        target.write_bytes(converted_booster(source, BOOSTERS[version]))
    else:
        tensors = _state_dict(source)
        check_tensors(tensors, NETWORKS[version], str(source))
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


@cache
def _channels(version: str) -> tuple[str, ...]:
    return CHANNELS if version in BOOSTERS else NETWORKS[version].channels


def _document(present: Sources) -> dict[str, Any]:
    complete = set(present) == set(MEMBERS) and all(len(folds) == FOLDS for folds in present.values())
    return {
        "name": "nasios-imported",
        "version": "1.0.0",
        "description": "Members of the ensemble of Nasios (2026), imported from the author's weights",
        "unit": "window level: one probability for 64 x 64 px of 10 m",
        "licence": "of the weights: their author's; none is stated where they are published",
        "created_with": {"landslide-map": __version__, "torch": str(torch.__version__)},
        "training": {
            "reference": "Nasios, I. (2026), Remote Sensing Applications 42, 102037, arXiv 2604.05959",
            # "7,147 training windows", KFold(5, shuffle=True, random_state=42), the same for every member.
            "windows": 7147,
            "landslides": 1255,
            "folds": FOLDS,
            "division": "shuffled",
            "seed": 42,
            "source_files": {v: [path.name for path in folds.values()] for v, folds in present.items()},
        },
        "members": [_member(version, list(folds)) for version, folds in present.items()],
        "scenarios": _scenarios(tuple(present), complete),
    }


def _member(version: str, folds: list[int]) -> dict[str, Any]:
    settings: dict[str, Any] = {"folds": folds}
    if version in NETWORKS:
        settings |= {"network": NETWORKS[version].as_json()}
        settings |= {"gflop": GFLOP[version], "milliseconds": MILLISECONDS[version]}
    metrics = {
        "f1_out_of_fold": PUBLISHED_F1[version],
        "level": "window",
        "source": "published, not measured here",
    }
    return {
        "name": version,
        "kind": f"{BOOSTERS[version]}-126" if version in BOOSTERS else "network",
        "input": "statistics" if version in BOOSTERS else "pixels",
        "channels": _channels(version),
        "files": [_file_name(version, fold) for fold in folds],
        "settings": settings,
        "metrics": metrics if len(folds) == FOLDS else {},
    }


def _scenarios(versions: tuple[str, ...], complete: bool) -> list[dict[str, Any]]:
    """Equal weights everywhere; the sets of channels that users have, then whoever is able."""
    without_backscatter = {*GROUPS["optical"], *DIFFERENCES}
    choices = {
        f"all {len(versions)} members": versions,
        "optical and radar change": tuple(v for v in versions if set(_channels(v)) <= without_backscatter),
        "optical only": tuple(v for v in versions if set(_channels(v)) <= {*OPTICAL, *GROUPS["optical"]}),
    }
    scenarios: list[dict[str, Any]] = []
    for name, voters in choices.items():
        weights = dict.fromkeys(voters, 1.0)
        if voters and all(weights != scenario["weights"] for scenario in scenarios):
            scenarios.append({"name": name, "weights": weights, "threshold": THRESHOLD})
    if complete:
        scenarios[0]["metrics"] = {
            "f1_out_of_fold": ENSEMBLE_F1,
            "level": "window",
            "source": "published, not measured here",
        }
    if len(versions) > 1:
        weights = dict.fromkeys(versions, 1.0)
        scenarios.append(
            {"name": "whoever is able", "weights": weights, "needs": "any", "threshold": THRESHOLD}
        )
    return scenarios
