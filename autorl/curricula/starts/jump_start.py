"""Jump-start: a guide acts for the first steps of an episode, and for fewer of them as the agent keeps up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.starts.archive import Archive
from autorl.curricula.starts.guide import Guide
from autorl.curricula.starts.protocol import GUIDE, Episodes, GuidedStarter, Starts, afresh
from autorl.curricula.starts.stage import Block
from autorl.declarations import hyperparameters, static, traced


@hyperparameters
class JumpStartParameters:
    """Of a jump-start."""

    guide: str = static("", GUIDE)
    trajectories: int = static(16, "Episodes of the guide, of which one is gone on from.", low=1, high=10_000)
    stages: Array = traced(10, "Of the guide's part, which is 0 in the last one.", low=2, high=10_000)
    tolerance: Array = traced(
        0.1, "How far the mean score may be below the best so far, the guide's own to begin with.", low=0.0
    )
    episodes: Array = traced(50, "Episodes of the mean score, begun one after another.", low=1, high=100_000)


class JumpStartState(NamedTuple):
    """The guide, and how much of it is left.

    Attributes:
        archive: The guide's states.
        alive: int32 [M]; states of each of its episodes.
        best: float32; greatest mean score so far.
        block: Episodes of this stage.
        stage: int32.
    """

    archive: Archive
    alive: Array
    best: Array
    block: Block
    stage: Array


@dataclass(frozen=True)
class JumpStart(GuidedStarter[JumpStartState]):
    """Episodes start where a guide is after h steps; h shrinks in stages while scores of whole episodes, its part included, keep up.

    As environment states are data, the guide does not act anew: its episodes are played once, before the training, and their env steps
    are taken off the training's budget. A guide's episode shorter than h is gone on from in its last state.
    """

    name: ClassVar[str] = "jump_start"
    reference: ClassVar[str] = "Uchendu et al., 2023, Jump-Start Reinforcement Learning"
    Parameters: ClassVar[type[Any]] = JumpStartParameters
    scores: ClassVar[tuple[str, ...]] = ("tolerance",)
    hears_starts: ClassVar[bool] = True

    def begin(self, params: JumpStartParameters, guide: Guide, scores: Array, seed: Array) -> JumpStartState:
        """Return the first stage: nearly all of an episode is the guide's."""
        return JumpStartState(guide.archive, guide.alive, jnp.mean(scores), Block.first(), jnp.int32(0))

    def round(self, state: JumpStartState) -> Array:
        """Return the stage."""
        return state.stage

    def propose(self, params: JumpStartParameters, state: JumpStartState, key: Array, n: int) -> Starts:
        """Return episodes that start after h steps of the guide; in the last stage afresh."""
        count = len(state.alive)
        episode = jax.random.randint(key, (n,), 0, count)
        left = (params.stages - 1 - state.stage).astype(jnp.float32) / params.stages
        steps = (jnp.max(state.alive) * left).astype(jnp.int32)
        at = jnp.minimum(steps, state.alive[episode] - 1)
        places = episode * (state.archive.room // count) + at
        restored, block = (jnp.broadcast_to(x, (n,)) for x in (steps > 0, state.block.open_to(params.episodes)))
        return afresh(n, self.dimensions)._replace(restored=restored, places=places, blocks=block)

    def begun(self, params: JumpStartParameters, state: JumpStartState, starts: Starts, which: Array) -> JumpStartState:
        """Return the state with the episodes that began."""
        return state._replace(block=state.block.started(starts.blocks, which))

    def watch(self, params: JumpStartParameters, state: JumpStartState, visited: Archive) -> JumpStartState:
        """Return ``state``: only how episodes end matters."""
        return state

    def update(self, params: JumpStartParameters, state: JumpStartState, told: Episodes) -> JumpStartState:
        """Return the state after n episodes: with less of the guide, if the agent keeps up."""
        block = state.block.told(told.blocks, told.scores, told.valid, told.ended)
        over, mean = block.over(params.episodes), block.mean
        kept_up = over & (mean >= state.best - params.tolerance)
        return state._replace(
            best=jnp.where(over & (mean > state.best), mean, state.best),
            block=jax.tree.map(lambda new, old: jnp.where(over, new, old), block.next, block),
            stage=jnp.where(kept_up, jnp.minimum(state.stage + 1, params.stages - 1), state.stage),
        )
