"""Validation errors of foreign documents, as one clear sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, TypeAlias, get_args

from pydantic import BaseModel, ValidationError

Keys: TypeAlias = tuple[str | int, ...]
Model: TypeAlias = type[BaseModel]
_LONGEST: Final = 200
"""Characters of a value that is shown."""


@dataclass(frozen=True, slots=True)
class Problem:
    """The problem of a document that is best solved first."""

    text: str
    """Place, expectation and finding of a problem, and the number of further ones."""
    kind: str
    """Type of the error, as of pydantic."""

    @property
    def unknown_key(self) -> bool:
        """Whether the document has a key that means nothing."""
        return self.kind == "extra_forbidden"


def first_problem(error: ValidationError, root: Model, whole: str) -> Problem:
    """Return the problem that explains most: unknown keys first, as they cause others.

    Parameters
    ----------
    error : ValidationError
    root : type of BaseModel
        What the document should be, or each value of its mapping.
    whole : str
        Name of the document.
    """
    details = error.errors(include_url=False)
    first = min(details, key=lambda detail: detail["type"] != "extra_forbidden")
    keys: Keys = tuple(first["loc"])
    rest = f" ({len(details) - 1} more to fix after this one)" if len(details) > 1 else ""
    if first["type"] == "extra_forbidden":
        text = f"unknown key {dotted(keys)}; {_suggestion(root, keys, whole)}"
    else:
        text = f"{dotted(keys) or whole}: {_sentence(first)}"
    return Problem(f"{text}{rest}", first["type"])


def _sentence(detail: Any) -> str:
    if detail["type"] == "missing":
        return "this key is missing"
    if detail["type"] == "model_type":
        return f"expected a mapping; found {_shown(detail['input'])}"
    if detail["loc"][-1:] == ("threshold",) and _is_percent(detail["input"]):
        return (
            f"expected a probability between 0 and 1; for {detail['input']} % write {detail['input'] / 100:g}"
        )
    message = str(detail["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    found = detail["input"]
    return message if isinstance(found, dict | BaseModel) else f"{message}; found {_shown(found)}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _is_percent(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 1 < value < 100


def dotted(keys: Keys) -> str:
    """Return ``("s1", "pre", 0, "vv")`` as ``s1.pre[0].vv``."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".")


def _suggestion(root: Model, keys: Keys, whole: str) -> str:
    """Name the nearest valid key: among its siblings, else the same name elsewhere."""
    parent, wrong = keys[:-1], str(keys[-1])
    siblings = _names(_model_at(root, parent))
    folded = {name.lower(): name for name in siblings}
    near = get_close_matches(wrong.lower(), folded, n=1)
    if near:
        return f"did you mean {dotted((*parent, folded[near[0]]))}?"
    elsewhere = next((path for path in _all_keys(root) if path[-1] == wrong), None)
    hint = f"did you mean {dotted(elsewhere)}? " if elsewhere else ""
    return f"{hint}Valid keys of {dotted(parent) or f'the {whole}'}: {', '.join(siblings)}"


def _names(model: Model) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _children(model: Model) -> dict[str, Model]:
    """Keys of `model` that hold a mapping, or a list of mappings."""
    fields = ((field.alias or name, field.annotation) for name, field in model.model_fields.items())
    found = ((name, _model_in(annotation)) for name, annotation in fields)
    return {name: child for name, child in found if child is not None}


def _model_in(annotation: Any) -> Model | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _model_at(root: Model, keys: Keys) -> Model:
    model = root
    for key in keys:
        if isinstance(key, str):
            # A key of a mapping, or the name of a choice among models, stays with the model.
            model = _children(model).get(key, model)
    return model


def _all_keys(model: Model, parent: Keys = ()) -> Iterator[Keys]:
    yield from ((*parent, name) for name in _names(model))
    for name, child in _children(model).items():
        if child is not model:  # as the parts of an image
            yield from _all_keys(child, (*parent, name))
