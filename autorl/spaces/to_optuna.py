"""Dimensions as Optuna's distributions, with the values that a candidate has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autorl.spaces.dimensions import Bool, Categorical, Dimension, Fixed, Float, Int

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def distribution(dimension: Dimension) -> BaseDistribution:
    """Return the Optuna distribution of a dimension. Optuna has no scale in 1 - value: such a dimension is linear there."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Float):
        return FloatDistribution(dimension.low, dimension.high, log=dimension.scale == "log")
    if isinstance(dimension, Int):
        return IntDistribution(dimension.low, dimension.high, log=dimension.log)
    if isinstance(dimension, Categorical):
        return CategoricalDistribution(dimension.choices)
    if isinstance(dimension, Fixed):
        return CategoricalDistribution((dimension.value,))
    assert isinstance(dimension, Bool)
    return CategoricalDistribution((False, True))
