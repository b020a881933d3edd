"""Between spaces and Optuna: dimensions as its distributions, with the values that a candidate has, and its log kept silent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def silent_optuna() -> Iterator[None]:
    """Keep Optuna from announcing on stderr what it is asked to do, within this block only."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)
