"""Prioritized level replay: random levels, and again those whose score promises most. Robust: learning from replays only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.level_buffer import BufferParameters, LevelBuffer, rates, replay, told
from autorl.curricula.protocol import Channels, Proposal, Teacher
from autorl.curricula.scores import LevelScore, channels_of, score_field
from autorl.curricula.tasks import find
from autorl.declarations import hyperparameters, traced


@hyperparameters
class PlrParameters(BufferParameters):
    """Of prioritized level replay; defaults as in JaxUED's mazes."""

    replay_probability: Array = traced(0.8, "Of replaying, once the buffer is full enough.", low=0.0, high=1.0)
    fill: Array = traced(0.5, "Share of the buffer that is filled before anything is replayed.", low=0.0, high=1.0)
    train_on_new: Array = traced(True, "Learn from new levels too, not from replays alone.")
    score: LevelScore = score_field(
        "max_mc", "What levels are ordered by: a named score, or a graph of registers of a level."
    )


@hyperparameters
class RobustPlrParameters(PlrParameters):
    """Of robust prioritized level replay."""

    train_on_new: Array = traced(False, "Learn from new levels too, not from replays alone.")


class PlrState(NamedTuple):
    """The levels held."""

    buffer: LevelBuffer


@dataclass(frozen=True)
class Plr(Teacher[Any]):
    """Levels drawn at random are kept while they score high, and replayed by score and staleness.

    A proposal is all new or all replayed. The agent learns from both. Defaults are JaxUED's.
    """

    name: ClassVar[str] = "plr"
    reference: ClassVar[str] = "Jiang et al., 2021, Prioritized Level Replay"
    Parameters: ClassVar[type[Any]] = PlrParameters

    def needs(self, params: PlrParameters) -> frozenset[str]:
        """Return the channels of the score, and returns, by which levels are remembered."""
        return channels_of(params.score) | {"returns"}

    def _init(self, params: PlrParameters, seed: Array) -> Any:
        return PlrState(LevelBuffer.empty(params.capacity, self.space.dimensions))

    def _propose(self, params: PlrParameters, state: Any, key: Array, n: int) -> Proposal:
        keys = jax.random.split(key, 3)
        again = jax.random.uniform(keys[0]) < params.replay_probability
        again &= state.buffer.size >= jnp.maximum(params.fill * params.capacity, 1.0)
        levels = jnp.where(again, replay(params, state.buffer, keys[1], n), self.space.draw(keys[2], n))
        return Proposal(levels, jnp.broadcast_to(again | params.train_on_new, (n,)))

    def _update(self, params: PlrParameters, state: Any, points: Array, channels: Channels, valid: Array) -> Any:
        return state._replace(buffer=self._told(params, state.buffer, points, channels, valid)[0])

    def _told(
        self, params: PlrParameters, buffer: LevelBuffer, points: Array, channels: Channels, valid: Array
    ) -> tuple[LevelBuffer, Array]:
        """Return the buffer after episodes, and which of the levels that it held before them they were of, bool [C]."""
        returns = channels["returns"]
        place, known = find(points, buffer.levels, buffer.filled)
        successes = channels.get("successes", jnp.zeros_like(returns))
        registers = _registers(buffer, place, known, channels, successes)
        scores = params.score.per_sample({name: registers[name] for name in params.score.needs})
        after = told(params, buffer, points, scores, returns, successes, valid)
        outside = jnp.where(known & valid, place, params.capacity)
        return after, jnp.zeros(params.capacity, jnp.bool_).at[outside].set(True, mode="drop")


def _registers(
    buffer: LevelBuffer, place: Array, known: Array, channels: Channels, successes: Array
) -> dict[str, Array]:
    """Return what scores may read of n episodes, float32 [n] each; those whose channel is not measured are left out.

    Args:
        buffer: The levels before these episodes.
        place: int32 [n], where in it each level stands.
        known: bool [n], whether it does.
        channels: What was measured.
        successes: float32 [n].
    """
    returns = channels["returns"]
    age = (buffer.clock - buffer.played[place]) / jnp.maximum(buffer.clock, 1)
    given = {
        "value": "mean_values",
        "positive_value_loss": "positive_value_losses",
        "absolute_value_loss": "absolute_value_losses",
        "antagonist_return": "antagonist_returns",
    }
    return {
        "return": returns,
        "max_return": jnp.where(known, jnp.maximum(returns, buffer.best[place]), returns),
        "previous_return": jnp.where(known, buffer.last[place], 0.0),
        "success_rate": jnp.where(known, rates(buffer.rate[place], buffer.visits[place], successes, 1.0), successes),
        "staleness": jnp.where(known, age, 0.0).astype(jnp.float32),
        **{register: channels[channel] for register, channel in given.items() if channel in channels},
    }


@dataclass(frozen=True)
class RobustPlr(Plr):
    """Prioritized level replay whose agent learns from replayed levels only: new ones are looked at, for their score.

    So at a Nash equilibrium its policy is one of minimax regret.
    """

    name: ClassVar[str] = "robust_plr"
    reference: ClassVar[str] = "Jiang et al., 2021, Replay-Guided Adversarial Environment Design"
    Parameters: ClassVar[type[Any]] = RobustPlrParameters
