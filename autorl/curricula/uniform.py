"""Uniform tasks: domain randomisation, the control of every comparison of teachers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from jax import Array

from autorl.curricula.protocol import Channels, Proposal, Teacher, learned_from
from autorl.declarations import hyperparameters


class Nothing(NamedTuple):
    """The state of a teacher that learns nothing."""


@hyperparameters
class NoParameters:
    """None."""


@dataclass(frozen=True)
class Uniform(Teacher[Nothing]):
    """Every task is drawn uniformly from the box (or by its sampler), whatever became of the earlier ones."""

    name: ClassVar[str] = "uniform"
    reference: ClassVar[str] = "Tobin et al., 2017, Domain Randomization for Transferring Deep Neural Networks"
    Parameters: ClassVar[type[NoParameters]] = NoParameters

    def needs(self, params: NoParameters) -> frozenset[str]:
        """Return none."""
        return frozenset()

    def _init(self, params: Any, seed: Array) -> Nothing:
        return Nothing()

    def _propose(self, params: Any, state: Nothing, key: Array, n: int) -> Proposal:
        return learned_from(self.space.draw(key, n))

    def _update(self, params: Any, state: Nothing, points: Array, channels: Channels, valid: Array) -> Nothing:
        return state
