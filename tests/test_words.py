"""Prose is short and plain: README, docs, help, messages, decisions, docstrings and comments."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from benchmarks.words import AVERAGE, LONG, Sentence, forbidden, prose

ROOT = Path(__file__).parents[1]
READ = ("README", "docs", "help", "messages", "decisions", "docstrings", "comments")


@cache
def written() -> dict[str, list[Sentence]]:
    return prose(ROOT)


@pytest.mark.parametrize("kind", READ)
def test_no_sentence_is_too_long(kind: str) -> None:
    found = written()[kind]
    too_long = [
        f"{own.place}: {own.words} words, at most {LONG}: {own.text}" for own in found if own.words > LONG
    ]
    assert not too_long, "\n".join(too_long)
    assert sum(own.words for own in found) / len(found) <= AVERAGE


@pytest.mark.parametrize("kind", READ)
def test_who_and_nobody_are_for_people(kind: str) -> None:
    assert not [f"{own.place}: {own.text}" for own in written()[kind] if forbidden(own)]
