"""POET's side of the tasks, for one student: tasks that are mastered have children, and the most novel fitting child joins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.protocol import Channels, Proposal, Teacher, choose, stream
from autorl.curricula.tasks import find, first_alike, same_task
from autorl.curricula.trials import turns, without
from autorl.declarations import hyperparameters, static, traced
from autorl.errors import UsageError


@hyperparameters
class PoetParameters:
    """Of POET; thresholds are after the original's 200, 25 and 340 of about 340 points, but that what is mastered does not join.

    Scores are 0 and 1 at the ends of the score range.
    """

    first: Array = traced(
        0.5, "The task it begins with, an easy one; of levels one is drawn.", low=0.0, high=1.0, shape=("dimensions",)
    )
    reproduce_at: Array = traced(0.6, "Mean score from which a task has children.", low=0.0, high=1.0)
    least: Array = traced(0.1, "Least mean score in a child that may join.", low=0.0, high=1.0)
    most: Array = traced(0.95, "Greatest one.", low=0.0, high=1.0)
    every: Array = traced(64, "Episodes learned from between two reproductions.", low=0)
    tried: Array = traced(0.25, "Share of proposals that try children, which are not learned from.", low=0.0, high=1.0)
    visits: Array = traced(4, "Episodes by which a child is judged.", low=1, high=1000)
    memory: Array = traced(0.1, "Weight of a task's newest episode in its mean score.", low=0.001, high=1.0)
    neighbours: Array = traced(5, "Nearest tasks that there ever were, by whose distance novelty is judged.", low=1)
    edits: Array = traced(1, "Edits that make a child of a task, one after another.", low=1)
    most_edits: int = static(20, "Greatest number of edits.", low=1, high=1000)
    active: int = static(20, "Tasks learned from at once, the newest.", low=1, high=10_000)
    children: int = static(8, "Children tried at once.", low=1, high=10_000)
    admitted: int = static(1, "Most of them that join.", low=1, high=10_000)
    archive: int = static(500, "Tasks that novelty is judged by, the newest that joined.", low=1, high=100_000)


class PoetState(NamedTuple):
    """A tasks learned from, K children on trial, and M tasks remembered.

    Attributes:
        tasks: float32 [A, D]; the newest A that joined.
        scores: float32 [A]; their mean scores, the newest episodes counting most.
        joined: int32; tasks that joined so far, the first among them.
        points: float32 [K, D]; children on trial.
        begun: int32 [K]; episodes of each that began, as far as that was told.
        visits: int32 [K]; those of them that ended.
        lost: int32 [K]; those that began and told nothing.
        sums: float32 [K]; of their scores.
        trying: bool; whether children are on trial.
        since: int32; episodes learned from since the last reproduction.
        archive: float32 [M, D]; the newest M that joined.
        clock: int32; reproductions so far.
        seed: uint32 [2].
    """

    tasks: Array
    scores: Array
    joined: Array
    points: Array
    begun: Array
    visits: Array
    lost: Array
    sums: Array
    trying: Array
    since: Array
    archive: Array
    clock: Array
    seed: Array


@dataclass(frozen=True)
class Poet(Teacher[PoetState]):
    """Tasks with a minimal criterion: neither too hard nor too easy for the agent as it is, and unlike those that there were.

    Learned from are the ``active`` newest tasks, each as often. Now and then those whose mean score has reached ``reproduce_at`` have
    children, edits of theirs (`TaskSpace.edit`). A child is judged by the first ``visits`` episodes that are begun in it, when all of them
    have ended; of those with a mean score from ``least`` to ``most`` the ``admitted`` farthest from their nearest ``neighbours`` among
    all tasks so far join, and the oldest leave where there is no room.

    One agent learns here, where POET pairs each task with an agent of its own and moves agents between tasks: that is
    `autorl.outer.tasks.poet`. Different too: edits instead of the walker's mutations, and distances in the unit cube.
    """

    name: ClassVar[str] = "poet"
    reference: ClassVar[str] = "Wang et al., 2019, Paired Open-Ended Trailblazer"
    Parameters: ClassVar[type[Any]] = PoetParameters
    scores: ClassVar[tuple[str, ...]] = ("reproduce_at", "least", "most")
    hears_starts: ClassVar[bool] = True

    def _check(self, params: PoetParameters) -> None:
        if not float(params.least) < float(params.most):
            raise UsageError(f"least: expected less than most = {params.most:g}, got {params.least:g}")
        if int(params.edits) > params.most_edits:
            raise UsageError(f"edits: expected at most most_edits = {params.most_edits}, got {int(params.edits)}")
        if params.admitted > min(params.children, params.active):
            few = min(params.children, params.active)
            raise UsageError(f"admitted: expected at most children and active, {few}, got {params.admitted}")

    def _init(self, params: PoetParameters, seed: Array) -> PoetState:
        d, none, zero = self.space.dimensions, jnp.zeros(params.children, jnp.int32), jnp.int32(0)
        first = jnp.asarray(params.first, jnp.float32)
        if self.space.sampler is not None:
            first = self.space.draw(stream(seed, jnp.int32(-1)), 1)[0]
        state = PoetState(
            tasks=jnp.zeros((params.active, d)).at[0].set(first),
            scores=jnp.zeros(params.active),
            joined=jnp.int32(1),
            points=jnp.zeros((params.children, d)),
            begun=none,
            visits=none,
            lost=none,
            sums=none.astype(jnp.float32),
            trying=jnp.bool_(False),
            since=zero,
            archive=jnp.zeros((params.archive, d)).at[0].set(first),
            clock=zero,
            seed=seed,
        )
        return self._reproduced(params, state)

    def _propose(self, params: PoetParameters, state: PoetState, key: Array, n: int) -> Proposal:
        trying, learning = jax.random.split(key)
        tried = (jax.random.uniform(trying, (n,)) < params.tried) & state.trying
        tried, turn = turns(state.begun, state.visits, params.visits, tried)
        place = choose(learning, _filled(params, state).astype(jnp.float32), n)
        return Proposal(jnp.where(tried[:, None], state.points[turn], state.tasks[place]), ~tried)

    def _begun(self, params: PoetParameters, state: PoetState, points: Array, which: Array) -> PoetState:
        return state._replace(begun=state.begun.at[self._places(state, points, which)].add(1, mode="drop"))

    def _lost(self, params: PoetParameters, state: PoetState, points: Array, which: Array) -> PoetState:
        where = self._places(state, points, which)
        begun, visits, lost = without(state.begun, state.visits, state.lost, where)
        return state._replace(begun=begun, visits=visits, lost=lost)

    def _places(self, state: PoetState, points: Array, which: Array) -> Array:
        """Return which children ``points`` [n, D] are, int32 [n]; K for the others and those that ``which`` [n] does not say."""
        place, known = find(points, state.points, state.trying & ~_known(state))
        return jnp.where(known & which, place, len(state.points))

    def _update(
        self, params: PoetParameters, state: PoetState, points: Array, channels: Channels, valid: Array
    ) -> PoetState:
        score, child = channels["returns"], self._places(state, points, valid)
        place, known = find(points, state.tasks, _filled(params, state))
        place = jnp.where(known & valid & (child == params.children), place, params.active)
        count = jnp.zeros(params.active).at[place].add(1.0, mode="drop")
        mean = jnp.zeros(params.active).at[place].add(score, mode="drop") / jnp.maximum(count, 1.0)
        weight = 1.0 - (1.0 - params.memory) ** count
        told = state._replace(
            scores=state.scores + weight * (mean - state.scores),
            visits=state.visits.at[child].add(1, mode="drop"),
            sums=state.sums.at[child].add(score, mode="drop"),
            since=state.since + count.sum().astype(jnp.int32),
        )
        return self._reproduced(params, _judged(params, told))

    def _reproduced(self, params: PoetParameters, state: PoetState) -> PoetState:
        """Return the state with children on trial, if it is time and a task is mastered."""
        able = _filled(params, state) & (state.scores >= params.reproduce_at)
        due = ~state.trying & (state.since >= params.every) & able.any()
        parents, editing = jax.random.split(stream(state.seed, state.clock))
        chosen = state.tasks[choose(parents, able.astype(jnp.float32), params.children)]
        keys = jax.random.split(editing, params.children)
        born = jax.vmap(lambda key, point: self.space.edit(key, point, params.edits, params.most_edits))(keys, chosen)
        fresh = state._replace(points=born, trying=jnp.bool_(True), since=jnp.int32(0), clock=state.clock + 1)
        # what an edit left as it was, or made twice, waits for no episode
        none, idle = jnp.zeros_like(state.visits), _known(fresh)
        visits = jnp.where(idle, params.visits, 0).astype(jnp.int32)
        fresh = fresh._replace(begun=none, visits=visits, lost=none, sums=none.astype(jnp.float32))
        return jax.tree.map(lambda new, old: jnp.where(due, new, old), fresh, state)


def _known(state: PoetState) -> Array:
    """Return which children are tasks that there were, or a child before them, bool [K]."""
    held = jnp.arange(len(state.archive)) < state.joined
    there = jnp.any(same_task(state.points, state.archive) & held, axis=1)
    number = jnp.arange(len(state.points))
    return there | (first_alike(state.points, jnp.ones_like(there)) != number)


def _filled(params: PoetParameters, state: PoetState) -> Array:
    return jnp.arange(params.active) < state.joined


def _judged(params: PoetParameters, state: PoetState) -> PoetState:
    """Return the state after the trial, if all children had their visits: the most novel of those that fit have joined."""
    over = state.trying & jnp.all((state.visits >= params.visits) & (state.visits >= state.begun))
    held = jnp.arange(params.archive) < state.joined
    means = state.sums / jnp.maximum(state.visits, 1)
    fits = over & (means >= params.least) & (means <= params.most)
    fits &= ~_known(state)
    distances = jnp.linalg.norm(state.points[:, None] - state.archive[None], axis=-1)
    near = jnp.sort(jnp.where(held, distances, jnp.inf), axis=1)
    counted = (jnp.arange(params.archive) < params.neighbours) & jnp.isfinite(near)
    novelty = jnp.sum(jnp.where(counted, near, 0.0), axis=1) / jnp.maximum(counted.sum(axis=1), 1)
    best = jnp.argsort(jnp.where(fits, -novelty, jnp.inf), stable=True)[: params.admitted]
    joins = fits[best]
    number = state.joined + jnp.cumsum(joins, dtype=jnp.int32) - 1
    active = jnp.where(joins, number % params.active, params.active)
    kept = jnp.where(joins, number % params.archive, params.archive)
    return state._replace(
        tasks=state.tasks.at[active].set(state.points[best], mode="drop"),
        scores=state.scores.at[active].set(means[best], mode="drop"),
        joined=state.joined + joins.sum(dtype=jnp.int32),
        archive=state.archive.at[kept].set(state.points[best], mode="drop"),
        trying=state.trying & ~over,
    )
