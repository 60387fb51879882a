"""Length of sentences and forbidden words in the prose of a source tree.

``python -m benchmarks.words [TREE]`` prints a table. ``--worst docs`` lists the sentences of one kind of
prose that are too long, ``--forbidden`` those with words that are kept for people. ``tests/test_words.py``
holds all of it to the rule.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import numpy as np

LONG: Final = 25
"""No sentence for users has more words."""
AVERAGE: Final = 15
"""Words per sentence of a kind of prose."""
_FIGURES: Final = (
    r"ask(?:s|ed|ing)?|tell(?:s|ing)?|told|judg(?:e|es|ed|ing)|rooms?|seats?|spare[sd]?|rude|greet(?:s|ing)?"
    r"|believe[sd]?|trust(?:s|ed)|twins?|(?:some|any|every)(?:body|one)|nobody|whoever"
)
"""Words for people: a program requests, reports, predicts, and allocates memory."""
_FORBIDDEN: Final = re.compile(rf"(?<!people )\b(who|whose|whom|{_FIGURES})\b", re.IGNORECASE)
_INSIDE: Final = re.compile(rf"(?<![a-z])(?:{_FIGURES})(?![a-z])", re.IGNORECASE)
_PARTS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_SECTIONS: Final = re.compile(r"^[A-Z][A-Za-z ]+\n-{3,}$", re.MULTILINE)
_FIELD: Final = re.compile(r"^[\w`*., ]+ : .*$|^\w[\w, |.\[\]]*(?<!\.)$")
_ERRORS: Final = re.compile(r"(Error|Notice|Exit|Refusal|BadParameter)$")
_ABBREVIATION: Final = re.compile(r"\b(e\.g|i\.e|etc|cf|al|vs|Fig|No|St)\.")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, and where it is."""

    text: str
    place: str

    @property
    def words(self) -> int:
        """Words; a number, a name of code and a path are one each."""
        return len(re.findall(r"[\w'’@%]+(?:[-./][\w'’]+)*", self.text))


def sentences(text: str, place: str) -> Iterator[Sentence]:
    """Yield the sentences of plain text: they end at a full stop, ``?`` or ``!``, and at blank lines."""
    for paragraph in re.split(r"\n\s*\n", text):
        one_line = _ABBREVIATION.sub(r"\1", " ".join(paragraph.split()))
        for part in re.split(r"(?<=[^.][.?!])[)\"*_]*\s+", one_line):
            found = Sentence(part.strip(), place)
            if found.words > 2:
                yield found


def of_markdown(path: Path, place: str) -> Iterator[Sentence]:
    """Yield the sentences of a page, each list item alone; no code, headings, tables or quotes."""
    text = re.sub(r"^---\n.*?\n---\n", "", path.read_text("utf-8"), flags=re.DOTALL)
    text = re.sub(r"```.*?```|<!--.*?-->", "\n\n", text, flags=re.DOTALL)
    kept = []
    for line in text.splitlines():
        if re.match(r"\s*(#|\||>|<|\||!\[|---)", line):
            kept.append("\n")
        elif item := re.match(r"\s*([*+-]|\d+\.)\s+(.*)", line):
            kept.append(f"\n\n{item[2]}")
        else:
            kept.append(line)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", "\n".join(kept))
    yield from sentences(re.sub(r"`[^`]*`", "code", text), place)


def of_docstring(text: str, place: str) -> Iterator[Sentence]:
    """Yield the sentences of a docstring in numpydoc's form; no parameter names, no examples."""
    text = re.sub(r"^>>>.*?(\n\s*\n|\Z)", "\n\n", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"::\n\n(?:[ ]{4}.*\n?|\n)+", ".\n\n", _SECTIONS.sub("\n\n", text))
    lines = ["\n" if _FIELD.match(line) else line for line in text.splitlines()]
    text = re.sub(r"^\s*[*-] ", "\n\n", "\n".join(lines), flags=re.MULTILINE)
    text = re.sub(r":\w+:`~?([^`]*)`|``([^`]*)``|`([^`]*)`", "code", text)
    yield from sentences(text, place)


def of_python(path: Path, place: str) -> Iterator[tuple[str, Sentence]]:
    """Yield kind and sentence of docstrings, comments, help and messages of a module."""
    source = path.read_text("utf-8")
    for node in ast.walk(ast.parse(source)):
        here = f"{place}:{getattr(node, 'lineno', 1)}"
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            is_help = place.startswith("cli") and bool(getattr(node, "decorator_list", ()))
            for text in _texts_of_body(node):
                yield from (("help" if is_help else "docstrings", own) for own in of_docstring(text, here))
        elif isinstance(node, ast.Call):
            yield from (("help", own) for shown in _help(node) for own in sentences(shown, here))
            message = _text(node.args[1]) if len(node.args) > 1 else None
            if message is not None and _ERRORS.search(_called(node)):
                yield from (("messages", own) for own in sentences(message, here))
    for line, comment in _comments(source):
        for own in sentences(re.sub(r"`[^`]*`", "code", comment), f"{place}:{line}"):
            yield "comments", own


