"""Amounts of memory, by hand."""

from __future__ import annotations

import pytest

from landslide_map.runtime.byte_size import amount
from tests.support.raised import raised


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GB", 2_000_000_000),
        ("2gb", 2_000_000_000),
        (" 1.5 GB ", 1_500_000_000),
        ("2GiB", 2_147_483_648),
        ("1500 MiB", 1_572_864_000),
        ("800MB", 800_000_000),
        ("0.5TB", 500_000_000_000),
        ("900000kb", 900_000_000),
        (2_000_000_000, 2_000_000_000),
    ],
)
def test_byte_size(text: str | int, size: int) -> None:
    assert amount(text) == size


@pytest.mark.parametrize("text", ["", "2", "2G", "GB", "-2GB", "0GB", "2 gigabytes", "1e3MB", "2GB!", 0, -5])
def test_what_is_no_amount_is_refused_with_an_example(text: str | int) -> None:
    with raised("E440", "2GB") as refused:
        amount(text)
    assert repr(text) in str(refused.value)
