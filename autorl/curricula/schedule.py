"""Knot schedules: a Gaussian over tasks that moves from knot to knot, whatever the agent does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.protocol import Channels, Proposal, Teacher, learned_from
from autorl.curricula.sequence import Played
from autorl.declarations import hyperparameters, static, traced


@hyperparameters
class ScheduleParameters:
    """Of a knot schedule."""

    means: Array = traced(
        0.5, "Mean at each knot, in sides of the space.", low=0.0, high=1.0, shape=("knots", "dimensions")
    )
    deviations: Array = traced(
        0.3, "Standard deviation at each knot.", low=1e-6, high=10.0, shape=("knots", "dimensions")
    )
    uniform: Array = traced(0.1, "Share of uniform tasks.", low=0.0, high=1.0)
    horizon: Array = traced(10_000, "Episodes from the first knot to the last, which stays.", low=1)
    knots: int = static(3, "Number of knots.", low=2, high=1000)


@dataclass(frozen=True)
class Schedule(Teacher[Played]):
    """An open-loop curriculum with few numbers, made to be searched over.

    Between knots, which are equally far apart in episodes, the mean and the logarithm of the standard deviation are linear.
    """

    name: ClassVar[str] = "schedule"
    reference: ClassVar[str] = "AutoRL, 2026"
    Parameters: ClassVar[type[Any]] = ScheduleParameters

    def needs(self, params: ScheduleParameters) -> frozenset[str]:
        """Return none."""
        return frozenset()

    def _init(self, params: ScheduleParameters, seed: Array) -> Played:
        return Played(jnp.int32(0))

    def _propose(self, params: ScheduleParameters, state: Played, key: Array, n: int) -> Proposal:
        keys = jax.random.split(key, 3)
        done = (state.episodes + jnp.arange(n)) / jnp.asarray(params.horizon).astype(jnp.float32)
        at = jnp.clip(done, 0.0, 1.0) * (params.knots - 1)
        knot = jnp.minimum(at.astype(jnp.int32), params.knots - 2)
        part = (at - knot)[:, None]
        between = lambda values: (1.0 - part) * values[knot] + part * values[knot + 1]  # noqa: E731
        deviation = jnp.exp(between(jnp.log(jnp.asarray(params.deviations))))
        drawn = between(jnp.asarray(params.means)) + deviation * jax.random.normal(keys[0], deviation.shape)
        anywhere = jax.random.uniform(keys[1], (n, 1)) < params.uniform
        return learned_from(jnp.where(anywhere, self.space.draw(keys[2], n), jnp.clip(drawn, 0.0, 1.0)))

    def _update(
        self, params: ScheduleParameters, state: Played, points: Array, channels: Channels, valid: Array
    ) -> Played:
        return Played(state.episodes + valid.sum(dtype=jnp.int32))
