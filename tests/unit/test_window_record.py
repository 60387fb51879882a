"""One record of windows: joined, kept and described without a list of its numbers anywhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from landslide_map.window_record import WindowRecord, bytes_of, joined
from tests.support.raised import raised


def record(count: int, seed: int = 0) -> WindowRecord:
    rng = np.random.default_rng(seed)
    scenario = (np.arange(count) % 3 - 1).astype(np.int8)
    return WindowRecord(
        probability=np.where(scenario < 0, np.nan, rng.random(count)),
        threshold=np.where(scenario < 0, np.nan, 0.5),
        scenario=scenario,
        reason=np.where(scenario < 0, 251, 0).astype(np.uint8),
        member_probability=rng.random((count, 2)),
        valid_fraction=rng.random((count, 3)),
        scenarios=("all", "few"),
        members=("a", "b"),
        groups=("optical", "descending", "ascending"),
    )


def test_joined_parts_are_the_whole_and_arrays_bring_a_record_back() -> None:
    parts = [record(4, 1), record(2, 2)]
    whole = joined(parts)
    for name in whole.arrays():
        if name in WindowRecord.NUMBERS:
            expected = np.concatenate([getattr(part, name) for part in parts])
            np.testing.assert_array_equal(getattr(whole, name), expected)
    again = WindowRecord.of_arrays(whole.arrays())
    assert {n: v.tobytes() for n, v in again.arrays().items()} == {
        n: v.tobytes() for n, v in whole.arrays().items()
    }
    assert again.probability_low is None


def test_records_of_other_members_or_numbers_are_not_joined() -> None:
    one = record(3)
    for other in (replace(one, members=("a", "c")), replace(one, probability_low=one.probability)):
        with raised(ValueError, "different"):
            joined([one, other])


def test_the_file_has_one_layer_for_each_member_and_group_on_the_lattice() -> None:
    flat = record(6)
    found = flat.on((2, 3)).to_dataset()
    assert found["probability"].dims == ("row", "col")
    assert found["member_probability"].dims == ("member", "row", "col")
    np.testing.assert_array_equal(
        found["member_probability"].sel(member="b"),
        flat.member_probability[:, 1].reshape(2, 3).astype(np.float32),
    )
    np.testing.assert_array_equal(
        found["valid_fraction"].sel(group="ascending").values.ravel(),
        flat.valid_fraction[:, 2].astype(np.float32),
    )
    assert "skipped" not in found
    assert "probability_low" not in found
    assert all(found[name].attrs["long_name"] for name in found.data_vars)


def test_the_memory_of_a_record_is_that_of_its_numbers() -> None:
    full = record(12)
    full = replace(
        full, **{n: np.zeros(12) for n, number in WindowRecord.NUMBERS.items() if getattr(full, n) is None}
    )
    taken = sum(values.nbytes for name, values in full.arrays().items() if name in WindowRecord.NUMBERS)
    assert taken == bytes_of(12, members=2, groups=3)
