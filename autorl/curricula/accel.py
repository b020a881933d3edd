"""ACCEL: robust level replay, and small edits of the levels that were replayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.level_buffer import LevelBuffer
from autorl.curricula.plr import Plr, RobustPlrParameters
from autorl.curricula.protocol import Channels, Proposal
from autorl.declarations import hyperparameters, static, traced
from autorl.errors import UsageError


@hyperparameters
class AccelParameters(RobustPlrParameters):
    """Of ACCEL; defaults as in JaxUED's mazes."""

    edits: Array = traced(5, "Edits of a level, one after another.", low=1)
    most_edits: int = static(20, "Greatest number of edits.", low=1, high=1000)


class AccelState(NamedTuple):
    """The levels held, and those that are to be edited.

    Attributes:
        buffer: The levels.
        replayed: bool [C]; those of the last round of replays: what is proposed are edits of these, if there are any.
        heard: bool [C]; replays of the round under way.
        told: bool []; whether any episode of it told anything: a round that told nothing changes nothing.
    """

    buffer: LevelBuffer
    replayed: Array
    heard: Array
    told: Array


@dataclass(frozen=True)
class Accel(Plr):
    """After each round of replays, edits of the levels replayed are looked at and join the buffer if they score high.

    A round is all that is told before the next proposal: in a training, the episodes that ended in a rollout (in a step, where learners
    learn by steps). Replays that end in a round of edits, as they were under way when it began, are not edited. Edits are the task space's
    (`TaskSpace.edit`). Of the levels replayed each is edited, in an order drawn anew for every proposal, in turn until it is full: with as
    many tasks a proposal as levels were replayed, all of them once.
    """

    name: ClassVar[str] = "accel"
    reference: ClassVar[str] = "Parker-Holder et al., 2022, Evolving Curricula with Regret-Based Environment Design"
    Parameters: ClassVar[type[Any]] = AccelParameters
    has_rounds: ClassVar[bool] = True

    def _check(self, params: Any) -> None:
        if int(params.edits) > params.most_edits:
            raise UsageError(f"edits: expected at most most_edits = {params.most_edits}, got {int(params.edits)}")

    def _init(self, params: Any, seed: Array) -> AccelState:
        none = jnp.zeros(params.capacity, jnp.bool_)
        return AccelState(LevelBuffer.empty(params.capacity, self.space.dimensions), none, none, jnp.bool_(False))

    def _propose(self, params: Any, state: AccelState, key: Array, n: int) -> Proposal:
        usual, changing, ordering = jax.random.split(key, 3)
        proposal = super()._propose(params, state, usual, n)
        count = state.replayed.sum()
        # the numbers of the levels replayed come first; drawn, as else those at the end would never be edited where few are played
        order = jnp.argsort(jnp.where(state.replayed, jax.random.uniform(ordering, state.replayed.shape), 2.0))
        parents = state.buffer.levels[order[jnp.arange(n) % jnp.maximum(count, 1)]]
        edited = jax.vmap(lambda own, point: self.space.edit(own, point, params.edits, params.most_edits))(
            jax.random.split(changing, n), parents
        )
        editing = count > 0
        return Proposal(jnp.where(editing, edited, proposal.tasks), proposal.train & ~editing)

    def _update(self, params: Any, state: AccelState, points: Array, channels: Channels, valid: Array) -> AccelState:
        after, replayed = self._told(params, state.buffer, points, channels, valid)
        # a place that another level took says nothing of the one that was replayed
        stays = jnp.all(after.levels == state.buffer.levels, axis=1)
        return AccelState(after, state.replayed, (state.heard | replayed) & stays, state.told | jnp.any(valid))

    def _rounded(self, params: Any, state: AccelState) -> AccelState:
        # after edits, usual proposals: an edit that changed nothing is no replay, nor is one that was under way before them
        edited = state.replayed.any()
        replayed = jnp.where(state.told, state.heard & ~edited, state.replayed)
        return state._replace(replayed=replayed, heard=jnp.zeros_like(state.heard), told=jnp.zeros_like(state.told))
