"""A fixed sequence of tasks: each for so many episodes, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jax import Array

from autorl.curricula.protocol import Channels, Proposal, Teacher, learned_from
from autorl.declarations import hyperparameters, static, traced


class Played(NamedTuple):
    """How far an open-loop curriculum is.

    Attributes:
        episodes: int32, episodes so far.
    """

    episodes: Array


@hyperparameters
class SequenceParameters:
    """Of a sequence."""

    tasks: Array = traced(0.5, "The tasks, in sides of the space.", low=0.0, high=1.0, shape=("stages", "dimensions"))
    episodes: Array = traced(1000, "Episodes of each task; the last one stays.", low=1, shape=("stages",))
    stages: int = static(3, "Number of tasks.", low=1, high=100_000)


@dataclass(frozen=True)
class Sequence(Teacher[Played]):
    """Tasks given beforehand. A batch goes over to the next task in its midst where that is due."""

    name: ClassVar[str] = "sequence"
    reference: ClassVar[str] = "Bengio et al., 2009, Curriculum Learning"
    Parameters: ClassVar[type[Any]] = SequenceParameters

    def needs(self, params: SequenceParameters) -> frozenset[str]:
        """Return none."""
        return frozenset()

    def _init(self, params: SequenceParameters, seed: Array) -> Played:
        return Played(jnp.int32(0))

    def _propose(self, params: SequenceParameters, state: Played, key: Array, n: int) -> Proposal:
        ends = jnp.cumsum(jnp.asarray(params.episodes))
        stage = jnp.searchsorted(ends, state.episodes + jnp.arange(n), side="right")
        return learned_from(jnp.asarray(params.tasks)[jnp.minimum(stage, params.stages - 1)])

    def _update(
        self, params: SequenceParameters, state: Played, points: Array, channels: Channels, valid: Array
    ) -> Played:
        return Played(state.episodes + valid.sum(dtype=jnp.int32))
