"""Automatic domain randomisation: a box of tasks that widens where the agent does well on its faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.protocol import Channels, Proposal, Teacher, learned_from, one_by_one
from autorl.curricula.tasks import SAME
from autorl.declarations import hyperparameters, static, traced
from autorl.errors import UsageError


@hyperparameters
class AdrParameters:
    """Of automatic domain randomisation; defaults are TeachMyAgent's, with its returns scaled to [0, 1]."""

    centre: Array = traced(
        0.5, "Task that the box starts from, in sides of the space.", low=0.0, high=1.0, shape=("dimensions",)
    )
    width: Array = traced(0.05, "Of the box at the start, the least it ever has.", low=0.001, high=1.0)
    boundary: Array = traced(0.7, "Share of the tasks on a face of the box.", low=0.0, high=1.0)
    step: Array = traced(0.1, "By which a face moves, in sides of the space.", low=0.001, high=1.0)
    widen: Array = traced(0.66, "Mean return on a face from which it moves out.")
    narrow: Array = traced(0.3, "Mean return on a face up to which it moves in.")
    queue: int = static(10, "Episodes on a face by which it is judged.", low=1, high=10_000)


class AdrState(NamedTuple):
    """The box and what its faces returned.

    Attributes:
        low: float32 [D], in [0, 1].
        high: float32 [D].
        sums: float32 [2, D], returns on the lower and upper faces since each last moved or was judged.
        counts: int32 [2, D], how many.
    """

    low: Array
    high: Array
    sums: Array
    counts: Array


@dataclass(frozen=True)
class Adr(Teacher[AdrState]):
    """Tasks are uniform in a box; with a probability, one coordinate is put on one of its faces.

    Each ``queue`` episodes on a face, their mean return moves it out, in, or not at all. A face never moves in beyond where it started.
    """

    name: ClassVar[str] = "adr"
    reference: ClassVar[str] = "Akkaya et al., 2019, Solving Rubik's Cube with a Robot Hand"
    Parameters: ClassVar[type[Any]] = AdrParameters
    scores: ClassVar[tuple[str, ...]] = ("widen", "narrow")

    def _check(self, params: AdrParameters) -> None:
        if not float(params.narrow) < float(params.widen):
            raise UsageError(f"narrow: expected less than widen = {params.widen:g}, got {params.narrow:g}")

    def _init(self, params: AdrParameters, seed: Array) -> AdrState:
        low, high = self._core(params)
        none = jnp.zeros((2, self.space.dimensions))
        return AdrState(low, high, none, none.astype(jnp.int32))

    def _core(self, params: AdrParameters) -> tuple[Array, Array]:
        """Return the corners of the box at the start, which is moved to lie within the space."""
        centre = jnp.clip(jnp.asarray(params.centre), params.width / 2, 1.0 - params.width / 2)
        return centre - params.width / 2, centre + params.width / 2

    def _propose(self, params: AdrParameters, state: AdrState, key: Array, n: int) -> Proposal:
        keys, d = jax.random.split(key, 3), self.space.dimensions
        inside = state.low + jax.random.uniform(keys[0], (n, d)) * (state.high - state.low)
        face = jax.random.randint(keys[1], (n,), 0, 2 * d)
        bound = jnp.where(face < d, state.low[face % d], state.high[face % d])
        edge = inside.at[jnp.arange(n), face % d].set(bound)
        return learned_from(jnp.where(jax.random.uniform(keys[2], (n, 1)) < params.boundary, edge, inside))

    def _update(
        self, params: AdrParameters, state: AdrState, points: Array, channels: Channels, valid: Array
    ) -> AdrState:
        least, most = self._core(params)

        def step(before: AdrState, point: Array, own: Channels) -> AdrState:
            inside = jnp.all((point > before.low - SAME) & (point < before.high + SAME))
            on = inside & (jnp.abs(jnp.stack([before.low, before.high]) - point) < SAME)
            sums, counts = before.sums + jnp.where(on, own["returns"], 0.0), before.counts + on
            judged = counts >= params.queue
            mean = sums / jnp.maximum(counts, 1)
            out = params.step * (judged & (mean >= params.widen)) - params.step * (judged & (mean <= params.narrow))
            return AdrState(
                jnp.clip(before.low - out[0], 0.0, least),
                jnp.clip(before.high + out[1], most, 1.0),
                jnp.where(judged, 0.0, sums),
                jnp.where(judged, 0, counts),
            )

        return one_by_one(step, state, points, channels, valid)
