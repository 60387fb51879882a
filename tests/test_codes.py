"""Every code that is used is documented, and every documented code is used."""

from __future__ import annotations

import re
from pathlib import Path

from landslide_map.codes import CODES, as_markdown

ROOT = Path(__file__).parents[1]
USED = {
    code
    for path in (*ROOT.glob("landslide_map/**/*.py"), *ROOT.glob("cli/*.py"))
    if path.name != "codes.py"
    for code in re.findall(r"[\"'\s]([EWI]\d{3})[\"':]", path.read_text())
}


def test_the_codes_in_the_source_are_the_documented_ones() -> None:
    assert not USED - set(CODES), "register these codes in codes.py"
    assert not set(CODES) - USED, "these codes are documented but nothing raises them"


def test_the_page_of_codes_is_made_from_the_registry() -> None:
    assert (ROOT / "docs" / "error-codes.md").read_text() == as_markdown(), (
        "run: python -m landslide_map.codes > docs/error-codes.md"
    )
