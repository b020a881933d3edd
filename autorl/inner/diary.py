"""A diary of a training under a teacher: which tasks were played, when, and what came of them. Of fixed shape, part of the state."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

INTERVALS = 20
"""Equal parts of a training, K."""
BINS = 16
"""Equal parts of each feature's range, N."""


class Diary(NamedTuple):
    """Counts and sums over the episodes that ended in each of K intervals, by the bin of each of F features of their task.

    Attributes:
        episodes: int32 [K, F, N].
        returns: float32 [K, F, N]; sums of undiscounted returns, of those that are finite.
        successes: float32 [K, F, N]; sums of successes.
        unlearned: int32 [K]; env steps that were not learned from.
    """

    episodes: Array
    returns: Array
    successes: Array
    unlearned: Array


class Episodes(NamedTuple):
    """N steps and the episodes that they ended.

    Attributes:
        features: float32 [N, F] within [0, 1]; of the task.
        returns: float32 [N].
        successes: float32 [N].
        ended: bool [N]; whether the step ended an episode.
        train: bool [N]; whether the step is learned from.
    """

    features: Array
    returns: Array
    successes: Array
    ended: Array
    train: Array


def empty_diary(features: int) -> Diary:
    """Return the diary before the first episode."""
    none = jnp.zeros((INTERVALS, features, BINS), jnp.float32)
    return Diary(none.astype(jnp.int32), none, none, jnp.zeros(INTERVALS, jnp.int32))


def written(diary: Diary, told: Episodes, part: Array) -> Diary:
    """Return the diary after a rollout that was made when ``part`` (float32 scalar, 0 to 1) of the training was done."""
    interval = _interval(part)
    bins = jnp.clip((told.features * BINS).astype(jnp.int32), 0, BINS - 1)
    axis = jnp.arange(told.features.shape[1])[None]
    finite = told.ended & jnp.isfinite(told.returns)

    def by_bin(values: Array) -> Array:
        return jnp.zeros(diary.episodes.shape[1:], values.dtype).at[axis, bins].add(values[:, None])

    return Diary(
        episodes=diary.episodes.at[interval].add(by_bin(told.ended.astype(jnp.int32))),
        returns=diary.returns.at[interval].add(by_bin(jnp.where(finite, told.returns, 0.0))),
        successes=diary.successes.at[interval].add(by_bin(jnp.where(told.ended, told.successes, 0.0))),
        unlearned=looked_at(diary, told.train, part).unlearned,
    )


def looked_at(diary: Diary, train: Array, part: Array) -> Diary:
    """Return the diary with those of N steps counted that are not learned from; ``train`` is bool [N], ``part`` as in `written`."""
    return diary._replace(unlearned=diary.unlearned.at[_interval(part)].add(jnp.sum(~train, dtype=jnp.int32)))


def _interval(part: Array) -> Array:
    return jnp.clip((part * INTERVALS).astype(jnp.int32), 0, INTERVALS - 1)
