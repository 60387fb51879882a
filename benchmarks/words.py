"""Length of sentences and forbidden words in the prose of a source tree.

``python -m benchmarks.words [TREE]`` prints a table. ``--worst docs`` lists the longest sentences of one kind
of prose, ``--forbidden`` the words that ``docs/style`` rules out.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

LONG: Final = 25
"""No sentence for users has more words."""
AVERAGE: Final = 15
"""Words per sentence of a kind of prose."""
_FORBIDDEN: Final = re.compile(r"(?<!people )\b(who|whose|whom|whoever|nobody|everybody)\b", re.IGNORECASE)
_SECTIONS: Final = re.compile(r"^[A-Z][A-Za-z ]+\n-{3,}$", re.MULTILINE)
_FIELD: Final = re.compile(r"^[\w`*., ]+ : .*$|^\w[\w, |.\[\]]*$")
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
    """Yield the sentences of plain text: they end at ``.``, ``?`` or ``!`` before a blank, and at blank lines."""
    for paragraph in re.split(r"\n\s*\n", text):
        one_line = _ABBREVIATION.sub(r"\1", " ".join(paragraph.split()))
        for part in re.split(r"(?<=[^.][.?!])[)\"*_]*\s+", one_line):
            found = Sentence(part.strip(), place)
            if found.words > 2:
                yield found


def of_markdown(path: Path, place: str) -> Iterator[Sentence]:
    """Yield the sentences of a page, each list item by itself; no code, headings, tables or quotes."""
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


def of_python(path: Path, place: str, kinds: dict[str, list[Sentence]]) -> None:
    """Add docstrings, comments, help and messages of a module to `kinds`."""
    source = path.read_text("utf-8")
    tree = ast.parse(source)
    in_cli = place.startswith("cli")
    for node in ast.walk(tree):
        here = f"{place}:{getattr(node, 'lineno', 1)}"
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            for child in node.body:
                if isinstance(child, ast.Expr) and (text := _text(child.value)) is not None:
                    is_help = in_cli and isinstance(node, ast.FunctionDef) and bool(node.decorator_list)
                    cleaned = re.sub(r"^\s*\\b\n(.+\n?)*", "\n", _clean(text), flags=re.MULTILINE)
                    kind = "help" if is_help else "docstrings"
                    kinds[kind] += of_docstring(cleaned, f"{place}:{child.lineno}")
        elif isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg in ("help", "short_help") and (text := _text(keyword.value)):
                    kinds["help"] += sentences(text, here)
            if _ERRORS.search(_called(node)) and len(node.args) > 1 and (text := _text(node.args[1])):
                kinds["messages"] += sentences(text, here)
    comments: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not re.match(r"#(!|:| (noqa|type:|mypy:|fmt:))", token.string):
            text = token.string.lstrip("# ").rstrip()
            if comments and comments[-1][0] == token.start[0] - 1 and token.line.lstrip().startswith("#"):
                comments[-1] = (token.start[0], f"{comments[-1][1]} {text}")
            else:
                comments.append((token.start[0], text))
    for line, text in comments:
        kinds["comments"] += sentences(re.sub(r"`[^`]*`", "code", text), f"{place}:{line}")


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _clean(text: str) -> str:
    return ast.get_docstring(ast.Module([ast.Expr(ast.Constant(text))], [])) or ""


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
    for path in sorted(
        found for folder in ("landslide_map", "cli") for found in (tree / folder).rglob("*.py")
    ):
        of_python(path, str(path.relative_to(tree)), kinds)
    return kinds


def forbidden(found: Sentence) -> list[str]:
    """Return the words of a sentence that are kept for people."""
    return [str(word) for word in _FORBIDDEN.findall(found.text)]


def _rows(kinds: dict[str, list[Sentence]]) -> Iterator[str]:
    yield "| prose | sentences | words each | over 20 | over 25 | who/whose/nobody | semicolons a sentence |"
    yield "|---|---|---|---|---|---|---|"
    for kind, found in kinds.items():
        count = max(len(found), 1)
        lengths = [sentence.words for sentence in found]
        share: Callable[[int], str] = lambda most: f"{sum(n > most for n in lengths) / count:.1%}"  # noqa: E731
        words = sum(len(forbidden(sentence)) for sentence in found)
        semicolons = sum(sentence.text.count(";") for sentence in found) / count
        yield (
            f"| {kind} | {len(found)} | {sum(lengths) / count:.1f} | {share(20)} | {share(LONG)} | {words} "
            f"| {semicolons:.2f} |"
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