def _texts_of_body(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> Iterator[str]:
    """Yield the docstring and those of attributes, without paragraphs that click prints unchanged."""
    for child in node.body:
        if isinstance(child, ast.Expr) and (text := _text(child.value)) is not None:
            yield re.sub(r"^\s*\x08\n(.+\n?)*", "\n", inspect.cleandoc(text), flags=re.MULTILINE)


def _help(node: ast.Call) -> Iterator[str]:
    for keyword in node.keywords:
        if keyword.arg in ("help", "short_help") and (text := _text(keyword.value)):
            yield text


def _comments(source: str) -> list[tuple[int, str]]:
    """Return line and text of comments; those on lines that follow each other are one."""
    found: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or re.match(r"#(!|:| (noqa|type:|mypy:|fmt:))", token.string):
            continue
        text, line = token.string.lstrip("# ").rstrip(), token.start[0]
        if found and found[-1][0] == line - 1 and token.line.lstrip().startswith("#"):
            found[-1] = (line, f"{found[-1][1]} {text}")
        else:
            found.append((line, text))
    return found


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _text(node: ast.expr) -> str | None:
    """Return the text of a literal; a value put into it is one word."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) else "x"  # type: ignore[misc]
            for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [_text(node.left), _text(node.right)]
        return "".join(part or "x" for part in parts) if any(parts) else None
    return None


def prose(tree: Path) -> dict[str, list[Sentence]]:
    """Return the sentences of a source tree by kind."""
    kinds: dict[str, list[Sentence]] = {
        kind: [] for kind in ("README", "docs", "decisions", "docstrings", "comments", "help", "messages")
    }
    pages = {
        "README": ["README.md"],
        "docs": ["docs/*.md", "CONTRIBUTING.md", "sample_scenes/README.md"],
        "decisions": ["docs/decisions/*.md"],
    }
    for kind, patterns in pages.items():
        for path in sorted(found for pattern in patterns for found in tree.glob(pattern)):
            kinds[kind] += of_markdown(path, str(path.relative_to(tree)))
    modules = [path for folder in ("landslide_map", "cli") for path in sorted((tree / folder).rglob("*.py"))]
    for path in modules:
        for kind, own in of_python(path, str(path.relative_to(tree))):
            kinds[kind].append(own)
    return kinds


def forbidden(found: Sentence) -> list[str]:
    """Return the words of a sentence that are kept for people."""
    return [str(word) for word in _FORBIDDEN.findall(found.text)]


def private_names(path: Path) -> set[str]:
    """Return the names in a module that have one of these words as a part; attributes may be of libraries."""
    text = path.read_text("utf-8")
    if not _INSIDE.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text)):
        return set()  # as most: tokens take a hundred times as long
    found, before = set(), ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and before != ".":
            parts = _PARTS.findall(token.string)
            found |= {token.string for part in parts if re.fullmatch(_FIGURES, part, re.IGNORECASE)}
        before = token.string
    return found


def _rows(kinds: dict[str, list[Sentence]]) -> Iterator[str]:
    yield "| prose | sentences | words each | over 20 | over 25 | words for people | semicolons a sentence |"
    yield "|---|---|---|---|---|---|---|"
    for kind, found in kinds.items():
        lengths = np.array([sentence.words for sentence in found])
        words = sum(len(forbidden(sentence)) for sentence in found)
        semicolons = np.mean([sentence.text.count(";") for sentence in found])
        yield (
            f"| {kind} | {len(found)} | {lengths.mean():.1f} | {(lengths > 20).mean():.1%} "
            f"| {(lengths > LONG).mean():.1%} | {words} | {semicolons:.2f} |"
        )


@click.command()
@click.argument("tree", type=click.Path(exists=True, path_type=Path), default=Path())
@click.option("--worst", help="List sentences of this kind of prose that are too long, the longest first.")
@click.option("--forbidden", "words", is_flag=True, help="List sentences with words kept for people.")
def main(tree: Path, worst: str | None, words: bool) -> None:
    """Print how long the sentences of TREE are."""
    kinds = prose(tree)
    if words:
        for found in (one for every in kinds.values() for one in every if forbidden(one)):
            click.echo(f"{found.place}: {found.text}")
    elif worst:
        for found in sorted(kinds[worst], key=lambda one: -one.words):
            if found.words > LONG:
                click.echo(f"{found.words} {found.place}: {found.text}")
    else:
        for row in _rows(kinds):
            click.echo(row)


if __name__ == "__main__":
    sys.exit(main())
