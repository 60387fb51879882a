"""Every code that is used is documented, and every documented code is used."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from landslide_map import errors
from landslide_map.error_codes import CODES, as_markdown
from landslide_map.error_cures import CURES
from tests.support.raised import documented_exit_statuses

ROOT = Path(__file__).parents[1]
USED = {
    code
    for path in (*ROOT.glob("landslide_map/**/*.py"), *ROOT.glob("cli/*.py"))
    if path.name not in ("error_codes.py", "error_cures.py")
    for code in re.findall(r"[\"'\s]([EWI]\d{3})[\"':]", path.read_text())
}


def test_the_codes_in_the_source_are_the_documented_ones() -> None:
    assert not USED - set(CODES), "register these codes in codes.py"
    assert not set(CODES) - USED, "these codes are documented but nothing raises them"


def test_every_code_has_a_cause_and_a_cure() -> None:
    assert set(CURES) == set(CODES), "say in error_cures.py what to do"
    assert all(len(text.split()) >= 2 for text in (*CODES.values(), *CURES.values()))
    assert not [code for code, cure in CURES.items() if code[0] == "E" and cure.startswith("Nothing")]


def test_the_page_of_codes_is_made_from_the_registry() -> None:
    assert (ROOT / "docs" / "error-codes.md").read_text() == as_markdown(), (
        "run: python -m landslide_map.error_codes > docs/error-codes.md"
    )


def _raised() -> list[tuple[str, int]]:
    """Code and exit status of every refusal that the source makes with both in plain sight."""
    calls = [
        node
        for path in (*ROOT.glob("landslide_map/**/*.py"), *ROOT.glob("cli/*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args
    ]
    return sorted(
        {
            (node.args[0].value, getattr(errors, node.func.id).exit_status)
            for node in calls
            if isinstance(node.args[0], ast.Constant)
            and node.args[0].value in CODES
            and hasattr(getattr(errors, node.func.id, None), "exit_status")
        }
        | {("E390", errors.SceneError.exit_status)}
    )


def test_the_page_of_codes_says_the_exit_status_of_each() -> None:
    documented = documented_exit_statuses()
    wrong = [(code, status) for code, status in _raised() if documented.get(code) != status]
    assert wrong == [], "code and exit status of the source, which the page does not say"
