"""A space and its candidates as a table: one named column for each hyperparameter, whatever the nesting. Arrays have no column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autorl.spaces.dimensions import Dimension
from autorl.spaces.hyperparameters import HyperparameterSpace
from autorl.spaces.product import ProductSpace
from autorl.spaces.protocol import Space, Value


def columns(space: Space | None) -> dict[str, Dimension]:
    """Return the dimensions of ``space`` by name, those of nested parts as ``part.name``; parts without any are left out."""
    if isinstance(space, HyperparameterSpace):
        return dict(space.dimensions)
    if isinstance(space, ProductSpace):
        return {f"{part}.{n}": d for part, inner in space.parts.items() for n, d in columns(inner).items()}
    return {}


def values(candidate: Mapping[str, Any]) -> dict[str, Value]:
    """Return the plain values of a candidate (or of its JSON) by the names that `columns` uses."""
    found: dict[str, Value] = {}
    for name, value in candidate.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{inner}": v for inner, v in values(value).items() if not inner.startswith("$array")}
        elif isinstance(value, bool | int | float | str):
            found[name] = value
    return found
