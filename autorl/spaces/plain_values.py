"""A recorded candidate as the hyperparameters of a learner: parts of a product side by side, a loss graph under one name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from autorl.spaces.product import ProductSpace
from autorl.spaces.protocol import Space

OBJECTIVE = "objective"
"""Under this name a loss graph stands among the hyperparameters of a training."""


def leaves(space: Space | None) -> Iterator[Space]:
    """Yield the spaces that ``space`` is made of: itself, or a product's parts and theirs."""
    if isinstance(space, ProductSpace):
        for part in space.parts.values():
            yield from leaves(part)
    elif space is not None:
        yield space


def plain_values(space: Space | None, candidate: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a learner is given for ``candidate``, in the form that `Space.to_json` writes.

    A space of loss graphs has a method ``objective(candidate)`` that returns the graph as data; any other candidate is a mapping of
    hyperparameters already.
    """
    if isinstance(space, ProductSpace):
        return {k: v for part, own in space.parts.items() for k, v in plain_values(own, candidate[part]).items()}
    if space is not None and hasattr(space, "objective"):
        return {OBJECTIVE: space.objective(candidate)}
    return dict(candidate)
