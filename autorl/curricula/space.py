"""SPaCE: a set of instances that grows when the agent stops improving on it, by those whose values improve most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.protocol import Channels, Proposal, Teacher
from autorl.curricula.tasks import find
from autorl.declarations import hyperparameters, static, traced
from autorl.errors import UsageError


@hyperparameters
class SpaceParameters:
    """Of SPaCE."""

    threshold: Array = traced(
        0.1, "Relative change of the mean value up to which the agent has stopped improving.", low=0.0, high=1.0
    )
    growth: Array = traced(1, "Instances by which the set grows then.", low=1)
    first: Array = traced(1, "Instances in the first set.", low=1)
    period: Array = traced(200, "Episodes to learn from between evaluations.", low=1)
    instances: int = static(64, "Instances, drawn at the start.", low=1, high=100_000)


class SpaceState(NamedTuple):
    """I instances and their values.

    Attributes:
        points: float32 [I, D].
        values: float32 [I], the agent's at the last evaluation.
        before: float32 [I], at the one before; 0 before any.
        seen: bool [I], whether the evaluation under way has met it.
        chosen: bool [I], the set to learn from.
        size: int32, of the set.
        learned: int32, episodes learned from since the last evaluation.
        evaluations: int32.
    """

    points: Array
    values: Array
    before: Array
    seen: Array
    chosen: Array
    size: Array
    learned: Array
    evaluations: Array


@dataclass(frozen=True)
class Space(Teacher[SpaceState]):
    """Self-paced context evaluation.

    Every ``period`` episodes, each instance is looked at once, for the agent's value of it. If the mean value of the set has changed
    little, the set grows; and it is made of the instances whose values rose most since the evaluation before. Evaluations are proposals
    that are not learned from (of which only the first observation is used). The original asks the value function for all
    instances at no cost. An evaluation that takes longer than a period of learning is over with those it has met.
    """

    name: ClassVar[str] = "space"
    reference: ClassVar[str] = "Eimer et al., 2021, Self-Paced Context Evaluation for Contextual Reinforcement Learning"
    Parameters: ClassVar[type[Any]] = SpaceParameters

    def needs(self, params: SpaceParameters) -> frozenset[str]:
        """Return the channels of returns, which say whether an episode counts, and of values."""
        return frozenset({"returns", "values"})

    def _check(self, params: SpaceParameters) -> None:
        if int(params.first) > params.instances:
            raise UsageError(f"first: expected at most instances = {params.instances}, got {int(params.first)}")

    def _init(self, params: SpaceParameters, seed: Array) -> SpaceState:
        points = self.space.draw(jax.random.wrap_key_data(seed, impl="threefry2x32"), params.instances)
        none, number = jnp.zeros(params.instances), jnp.arange(params.instances)
        first = jnp.asarray(params.first)
        # it begins with an evaluation: nothing improved yet, and the first set is as random as the instances
        return SpaceState(points, none, none, none > 0, number < first, first, params.period, jnp.int32(0))

    def _propose(self, params: SpaceParameters, state: SpaceState, key: Array, n: int) -> Proposal:
        waiting = _evaluating(params, state) & ~state.seen
        due = jnp.argsort(~waiting, stable=True)[jnp.arange(n) % params.instances]
        members = jnp.argsort(~state.chosen, stable=True)
        member = members[jax.random.randint(key, (n,), 0, state.size)]
        look = jnp.arange(n) < waiting.sum()
        return Proposal(state.points[jnp.where(look, due, member)], ~look)

    def _update(
        self, params: SpaceParameters, state: SpaceState, points: Array, channels: Channels, valid: Array
    ) -> SpaceState:
        place, known = find(points, state.points, jnp.ones(params.instances, jnp.bool_))
        evaluating = _evaluating(params, state)
        looked = valid & known & evaluating & ~state.seen[place]
        outside = jnp.where(looked, place, params.instances)
        told = state._replace(
            values=state.values.at[outside].set(channels["values"], mode="drop"),
            seen=state.seen.at[outside].set(True, mode="drop"),
            learned=state.learned + (valid & ~looked).sum(dtype=jnp.int32),
        )
        late = told.learned >= 2 * params.period
        over = evaluating & (told.seen.all() | (late & valid.any()))
        return jax.lax.cond(over, lambda: _chosen(params, told), lambda: told)


def _evaluating(params: SpaceParameters, state: SpaceState) -> Array:
    return state.learned >= params.period


def _chosen(params: SpaceParameters, state: SpaceState) -> SpaceState:
    """Return the state after an evaluation: the set, perhaps larger, of the greatest improvements."""
    old = jnp.where(state.chosen, state.before, 0.0).sum() / state.size
    new = jnp.where(state.chosen, state.values, 0.0).sum() / state.size
    stopped = (jnp.abs(new - old) <= params.threshold * jnp.abs(old)) & (state.evaluations > 0)
    size = jnp.minimum(state.size + jnp.where(stopped, params.growth, 0), params.instances)
    order = jnp.argsort(state.before - state.values, stable=True)
    rank = jnp.zeros(params.instances, jnp.int32).at[order].set(jnp.arange(params.instances))
    none = jnp.zeros(params.instances)
    return state._replace(
        before=state.values,
        seen=none > 0,
        chosen=jnp.where(state.evaluations > 0, rank < size, state.chosen),
        size=size,
        learned=jnp.int32(0),
        evaluations=state.evaluations + 1,
    )
