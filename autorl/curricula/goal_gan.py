"""Goals of intermediate difficulty, after GoalGAN: near goals that are reached sometimes, and old ones again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.protocol import Channels, Proposal, Teacher, choose, learned_from
from autorl.curricula.tasks import find
from autorl.curricula.trials import Trials
from autorl.declarations import hyperparameters, static, traced
from autorl.errors import UsageError


@hyperparameters
class GoalGanParameters:
    """Of goals of intermediate difficulty; defaults are TeachMyAgent's.

    But for noise, uniform, apart and room, which are ours: where it has a network, here is the noise.
    """

    rollouts: Array = traced(2, "Episodes by which the success rate of a goal is judged.", low=1, high=1000)
    least: Array = traced(0.25, "Success rate from which a goal is no longer too hard.", low=0.0, high=1.0)
    most: Array = traced(0.75, "Success rate up to which a goal is not yet too easy.", low=0.0, high=1.0)
    old: Array = traced(0.2, "Share of goals that are old ones.", low=0.0, high=1.0)
    uniform: Array = traced(0.1, "Share of goals that are uniform.", low=0.0, high=1.0)
    noise: Array = traced(
        0.05, "Standard deviation by which a goal differs from the one it is made of.", low=0.0, high=1.0
    )
    apart: Array = traced(0.02, "Distance from every old goal from which a goal joins them.", low=0.0, high=1.0)
    goals: int = static(100, "Goals of a round, after which they are judged.", low=1, high=100_000)
    room: int = static(500, "Room for old goals; the newest take the place of the oldest.", low=1, high=1_000_000)


class GoalGanState(NamedTuple):
    """A round of goals, the good ones of the last, and the old.

    Attributes:
        trials: The round.
        good: float32 [G, D], goals of intermediate difficulty of the last round that had any, first.
        good_count: int32.
        olds: float32 [O, D], a ring.
        old_count: int32, how many joined so far.
    """

    trials: Trials
    good: Array
    good_count: Array
    olds: Array
    old_count: Array


@dataclass(frozen=True)
class GoalGan(Teacher[GoalGanState]):
    """Goals reached with a probability between ``least`` and ``most``, and goals like them.

    Kept of the original: rounds of goals that are each tried several times, their labels, the mixture of generated, old and uniform
    goals, and old goals that keep a distance from each other. Not kept: the generative adversarial network. New goals are those of the
    last round with Gaussian noise: a kernel density estimate of the same distribution. Until a round had any, goals are uniform.
    """

    name: ClassVar[str] = "goal_gan"
    reference: ClassVar[str] = "Florensa et al., 2018, Automatic Goal Generation for Reinforcement Learning Agents"
    Parameters: ClassVar[type[Any]] = GoalGanParameters
    hears_starts: ClassVar[bool] = True

    def needs(self, params: GoalGanParameters) -> frozenset[str]:
        """Return the channel of successes."""
        return frozenset({"successes"})

    def _check(self, params: GoalGanParameters) -> None:
        if float(params.least) > float(params.most):
            raise UsageError(f"least: expected at most most = {params.most:g}, got {params.least:g}")
        if float(params.old) + float(params.uniform) > 1.0:
            raise UsageError(f"old: expected at most 1 - uniform = {1 - float(params.uniform):g}, got {params.old:g}")

    def _init(self, params: GoalGanParameters, seed: Array) -> GoalGanState:
        d, none = self.space.dimensions, jnp.int32(0)
        trials = Trials.empty(params.goals, d)
        return GoalGanState(trials, trials.points, none, jnp.zeros((params.room, d)), none)

    def _propose(self, params: GoalGanParameters, state: GoalGanState, key: Array, n: int) -> Proposal:
        keys, d = jax.random.split(key, 5), self.space.dimensions
        uniform = self.space.draw(keys[0], n)
        parents = state.good[choose(keys[1], (jnp.arange(params.goals) < state.good_count).astype(jnp.float32), n)]
        near = jnp.clip(parents + params.noise * jax.random.normal(keys[2], (n, d)), 0.0, 1.0)
        olds = state.olds[choose(keys[3], (jnp.arange(params.room) < state.old_count).astype(jnp.float32), n)]
        kind = jax.random.uniform(keys[4], (n, 1))
        again = (kind < params.uniform + params.old) & (state.old_count > 0)
        goals = jnp.where((kind < params.uniform) | (state.good_count == 0), uniform, jnp.where(again, olds, near))
        return learned_from(state.trials.next(params.rollouts, goals)[0])

    def _begun(self, params: GoalGanParameters, state: GoalGanState, points: Array, which: Array) -> GoalGanState:
        return state._replace(trials=state.trials.started(points, which))

    def _lost(self, params: GoalGanParameters, state: GoalGanState, points: Array, which: Array) -> GoalGanState:
        return state._replace(trials=state.trials.told_nothing(points, which))

    def _update(
        self, params: GoalGanParameters, state: GoalGanState, points: Array, channels: Channels, valid: Array
    ) -> GoalGanState:
        told = state._replace(trials=state.trials.told(points, channels["successes"], valid))
        over = told.trials.over(params.rollouts)
        return jax.lax.cond(over, lambda: self._judged(params, told), lambda: told)

    def _judged(self, params: GoalGanParameters, state: GoalGanState) -> GoalGanState:
        """Return the state after a round."""
        rates, points = state.trials.means, state.trials.points
        good = (rates >= params.least) & (rates <= params.most)
        first = points[jnp.argsort(~good, stable=True)]
        count = good.sum(dtype=jnp.int32)

        def join(carry: tuple[Array, Array], goal: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
            olds, joined = carry
            point, fits = goal
            held = jnp.arange(params.room) < joined
            near = jnp.any(held & (jnp.sum((olds - point) ** 2, axis=1) < params.apart**2))
            known = find(point[None], olds, held)[1][0]
            joins = fits & ~near & ~known
            place = jnp.where(joins, joined % params.room, params.room)
            return (olds.at[place].set(point, mode="drop"), joined + joins), None

        (olds, joined), _ = jax.lax.scan(join, (state.olds, state.old_count), (points, good))
        any_good = count > 0
        return GoalGanState(
            state.trials.again,
            jnp.where(any_good, first, state.good),
            jnp.where(any_good, count, state.good_count),
            olds,
            joined,
        )
