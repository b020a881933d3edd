"""Online learning progress: cells of the task space whose success rate moves, by two running averages of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.curricula.protocol import Channels, Proposal, Teacher, choose, learned_from, one_by_one
from autorl.declarations import hyperparameters, static, traced
from autorl.errors import UsageError

MOST_CELLS = 1_000_000


@hyperparameters
class LearningProgressParameters:
    """Of online learning progress; defaults are those of the reimplementation in Syllabus."""

    rate: Array = traced(0.1, "Of both running averages, an episode.", low=0.0, high=1.0)
    emphasis: Array = traced(
        0.1, "By which small success rates count for more: 0.5 changes nothing.", low=1e-6, high=1.0
    )
    uniform: Array = traced(0.25, "Share of tasks drawn uniformly.", low=0.0, high=1.0)
    baseline: Array = traced(0.0, "Success rate of a random policy, which counts as none.", low=0.0, high=0.99)
    bins: int = static(10, "Cells along each dimension of the task space.", low=1, high=10_000)


class LearningProgressState(NamedTuple):
    """Success rates of C cells.

    Attributes:
        fast: float32 [C], running average.
        slow: float32 [C], running average of the former.
        visits: int32 [C].
    """

    fast: Array
    slow: Array
    visits: Array


@dataclass(frozen=True)
class LearningProgress(Teacher[LearningProgressState]):
    """Bidirectional learning progress of discrete tasks: what is being learned, and what is being forgotten.

    The task space is cut into equal cells, ``bins`` along each dimension; a task is uniform in its cell. The progress of a cell is the
    absolute difference of two running averages of its success rate, of which one lags behind, after a transformation that counts small
    rates for more. Cells are drawn in proportion to the sigmoid of their standardised progress, of those where there was any.
    """

    name: ClassVar[str] = "learning_progress"
    reference: ClassVar[str] = (
        "Kanitscheider et al., 2021, Multi-task Curriculum Learning in a Complex, Visual, Hard-exploration Domain: Minecraft"
    )
    Parameters: ClassVar[type[Any]] = LearningProgressParameters

    def needs(self, params: LearningProgressParameters) -> frozenset[str]:
        """Return the channel of successes."""
        return frozenset({"successes"})

    def _check(self, params: LearningProgressParameters) -> None:
        cells = params.bins**self.space.dimensions
        if cells > MOST_CELLS:
            raise UsageError(
                f"bins: {params.bins} along each of {self.space.dimensions} dimensions are more than {MOST_CELLS:,} cells; "
                "take fewer bins, or where tasks have many dimensions, as levels do, a teacher that has no cells, such as plr"
            )

    def _init(self, params: LearningProgressParameters, seed: Array) -> LearningProgressState:
        none = jnp.zeros(params.bins**self.space.dimensions)
        return LearningProgressState(none, none, none.astype(jnp.int32))

    def _propose(
        self, params: LearningProgressParameters, state: LearningProgressState, key: Array, n: int
    ) -> Proposal:
        keys = jax.random.split(key, 4)
        cell = choose(keys[0], _weights(params, state), n)
        corner = jnp.stack(jnp.unravel_index(cell, (params.bins,) * self.space.dimensions), axis=-1)
        inside = (corner + jax.random.uniform(keys[1], (n, self.space.dimensions))) / params.bins
        anywhere = jax.random.uniform(keys[2], (n, 1)) < params.uniform
        return learned_from(jnp.where(anywhere, self.space.draw(keys[3], n), jnp.minimum(inside, 1.0)))

    def _update(
        self,
        params: LearningProgressParameters,
        state: LearningProgressState,
        points: Array,
        channels: Channels,
        valid: Array,
    ) -> LearningProgressState:
        powers = params.bins ** np.arange(self.space.dimensions - 1, -1, -1)

        def step(before: LearningProgressState, point: Array, own: Channels) -> LearningProgressState:
            index = jnp.clip((point * params.bins).astype(jnp.int32), 0, params.bins - 1)
            cell = (index * powers.astype(np.int32)).sum()
            success = jnp.clip((own["successes"] - params.baseline) / (1.0 - params.baseline), 0.0, 1.0)
            fast = before.fast[cell] + params.rate * (success - before.fast[cell])
            slow = before.slow[cell] + params.rate * (fast - before.slow[cell])
            return LearningProgressState(
                before.fast.at[cell].set(fast), before.slow.at[cell].set(slow), before.visits.at[cell].add(1)
            )

        return one_by_one(step, state, points, channels, valid)


def _weights(params: LearningProgressParameters, state: LearningProgressState) -> Array:
    """Return how much each cell is to be played, float32 [C]; 0 where nothing was ever learned."""
    progress = jnp.abs(_emphasised(state.fast, params.emphasis) - _emphasised(state.slow, params.emphasis))
    alive = state.fast > 0
    count = jnp.maximum(alive.sum(), 1)
    mean = jnp.where(alive, progress, 0.0).sum() / count
    spread = jnp.sqrt(jnp.where(alive, (progress - mean) ** 2, 0.0).sum() / count)
    return jnp.where(alive, jax.nn.sigmoid((progress - mean) / jnp.where(spread > 0, spread, 1.0)), 0.0)


def _emphasised(rate: Array, emphasis: Array) -> Array:
    """Return success rates in [0, 1] stretched near 0 (below an ``emphasis`` of 0.5)."""
    return (1.0 - emphasis) * rate / (rate + emphasis * (1.0 - 2.0 * rate))
