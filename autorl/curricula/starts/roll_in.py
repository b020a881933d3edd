"""ROLLIN: a sequence of tasks, each begun from states that the policy of the one before it visited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.protocol import choose, stream
from autorl.curricula.starts.archive import Archive
from autorl.curricula.starts.protocol import Episodes, MakeArchive, Starter, Starts
from autorl.declarations import hyperparameters, static, traced


@hyperparameters
class RollInParameters:
    """Of rolling in."""

    beta: Array = traced(0.5, "Share of episodes that start where the last stage's policy was.", low=0.0, high=1.0)
    discount: Array = traced(
        0.99, "A state that an episode reaches after t steps is kept with probability discount ** t.", low=0.0, high=1.0
    )
    threshold: Array = traced(0.8, "Mean score of fresh episodes at which a stage ends.")
    patience: Array = traced(1_000_000, "Fresh episodes after which it ends all the same.", low=1)
    first: Array = traced(
        0.0, "Task of the first stage, in sides of the task space.", low=0.0, high=1.0, shape=("dimensions",)
    )
    last: Array = traced(
        1.0, "Task of the last stage; those between are equally far apart.", low=0.0, high=1.0, shape=("dimensions",)
    )
    stages: Array = traced(5, "Tasks from the first to the last, which stays.", low=2)
    episodes: int = static(50, "Fresh episodes of the mean score.", low=1, high=100_000)
    capacity: int = static(1024, "States kept of a stage, the newest.", low=1, high=1_000_000)


class RollInState(NamedTuple):
    """The stage, and what was visited in it and in the one before.

    Attributes:
        archive: States of the last stage's policy: where episodes may start.
        growing: States of this stage's.
        next: int32; where in ``growing`` the next one goes.
        scores: float32 [N]; of fresh episodes of this stage, the newest last; nan where there were none yet.
        fresh: int32; fresh episodes of this stage.
        stage: int32.
        seed: uint32 [2].
        draws: int32; how often was drawn from it.
    """

    archive: Archive
    growing: Archive
    next: Array
    scores: Array
    fresh: Array
    stage: Array
    seed: Array
    draws: Array


@dataclass(frozen=True)
class RollIn(Starter[RollInState]):
    """Tasks go from easy to hard in stages; when one is mastered, the next begins, in part from where the policy got in the last one.

    With probability beta an episode starts in a state of the last stage's trajectories, drawn by discounted visitation, else
    afresh. Where no task varies, a stage is only that: the next one starts where the policy of the last one was.
    """

    name: ClassVar[str] = "roll_in"
    reference: ClassVar[str] = "Li et al., 2023, Understanding the Complexity Gains of Single-Task RL with a Curriculum"
    Parameters: ClassVar[type[Any]] = RollInParameters
    sets_tasks: ClassVar[bool] = True

    def init(self, params: RollInParameters, make: MakeArchive, seed: Array) -> RollInState:
        """Return the first stage, with no state to start from."""
        none = jnp.int32(0)
        scores = jnp.full(params.episodes, jnp.nan, jnp.float32)
        return RollInState(make(params.capacity), make(params.capacity), none, scores, none, none, seed, none)

    def round(self, state: RollInState) -> Array:
        """Return the stage."""
        return state.stage

    def propose(self, params: RollInParameters, state: RollInState, key: Array, n: int) -> Starts:
        """Return episodes of the stage's task, some from the last stage's states."""
        keys = jax.random.split(key)
        filled = state.archive.filled
        restored = (jax.random.uniform(keys[0], (n,)) < params.beta) & jnp.any(filled)
        part = state.stage.astype(jnp.float32) / (params.stages - 1)
        task = (1.0 - part) * params.first + part * params.last
        places = choose(keys[1], filled.astype(jnp.float32), n)
        return Starts(restored, places, jnp.broadcast_to(task, (n, self.dimensions)))

    def watch(self, params: RollInParameters, state: RollInState, visited: Archive) -> RollInState:
        """Return the state with what was drawn of the ``visited``, over the oldest ones where there is no room."""
        draw = jax.random.uniform(stream(state.seed, state.draws), visited.lengths.shape)
        taken = visited.filled & (draw < params.discount ** visited.lengths.astype(jnp.float32))
        number = jnp.cumsum(taken, dtype=jnp.int32)
        kept = taken & (number > number[-1] - params.capacity)
        growing = state.growing.put((state.next + number - 1) % params.capacity, visited._replace(filled=kept))
        return state._replace(growing=growing, next=(state.next + number[-1]) % params.capacity, draws=state.draws + 1)

    def update(self, params: RollInParameters, state: RollInState, told: Episodes) -> RollInState:
        """Return the state after n episodes: of the next stage, if this one is over."""
        fresh = told.valid & ~told.restored
        count = jnp.sum(fresh, dtype=jnp.int32)
        order = jnp.argsort(~fresh, stable=True)
        scores = jax.lax.dynamic_slice_in_dim(
            jnp.concatenate([state.scores, told.scores[order]]), count, params.episodes
        )
        after = state._replace(scores=scores, fresh=state.fresh + count)
        # the mean is nan, and nothing is above it, until there were enough episodes
        over = (jnp.mean(scores) >= params.threshold) | (after.fresh >= params.patience)
        over &= (count > 0) & (state.stage < params.stages - 1)
        return jax.lax.cond(over, lambda: _next_stage(after), lambda: after)


def _next_stage(state: RollInState) -> RollInState:
    nothing = state.growing._replace(filled=jnp.zeros_like(state.growing.filled))
    return state._replace(
        archive=state.growing,
        growing=nothing,
        next=jnp.int32(0),
        scores=jnp.full_like(state.scores, jnp.nan),
        fresh=jnp.int32(0),
        stage=state.stage + 1,
    )
