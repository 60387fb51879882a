"""Assertions on refusals: code, exit status and the values in the message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

from landslide_map.error_codes import CODES, as_markdown
from landslide_map.errors import LandslideMapError


@contextmanager
def raised(what: str | type[BaseException], *named: object) -> Iterator[pytest.ExceptionInfo[Any]]:
    """Expect a refusal with the code `what`, or another exception, that names each of `named`.

    Phrases that separate causes of one code are in :mod:`tests.support.messages`.
    """
    with pytest.raises(LandslideMapError if isinstance(what, str) else what) as caught:
        yield caught
    error = caught.value
    if isinstance(what, str):
        assert (error.code, error.exit_status) == (what, documented_exit_statuses()[what]), error
    assert [each for each in named if str(each) not in str(error)] == [], f"not named in: {error}"


@cache
def documented_exit_statuses() -> dict[str, int | None]:
    """Return the exit status that the page of codes says for each."""
    found: dict[str, int | None] = {}
    of_section = None
    for line in as_markdown().splitlines():
        said = re.findall(r"exit status (\d)", line)
        if line.startswith("## "):
            of_section = int(said[0]) if said else None
        elif line.startswith("| ") and (code := line[2:6]) in CODES:
            found[code] = int(said[0]) if said else of_section
    return found
