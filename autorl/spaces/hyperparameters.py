"""A space of named hyperparameters, some of which exist only while another one has a certain value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autorl.errors import UsageError, suggestion
from autorl.keys import derive, generator
from autorl.spaces.dimensions import Dimension, Fixed, Float, same
from autorl.spaces.protocol import Candidate, Value


@dataclass(frozen=True)
class Condition:
    """A dimension exists only while ``parent`` exists and has one of ``values``."""

    parent: str
    values: tuple[Value, ...]

    def holds(self, candidate: Candidate) -> bool:
        """Return whether ``candidate`` has the parent with one of the values."""
        return self.parent in candidate and any(same(candidate[self.parent], v) for v in self.values)


@dataclass(frozen=True)
class HyperparameterSpace:
    """Named dimensions with conditions. A candidate holds the active dimensions only, fixed ones included.

    Attributes:
        name: What people call it.
        dimensions: Name to dimension; candidates list their values in this order.
        conditions: Name of a dimension to when it is active; those not listed always are. Conditions may be chained.
        learner: The learner whose hyperparameters these are, if any.
        source: Author, year and title of where the ranges come from.

    Raises:
        UsageError: No dimension, or a condition that names an unknown dimension, a Float, a value that its parent cannot
            take, or (through others) itself.
    """

    name: str
    dimensions: Mapping[str, Dimension]
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    learner: str | None = None
    source: str = ""
    _order: tuple[str, ...] = field(init=False, repr=False, compare=False, default=())
    _searched: tuple[str, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimensions", MappingProxyType(dict(self.dimensions)))
        object.__setattr__(self, "conditions", MappingProxyType(dict(self.conditions)))
        wrong = [] if self.dimensions else ["expected at least one dimension"]
        wrong += [problem for child in self.conditions for problem in self._condition_problems(child)]
        if wrong:
            raise UsageError("; ".join(f"search space {self.name!r}: {problem}" for problem in wrong))
        depth = {name: sum(1 for _ in self._ancestors(name)) for name in self.dimensions}
        object.__setattr__(self, "_order", tuple(sorted(self.dimensions, key=depth.__getitem__)))
        searched = tuple(name for name, d in self.dimensions.items() if not isinstance(d, Fixed))
        object.__setattr__(self, "_searched", searched)

    def _condition_problems(self, child: str) -> Iterator[str]:
        condition = self.conditions[child]
        if child not in self.dimensions:
            yield f"condition of unknown dimension {child!r}.{suggestion(child, self.dimensions)}"
            return
        prefix = f"dimension {child!r}: when"
        parent = self.dimensions.get(condition.parent)
        if parent is None:
            yield f"{prefix} names unknown dimension {condition.parent!r}.{suggestion(condition.parent, self.dimensions)}"
        elif isinstance(parent, Float):
            yield f"{prefix} names {condition.parent!r}, a float; only bool, categorical, int and fixed can be conditions"
        else:
            if not condition.values:
                yield f"{prefix} lists no value of {condition.parent!r}"
            yield from (
                f"{prefix} {condition.parent!r}: {problem}" for v in condition.values if (problem := parent.validate(v))
            )
            if child in self._ancestors(child):
                yield f"{prefix} depends on itself, through {', '.join(map(repr, self._ancestors(child)))}"

    def _ancestors(self, name: str) -> Iterator[str]:
        seen: list[str] = []
        while name in self.conditions and self.conditions[name].parent not in seen:
            name = self.conditions[name].parent
            seen.append(name)
        return iter(seen)

    @property
    def unit_dimension(self) -> int:
        """Number of dimensions that are not fixed, conditional ones included."""
        return len(self._searched)

    @property
    def searched(self) -> tuple[str, ...]:
        """Names of the dimensions that are not fixed: the coordinates of the unit cube, in order."""
        return self._searched

    def features(self) -> frozenset[str]:
        """Return the features of the searched dimensions; ``conditional`` if a searched one may be absent."""
        found = {self.dimensions[name].feature for name in self._searched}
        if any(name in self.conditions for name in self._searched):
            found.add("conditional")
        return frozenset(found)

    def is_active(self, name: str, candidate: Candidate) -> bool:
        """Return whether dimension ``name`` is active, given its active ancestors in ``candidate``."""
        condition = self.conditions.get(name)
        return condition is None or (self.is_active(condition.parent, candidate) and condition.holds(candidate))

    def build(self, value: Callable[[str], Value]) -> Candidate:
        """Return the candidate whose active dimensions have ``value(name)``, asked parents first."""
        made: dict[str, Value] = {}
        for name in self._order:
            if self.is_active(name, made):
                made[name] = value(name)
        return {name: made[name] for name in self.dimensions if name in made}

    def _fresh(self, key: int, name: str) -> Value:
        # a stream for each dimension: its draw does not depend on which others exist
        return self.dimensions[name].from_unit(float(generator(derive(key, "sample", name)).random()))

    def sample(self, key: int) -> Candidate:
        """Return a candidate drawn uniformly in the unit cube."""
        return self.build(lambda name: self._fresh(key, name))

    def mutate(
        self, key: int, candidate: Candidate, rate: float | None = None, scale: float | None = None
    ) -> Candidate:
        """Return a copy in which each active dimension changed with probability ``rate``, at least one for certain.

        Args:
            key: Randomness.
            candidate: A valid candidate.
            rate: Probability for each dimension; 1 / (number of dimensions) by default.
            scale: Standard deviation of a numeric step, in units of the dimension's range; 0.2 by default.
        """
        rate = 1.0 / max(1, self.unit_dimension) if rate is None else rate
        step = 0.2 if scale is None else scale
        movable = [name for name in self._searched if name in candidate]
        forced = movable[int(generator(derive(key, "forced")).integers(len(movable)))] if movable else None

        def value(name: str) -> Value:
            if name not in candidate:
                return self._fresh(key, name)
            rng = generator(derive(key, "mutate", name))
            changes = rng.random() < rate or name == forced
            old: Value = candidate[name]
            return self.dimensions[name].mutate(rng, old, step) if changes else old

        return self.build(value)

    def crossover(self, key: int, a: Candidate, b: Candidate) -> Candidate:
        """Return a candidate that takes each dimension from ``a`` or ``b`` with equal chance, from the one that has it if only
        one does, and afresh if the mix activates one that neither has.
        """

        def value(name: str) -> Value:
            holders: list[Candidate] = [c for c in (a, b) if name in c]
            if not holders:
                return self._fresh(key, name)
            chosen: Value = holders[int(generator(derive(key, "crossover", name)).integers(len(holders)))][name]
            return chosen

        return self.build(value)

    def perturb(
        self,
        key: int,
        candidate: Candidate,
        factors: tuple[float, float] = (0.8, 1.2),
        resample_probability: float = 0.25,
    ) -> Candidate:
        """Return the candidate explored as in population-based training (Jaderberg et al., 2017).

        Each active dimension is drawn afresh with ``resample_probability``; else numbers are multiplied by one of ``factors`` and
        ordered choices move to a neighbour.
        """

        def value(name: str) -> Value:
            rng = generator(derive(key, "perturb", name))
            resample, factor = rng.random() < resample_probability, factors[int(rng.integers(len(factors)))]
            if resample or name not in candidate:
                return self._fresh(key, name)
            return self.dimensions[name].perturb(candidate[name], factor)

        return self.build(value)

    def to_unit(self, candidate: Candidate) -> NDArray[np.float64]:
        """Return the unit coordinates of ``candidate``, float64 [unit_dimension]; 0.5 for inactive dimensions."""
        present = (self.dimensions[n].to_unit(candidate[n]) if n in candidate else 0.5 for n in self._searched)
        return np.fromiter(present, np.float64, count=len(self._searched))

    def from_unit(self, unit: NDArray[np.float64]) -> Candidate:
        """Return the candidate at ``unit``, float [unit_dimension]; coordinates outside [0, 1] count as the nearest bound."""
        point = np.asarray(unit, np.float64)
        if point.shape != (self.unit_dimension,) or np.isnan(point).any():
            raise ValueError(f"expected {self.unit_dimension} numbers, got {unit!r}")
        at = dict(zip(self._searched, point.tolist(), strict=True))
        return self.build(lambda name: self.dimensions[name].from_unit(at.get(name, 0.5)))

    def fingerprint(self, candidate: Candidate) -> str:
        """Return 16 hexadecimal digits that depend on the active values only."""
        active = {n: self.dimensions[n].normal(candidate[n]) for n in self.dimensions if self.is_active(n, candidate)}
        text = json.dumps(active, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def to_json(self, candidate: Candidate) -> dict[str, Any]:
        """Return the candidate as plain values; Python's JSON keeps every bit of a float."""
        return {name: candidate[name] for name in self.dimensions if name in candidate}

    def from_json(self, data: Mapping[str, Any]) -> Candidate:
        """Return the candidate that `to_json` wrote.

        Raises:
            UsageError: Listing every problem of ``data``.
        """
        wrong = self.validate(data)
        if wrong:
            raise UsageError("; ".join(wrong))
        return {name: d.normal(data[name]) for name, d in self.dimensions.items() if name in data}

    def validate(self, candidate: Candidate) -> list[str]:
        """Return every problem: unknown, missing and inactive dimensions, and values out of range."""
        wrong = [
            f"unknown dimension {n!r}.{suggestion(str(n), self.dimensions)}"
            for n in candidate
            if n not in self.dimensions
        ]
        for name, dimension in self.dimensions.items():
            active = self.is_active(name, candidate)
            if name in candidate and not active:
                condition = self.conditions[name]
                wanted = " or ".join(map(repr, condition.values))
                wrong.append(
                    f"{name}: only allowed while {condition.parent} is active and {wanted}, got {candidate[name]!r}"
                )
            elif active and name not in candidate:
                wrong.append(f"{name}: missing")
            elif active and (problem := dimension.validate(candidate[name])):
                wrong.append(f"{name}: {problem}")
        return wrong

    def upper_bounds(self) -> dict[str, float]:
        """Return the largest value of every numeric dimension, fixed ones included."""
        return {name: d.largest for name, d in self.dimensions.items() if d.largest is not None}
