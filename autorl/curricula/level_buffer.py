"""A buffer of levels with scores: which to replay, and which a new one replaces (Jiang et al., 2021, Prioritized Level Replay)."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from autorl.curricula.protocol import choose
from autorl.curricula.tasks import find, first_alike
from autorl.declarations import hyperparameters, static, traced

REMEMBERED = 10.0
"""Episodes of a level that its success rate is about: the agent that played earlier ones was another."""


@hyperparameters
class BufferParameters:
    """Of a level buffer; defaults as in JaxUED's mazes."""

    staleness: Array = traced(
        0.3, "Share of a level's probability that is for not having been played.", low=0.0, high=1.0
    )
    temperature: Array = traced(0.3, "Of priorities by rank: 1 / rank ** (1 / temperature).", low=0.01, high=100.0)
    top: Array = traced(1, "Levels among which priorities by topk choose.", low=1)
    priority: str = static("rank", "How scores become probabilities.", choices=("rank", "topk"))
    capacity: int = static(4000, "Room for levels.", low=2, high=1_000_000)


class LevelBuffer(NamedTuple):
    """Levels and what is known of them. The first ``size`` places are filled.

    Attributes:
        levels: float32 [C, D], in [0, 1].
        scores: float32 [C].
        best: float32 [C], greatest return so far.
        last: float32 [C], mean return the last time.
        rate: float32 [C], success rate.
        visits: float32 [C], episodes in it.
        played: int32 [C], the clock when it was played last.
        size: int32, levels held.
        clock: int32, episodes so far.
    """

    levels: Array
    scores: Array
    best: Array
    last: Array
    rate: Array
    visits: Array
    played: Array
    size: Array
    clock: Array

    @classmethod
    def empty(cls, capacity: int, dimensions: int) -> LevelBuffer:
        """Return the buffer of no level."""
        none, zero = jnp.zeros(capacity), jnp.int32(0)
        played = none.astype(jnp.int32)
        return cls(jnp.zeros((capacity, dimensions)), none, none, none, none, none, played, zero, zero)

    @property
    def filled(self) -> Array:
        """Which places hold a level, bool [C]."""
        return jnp.arange(len(self.scores)) < self.size


def probabilities(params: BufferParameters, buffer: LevelBuffer) -> Array:
    """Return the probability of replaying each level, float32 [C]; 0 for empty places, all 0 if there is no level.

    ``(1 - staleness) * by score + staleness * by the episodes since it was played``, both normalised.
    """
    filled = buffer.filled
    order = jnp.argsort(jnp.where(filled, -buffer.scores, jnp.inf), stable=True)
    # the order says which level has a rank; a rank is where in the order a level stands
    rank = jnp.zeros(len(order), jnp.int32).at[order].set(jnp.arange(1, len(order) + 1))
    if params.priority == "rank":
        weights = jnp.exp(-jnp.log(rank.astype(jnp.float32)) / params.temperature)
    else:
        weights = jnp.where(rank <= params.top, jnp.exp(buffer.scores - buffer.scores[order[0]]), 0.0)
    by_score = _normalised(weights, filled)
    by_age = _normalised((buffer.clock - buffer.played).astype(jnp.float32), filled)
    return (1.0 - params.staleness) * by_score + params.staleness * by_age


def replay(params: BufferParameters, buffer: LevelBuffer, key: Array, n: int) -> Array:
    """Draw n levels, float32 [n, D], each on its own by `probabilities`."""
    return buffer.levels[choose(key, probabilities(params, buffer), n)]


def rates(rate: Array, visits: Array, success: Array, episodes: Array | float) -> Array:
    """Return success rates after ``episodes`` more of mean ``success``: the mean of all, or over about the last `REMEMBERED`."""
    share = episodes / jnp.clip(visits + episodes, 1.0, REMEMBERED)
    return rate + jnp.minimum(share, 1.0) * (success - rate)


