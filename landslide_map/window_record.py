"""Window record: the numbers of windows, one array each, from the vote to ``windows.nc``.

:class:`WindowRecord` is the only list of these numbers. A new one is a field there: records are then joined,
kept in checkpoints, sent between machines and written to ``windows.nc`` with it.
"""

# mypy: untyped-calls-exclude=dask

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, ClassVar, Final, Literal, get_type_hints

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr
from dask.delayed import delayed

from landslide_map.array_types import Bools, Floats
from landslide_map.reasons import REASON_NAMES, Reason

FIRST_REASON: Final = min(reason for reason in Reason if reason)
_GRID: Final = ("row", "col")
_ABSENT: Final[Any] = None


@dataclass(frozen=True)
class Number:
    """Description of one number of a window."""

    long_name: str = ""
    """Long name as in ``windows.nc``; empty if it is not written there."""
    dtype: str = "f8"
    """Type in memory."""
    stored: str = "f4"
    """Type in ``windows.nc``; NaN is the fill value of floating-point numbers."""
    each: Literal["member", "group"] | None = None
    """Axis of further numbers: one for each member of the ensemble, or for each sensor group."""
    flags: Callable[[WindowRecord], Mapping[int, str]] | None = None
    """Meaning of each value, where it is a code."""


def _scenario_flags(record: WindowRecord) -> Mapping[int, str]:
    return {-1: "none", **dict(enumerate(record.scenarios))}


