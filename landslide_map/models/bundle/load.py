"""Bundle: members and scenarios, loaded from a verified folder without pickles."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr
from pydantic import TypeAdapter, ValidationError

from landslide_map.array_types import Floats
from landslide_map.bands import CHANNELS
from landslide_map.errors import BundleError, Notice, optional_packages
from landslide_map.models.bundle.folder import DOCUMENT, parse, read_document, verified
from landslide_map.models.bundle.format import (
    SEGMENTATION,
    BundleDocument,
    MemberEntry,
    ScenarioEntry,
    by_cost,
)
from landslide_map.models.member import Member
from landslide_map.models.segmentation.member import SegmentationMember
from landslide_map.models.statistics.published_boosters import PublishedBooster
from landslide_map.models.statistics.training_range import TrainingRange, training_range
from landslide_map.models.voting.cascade import CASCADES, Cascade
from landslide_map.models.voting.ensemble import MIN_VALID_FRACTION, vote
from landslide_map.models.voting.scenario import Scenario, bounds
from landslide_map.models.voting.schedule import Pixels, StopRule
from landslide_map.untrusted.validation import first_problem
from landslide_map.window_record import WindowRecord

DEFAULT: Final = Path(__file__).resolve().parents[2] / "bundles" / "default"
"""The bundle that ships inside the package."""
TRAINING_WINDOWS: Final = "training-windows.txt"
"""Optional file: the hashes of the names of the training windows, one per line."""

_LOADERS: Final = {
    "lightgbm": "landslide_map.models.statistics.boosters:load_statistics_member",
    "xgboost": "landslide_map.models.statistics.boosters:load_statistics_member",
    "perceptron": "landslide_map.models.statistics.boosters:load_statistics_member",
    "lightgbm-126": "landslide_map.models.statistics.published_boosters:load_published_booster",
    "xgboost-126": "landslide_map.models.statistics.published_boosters:load_published_booster",
    "network": "landslide_map.models.networks.network_member:load_network_member",
    SEGMENTATION: "landslide_map.models.segmentation.member:load_segmentation_member",
}
"""Kind of member -> the function that loads it; imported when needed, so boosters never import torch."""


@dataclass(frozen=True)
class Bundle:
    """Members and scenarios, ready to vote."""

    document: BundleDocument
    members: tuple[Member, ...]
    scenarios: tuple[Scenario, ...]
    sha256: str
    """Hash of ``bundle.json``, which holds the hashes of all other files."""
    path: Path
    training_windows: frozenset[str] = frozenset()
    """:func:`window_hash` of the name of every window it was trained on, where known."""
    early_exit: bool = False
    """Whether members are skipped where their vote cannot change a class."""
    cascade: bool = False
    """Whether scenarios' rules call windows no landslide without the networks."""
    notices: tuple[Notice, ...] = ()
    """Notices on the computation of its networks (W613)."""
    pixel_members: tuple[SegmentationMember, ...] = ()
    """Members that give one probability for each pixel; never among `members`."""
    pixel_scenarios: tuple[ScenarioEntry, ...] = ()
    """Scenarios of pixel members; never among `scenarios`."""

    @property
    def name(self) -> str:
        """Name and version, e.g. ``default 1.0.0``."""
        return f"{self.document.name} {self.document.version}"

    @property
    def channels(self) -> tuple[str, ...]:
        """Every channel that some member reads, in the published order."""
        used = {name for member in self.members for name in member.channels}
        return tuple(name for name in CHANNELS if name in used)

    def trained_on(self, ids: Iterable[str]) -> int:
        """Return how many of the windows named `ids` the bundle was trained on."""
        return len(self.training_windows & set(map(window_hash, ids)))

    @property
    def needs_pixels(self) -> bool:
        """Whether some member reads pixels, so that :meth:`vote` must be given them."""
        return any(member.input == "pixels" for member in self.members)

    @property
    def skips(self) -> bool:
        """Whether votes of a window's scenario may be skipped."""
        return self.early_exit or self.cascade

    @property
    def widest_margin(self) -> tuple[float, float]:
        """Between which numbers probability - threshold of any window lies."""
        thresholds = [scenario.threshold for scenario in self.scenarios]
        return -max(thresholds), 1 - min(thresholds)

    @property
    def rounds(self) -> list[list[int]]:
        """Numbers of the members that predict together: all, or first the cheap ones where it skips.

        Members on statistics go together: they share their features and cost a thousandth of a network.
        """
        all_members = list(range(len(self.members)))
        if not self.skips:
            return [all_members]
        cheap = [i for i in all_members if self.members[i].input == "statistics"]
        number = {self.members[i].name: i for i in all_members if i not in cheap}
        networks = [number[entry.name] for entry in by_cost(self.document.members) if entry.name in number]
        others = [[i] for i in networks] if self.early_exit else [networks]
        return [numbers for numbers in (cheap, *others) if numbers]

    @property
    def needs_median(self) -> bool:
        """Whether some member reads the median of its channels."""
        return any(isinstance(member, PublishedBooster) for member in self.members)

    def vote(
        self,
        statistics: xr.DataArray,
        *,
        excluded: Collection[str] = (),
        min_valid_fraction: float = MIN_VALID_FRACTION,
        pixels: Pixels | None = None,
        constants_are_fill: bool = True,
        stop: StopRule | None = None,
    ) -> WindowRecord:
        """Predict windows; see :func:`landslide_map.models.voting.ensemble.vote`. `stop` is for early exit.

        `unlike_training` is there if a member stores the range of its training windows. Where votes may be
        skipped, `probability_low` and `probability_high` bound the vote of all members.
        """
        record = vote(
            self.members,
            self.scenarios,
            statistics,
            excluded=excluded,
            min_valid_fraction=min_valid_fraction,
            pixels=pixels,
            constants_are_fill=constants_are_fill,
            rounds=self.rounds,
            stop=stop if self.early_exit else None,
            cascade=self.cascade,
        )
        record = replace(record, unlike_training=self._unlike_training(statistics, record))
        if not self.skips:
            return record
        chosen = record.scenario.astype(np.int8)
        low, high = bounds(record.members, self.scenarios, record.member_probability, record.skipped, chosen)
        return replace(record, probability_low=low, probability_high=high)

    @cached_property
    def training_range(self) -> TrainingRange | None:
        """Range of features in the training windows, if a member stores it."""
        return training_range(self.members)

    def _unlike_training(self, statistics: xr.DataArray, record: WindowRecord) -> Floats | None:
        if self.training_range is None:
            return None
        distance = np.full(record.shape, np.nan)
        for i, scenario in enumerate(self.scenarios):
            rows = np.flatnonzero(record.scenario == i)
            members = [member for member in self.members if member.name in scenario.weights]
            channels = {name for member in members for name in member.channels}
            if rows.size:
                distance[rows] = self.training_range.distance(statistics.isel(window=rows), channels)
        return distance


