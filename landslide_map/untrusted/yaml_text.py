"""YAML of foreign files: of bounded size, its aliases counted before they are followed."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from landslide_map.untrusted.files import read_bytes

MOST_BYTES: Final = 2**19
"""A scene of a hundred images has 20 kB."""
_MOST_NODES: Final = 100_000
"""Values of a document, with those that aliases repeat."""


class YamlError(ValueError):
    """A file is not YAML that is read; says why, and in which line where that is known."""


class _TextTimes(SafeConstructor):
    """Leave times as text: YAML would drop the zone of ``2024-04-02T23:58:00+02:00``, or its absence."""


_TextTimes.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def read_yaml(path: Path, *, times_as_text: bool = False) -> Any:
    """Return the content of a YAML file: dict, list, str, int, float, bool or None.

    Parameters
    ----------
    path : Path
        UTF-8, or UTF-16 with a byte order mark, as PowerShell writes it.
    times_as_text : bool
        Whether a time is left as it is written.

    Raises
    ------
    OSError
        If it cannot be read.
    YamlError
        If it is not YAML, larger than any scene, or its aliases multiply beyond bounds.
    """
    try:
        text = _text(read_bytes(path, MOST_BYTES))
        return _loaded(text, times_as_text)
    except DuplicateKeyError as error:
        raise YamlError(f"{_where(error)}{error.problem}; write each key once") from None
    except YAMLError as error:
        raise YamlError(f"{_where(error)}not YAML: {_problem(error, text)}") from None
    except RecursionError:
        raise YamlError("not YAML: brackets or mappings are nested too deeply for any scene") from None
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError, AssertionError) as error:
        raise YamlError(f"not YAML: a tag or value that is none ({error})") from None
    except YamlError:
        raise
    except ValueError as error:  # a number that Python cannot make, a file too large
        raise YamlError(f"not YAML: {error}") from None


def _loaded(text: str, times_as_text: bool) -> Any:
    yaml = YAML(typ="safe", pure=True)
    if times_as_text:
        yaml.Constructor = _TextTimes
    if "*" in text:  # aliases multiply their content
        _count(YAML(typ="safe", pure=True).compose(text), {})
    return yaml.load(text)


def _count(node: Node | None, known: dict[int, int]) -> int:
    """Return how many values a document has once its aliases are followed."""
    if id(node) in known:
        if known[id(node)] < 0:
            raise YamlError("not YAML of a scene: a value holds itself (an alias inside its own anchor)")
        return known[id(node)]
    known[id(node)] = -1
    parts: list[Node] = []
    if isinstance(node, MappingNode):
        parts = [part for pair in node.value for part in pair]
    elif isinstance(node, SequenceNode):
        parts = list(node.value)
    total = 1
    for part in parts:
        total += _count(part, known)
        if total > _MOST_NODES:
            raise YamlError(f"not YAML of a scene: its aliases stand for more than {_MOST_NODES:,} values")
    known[id(node)] = total
    return total


def _text(content: bytes) -> str:
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    encoding = "utf-16" if content.startswith(marks) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise YamlError("is not UTF-8 text; save it as UTF-8 in your editor") from None


def _where(error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}: " if mark else ""


def _problem(error: YAMLError, text: str) -> str:
    problem = str(getattr(error, "problem", None) or str(error).splitlines()[0])
    mark = getattr(error, "problem_mark", None)
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in problem:
        return f"{problem}. A tab stands in this line: YAML is indented by spaces"
    if "escape" in problem or ('"' in line and "\\" in line):
        return f"{problem}. A backslash in double quotes is an escape: write paths with / or in single quotes"
    return problem
