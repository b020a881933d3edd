"""The kinds of dimension: how one hyperparameter's values map to the unit interval and back, and what a small step is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from autorl.errors import UsageError
from autorl.spaces.protocol import Value

Scale = Literal["linear", "log", "one_minus_log"]
_LARGEST_INT = 2**31 - 1


def is_number(value: object) -> bool:
    """Return whether ``value`` is a finite int or float, and no bool."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 2**1023  # false for nan and infinity, and for whole numbers that no float can hold


def same(a: object, b: object) -> bool:
    """Return whether two plain values are equal, telling true from 1 and false from 0."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


@dataclass(frozen=True)
class Float:
    """A real number in [low, high].

    Attributes:
        low: Smallest value.
        high: Largest value.
        scale: ``linear``; ``log`` (uniform in the logarithm, low > 0); ``one_minus_log`` (uniform in the logarithm of 1 - value,
            high < 1: the scale of discounts, RL Baselines3 Zoo, Raffin, 2020).
    """

    low: float
    high: float
    scale: Scale = "linear"
    feature: ClassVar[str] = "float"

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high)
        if self.scale not in get_args(Scale):
            raise UsageError(f"scale must be one of {', '.join(get_args(Scale))}, got {self.scale!r}")
        if self.scale == "log" and self.low <= 0:
            raise UsageError(f"low must be above 0 on the log scale, got {self.low!r}")
        if self.scale == "one_minus_log" and self.high >= 1:
            raise UsageError(f"high must be below 1 on the one_minus_log scale, got {self.high!r}")
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))

    def _warp(self, value: float) -> float:
        """Map to the scale on which the dimension is uniform (increasing in ``value``)."""
        if self.scale == "log":
            return math.log(value)
        return -math.log1p(-value) if self.scale == "one_minus_log" else value

    def _unwarp(self, warped: float) -> float:
        if self.scale == "log":
            return math.exp(warped)
        return -math.expm1(-warped) if self.scale == "one_minus_log" else warped

    def to_unit(self, value: Value) -> float:
        """Return the place of ``value`` in [0, 1]."""
        low, high = self._warp(self.low), self._warp(self.high)
        return min(1.0, max(0.0, (self._warp(float(value)) - low) / (high - low)))

    def from_unit(self, unit: float) -> float:
        """Return the value at ``unit``; 0 and 1 give the bounds exactly."""
        if unit <= 0.0 or unit >= 1.0:
            return self.low if unit <= 0.0 else self.high
        low, high = self._warp(self.low), self._warp(self.high)
        return self._clip(self._unwarp(low + unit * (high - low)))

    def _clip(self, value: float) -> float:
        return min(self.high, max(self.low, value))

    def validate(self, value: Any) -> str | None:
        """Return what is wrong with ``value``, or None."""
        if not is_number(value) or not self.low <= value <= self.high:
            return f"expected a number in [{self.low}, {self.high}], got {value!r}"
        return None

    def normal(self, value: Value) -> float:
        """Return the one spelling of ``value`` (float, no negative zero)."""
        return float(value) + 0.0

    def mutate(self, rng: np.random.Generator, value: Value, scale: float) -> float:
        """Return a neighbour: a normal step of ``scale`` in the unit interval, reflected at the bounds."""
        return self.from_unit(_step(rng, self.to_unit(value), scale))

    def perturb(self, value: Value, factor: float) -> float:
        """Return ``value`` times ``factor`` within the bounds; on the one_minus_log scale 1 - value is multiplied."""
        if self.scale == "one_minus_log":
            return self._clip(1.0 - (1.0 - float(value)) * factor)
        return self._clip(float(value) * factor)

    @property
    def largest(self) -> float | None:
        """Largest numeric value."""
        return self.high


@dataclass(frozen=True)
class Int:
    """A whole number in [low, high], each bound below 2**31 in size; ``log``: uniform in the logarithm (low >= 1)."""

    low: int
    high: int
    log: bool = False
    feature: ClassVar[str] = "int"

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high)
        for bound in (self.low, self.high):
            if bound != int(bound) or abs(bound) > _LARGEST_INT:
                raise UsageError(f"low and high must be whole numbers below 2**31, got {bound!r}")
        if not isinstance(self.log, bool):
            raise UsageError(f"log must be true or false, got {self.log!r}")
        if self.log and self.low < 1:
            raise UsageError(f"low must be at least 1 on the log scale, got {self.low!r}")
        object.__setattr__(self, "low", int(self.low))
        object.__setattr__(self, "high", int(self.high))

    def _edges(self) -> tuple[float, float]:
        # half a unit on either side, so that the bounds are as likely as their neighbours
        low, high = self.low - 0.5, self.high + 0.5
        return (math.log(low), math.log(high)) if self.log else (low, high)

    def to_unit(self, value: Value) -> float:
        """Return the middle of the value's cell in [0, 1]."""
        low, high = self._edges()
        return ((math.log(int(value)) if self.log else int(value)) - low) / (high - low)

    def from_unit(self, unit: float) -> int:
        """Return the whole number whose cell holds ``unit``."""
        low, high = self._edges()
        place = low + min(1.0, max(0.0, unit)) * (high - low)
        return self._clip(math.floor((math.exp(place) if self.log else place) + 0.5))

    def _clip(self, value: int) -> int:
        return min(self.high, max(self.low, value))

    def validate(self, value: Any) -> str | None:
        """Return what is wrong with ``value``, or None."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            return f"expected a whole number in [{self.low}, {self.high}], got {value!r}"
        return None

    def normal(self, value: Value) -> int:
        """Return the one spelling of ``value``."""
        return int(value)

    def mutate(self, rng: np.random.Generator, value: Value, scale: float) -> int:
        """Return another whole number: a normal step in the unit interval, of at least one."""
        new, old = self.from_unit(_step(rng, self.to_unit(value), scale)), int(value)
        if new != old:
            return new
        up = old + 1 if old < self.high else old - 1
        down = old - 1 if old > self.low else old + 1
        return up if rng.random() < 0.5 else down

    def perturb(self, value: Value, factor: float) -> int:
        """Return ``value`` times ``factor``, rounded, a step of at least one, within the bounds."""
        old = int(value)
        moved = round(old * factor)
        if moved == old and factor != 1.0:
            moved = old + (1 if (factor > 1.0) == (old >= 0) else -1)
        return self._clip(moved)

    @property
    def largest(self) -> float | None:
        """Largest numeric value."""
        return float(self.high)


@dataclass(frozen=True)
class Categorical:
    """One of several choices. Numbers in increasing order are ordinal (neighbours are alike), all others nominal."""

    choices: tuple[Value, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", tuple(self.choices))
        if len(self.choices) < 2:
            raise UsageError(
                f"choices must be at least two, got {list(self.choices)!r}; use type fixed for a single value"
            )
        for i, choice in enumerate(self.choices):
            if not isinstance(choice, str | bool) and not is_number(choice):
                raise UsageError(f"choices must be numbers, strings, true or false, got {choice!r}")
            if any(same(choice, earlier) for earlier in self.choices[:i]):
                raise UsageError(f"choices must differ, got {choice!r} twice")

    @property
    def feature(self) -> str:
        """``ordinal`` or ``nominal``."""
        numbers = [c for c in self.choices if is_number(c)]
        ordered = len(numbers) == len(self.choices) and all(a < b for a, b in itertools.pairwise(numbers))  # type: ignore[operator]
        return "ordinal" if ordered else "nominal"

    def index(self, value: Value) -> int:
        """Return the position of ``value``; raise ValueError if it is no choice."""
        for i, choice in enumerate(self.choices):
            if same(choice, value):
                return i
        raise ValueError(f"{value!r} is no choice of {self.choices!r}")

    def to_unit(self, value: Value) -> float:
        """Return the middle of the value's cell in [0, 1]."""
        return (self.index(value) + 0.5) / len(self.choices)

    def from_unit(self, unit: float) -> Value:
        """Return the choice whose cell holds ``unit``."""
        return self.choices[min(len(self.choices) - 1, max(0, math.floor(unit * len(self.choices))))]

    def validate(self, value: Any) -> str | None:
        """Return what is wrong with ``value``, or None."""
        if any(same(choice, value) for choice in self.choices):
            return None
        return f"expected one of {', '.join(map(repr, self.choices))}, got {value!r}"

    def normal(self, value: Value) -> Value:
        """Return the choice equal to ``value`` as the space spells it."""
        return self.choices[self.index(value)]

    def mutate(self, rng: np.random.Generator, value: Value, scale: float) -> Value:
        """Return another choice: a neighbour if they are ordered, any other with equal chance if not."""
        i, n = self.index(value), len(self.choices)
        if self.feature == "ordinal":
            neighbours = [j for j in (i - 1, i + 1) if 0 <= j < n]
            return self.choices[neighbours[int(rng.integers(len(neighbours)))]]
        return self.choices[(i + 1 + int(rng.integers(n - 1))) % n]

    def perturb(self, value: Value, factor: float) -> Value:
        """Return the next choice up or down (by ``factor``) if they are ordered; nominal ones only change by resampling."""
        if self.feature == "nominal" or factor == 1.0:
            return self.normal(value)
        return self.choices[min(len(self.choices) - 1, max(0, self.index(value) + (1 if factor > 1.0 else -1)))]

    @property
    def largest(self) -> float | None:
        """Largest numeric value, None unless all choices are numbers."""
        numbers = [float(c) for c in self.choices if is_number(c)]
        return max(numbers) if len(numbers) == len(self.choices) else None


