"""Import of the published weight files of two segmentation systems as a bundle of pixel members.

Files are read inertly (:mod:`.torch_archive`). Every key and shape is checked against the network of the
installed segmentation-models-pytorch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save_file
from torch import Tensor

from landslide_map.errors import BundleError, Notice
from landslide_map.models.bundle.folder import check_free, save_bundle
from landslide_map.models.published import ganerod, landslide4sense
from landslide_map.models.published.event_file import largest_scalar
from landslide_map.models.published.hparams import check_hparams
from landslide_map.models.published.segmentation_bundle import Published, bundle_document
from landslide_map.models.published.segmentation_keys import LOSS_WEIGHT, PREFIX, own_key
from landslide_map.models.published.segmentation_networks import ganerod_spec, l4s_spec
from landslide_map.models.published.segmentation_options import (
    ImportOptions,
    Statistics,
    read_channel_map,
    statistics_of,
)
from landslide_map.models.published.torch_archive import read_tensors
from landslide_map.models.segmentation.architecture import misfits
from landslide_map.models.segmentation.spec import SIX_CHANNEL
from landslide_map.runtime.notices import Notices
from landslide_map.runtime.progress import Report, silent

_CHECKPOINT: Final = re.compile(r"epoch_\d+\.ckpt")
_RANK_TAG: Final = "val/f1_best"
_L4S_FILES: Final = {row.file: name for name, row in landslide4sense.ROWS.items() if row.file} | {
    "unet6.pth": SIX_CHANNEL
}


@dataclass(frozen=True, slots=True)
class SegmentationImport:
    """Imported members, and remarks on files that were left out."""

    members: tuple[str, ...]
    """Names, best first where a rank is known."""
    notices: tuple[Notice, ...]


def import_segmentation(
    source: Path,
    out: Path,
    options: ImportOptions | None = None,
    *,
    overwrite: bool = False,
    progress: Report = silent,
) -> SegmentationImport:
    """Write a bundle of the published networks in `source`.

    Parameters
    ----------
    source : path
        Folder of one setting of the heterogeneous ensemble (``<run>/checkpoints/epoch_*.ckpt``), folder of
        Landslide4Sense files (``resnet34.pth`` and so on), or one file.
    out : path
        Folder of the new bundle.
    options : ImportOptions, optional
        Statistics and content of the channels, network and setting of a single file.
    overwrite : bool
        Replace an existing bundle.
    progress : Report
        Called for every file.

    Raises
    ------
    BundleError
        E550 nothing to import, E551 statistics or channel map missing or invalid, E552 a file with calls of
        programs. E553 an unknown network, E521 a file of another architecture, E524 a damaged file.
    OutputExistsError
        E401 if `out` holds something already.
    """
    options = options or ImportOptions()
    check_free(out, overwrite=overwrite)
    published, left_out = _found(source, options)
    notices = Notices(about_inputs=left_out)
    ranked, known = _ranked(published)
    if not known and len(ranked) > 1 and ranked[0].system == "ganerod":
        notices.about_inputs.append(
            Notice(
                "W551", f"{source}: no event file says how good the networks are; only their mean is offered."
            )
        )
    contents: dict[str, bytes | Callable[[Path], None]] = {}
    progress("import", 0, len(ranked))
    for i, own in enumerate(ranked):
        done = partial(progress, "import", i + 1, len(ranked))
        contents[f"{own.name}.safetensors"] = partial(_convert, own, done)
    notices.about_inputs += _unlike_published(ranked)
    save_bundle(out, bundle_document(ranked, known), contents, overwrite=overwrite)
    return SegmentationImport(tuple(own.name for own in ranked), notices.all)


def _found(source: Path, options: ImportOptions) -> tuple[list[Published], list[Notice]]:
    if source.suffix.lower() == ".zip":
        raise BundleError("E550", f"{source}: is a zip file; expected a folder. Unpack it first.")
    if source.is_file():
        return _single(source, options)
    if not source.is_dir():
        raise BundleError("E550", f"{source}: no such file or folder; expected published weight files.")
    checkpoints = sorted(source.glob("**/checkpoints/*.ckpt"))
    files = sorted(path for path in source.iterdir() if path.suffix in (".pth", ".pt"))
    if bool(checkpoints) == bool(files):
        what = "weights of both published systems" if files else "no published weights"
        raise BundleError(
            "E550",
            f"{source}: holds {what}; expected <run>/checkpoints/epoch_*.ckpt (heterogeneous ensemble) or "
            "files such as resnet34.pth (Landslide4Sense).",
        )
    return _checkpoints(source, checkpoints, options) if checkpoints else _l4s_files(files)


def _single(path: Path, options: ImportOptions) -> tuple[list[Published], list[Notice]]:
    name = options.network or _L4S_FILES.get(path.name)
    if name in landslide4sense.ROWS:
        return [_l4s(path, name)], []
    if name in ganerod.NETWORKS:
        setting = _setting(path, options)
        statistics, channels, notices = _inputs(setting, options)
        spec = ganerod_spec(name, setting, statistics, channels)
        return [Published(f"{setting}-{name}", path, spec, "ganerod", setting=setting)], notices
    known = ", ".join([*ganerod.NETWORKS, *landslide4sense.ROWS])
    raise BundleError(
        "E553",
        f"{path}: {name or 'its name'} is none of the published networks. Name the network with "
        f"--network: {known}.",
    )


def _checkpoints(
    source: Path, paths: list[Path], options: ImportOptions
) -> tuple[list[Published], list[Notice]]:
    named = [name for name in ganerod.FOLDERS.values() if any(name in path.parts for path in paths)]
    if len(named) > 1:
        raise BundleError(
            "E550", f"{source}: holds {' and '.join(named)}; expected one setting. Give one of these folders."
        )
    runs: dict[int, Path] = {}
    notices: list[Notice] = []
    for folder in sorted({path.parent.parent for path in paths}):
        if not folder.name.isdigit() or int(folder.name) >= ganerod.RUNS:
            notices.append(Notice("W522", f"{folder}: not a run from 0 to 89 of the grid; left out."))
            continue
        best = [path for path in paths if path.parent.parent == folder and _CHECKPOINT.fullmatch(path.name)]
        if not best:
            notices.append(Notice("W522", f"{folder}: only last.ckpt, not the best checkpoint; left out."))
        elif len(best) > 1 or int(folder.name) in runs:
            raise BundleError("E524", f"{folder}: several best checkpoints of one run; keep one of them.")
        else:
            runs[int(folder.name)] = best[0]
    if not runs:
        raise BundleError("E550", f"{source}: holds no best checkpoint (epoch_*.ckpt) of runs 0 to 89.")
    setting = _setting(next(iter(runs.values())), options)
    statistics, channels, more = _inputs(setting, options)
    published = []
    for number, path in sorted(runs.items()):
        run = ganerod.run(number)
        check_hparams(path.parents[1], setting, run.network)
        spec = ganerod_spec(run.network, setting, statistics, channels)
        name = f"{setting}-{number:02d}-{run.network}-{run.loss}-{run.learning_rate:g}"
        published.append(
            Published(name, path, spec, "ganerod", setting=setting, run=run, score=_score(path.parents[1]))
        )
    return published, [*notices, *more]


def _setting(path: Path, options: ImportOptions) -> str:
    """Return the setting of a checkpoint by its input planes; names of folders must agree."""
    tensors = read_tensors(path)
    key = f"{PREFIX['ganerod']}encoder.conv1.weight"
    if key not in tensors or tensors[key].ndim != 4:
        raise BundleError("E521", f"{path}: has no {key}; it is no checkpoint of the heterogeneous ensemble.")
    try:
        setting = ganerod.setting_of(tensors[key].shape[1])
    except ValueError as error:
        raise BundleError("E521", f"{path}: {error}.") from None
    named = {name for name, folder in ganerod.FOLDERS.items() if folder in path.parts}
    said = options.setting or (next(iter(named)) if len(named) == 1 else setting)
    if said != setting:
        raise BundleError(
            "E521", f"{path}: reads {tensors[key].shape[1]} channels, which is setting {setting}, not {said}."
        )
    return setting


def _inputs(setting: str, options: ImportOptions) -> tuple[Statistics | None, tuple[str, ...], list[Notice]]:
    """Return channel statistics and channel names of the 15 published bands."""
    needed = ganerod.SETTINGS[setting]
    statistics = statistics_of(options, needed)
    if options.channel_map is not None:
        return statistics, read_channel_map(options.channel_map, needed), []
    unknown = Notice(
        "W550",
        "the authors do not state the content of the bands, and no --channel-map was given. The members read "
        "arrays in the published band order, and cannot be used on a scene.",
    )
    return statistics, ganerod.BAND_NAMES, [unknown]


def _l4s_files(paths: list[Path]) -> tuple[list[Published], list[Notice]]:
    found, notices = [], []
    for path in paths:
        if path.name in _L4S_FILES:
            found.append(_l4s(path, _L4S_FILES[path.name]))
        else:
            notices.append(Notice("W522", f"{path}: not a file of the published networks; left out."))
    if not found:
        raise BundleError("E550", f"{paths[0].parent}: no file has a published name such as resnet34.pth.")
    return found, notices


def _l4s(path: Path, name: str) -> Published:
    return Published(name, path, l4s_spec(name), "landslide4sense", score=landslide4sense.ROWS[name].batch_f1)


def _score(folder: Path) -> float | None:
    scores = [largest_scalar(path, _RANK_TAG) for path in folder.glob("tensorboard/**/events.*")]
    return max((score for score in scores if score is not None), default=None)


def _ranked(published: list[Published]) -> tuple[list[Published], bool]:
    """Return the networks best first and whether all their scores are known."""
    if any(own.score is None for own in published):
        return [replace(own, score=None) for own in published], False
    return sorted(published, key=lambda own: -(own.score or 0.0)), True


def _convert(own: Published, done: Callable[[], None], target: Path) -> None:
    tensors = _renamed(read_tensors(own.path), own)
    if problems := misfits(tensors, own.spec):
        raise BundleError(
            "E521",
            f"{own.path}: not the weights of {own.spec.architecture} on {own.spec.encoder} with "
            f"{own.spec.planes} input planes: {problems[0]} ({len(problems)} differences).",
        )
    save_file({key: _storable(key, tensor, own.path) for key, tensor in tensors.items()}, target)
    done()


def _renamed(tensors: Mapping[str, Tensor], own: Published) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        if own.system == "landslide4sense" and key == LOSS_WEIGHT:
            continue
        if not key.startswith(PREFIX[own.system]) and own.spec.architecture != SIX_CHANNEL:
            raise BundleError(
                "E521", f"{own.path}: {key} is unexpected; published keys begin with {PREFIX[own.system]!r}."
            )
        new = own_key(key, own.spec, own.system)
        if new in found:
            raise BundleError("E521", f"{own.path}: holds {new} twice, under two names.")
        found[new] = tensor
    return found


def _storable(key: str, tensor: Tensor, path: Path) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    if not bool(torch.isfinite(tensor).all()):
        raise BundleError("E524", f"{path}: {key} holds values that are not numbers. Copy the file again.")
    return tensor.float()


def _unlike_published(published: list[Published]) -> list[Notice]:
    """Return a remark if files are not those that were published, by size and hash."""
    others = []
    for own in published:
        row = landslide4sense.ROWS.get(own.name) if own.system == "landslide4sense" else None
        if row is None or row.file is None:
            continue
        same = own.path.stat().st_size == row.bytes
        if same:
            with own.path.open("rb") as file:
                same = file_digest(file, "sha256").hexdigest().startswith(row.sha256_start or "")
        if not same:
            others.append(own.path.name)
    if not others:
        return []
    return [
        Notice(
            "W552",
            f"{', '.join(others)}: not the published file by size and hash; the published figures are not "
            "its figures.",
        )
    ]
