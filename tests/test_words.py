"""Prose is short and plain: README, docs, help, messages, decisions, docstrings and comments."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from benchmarks.words import AVERAGE, LONG, Sentence, forbidden, of_python, private_names, prose

ROOT = Path(__file__).parents[1]
CODE = ("landslide_map", "cli", "benchmarks", "sample_scenes", "tests")
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
def test_words_for_people_are_not_for_code(kind: str) -> None:
    assert not [f"{own.place}: {own.text}" for own in written()[kind] if forbidden(own)]


@pytest.mark.parametrize("folder", CODE)
def test_names_are_terms_of_the_field(folder: str) -> None:
    modules = sorted((ROOT / folder).rglob("*.py"))
    assert modules
    assert not {str(path.relative_to(ROOT)): names for path in modules if (names := private_names(path))}


def test_docstrings_of_tests_use_the_same_words() -> None:
    modules = [path for folder in CODE[2:] for path in sorted((ROOT / folder).rglob("*.py"))]
    suspect = [path for path in modules if forbidden(Sentence(path.read_text("utf-8"), ""))]
    found = [own for path in suspect for _, own in of_python(path, str(path.relative_to(ROOT)))]
    assert len(modules) > 100
    assert not [f"{own.place}: {own.text}" for own in found if forbidden(own)]


def test_a_description_begins_with_the_noun_that_it_describes() -> None:
    opening = re.compile(r'^\s*"""(Of|What|How|Those|Where|As from) .*', re.MULTILINE)
    modules = [path for folder in CODE[:4] for path in sorted((ROOT / folder).rglob("*.py"))]
    assert not {
        str(path.relative_to(ROOT)): found[0].strip()
        for path in modules
        if (found := opening.search(path.read_text("utf-8")))
    }
