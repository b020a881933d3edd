"""Dynamic tasks: random tasks are tried, and those that pass a filter, neither too easy nor too hard, are learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.protocol import Channels, Proposal, Teacher, stream
from autorl.curricula.tasks import find
from autorl.curricula.trials import turns, without
from autorl.declarations import hyperparameters, static, traced
from autorl.errors import UsageError


@hyperparameters
class DynamicTasksParameters:
    """Of dynamic tasks. Thresholds are to be evolved while agents learn; scores are 0 and 1 at the ends of the score range."""

    solved: Array = traced(0.9, "Score from which an episode counts as solved.", low=0.0, high=1.0)
    most_solved: Array = traced(0.8, "Greatest share of solved episodes of a task that is taken.", low=0.0, high=1.0)
    margin: Array = traced(
        0.05, "By how much a score must beat the control policy's to count as better.", low=0.0, high=1.0
    )
    least_better: Array = traced(0.25, "Least share of better episodes of a task that is taken.", low=0.0, high=1.0)
    control: Array = traced(
        0.8, "Score of the control policy at which a task is too easy to be taken.", low=0.0, high=2.0
    )
    tried: Array = traced(0.25, "Share of proposals that try tasks, which are not learned from.", low=0.0, high=1.0)
    visits: Array = traced(4, "Episodes by which a task is judged.", low=1, high=1000)
    candidates: int = static(16, "Tasks on trial at once.", low=1, high=100_000)
    taken: int = static(64, "Tasks taken, the newest.", low=1, high=100_000)
    control_tasks: int = static(
        64, "Random tasks in which the control policy acts before the training; others count as the nearest.", low=1
    )
    control_episodes: int = static(4, "Its episodes in each of them.", low=1)


class DynamicTasksState(NamedTuple):
    """K tasks on trial, and P taken.

    Attributes:
        points: float32 [K, D]; on trial.
        begun: int32 [K]; episodes of each that began, as far as that was told.
        visits: int32 [K]; those of them that ended.
        lost: int32 [K]; those that began and told nothing.
        solved: int32 [K]; those of them that were solved.
        better: int32 [K]; those that beat the control policy.
        control: float32 [K]; sums of the control policy's scores.
        pool: float32 [P, D]; taken.
        accepted: int32; tasks taken so far; the newest P of them are in the pool.
        clock: int32; episodes so far.
        seed: uint32 [2].
    """

    points: Array
    begun: Array
    visits: Array
    lost: Array
    solved: Array
    better: Array
    control: Array
    pool: Array
    accepted: Array
    clock: Array
    seed: Array


@dataclass(frozen=True)
class DynamicTasks(Teacher[DynamicTasksState]):
    """A task is taken if the agent rarely solves it, often beats a control policy in it, and that does badly in it.

    A task on trial is judged by the first ``visits`` episodes that are begun in it, when all of them have ended: a fixed number for each
    task, as in the original's Monte Carlo estimates. The first that end would be the shortest ones, which are mostly failures or mostly
    successes. While all tasks on trial wait for their last episodes, nothing is tried.

    The control policy acts at random, before the training, whose budget its env steps are taken off. Of the other proposals, any task
    taken is as likely as another; before there is one, tasks are random and learned from. The thresholds are data, so that
    population-based training evolves them (``search_spaces/curriculum_dynamic_tasks``). Different from the original: a task is a point
    of a space, not a game and a world; generations with distillation are studies of their own (`autorl.generations`); and what PBT
    selects by is the mean score, not Pareto dominance over percentiles of scores.
    """

    name: ClassVar[str] = "dynamic_tasks"
    reference: ClassVar[str] = "Open-Ended Learning Team, 2021, Open-Ended Learning Leads to Generally Capable Agents"
    Parameters: ClassVar[type[Any]] = DynamicTasksParameters
    scores: ClassVar[tuple[str, ...]] = ("solved", "margin", "control")
    hears_starts: ClassVar[bool] = True

    def needs(self, params: DynamicTasksParameters) -> frozenset[str]:
        """Return returns, and those of the control policy."""
        return frozenset({"returns", "control_returns"})

    def _check(self, params: DynamicTasksParameters) -> None:
        if params.taken < params.candidates:
            raise UsageError(f"taken: expected at least candidates = {params.candidates}, got {params.taken}")

    def _init(self, params: DynamicTasksParameters, seed: Array) -> DynamicTasksState:
        none, zero = jnp.zeros(params.candidates, jnp.int32), jnp.int32(0)
        pool = jnp.zeros((params.taken, self.space.dimensions))
        first = self.space.draw(stream(seed, zero), params.candidates)
        return DynamicTasksState(first, none, none, none, none, none, none.astype(jnp.float32), pool, zero, zero, seed)

    def _propose(self, params: DynamicTasksParameters, state: DynamicTasksState, key: Array, n: int) -> Proposal:
        keys = jax.random.split(key, 3)
        tried = jax.random.uniform(keys[0], (n,)) < params.tried
        tried, turn = turns(state.begun, state.visits, params.visits, tried)
        held = jnp.minimum(state.accepted, params.taken)
        place = jnp.minimum((jax.random.uniform(keys[1], (n,)) * held).astype(jnp.int32), jnp.maximum(held - 1, 0))
        learned = jnp.where(held > 0, state.pool[place], self.space.draw(keys[2], n))
        return Proposal(jnp.where(tried[:, None], state.points[turn], learned), ~tried)

    def _begun(self, params: DynamicTasksParameters, state: DynamicTasksState, points: Array, which: Array) -> Any:
        where = self._places(state, points, which)
        return state._replace(begun=state.begun.at[where].add(1, mode="drop"))

    def _lost(self, params: DynamicTasksParameters, state: DynamicTasksState, points: Array, which: Array) -> Any:
        where = self._places(state, points, which)
        begun, visits, lost = without(state.begun, state.visits, state.lost, where)
        return state._replace(begun=begun, visits=visits, lost=lost)

    def _places(self, state: DynamicTasksState, points: Array, which: Array) -> Array:
        """Return which tasks on trial ``points`` [n, D] are, int32 [n]; K for the others and those that ``which`` [n] does not say."""
        count = len(state.points)
        place, known = find(points, state.points, jnp.ones(count, jnp.bool_))
        return jnp.where(known & which, place, count)

    def _update(
        self, params: DynamicTasksParameters, state: DynamicTasksState, points: Array, channels: Channels, valid: Array
    ) -> DynamicTasksState:
        where = self._places(state, points, valid)
        score, control = channels["returns"], channels["control_returns"]
        add = lambda sums, values: sums.at[where].add(values.astype(sums.dtype), mode="drop")  # noqa: E731
        told = state._replace(
            visits=add(state.visits, jnp.ones_like(where)),
            solved=add(state.solved, score >= params.solved),
            better=add(state.better, score > control + params.margin),
            control=add(state.control, control),
            clock=state.clock + valid.sum(dtype=jnp.int32),
        )
        return _judged(params, told, self.space.draw(stream(state.seed, told.clock), params.candidates))


def _judged(params: DynamicTasksParameters, state: DynamicTasksState, fresh: Array) -> DynamicTasksState:
    """Return the state with the tasks that had all their visits taken or dropped, and others, of ``fresh`` [K, D], in their place."""
    over = (state.visits >= params.visits) & (state.visits >= state.begun)
    count = jnp.maximum(state.visits, 1).astype(jnp.float32)
    passed = over & (state.solved / count <= params.most_solved) & (state.better / count >= params.least_better)
    passed &= state.control / count < params.control
    number = state.accepted + jnp.cumsum(passed, dtype=jnp.int32)
    where = jnp.where(passed, (number - 1) % params.taken, params.taken)
    again = lambda sums: jnp.where(over, jnp.zeros_like(sums), sums)  # noqa: E731
    return state._replace(
        points=jnp.where(over[:, None], fresh, state.points),
        begun=again(state.begun),
        visits=again(state.visits),
        lost=again(state.lost),
        solved=again(state.solved),
        better=again(state.better),
        control=again(state.control),
        pool=state.pool.at[where].set(state.points, mode="drop"),
        accepted=number[-1],
    )