def _reason_flags(_: WindowRecord) -> Mapping[int, str]:
    return {int(reason): REASON_NAMES[reason] for reason in Reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRecord:
    """Numbers of windows: arrays ``(window,)``, or ``(row, col)`` of the windows of a plan.

    Numbers of members and sensor groups have one axis more, the last. Without a value they are NaN, or false.
    Others that may be None were not computed.

    Raises
    ------
    ValueError
        If arrays differ in shape, or a window has a probability without a scenario, or neither probability
        nor reason.
    """

    probability: Annotated[Floats, Number("calibrated probability of a landslide in the window")]
    """NaN where not analysed."""
    threshold: Annotated[Floats, Number("probability above which the window's scenario says landslide")]
    """NaN where not analysed."""
    scenario: Annotated[
        npt.NDArray[np.integer],
        Number("set of channels that the prediction of the window used", "i1", "i2", flags=_scenario_flags),
    ]
    """Index into `scenarios`, -1 where not analysed."""
    reason: Annotated[
        npt.NDArray[np.integer],
        Number("why the window has no probability", "u1", "i2", flags=_reason_flags),
    ]
    """A ``Reason``; ``ANALYSED`` exactly where `scenario` is not -1."""
    member_probability: Annotated[
        Floats, Number("probability of one member of the ensemble, not calibrated", each="member")
    ] = _ABSENT
    """NaN where the member did not vote."""
    skipped: Annotated[Bools, Number(dtype="?", each="member")] = _ABSENT
    """Whether the member belongs to the window's scenario, and its vote was not needed."""
    valid_fraction: Annotated[
        Floats, Number("fraction of the window's pixels that the sensor group has", each="group")
    ] = _ABSENT
    """Fraction of the group's poorest channel."""
    probability_low: Annotated[
        Floats | None, Number("lowest probability that skipped members could have made of it")
    ] = None
    probability_high: Annotated[
        Floats | None, Number("highest probability that skipped members could have made of it")
    ] = None

    snow_or_cloud_fraction: Annotated[
        Floats | None, Number("fraction of the window's optical pixels that are snow or cloud by colour")
    ] = None
    """Fraction as the vote uses it; NaN where the optical image is missing."""
    cloud_fraction: Annotated[
        Floats | None, Number("fraction of the window that is cloud by the scene classification")
    ] = None
    """Fraction of the classified pixels, as of snow and shadow; NaN where none is."""
    snow_fraction: Annotated[
        Floats | None, Number("fraction of the window that is snow by the scene classification")
    ] = None
    shadow_fraction: Annotated[
        Floats | None, Number("fraction of the window that is cloud shadow by the scene classification")
    ] = None

    unlike_training: Annotated[
        Floats | None, Number("distance of the window's features from the range of the training windows")
    ] = None
    """Distance by the channels of its scenario: 0 inside the range, at most 3; NaN where not analysed."""

    scenarios: tuple[str, ...]
    """Names of the scenarios, fullest first."""
    members: tuple[str, ...] = ()
    """Names of the members."""
    groups: tuple[str, ...] = ()
    """Names of the sensor groups."""

    NUMBERS: ClassVar[Mapping[str, Number]]
    """Description of every number, in the order of ``windows.nc``."""

    def __post_init__(self) -> None:
        for name, number in self.NUMBERS.items():
            self._complete(name, number)
        if np.any((self.scenario < 0) != np.isnan(self.probability)):
            raise ValueError("a window has a probability exactly where it has a scenario")
        if np.any((self.scenario < 0) != (self.reason != Reason.ANALYSED)):
            raise ValueError("a window has a reason exactly where it has no scenario")
        if len(self.scenarios) > FIRST_REASON or self.scenario.max(initial=-1) >= len(self.scenarios):
            raise ValueError(f"scenario index out of range for {len(self.scenarios)} scenarios")

    def _complete(self, name: str, number: Number) -> None:
        """Fill a number of members or groups that was left out; refuse an array of another shape."""
        values, expected = getattr(self, name), self.shape
        if number.each is not None:
            expected = (*expected, len(self._names_of(number.each)))
            if values is None:
                fill = False if number.dtype == "?" else np.nan
                values = np.full(expected, fill, number.dtype)
                object.__setattr__(self, name, values)
        if values is not None and values.shape != expected:
            raise ValueError(f"{name} has shape {values.shape}, expected {expected}")

    def _names_of(self, axis: Literal["member", "group"]) -> tuple[str, ...]:
        return self.members if axis == "member" else self.groups

    @property
    def shape(self) -> tuple[int, ...]:
        """``(windows,)``, or rows and columns of windows."""
        return self.probability.shape

    @property
    def landslide(self) -> Bools:
        """Whether the probability is above the threshold; false where not analysed."""
        above: Bools = self.probability > self.threshold
        return above

    @property
    def positive(self) -> Bools:
        """Windows above the threshold, as `landslide`, in the precision of the files."""
        above: Bools = self.probability.astype(np.float32) > self.threshold.astype(np.float32)
        return above

    @property
    def codes(self) -> npt.NDArray[np.uint8]:
        """Scenario index where analysed, else the reason."""
        return np.where(self.scenario >= 0, self.scenario, self.reason).astype(np.uint8)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return every number that is there, by name, and the names; see :meth:`of_arrays`."""
        found = {name: getattr(self, name) for name in self.NUMBERS if getattr(self, name) is not None}
        return found | {name: np.array(getattr(self, name), dtype="U") for name in _NAMES}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> WindowRecord:
        """Return the record of :meth:`arrays`; ``TypeError`` or ``ValueError`` if it is none."""
        names = {name: tuple(str(own) for own in arrays[name]) for name in _NAMES}
        values: dict[str, Any] = {**arrays, **names}
        return cls(**values)

    def on(self, grid_shape: tuple[int, int]) -> WindowRecord:
        """Return the record with arrays ``(row, col)``, from row-major ``(window,)``."""
        before = len(self.shape)
        numbers: dict[str, Any] = {
            name: values.reshape(*grid_shape, *values.shape[before:])
            for name, values in self.arrays().items()
            if name in self.NUMBERS
        }
        return replace(self, **numbers)

    def to_dataset(self) -> xr.Dataset:
        """Return the content of ``windows.nc`` from a record with rows and columns.

        Returns
        -------
        Dataset
            Variables over ``(row, col)``, of members and groups ``(member, row, col)`` and
            ``(group, row, col)``, with long names, units and flags. Those of members and groups are converted
            when they are written.
        """
        written = {name: number for name, number in self.NUMBERS.items() if number.long_name}
        variables = {
            name: self._variable(getattr(self, name), number)
            for name, number in written.items()
            if getattr(self, name) is not None
        }
        axes = {axis: (axis, np.array(self._names_of(axis), dtype="U")) for axis in ("member", "group")}
        return xr.Dataset(variables, axes)

    def _variable(self, values: npt.NDArray[Any], number: Number) -> tuple[tuple[str, ...], Any, Any]:
        about: dict[str, Any] = {"long_name": number.long_name}
        about |= {"units": "1"} if number.flags is None else _flags(number.flags(self))
        if number.each is None:
            return _GRID, values.astype(number.stored), about
        return (number.each, *_GRID), _layers(values, number.stored), about


WindowRecord.NUMBERS = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(WindowRecord, include_extras=True).items()
    if hasattr(hint, "__metadata__")
}
_NAMES: Final = tuple(own.name for own in fields(WindowRecord) if own.name not in WindowRecord.NUMBERS)


def joined(parts: Sequence[WindowRecord]) -> WindowRecord:
    """Return the record of all windows of `parts`, one after another.

    Raises
    ------
    ValueError
        If they are of other members or scenarios, or have other numbers.
    """
    arrays = [part.arrays() for part in parts]
    first = arrays[0]
    for other in arrays[1:]:
        if set(other) != set(first) or any(other[name].tolist() != first[name].tolist() for name in _NAMES):
            raise ValueError("records of different numbers, members or scenarios")
    numbers: dict[str, Any] = {
        name: np.concatenate([own[name] for own in arrays]) for name in first if name not in _NAMES
    }
    return replace(parts[0], **numbers)


def bytes_of(windows: int, members: int, groups: int) -> int:
    """Return the memory that a record of all numbers takes."""
    times = {None: 1, "member": members, "group": groups}
    numbers = WindowRecord.NUMBERS.values()
    return windows * sum(np.dtype(number.dtype).itemsize * times[number.each] for number in numbers)


def _flags(meanings: Mapping[int, str]) -> dict[str, Any]:
    """Return CF flag attributes; meanings are separated by blanks, so theirs become underscores."""
    words = " ".join(meaning.replace(" ", "_") for meaning in meanings.values())
    return {"flag_values": np.array(list(meanings), dtype=np.int16), "flag_meanings": words}


def _layers(values: npt.NDArray[Any], dtype: str) -> Any:
    """Return ``(row, col, layer)`` as ``(layer, row, col)`` of dask: converted when they are written."""
    shape, count = values.shape[:-1], values.shape[-1]
    if not count:
        return np.empty((0, *shape), dtype)
    layers = [delayed(values[..., i].astype)(dtype) for i in range(count)]
    return da.stack([da.from_delayed(layer, shape, np.dtype(dtype)) for layer in layers])
