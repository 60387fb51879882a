"""Probabilities of pixels in ready arrays of channels, by the pixel members of a bundle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from landslide_map.datasets.pixel_arrays import Layout, PixelArrays, open_arrays
from landslide_map.errors import (
    BundleError,
    InputError,
    OutputExistsError,
    UsageError,
)
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.published.landslide4sense import BANDS as L4S_BANDS
from landslide_map.models.segmentation.ensemble import mean_probability
from landslide_map.models.segmentation.member import SegmentationMember
from landslide_map.models.segmentation.scaling import L4S_DIVISOR
from landslide_map.models.segmentation.spec import MULTIPLE, SMALLEST_INPUT
from landslide_map.models.segmentation.tiled import predict_block
from landslide_map.models.segmentation.tiling import reflected
from landslide_map.options import Precision
from landslide_map.runtime.atomic import whole_file
from landslide_map.runtime.progress import Report, silent

LARGEST_WHOLE: Final = 512
"""Edge of the largest image that a network sees at once, pixels; larger ones are cut into tiles."""
BLOCK: Final = 1024
_DN: Final = 50.0
"""Median of optical values above which they are DN and not DN divided by about 1000."""
_DARKEST: Final = 0.25
"""Median of divided blue and green bands below which they are reflectances: air alone scatters more."""
_STEEPEST: Final = 4.5
"""Divided slope of 90 degrees, and a little."""
_HIGHEST: Final = 12.0
"""Divided elevation of the highest mountain, and a little."""
_FAR: Final = 1.5
_NEAR: Final = 0.75
_ELSEWHERE: Final = 5.0
"""Distance from the training data that a third of the channels never has in the same units."""
_MOST_FLAT: Final = 3.0


@dataclass(frozen=True, slots=True)
class PixelOptions:
    """Options of the input arrays and of the output."""

    logits: bool = False
    """Logits instead of probabilities; of one member with one fold only."""
    scaled: bool = False
    """Whether arrays hold the networks' numbers already."""
    raw: bool = False
    """Whether Landslide4Sense bands are DN, degrees and metres, not yet divided."""
    device: str = "cpu"
    precision: Precision = "float32"


def members_of(bundle: Bundle, scenario: str | None, member: str | None) -> list[SegmentationMember]:
    """Return the pixel members of a scenario, by default the bundle's first, or one member by name.

    Raises
    ------
    BundleError
        E554 if the bundle has none, or none of that name.
    UsageError
        E402 if both are named.
    """
    if scenario is not None and member is not None:
        raise UsageError("E402", "--scenario and --member cannot be combined; name one of them.")
    by_name = {own.name: own for own in bundle.pixel_members}
    if not by_name:
        raise BundleError("E554", f"{bundle.path}: has no pixel members; use `landslide-map score` for it.")
    if member is not None:
        if member not in by_name:
            raise BundleError(
                "E554", f"{bundle.path}: has no pixel member {member!r}; it has {', '.join(by_name)}."
            )
        return [by_name[member]]
    scenarios = {own.name: own for own in bundle.pixel_scenarios}
    if not scenarios or (scenario is not None and scenario not in scenarios):
        raise BundleError(
            "E554",
            f"{bundle.path}: has no pixel scenario {scenario or ''!r}; it has {', '.join(scenarios)}.",
        )
    chosen = scenarios[scenario] if scenario is not None else bundle.pixel_scenarios[0]
    return [by_name[name] for name in chosen.weights]


def band_choices(bundle: Bundle, members: Sequence[SegmentationMember]) -> list[tuple[str, ...]]:
    """Return the lists of channels that an array for `members` may hold, the published ones first."""
    choices = [tuple(bundle.document.training.get("published_bands", ()))]
    if any(set(own.channels) & set(L4S_BANDS) for own in members):
        choices.append(L4S_BANDS)
    choices += [own.channels for own in members]
    wanted = {name for own in members for name in own.channels}
    return list(dict.fromkeys(names for names in choices if names and wanted <= set(names)))


def score_pixels_of_file(
    path: Path,
    out: Path,
    bundle: Bundle,
    *,
    scenario: str | None = None,
    member: str | None = None,
    layout: Layout = "auto",
    options: PixelOptions | None = None,
    overwrite: bool = False,
    progress: Report = silent,
) -> tuple[int, list[str]]:
    """Write the probabilities of the images of a file as ``.npy`` of float32 ``(n, y, x)``.

    Returns
    -------
    tuple of int and list of str
        Number of images, names of the members.

    Raises
    ------
    OutputExistsError
        E401 if `out` is there already.
    LandslideMapError
        What :func:`members_of`, :func:`.open_arrays` and :func:`score_pixels` refuse.
    """
    if out.exists() and not overwrite:
        raise OutputExistsError("E401", f"{out}: exists already; replace it with --overwrite.")
    members = members_of(bundle, scenario, member)
    arrays = open_arrays(path, band_choices(bundle, members), layout=layout)
    shape = (len(arrays), *arrays.shape)
    progress("score", 0, len(arrays))
    with whole_file(out) as partial:
        written = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=shape)
        for i, image in enumerate(score_pixels(arrays, members, options)):
            written[i] = image
            progress("score", i + 1, len(arrays))
        written.flush()
    return len(arrays), [own.name for own in members]


