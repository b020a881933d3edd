"""ACCEL: robust level replay, and small edits of every level that was replayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.plr import Plr, PlrState, RobustPlrParameters
from autorl.curricula.protocol import Proposal
from autorl.declarations import hyperparameters, static, traced
from autorl.errors import UsageError


@hyperparameters
class AccelParameters(RobustPlrParameters):
    """Of ACCEL; defaults as in JaxUED's mazes."""

    edits: Array = traced(5, "Edits of a level, one after another.", low=1)
    most_edits: int = static(20, "Greatest number of edits.", low=1, high=1000)


@dataclass(frozen=True)
class Accel(Plr):
    """After each replay, edits of the levels replayed are looked at and join the buffer if they score high.

    Edits are the task space's (`TaskSpace.edit`). Each of the levels replayed is edited, in turn until the proposal is full: with as
    many tasks a proposal as were replayed, all of them once.
    """

    name: ClassVar[str] = "accel"
    reference: ClassVar[str] = "Parker-Holder et al., 2022, Evolving Curricula with Regret-Based Environment Design"
    Parameters: ClassVar[type[Any]] = AccelParameters

    def _check(self, params: Any) -> None:
        if int(params.edits) > params.most_edits:
            raise UsageError(f"edits: expected at most most_edits = {params.most_edits}, got {int(params.edits)}")

    def _propose(self, params: Any, state: PlrState, key: Array, n: int) -> Proposal:
        usual, changing = jax.random.split(key)
        proposal = super()._propose(params, state, usual, n)
        count = state.replayed.sum()
        # the numbers of the levels replayed come first, in their order
        order = jnp.argsort(~state.replayed, stable=True)
        parents = state.buffer.levels[order[jnp.arange(n) % jnp.maximum(count, 1)]]
        edited = jax.vmap(lambda own, point: self.space.edit(own, point, params.edits, params.most_edits))(
            jax.random.split(changing, n), parents
        )
        editing = count > 0
        return Proposal(jnp.where(editing, edited, proposal.tasks), proposal.train & ~editing)

    def _kept(self, state: PlrState, replayed: Array) -> Array:
        # what was proposed were edits: an edit that changed nothing is no replay
        return replayed & ~state.replayed.any()
