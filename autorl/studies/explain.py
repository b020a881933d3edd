"""What pydantic found, in words: what was expected, from the field's own type and bounds, and the remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from autorl.errors import suggestion
from autorl.studies.consistency import Finding
from autorl.studies.convert import arms, model_fields, model_of, resolve, type_at
from autorl.studies.problems import Path, dotted, shown

_WORDS: Final[dict[Any, str]] = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
_NEAR: Final = 0.85
"""Likeness from which a field of the same section is meant rather than one of that name elsewhere: seed, seeds."""
_TRUE: Final = frozenset({"on", "yes", "y", "On", "Yes", "ON", "YES", "Y"})
_FALSE: Final = frozenset({"off", "no", "n", "Off", "No", "OFF", "NO", "N"})


def findings_of(schema: type[BaseModel], error: ValidationError) -> list[Finding]:
    """Return the findings in ``error``, one for each thing that is wrong."""
    return [finding for detail in error.errors(include_url=False) for finding in _findings(schema, detail)]


def _findings(schema: type[BaseModel], detail: ErrorDetails) -> Iterator[Finding]:
    path, value, context = detail["loc"], detail["input"], detail.get("ctx", {})
    kind = detail["type"]
    if kind == "autorl_findings":
        yield from context["findings"]
    elif kind == "extra_forbidden":
        yield _unknown(schema, path, value)
    elif kind == "missing":
        yield Finding(path, f"missing; expected {expected(schema, path)}")
    elif kind == "autorl" and "field" in context:
        key = context["field"]
        value = value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)
        path = (*path, key)
        yield Finding.refused(path, context["message"], value)
    elif kind == "autorl":
        yield Finding.refused(path, context["message"], value, remedy(context["message"], value))
    else:
        message = f"expected {expected(schema, path)}"
        yield Finding.refused(path, message, value, remedy(message, value))


def remedy(message: str, value: Any) -> str:
    """Return what to do where the mistake is a usual one."""
    if "true or false" in message and isinstance(value, str) and value in _TRUE | _FALSE:
        return f"Write {'true' if value in _TRUE else 'false'}"
    if "number" in message and isinstance(value, str) and isinstance(resolve(value), int | float):
        return "Write it without quotes"
    if "a text" in message and isinstance(value, int | float):
        return "Put it in quotes"
    return ""


def _unknown(schema: type[BaseModel], path: Path, value: Any) -> Finding:
    """Return the finding for a field that does not exist: where it belongs, or what it may have been meant to be."""
    *parent, key = path
    model = model_of(type_at(schema, tuple(parent)))
    known = model_fields(model) if model is not None else {}
    near = get_close_matches(str(key), known, 1, _NEAR)
    homes = [] if near else [place for place in _places(schema) if place[-1] == key]
    hint = f" It belongs to {dotted(homes[0][:-1])!r}: {dotted(homes[0])}." if homes else ""
    if homes and len(homes[0]) == 1:
        hint = f" It belongs to the top level, beside {dotted(tuple(parent[:1]))!r}."
    return Finding(
        path, f"unknown field, its value is {shown(value)}.{hint or suggestion(str(key), known)}", value, at_key=True
    )


def _places(schema: type[BaseModel], path: Path = ()) -> Iterator[Path]:
    """Yield the path of every field of ``schema``, those nearest to the top first."""
    fields = model_fields(schema)
    yield from ((*path, name) for name in fields)
    for name, (_, field) in fields.items():
        model = model_of(field.annotation)
        if model is not None:
            yield from _places(model, (*path, name))


def expected(schema: type[BaseModel], path: Path) -> str:
    """Return what the field at ``path`` expects, in words: ``a whole number >= 1 and <= 10000``."""
    parent = model_of(type_at(schema, path[:-1])) if path else None
    field = model_fields(parent).get(str(path[-1]), (None, None))[1] if parent is not None else None
    if field is not None:
        return described(field)
    return _type_in_words(type_at(schema, path) if path else schema)


def described(field: FieldInfo) -> str:
    """Return what ``field`` expects, in words."""
    words = _type_in_words(field.annotation)
    bounds = [text for item in field.metadata if (text := _bound(item)) is not None]
    return f"{words} {' and '.join(bounds)}" if bounds else words


def _bound(item: Any) -> str | None:
    if getattr(item, "pattern", None):
        return "of letters, digits, '_', '.' and '-' (64 at most, the first a letter or digit)"
    for kind, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<")):
        if isinstance(item, annotated_types.BaseMetadata) and hasattr(item, kind):
            return f"{sign} {getattr(item, kind)}"
    return None


def _type_in_words(annotation: Any) -> str:
    found = arms(annotation)
    arm = found[0] if found else annotation
    if get_origin(arm) is tuple and get_args(arm)[-1] is Ellipsis:
        inner = _type_in_words(get_args(arm)[0])
        return f"{inner}, or a list of them" if getattr(model_of(arm), "shorthand", None) else f"a list, each {inner}"
    if get_origin(arm) is tuple:
        return "two numbers [low, high]"
    if get_origin(arm) is Literal:
        return f"one of {', '.join(map(str, get_args(arm)))}"
    model = model_of(arm)
    if model is not None:
        mapping = f"a mapping with {', '.join(model_fields(model))}"
        shorthand = getattr(model, "shorthand", None)
        return f"a name or {mapping}" if shorthand else mapping
    if len(found) > 1:
        return "a name or a mapping"
    return _WORDS.get(arm, "a mapping" if get_origin(arm) is not None else "a number, a text, true or false")
