"""What ``provenance.json`` says of an objective: where it comes from, how it differs from its source, where it was tested.

Keys: ``name``, ``title``, ``description`` (a sentence for lists), ``family``, ``created`` (a date) and one of ``source`` (a paper)
and ``found_by`` (a search); optional ``formula`` (LaTeX, as in the paper), ``differs``, ``hyperparameters`` (of the paper),
``tested`` (a list of trainings that say how it does: ``score`` is an interquartile mean over ``seeds``, a return, or, with ``score_range``,
scaled so that these two returns are 0 and 1; ``hyperparameters`` are those that were not the learner's own defaults; ``against`` is what
others scored there), ``fingerprint`` and ``notes``.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any, Final

from autorl.objectives.graphs.files import shown
from autorl.objectives.strict_json import ObjectiveFileError

Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and all(c == "\n" or c.isprintable() for c in value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _date(value: Any) -> bool:
    try:
        return isinstance(value, str) and len(value) == 10 and bool(datetime.date.fromisoformat(value))
    except ValueError:
        return False


def _settings(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _text(k) and (_number(v) or isinstance(v, bool) or _text(v)) for k, v in value.items()
    )


def _wholes(value: Any) -> bool:
    return isinstance(value, list) and all(map(_whole, value))


def _two(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_number, value))


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


_SOURCE: Final[Mapping[str, Check]] = {"author": _text, "year": _whole, "title": _text, "equation": _text, "url": _text}
_FOUND_BY: Final[Mapping[str, Check]] = {
    "study": _text,
    "command": _text,
    "environments": _texts,
    "seeds": _wholes,
    "trial": _whole,
    "trials": _whole,
    "score": _number,
    "start": _text,
    "version": _text,
}
_TESTED: Final[Mapping[str, Check]] = {
    "environment": _text,
    "learner": _text,
    "seeds": _whole,
    "env_steps": _whole,
    "hyperparameters": _settings,
    "score": _number,
    "interval": _two,
    "score_range": _two,
    "against": _text,
    "command": _text,
}
_FIELDS: Final[Mapping[str, Check]] = {
    "name": _text,
    "title": _text,
    "description": _text,
    "family": _text,
    "created": _date,
    "formula": _text,
    "differs": _text,
    "hyperparameters": _settings,
    "fingerprint": _text,
    "notes": _text,
}
_REQUIRED: Final = ("name", "title", "description", "family", "created")
_WORDS: Final[Mapping[Check, str]] = {
    _text: "printable text",
    _number: "a number",
    _whole: "a whole number",
    _date: "a date such as 2026-01-31",
    _settings: "an object of names with numbers, texts, true or false",
    _wholes: "a list of whole numbers",
    _texts: "a list of texts",
}


def check_provenance(data: Any, where: str, name: str | None = None, family: str | None = None) -> dict[str, Any]:
    """Return ``data`` (parsed JSON) if it is a provenance; ``name`` and ``family`` are what it must say, if given.

    Raises:
        ObjectiveFileError: Naming ``where``, the field, what it holds and what was expected.
    """
    nested = {"source": _SOURCE, "found_by": _FOUND_BY}
    _object(data, where, {*_FIELDS, *nested, "tested"}, _REQUIRED)
    _values({k: v for k, v in data.items() if k in _FIELDS}, where, _FIELDS)
    if not nested.keys() & data.keys():
        raise ObjectiveFileError(f"{where}: 'source' (a paper) or 'found_by' (a search) is missing")
    for key, fields in nested.items():
        if key in data:
            required = ("author", "year", "title") if key == "source" else ("study", "command", "seeds")
            _object(data[key], f"{where}: {key}", set(fields), required)
            _values(data[key], f"{where}: {key}", fields)
    tested = data.get("tested", [])
    if not isinstance(tested, list):
        raise ObjectiveFileError(f"{where}: tested: expected a list, got {shown(tested)}")
    for index, entry in enumerate(tested):
        place = f"{where}: tested[{index}]"
        _object(entry, place, set(_TESTED), ("environment", "learner", "command"))
        _values(entry, place, _TESTED)
    for key, wanted in (("name", name), ("family", family)):
        if wanted is not None and data[key] != wanted:
            raise ObjectiveFileError(f"{where}: {key}: expected {wanted!r}, got {shown(data[key])}")
    return dict(data)


def _object(data: Any, where: str, known: set[str], required: tuple[str, ...]) -> None:
    if not isinstance(data, dict):
        raise ObjectiveFileError(f"{where}: expected an object, got {shown(data)}")
    unknown = [key for key in data if key not in known]
    if unknown:
        raise ObjectiveFileError(f"{where}: unknown key {shown(unknown[0])}; known are {', '.join(sorted(known))}")
    missing = [key for key in required if key not in data]
    if missing:
        raise ObjectiveFileError(f"{where}: {missing[0]!r} is missing")


def _values(data: Mapping[str, Any], where: str, fields: Mapping[str, Check]) -> None:
    for key, value in data.items():
        if not fields[key](value):
            expected = _WORDS.get(fields[key], "two numbers")
            raise ObjectiveFileError(f"{where}: {key}: expected {expected}, got {shown(value)}")