def score_pixels(
    arrays: PixelArrays, members: Sequence[SegmentationMember], options: PixelOptions | None = None
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the probabilities ``(y, x)`` of each image: the mean over members.

    Images of at most 512 px are read whole, their sides reflected up to a multiple of 32 px. Larger ones are
    cut into overlapping tiles.

    Raises
    ------
    InputError
        E180 if an image holds no finite pixel, E181 if values are of other units than the members read.
    UsageError
        E402 if logits of several networks are requested.
    """
    options = options or PixelOptions()
    if options.logits and (len(members) != 1 or len(members[0].files) != 1):
        raise UsageError(
            "E402", f"--logits needs one network; here are {sum(len(own.files) for own in members)}."
        )
    members = [replace(own, precision=options.precision) for own in members]
    for i in range(len(arrays)):
        image = _in_units(arrays.read(i, i + 1)[0], arrays, options)
        yield _one(image, arrays, members, options).astype(np.float32)


def _one(
    image: npt.NDArray[Any],
    arrays: PixelArrays,
    members: Sequence[SegmentationMember],
    options: PixelOptions,
) -> npt.NDArray[np.float64]:
    each = []
    for own in members:
        # An array on disk stays there where no channel has to move.
        same = arrays.bands == own.channels
        chosen = image if same else image[[arrays.bands.index(name) for name in own.channels]]
        if not any(np.isfinite(plane).any() for plane in chosen):
            raise InputError("E180", f"{arrays.where}: holds no finite pixel.")
        step = max(1, max(chosen.shape[1:]) // LARGEST_WHOLE)
        _check_values(chosen[:, ::step, ::step], own, arrays.bands, arrays.where, options)
        if options.logits:
            each.append(np.asarray(_whole(chosen, own, options), dtype=np.float64))
        else:
            each.append(predict_image(chosen, own, options))
    return each[0] if options.logits else mean_probability(each)


def predict_image(
    image: npt.NDArray[Any], own: SegmentationMember, options: PixelOptions
) -> npt.NDArray[Any]:
    """Return the probabilities ``(y, x)`` of one member on an image ``(channel, y, x)`` of its channels."""
    if max(image.shape[1:]) <= LARGEST_WHOLE:
        return _whole(image, own, options)
    return _in_tiles(image, own, options)


def _whole(image: npt.NDArray[Any], own: SegmentationMember, options: PixelOptions) -> npt.NDArray[Any]:
    rows, columns = image.shape[1:]
    smallest = SMALLEST_INPUT.get(own.spec.architecture, 1)
    padded = [max(-(-n // MULTIPLE) * MULTIPLE, smallest) for n in (rows, columns)]
    y, x = (reflected(0, size, n) for size, n in zip(padded, (rows, columns), strict=True))
    tile = image[:, y[:, None], x[None, :]][None]
    if options.logits:
        found: npt.NDArray[Any] = own.logits(tile, device=options.device, scaled=options.scaled)
    else:
        found = own.predict(tile, device=options.device, scaled=options.scaled)
    return found[0, :rows, :columns]


def _in_tiles(image: npt.NDArray[Any], own: SegmentationMember, options: PixelOptions) -> npt.NDArray[Any]:
    rows, columns = image.shape[1:]
    out = np.empty((rows, columns))

    def read(top: int, left: int, bottom: int, right: int) -> npt.NDArray[Any]:
        return image[:, top:bottom, left:right]

    for top in range(0, rows, BLOCK):
        for left in range(0, columns, BLOCK):
            block = (top, left, min(top + BLOCK, rows), min(left + BLOCK, columns))
            out[block[0] : block[2], block[1] : block[3]] = predict_block(
                own, read, (rows, columns), block, device=options.device, scaled=options.scaled
            )
    return out


def _in_units(image: npt.NDArray[Any], arrays: PixelArrays, options: PixelOptions) -> npt.NDArray[Any]:
    if not options.raw:
        return image
    divisor = dict(zip(L4S_BANDS, L4S_DIVISOR, strict=True))
    if others := [name for name in arrays.bands if name not in divisor]:
        raise UsageError("E402", f"--raw is for Landslide4Sense bands; {others[0]} is none of them.")
    divided = image / np.array([divisor[name] for name in arrays.bands])[:, None, None]
    optical = [i for i, name in enumerate(arrays.bands) if name.startswith("l4s_b") and name != "l4s_b10"]
    if _median(divided[optical]) < 1 / _DN:
        raise InputError(
            "E181",
            f"{arrays.where}: median {_median(image[optical]):.3g} of the optical bands is not of DN; they "
            "look divided already. Leave out --raw.",
        )
    return np.asarray(divided)


def _check_values(
    chosen: npt.NDArray[Any],
    own: SegmentationMember,
    bands: tuple[str, ...],
    where: str,
    options: PixelOptions,
) -> None:
    if options.scaled:
        if own.spec.scaling.kind == "six-channel" and bands != own.channels:
            raise InputError(
                "E181",
                f"{where}: member {own.name} makes its six channels of file units. Leave out --scaled.",
            )
        _check_scaled(chosen, where)
    elif own.spec.scaling.kind == "standard":
        _check_physical(chosen, own, where)
    elif own.spec.channels[0] in L4S_BANDS:
        _check_divided(dict(zip(own.channels, chosen, strict=True)), where)
    else:
        raise InputError(
            "E181",
            f"{where}: member {own.name} was imported without channel statistics and reads scaled numbers "
            "only. Give --scaled if these are.",
        )


def _check_divided(bands: dict[str, npt.NDArray[Any]], where: str) -> None:
    """Refuse Landslide4Sense bands that are DN, reflectances, degrees or metres, not about 1."""
    optical = [name for name in bands if name.startswith("l4s_b") and name != "l4s_b10"]
    if (level := _median(_values(bands, optical))) > _DN:
        raise InputError(
            "E181",
            f"{where}: median {level:.0f} of the optical bands is of DN; expected DN divided as in "
            "Landslide4Sense, about 1. Give --raw to have them divided.",
        )
    blue = _values(bands, [name for name in optical if name in ("l4s_b01", "l4s_b02", "l4s_b03")])
    if 0 < (level := _median(blue[blue != 0])) < _DARKEST:
        raise InputError(
            "E181",
            f"{where}: median {level:.2g} of the blue and green bands is of reflectances; expected DN "
            "divided as in Landslide4Sense, about 1. Give DN with --raw.",
        )
    for name, highest in (("l4s_slope", _STEEPEST), ("l4s_elevation", _HIGHEST)):
        if name in bands and (level := _almost_largest(bands[name])) > highest:
            raise InputError(
                "E181",
                f"{where}: {name} reaches {level:.0f}, which is of degrees or metres; expected it divided as "
                "in Landslide4Sense. Divide it as the other bands are.",
            )


def _check_scaled(chosen: npt.NDArray[Any], where: str) -> None:
    level = _median(chosen)
    if level > _DN:
        raise InputError(
            "E181",
            f"{where}: median magnitude {level:.0f}; scaled numbers are about 1. Leave out --scaled.",
        )


def _check_physical(chosen: npt.NDArray[Any], own: SegmentationMember, where: str) -> None:
    """Refuse values that fit standardised numbers well and the channels' units badly, or not at all."""
    mean, std = (np.array(numbers) for numbers in (own.spec.scaling.mean, own.spec.scaling.std))
    with np.errstate(invalid="ignore"):
        finite = np.where(np.isfinite(chosen), chosen, np.nan).reshape(len(chosen), -1)
    known = np.isfinite(finite).any(axis=1)
    if not known.any():
        return
    centre, spread = np.nanmean(finite[known], axis=1), np.nanstd(finite[known], axis=1) + 1e-9
    each = _distances((centre - mean[known]) / std[known], spread / std[known])
    as_units, as_scaled = np.median(each), np.median(_distances(centre, spread))
    if as_units > _FAR and as_scaled < _NEAR:
        raise InputError(
            "E181",
            f"{where}: values lie about 0 with a spread of about 1, but channels of member {own.name} have "
            f"means of {mean.min():.3g} to {mean.max():.3g}. They look scaled already. Give --scaled if so.",
        )
    far = np.flatnonzero(known)[each > _ELSEWHERE]
    if 3 * len(far) > np.count_nonzero(known):
        raise InputError(
            "E181",
            f"{where}: {own.channels[far[0]]} has mean {np.nanmean(finite[far[0]]):.3g}, and {len(far)} of "
            f"{len(each)} channels lie as far from the training data of member {own.name}; expected about "
            f"{mean[far[0]]:.3g} +- {std[far[0]]:.3g}. Give them in its units, such as dB in place of power.",
        )


def _distances(centre: npt.NDArray[Any], spread: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return how unlike standardised numbers each channel is; a constant one is only so unlike."""
    return np.asarray(np.abs(centre) + np.minimum(np.abs(np.log(spread)), _MOST_FLAT))


def _values(bands: dict[str, npt.NDArray[Any]], names: Sequence[str]) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros(0), *(bands[name].ravel() for name in names)])


def _almost_largest(values: npt.NDArray[Any]) -> float:
    finite = values[np.isfinite(values)]
    return float(np.percentile(finite, 99)) if finite.size else 0.0


def _median(values: npt.NDArray[Any]) -> float:
    magnitudes = np.abs(values[np.isfinite(values)])
    return float(np.median(magnitudes)) if magnitudes.size else 0.0