@dataclass(frozen=True)
class Bool:
    """True or false."""

    feature: ClassVar[str] = "ordinal"

    def to_unit(self, value: Value) -> float:
        """Return 0.25 for false, 0.75 for true."""
        return 0.75 if value else 0.25

    def from_unit(self, unit: float) -> bool:
        """Return true for the upper half."""
        return unit >= 0.5

    def validate(self, value: Any) -> str | None:
        """Return what is wrong with ``value``, or None."""
        return None if isinstance(value, bool) else f"expected true or false, got {value!r}"

    def normal(self, value: Value) -> bool:
        """Return ``value``."""
        return bool(value)

    def mutate(self, rng: np.random.Generator, value: Value, scale: float) -> bool:
        """Return the opposite."""
        return not value

    def perturb(self, value: Value, factor: float) -> bool:
        """Return true for a factor above 1, false below (so a random factor flips it half of the time)."""
        return bool(value) if factor == 1.0 else factor > 1.0

    @property
    def largest(self) -> float | None:
        """None: not a number."""
        return None


@dataclass(frozen=True)
class Fixed:
    """A value that is part of every candidate and never searched."""

    value: Value
    feature: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not isinstance(self.value, str | bool) and not is_number(self.value):
            raise UsageError(f"value must be a finite number, a string, true or false, got {self.value!r}")

    def to_unit(self, value: Value) -> float:
        """Return 0.5; a fixed dimension has no coordinate."""
        return 0.5

    def from_unit(self, unit: float) -> Value:
        """Return the value."""
        return self.value

    def validate(self, value: Any) -> str | None:
        """Return what is wrong with ``value``, or None."""
        return None if same(self.value, value) else f"expected the fixed value {self.value!r}, got {value!r}"

    def normal(self, value: Value) -> Value:
        """Return the value."""
        return self.value

    def mutate(self, rng: np.random.Generator, value: Value, scale: float) -> Value:
        """Return the value."""
        return self.value

    def perturb(self, value: Value, factor: float) -> Value:
        """Return the value."""
        return self.value

    @property
    def largest(self) -> float | None:
        """The value, if it is a number."""
        return float(self.value) if is_number(self.value) else None


Dimension = Float | Int | Categorical | Bool | Fixed
"""Any kind of dimension."""

KINDS: dict[str, Callable[..., Dimension]] = {
    "float": Float,
    "int": Int,
    "categorical": Categorical,
    "bool": Bool,
    "fixed": Fixed,
}
"""The ``type:`` of a dimension in a file."""


def _check_bounds(low: Any, high: Any) -> None:
    for name, bound in (("low", low), ("high", high)):
        if not is_number(bound):
            raise UsageError(f"{name} must be a finite number, got {bound!r}")
    if low >= high:
        raise UsageError(
            f"low must be below high, got low={low!r} and high={high!r}; use type fixed for a single value"
        )


def _step(rng: np.random.Generator, unit: float, scale: float) -> float:
    """Return ``unit`` plus normal noise, reflected into [0, 1]."""
    moved = math.fmod(abs(unit + scale * float(rng.standard_normal())), 2.0)
    return 2.0 - moved if moved > 1.0 else moved
