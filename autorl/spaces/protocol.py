"""The contract of a search space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Value = float | int | bool | str
"""A plain value of one hyperparameter."""

Candidate = Mapping[str, Any]
"""One point of a space: a tree of plain values and arrays. Data, never code."""

FEATURES = frozenset({"float", "int", "ordinal", "nominal", "conditional", "arrays", "graph"})
"""What a space may contain. A search method states which of them it can search."""


@runtime_checkable
class Space(Protocol):
    """A set of candidates. Immutable; every random choice is a function of the ``key`` it is given (see `autorl.keys`)."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def unit_dimension(self) -> int:
        """Number of coordinates of the unit cube: one for each dimension that is not fixed. Arrays have none."""

    def features(self) -> frozenset[str]:
        """Return what it contains, of `FEATURES`. Empty if there is nothing to search."""

    def sample(self, key: int) -> Candidate:
        """Return a candidate drawn uniformly on the scale of each dimension."""

    def mutate(
        self, key: int, candidate: Candidate, rate: float | None = None, scale: float | None = None
    ) -> Candidate:
        """Return a copy with at least one thing changed; ``scale`` is the size of a step (a fraction of the unit range)."""

    def crossover(self, key: int, a: Candidate, b: Candidate) -> Candidate:
        """Return a candidate each of whose values comes from ``a`` or ``b``."""

    def perturb(
        self,
        key: int,
        candidate: Candidate,
        factors: tuple[float, float] = (0.8, 1.2),
        resample_probability: float = 0.25,
    ) -> Candidate:
        """Return the candidate explored as in population-based training (Jaderberg et al., 2017)."""

    def to_unit(self, candidate: Candidate) -> NDArray[np.float64]:
        """Return the candidate as a point of the unit cube, float64 [unit_dimension]; inactive coordinates are 0.5."""

    def from_unit(self, unit: NDArray[np.float64]) -> Candidate:
        """Return the candidate at a point of the unit cube, inactive coordinates dropped."""

    def fingerprint(self, candidate: Candidate) -> str:
        """Return a short name, equal for candidates that behave alike and different for all others."""

    def to_json(self, candidate: Candidate) -> dict[str, Any]:
        """Return what ``json.dumps`` can write and `from_json` reads back without loss."""

    def from_json(self, data: Mapping[str, Any]) -> Candidate:
        """Return the candidate that `to_json` wrote; raise `UsageError` that lists all that is wrong with it."""

    def validate(self, candidate: Candidate) -> list[str]:
        """Return every problem of a candidate, each naming the dimension, the value and what was expected."""

    def upper_bounds(self) -> dict[str, float]:
        """Return the largest value of every numeric dimension (for allocations that all candidates share)."""
