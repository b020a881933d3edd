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
from autorl.curricula.starts.stage import Block
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
    episodes: Array = traced(50, "Fresh episodes of the mean score, begun one after another.", low=1, high=100_000)
    capacity: int = static(1024, "States kept of a stage, the newest.", low=1, high=1_000_000)


class RollInState(NamedTuple):
    """The stage, and what was visited in it and in the one before.

    Attributes:
        archive: States of the last stage's policy: where episodes may start.
        growing: States of this stage's.
        next: int32; where in ``growing`` the next one goes.
        block: Fresh episodes of this stage.
        fresh: int32; fresh episodes of this stage.
        stage: int32.
        seed: uint32 [2].
        draws: int32; how often was drawn from it.
    """

    archive: Archive
    growing: Archive
    next: Array
    block: Block
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
    scores: ClassVar[tuple[str, ...]] = ("threshold",)
    sets_tasks: ClassVar[bool] = True
    hears_starts: ClassVar[bool] = True

    def init(self, params: RollInParameters, make: MakeArchive, seed: Array) -> RollInState:
        """Return the first stage, with no state to start from."""
        none = jnp.int32(0)
        return RollInState(make(params.capacity), make(params.capacity), none, Block.first(), none, none, seed, none)

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
        block = jnp.broadcast_to(state.block.open_to(params.episodes), (n,))
        return Starts(restored, places, jnp.broadcast_to(task, (n, self.dimensions)), block)

    def begun(self, params: RollInParameters, state: RollInState, starts: Starts, which: Array) -> RollInState:
        """Return the state with the fresh episodes that began."""
        return state._replace(block=state.block.started(starts.blocks, which & ~starts.restored))

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
        count = jnp.sum(told.valid & ~told.restored, dtype=jnp.int32)
        block = state.block.told(told.blocks, told.scores, told.valid, told.ended & ~told.restored)
        judged = block.over(params.episodes)
        mastered = judged & (block.mean >= params.threshold)
        block = jax.tree.map(lambda new, old: jnp.where(judged, new, old), block.next, block)
        after = state._replace(block=block, fresh=state.fresh + count)
        over = mastered | ((after.fresh >= params.patience) & (count > 0))
        return jax.lax.cond(over & (state.stage < params.stages - 1), lambda: _next_stage(after), lambda: after)


def _next_stage(state: RollInState) -> RollInState:
    nothing = state.growing._replace(filled=jnp.zeros_like(state.growing.filled))
    return state._replace(
        archive=state.growing,
        growing=nothing,
        next=jnp.int32(0),
        block=state.block.next,
        fresh=jnp.int32(0),
        stage=state.stage + 1,
    )
