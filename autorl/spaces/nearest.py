"""The candidate nearest to given hyperparameters, such as a learner's defaults: a search can then begin with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autorl.spaces.dimensions import Categorical, Dimension, Fixed, Float, Int, is_number
from autorl.spaces.flat import flatten, nested_candidate
from autorl.spaces.protocol import Candidate, Space, Value


def nearest_candidate(space: Space, values: Mapping[str, Any]) -> Candidate:
    """Return the candidate of ``space`` whose values are nearest to ``values``, and in the middle where there is none.

    Args:
        space: Hyperparameters, or a product of such spaces; dimensions of parts go by their own names.
        values: Hyperparameters by name, in or out of the space's ranges.

    Raises:
        IncompatibleError: Something in the space is no hyperparameter.
    """
    flat = flatten(space)

    def value(name: str) -> Value:
        parts = name.split(".")  # the names of parts, then the dimension's own, which may have dots itself
        known = (own for own in (".".join(parts[i:]) for i in range(len(parts))) if own in values)
        return _nearest(flat.dimensions[name], values.get(next(known, "")))

    return nested_candidate(space, flat.build(value))


def _nearest(dimension: Dimension, value: Any) -> Value:
    if not isinstance(dimension, Fixed) and value is not None and dimension.validate(value) is None:
        return dimension.normal(value)
    if is_number(value):
        if isinstance(dimension, Float):
            return float(min(dimension.high, max(dimension.low, value)))
        if isinstance(dimension, Int):
            return min(dimension.high, max(dimension.low, round(value)))
        if isinstance(dimension, Categorical) and all(map(is_number, dimension.choices)):
            return min(dimension.choices, key=lambda choice: abs(float(choice) - float(value)))
    return dimension.from_unit(0.5)
