"""JSON that comes back as it was: what would change on the way is refused when written, not found out when read."""

from __future__ import annotations

import json
from typing import Any, cast

from autorl.errors import StudyError


def dump_json(value: Any, where: str) -> str:
    """Return ``value`` as compact JSON whose parse equals it (tuples become lists; floats come back to the bit).

    Raises:
        StudyError: Naming ``where``, for what JSON cannot hold: non-finite numbers, arrays, keys that are not text.
    """
    try:
        _check_keys(value, where)
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise StudyError(f"{where} cannot be stored as JSON: {error}. Encode it as plain data first.") from error


def load_json(text: object, where: str) -> Any:
    """Return the parsed JSON ``text``; raise `StudyError` naming ``where`` if it is none."""
    try:
        return json.loads(cast(str, text), parse_constant=_refuse_constant)
    except (TypeError, ValueError, RecursionError) as error:
        raise StudyError(f"{where} is damaged: {error}. Restore the study from a copy.") from error


def _check_keys(value: Any, where: str) -> None:
    """Refuse keys that are not text: JSON would turn them into text, and they would come back changed."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise StudyError(f"{where} has the key {key!r}; keys must be text")
            if isinstance(item, dict | list | tuple):
                _check_keys(item, where)
    elif isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, dict | list | tuple):
                _check_keys(item, where)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
