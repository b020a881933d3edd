"""Checks of a search method's settings: one clear error that names the method, the setting, the value and what is allowed."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from autorl.errors import UsageError


def wrong_setting(method: str, name: str, value: Any, expected: str) -> UsageError:
    """Return the error for a setting whose value makes no sense."""
    return UsageError(f"search method {method!r}: setting {name!r}: expected {expected}, got {value!r}.")


def whole_number(method: str, name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return ``value`` if it is a whole number from ``low`` to ``high``; raise `UsageError` otherwise."""
    fits = (
        isinstance(value, Integral) and not isinstance(value, bool) and value >= low and (high is None or value <= high)
    )
    if not fits:
        raise wrong_setting(method, name, value, f"a whole number {_range(low, high)}")
    return int(value)


def number(method: str, name: str, value: Any, low: float, high: float | None = None, *, above: bool = False) -> float:
    """Return ``value`` as a float if it is finite and from ``low`` (excluded, if ``above``) to ``high``."""
    fits = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not fits or value < low or (above and value == low) or (high is not None and value > high):
        edge = f"above {low:g}" + (f" and at most {high:g}" if high is not None else "") if above else _range(low, high)
        raise wrong_setting(method, name, value, f"a number {edge}")
    return float(value)


def _range(low: float, high: float | None) -> str:
    return f"of at least {low:g}" if high is None else f"from {low:g} to {high:g}"