def load_bundle(path: str | PathLike[str] | None = None, *, pixel_members_suffice: bool = False) -> Bundle:
    """Read a bundle, its format version and every hash checked first.

    Parameters
    ----------
    path : path, optional
        Folder with ``bundle.json``; the default bundle if not given.
    pixel_members_suffice : bool
        Whether a bundle without members for windows may come back.

    Raises
    ------
    BundleError
        E501 missing or incomplete, E502 changed, E503 of another format version, E504 with a file
        that is not listed. E505 not a valid description, E506 a file that cannot be loaded, E555 without
        members for windows.
    """
    folder = DEFAULT if path is None else Path(path)
    content = read_document(folder)
    document = parse(content, folder)
    contents = verified(folder, document)
    loaded = [_load_member(entry, contents, folder) for entry in document.members]
    pixel_members = tuple(own for own in loaded if isinstance(own, SegmentationMember))
    members = tuple(own for own in loaded if not isinstance(own, SegmentationMember))
    names = {own.name for own in pixel_members}
    pixel_scenarios = tuple(entry for entry in document.scenarios if names >= set(entry.weights))
    scenarios = tuple(_scenario(entry) for entry in document.scenarios if not names >= set(entry.weights))
    if not scenarios and not pixel_members_suffice:
        raise BundleError(
            "E555",
            f"{folder}: has pixel members only, none for windows. `landslide-map score-pixels` takes such "
            "bundles.",
        )
    learned = contents.get(CASCADES)
    if isinstance(learned, bytes):
        try:
            scenarios = with_cascades(scenarios, members, learned)
        except ValueError as error:
            raise BundleError("E505", f"{folder / CASCADES}: {error}.") from None
    listed = contents.get(TRAINING_WINDOWS, b"")
    known = frozenset(listed.decode("ascii", "replace").split() if isinstance(listed, bytes) else ())
    return Bundle(
        document,
        members,
        scenarios,
        sha256(content).hexdigest(),
        folder,
        known,
        pixel_members=pixel_members,
        pixel_scenarios=pixel_scenarios,
    )


def window_hash(name: str) -> str:
    """Return a short hash of a window's name: equal for the same window, without its name."""
    return sha256(name.encode()).hexdigest()[:12]


def _load_member(
    entry: MemberEntry, contents: Mapping[str, bytes | Path], folder: Path
) -> Member | SegmentationMember:
    if entry.kind not in _LOADERS:
        raise BundleError(
            "E503",
            f"{folder / DOCUMENT}: member {entry.name!r} is of kind {entry.kind!r}; this "
            f"landslide-map knows {', '.join(_LOADERS)}. Update landslide-map.",
        )
    module, _, function = _LOADERS[entry.kind].partition(":")
    try:
        with optional_packages(f"{folder}: member {entry.name!r}, a {entry.kind}, needs", "networks"):
            load: Callable[[MemberEntry, Mapping[str, bytes | Path]], Member | SegmentationMember] = getattr(
                import_module(module), function
            )
            return load(entry, contents)
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # settings of another kind
        raise BundleError("E506", f"{folder}: member {entry.name!r} cannot be loaded ({error}).") from error


def _scenario(entry: ScenarioEntry) -> Scenario:
    return Scenario(
        name=entry.name,
        weights=dict(entry.weights),
        threshold=entry.threshold,
        average=entry.average,
        needs_all=entry.needs == "all",
        clear_sky=entry.clear_sky,
        calibration=entry.calibration,
        operating_points=dict(entry.operating_points),
        metrics=entry.metrics,
    )


def with_cascades(
    scenarios: Iterable[Scenario], members: Iterable[Member], content: bytes
) -> tuple[Scenario, ...]:
    """Return `scenarios` with the cascades that a bundle's file gives them; ValueError if it is not valid."""
    try:
        cascades = TypeAdapter(dict[str, Cascade]).validate_json(content)
    except ValidationError as error:
        raise ValueError(first_problem(error, Cascade, "file").text) from None
    known = {scenario.name: scenario for scenario in scenarios}
    cheap = {member.name for member in members if member.input == "statistics"}
    for name, cascade in cascades.items():
        if name not in known:
            raise ValueError(f"there is no scenario {name!r}")
        if unfit := set(cascade.first) - (cheap & known[name].weights.keys()):
            raise ValueError(f"scenario {name!r} has no members on statistics {', '.join(sorted(unfit))}")
        known[name] = replace(known[name], cascade=cascade)
    return tuple(known.values())