def told(
    params: BufferParameters,
    buffer: LevelBuffer,
    points: Array,
    scores: Array,
    returns: Array,
    successes: Array,
    valid: Array,
) -> LevelBuffer:
    """Return the buffer after episodes at ``points`` [n, D] of ``scores``, ``returns`` and ``successes`` [n], if ``valid`` [n].

    A level that is held takes the mean of its new scores. A new one fills an empty place, or else replaces the level of least
    probability, if that has a smaller score; of several, the best goes with the least probable. In one update they are all judged by
    the probabilities before it.
    """
    place, known = find(points, buffer.levels, buffer.filled)
    clock = buffer.clock + valid.sum(dtype=jnp.int32)
    seen = _refreshed(buffer._replace(clock=clock), place, known & valid, scores, returns, successes)
    first = first_alike(points, valid)
    new = valid & ~known & (first == jnp.arange(len(points)))
    candidates = _refreshed(
        LevelBuffer.empty(len(points), points.shape[1])._replace(levels=points, best=returns, clock=clock),
        first, valid & ~known, scores, returns, successes,
    )  # fmt: skip
    return _inserted(params, seen, candidates, new)


def _refreshed(
    buffer: LevelBuffer, place: Array, here: Array, scores: Array, returns: Array, successes: Array
) -> LevelBuffer:
    """Return the buffer with the episodes that are ``here`` [n] noted at their ``place`` [n]."""
    outside = jnp.where(here, place, len(buffer.scores))
    none = jnp.zeros(len(buffer.scores))
    visits = none.at[outside].add(1.0, mode="drop")
    touched = visits > 0
    mean = lambda values: none.at[outside].add(values, mode="drop") / jnp.maximum(visits, 1.0)  # noqa: E731
    return buffer._replace(
        scores=jnp.where(touched, mean(scores), buffer.scores),
        best=buffer.best.at[outside].max(returns, mode="drop"),
        last=jnp.where(touched, mean(returns), buffer.last),
        rate=jnp.where(touched, rates(buffer.rate, buffer.visits, mean(successes), visits), buffer.rate),
        visits=buffer.visits + visits,
        played=jnp.where(touched, buffer.clock, buffer.played),
    )


def _inserted(params: BufferParameters, buffer: LevelBuffer, candidates: LevelBuffer, new: Array) -> LevelBuffer:
    """Return the buffer with those of the ``candidates`` that are ``new`` [n] and good enough."""
    capacity = len(buffer.scores)
    many = min(len(new), capacity)
    best_first = jnp.argsort(jnp.where(new, -candidates.scores, jnp.inf), stable=True)[:many]
    # empty places first, in their order, then the least probable
    worth = jnp.where(buffer.filled, probabilities(params, buffer), jnp.arange(capacity) / capacity - 2.0)
    places = jnp.argsort(worth, stable=True)[:many]
    empty = ~buffer.filled[places]
    taken = new[best_first] & (empty | (candidates.scores[best_first] > buffer.scores[places]))
    where = jnp.where(taken, places, capacity)
    put = lambda old, fresh: old.at[where].set(fresh[best_first], mode="drop")  # noqa: E731
    return buffer._replace(
        levels=put(buffer.levels, candidates.levels),
        scores=put(buffer.scores, candidates.scores),
        best=put(buffer.best, candidates.best),
        last=put(buffer.last, candidates.last),
        rate=put(buffer.rate, candidates.rate),
        visits=put(buffer.visits, candidates.visits),
        played=put(buffer.played, candidates.played),
        size=buffer.size + (taken & empty).sum(dtype=jnp.int32),
    )


def _normalised(weights: Array, filled: Array) -> Array:
    """Return ``weights`` of the ``filled`` as shares; equal shares if all are 0."""
    held = jnp.where(filled, weights, 0.0)
    total = held.sum()
    return jnp.where(total > 0, held / jnp.maximum(total, 1e-30), filled / jnp.maximum(filled.sum(), 1))
