"""Checks of the settings of search methods and budget policies: one clear error that names owner, setting and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from autorl.errors import UsageError, suggestion


def check_names(owner: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Raise `UsageError` unless all settings ``given`` to ``owner`` (``search method 'tpe'``) are among the ``known`` ones."""
    wrong = [f"unknown setting {key!r} of {owner}.{suggestion(key, known)}" for key in given if key not in known]
    if wrong:
        raise UsageError("; ".join(wrong))


def wrong_setting(method: str, name: str, value: Any, expected: str) -> UsageError:
    """Return the error for a setting whose value makes no sense."""
    return UsageError(f"search method {method!r}: setting {name!r}: expected {expected}, got {value!r}.")


def whole_number(method: str, name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return ``value`` if it is a whole number from ``low`` to ``high``; raise `UsageError` otherwise."""
    if not _is(value, Integral) or value < low or (high is not None and value > high):
        raise wrong_setting(method, name, value, f"a whole number {_range(low, high)}")
    return int(value)


def number(method: str, name: str, value: Any, low: float, high: float | None = None, *, above: bool = False) -> float:
    """Return ``value`` as a float if it is finite and from ``low`` (excluded, if ``above``) to ``high``."""
    outside = not _is(value, Real) or not math.isfinite(value) or value < low or (high is not None and value > high)
    if outside or (above and value == low):
        edge = f"above {low:g}" + ("" if high is None else f" and at most {high:g}") if above else _range(low, high)
        raise wrong_setting(method, name, value, f"a number {edge}")
    return float(value)


def _is(value: Any, kind: type) -> bool:
    # YAML's `true` is Python's 1: never a number here
    return isinstance(value, kind) and not isinstance(value, bool)


def _range(low: float, high: float | None) -> str:
    return f"of at least {low:g}" if high is None else f"from {low:g} to {high:g}"
