"""Nested spaces as one flat list of named dimensions, for methods that think in named parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from autorl.errors import IncompatibleError
from autorl.spaces.dimensions import Dimension
from autorl.spaces.hyperparameters import Condition, HyperparameterSpace
from autorl.spaces.product import ProductSpace
from autorl.spaces.protocol import Candidate, Space, Value


@runtime_checkable
class MadeOfNumbers(Protocol):
    """A space whose candidates are something else made of hyperparameters, such as a loss graph with its constants."""

    @property
    def numbers(self) -> HyperparameterSpace:
        """The hyperparameters."""

    def put(self, values: Mapping[str, Any]) -> Candidate:
        """Return the candidate made of a candidate of `numbers`."""

    def taken(self, candidate: Candidate) -> Mapping[str, Any]:
        """Return the candidate of `numbers` that a candidate is made of."""


def flatten(space: Space) -> HyperparameterSpace:
    """Return ``space`` with the dimensions of nested parts named ``part.dimension``.

    Raises:
        IncompatibleError: Something in it is no hyperparameter (an array).
    """
    if isinstance(space, HyperparameterSpace):
        return space
    if isinstance(space, MadeOfNumbers):
        return space.numbers
    if not isinstance(space, ProductSpace):
        raise IncompatibleError(f"search space {space.name!r}: expected hyperparameters, got {type(space).__name__}")
    dimensions: dict[str, Dimension] = {}
    conditions: dict[str, Condition] = {}
    for part, inner in space.parts.items():
        flat = flatten(inner)
        dimensions |= {f"{part}.{name}": d for name, d in flat.dimensions.items()}
        conditions |= {
            f"{part}.{name}": Condition(f"{part}.{c.parent}", c.values) for name, c in flat.conditions.items()
        }
    return HyperparameterSpace(space.name, dimensions, conditions)


def flat_candidate(space: Space, candidate: Candidate) -> dict[str, Value]:
    """Return a candidate of ``space`` as one of ``flatten(space)``."""
    if isinstance(space, MadeOfNumbers):
        return dict(space.taken(candidate))
    if not isinstance(space, ProductSpace):
        return dict(candidate)
    return {
        f"{part}.{name}": value
        for part, inner in space.parts.items()
        for name, value in flat_candidate(inner, candidate[part]).items()
    }


def nested_candidate(space: Space, flat: Mapping[str, Value]) -> Candidate:
    """Return a candidate of ``flatten(space)`` as one of ``space``."""
    if isinstance(space, MadeOfNumbers):
        return space.put(flat)
    if not isinstance(space, ProductSpace):
        return dict(flat)
    nested: dict[str, Any] = {}
    for part, inner in space.parts.items():
        prefix = f"{part}."
        own = {name.removeprefix(prefix): value for name, value in flat.items() if name.startswith(prefix)}
        nested[part] = nested_candidate(inner, own)
    return nested
