"""A diary of a training under a teacher: which tasks were played, when, and what came of them. Of fixed shape, part of the state."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

INTERVALS = 20
"""Equal parts of a training, K."""
BINS = 16
"""Equal parts of each feature's range, N."""


SAMPLES = 6
"""Levels kept of each interval."""


class Levels(NamedTuple):
    """Levels of some of the episodes learned from that ended in each of K intervals, S of them drawn uniformly. Where D is 0, none is kept.

    Attributes:
        points: float32 [K, S, D].
        returns: float32 [K, S].
        successes: float32 [K, S].
        priority: float32 [K, S]; random, the greatest of the interval's; 0 where there is no level.
    """

    points: Array
    returns: Array
    successes: Array
    priority: Array


class Diary(NamedTuple):
    """Counts and sums over the episodes that ended in each of K intervals, by the bin of each of F features of their task.

    Attributes:
        episodes: int32 [K, F, N].
        returns: float32 [K, F, N]; sums of undiscounted returns, of those that are finite.
        successes: float32 [K, F, N]; sums of successes.
        features: float32 [K, F]; sums of the features themselves, within [0, 1].
        steps: int32 [K]; env steps of the rollouts that began in the interval.
        unlearned: int32 [K]; those of them that were not learned from.
        levels: Some of the tasks themselves, where they are levels.
    """

    episodes: Array
    returns: Array
    successes: Array
    features: Array
    steps: Array
    unlearned: Array
    levels: Levels


class Episodes(NamedTuple):
    """The episodes that N steps ended.

    Attributes:
        features: float32 [N, F] within [0, 1]; of the task.
        returns: float32 [N].
        successes: float32 [N].
        ended: bool [N]; whether the step ended an episode.
        train: bool [N]; whether the step is learned from.
        points: float32 [N, D]; the tasks, of which levels are kept; None: none is.
    """

    features: Array
    returns: Array
    successes: Array
    ended: Array
    train: Array
    points: Array | None = None


def empty_diary(features: int, dimensions: int = 0) -> Diary:
    """Return the diary before the first episode; it keeps levels of ``dimensions`` numbers, or none if that is 0."""
    none, sample = jnp.zeros((INTERVALS, features, BINS), jnp.float32), jnp.zeros((INTERVALS, SAMPLES), jnp.float32)
    levels = Levels(jnp.zeros((*sample.shape, dimensions), jnp.float32), sample, sample, sample)
    steps = jnp.zeros(INTERVALS, jnp.int32)
    return Diary(none.astype(jnp.int32), none, none, none[:, :, 0], steps, steps, levels)


def written(diary: Diary, told: Episodes, part: Array) -> Diary:
    """Return the diary with the episodes of a rollout that began when ``part`` (float32 scalar, 0 to 1) of the training was done.

    Its steps are counted by `stepped`.
    """
    interval = _interval(part)
    bins = jnp.clip((told.features * BINS).astype(jnp.int32), 0, BINS - 1)
    axis = jnp.arange(told.features.shape[1])[None]
    finite = told.ended & jnp.isfinite(told.returns)

    def by_bin(values: Array) -> Array:
        return jnp.zeros(diary.episodes.shape[1:], values.dtype).at[axis, bins].add(values[:, None])

    return diary._replace(
        episodes=diary.episodes.at[interval].add(by_bin(told.ended.astype(jnp.int32))),
        returns=diary.returns.at[interval].add(by_bin(jnp.where(finite, told.returns, 0.0))),
        successes=diary.successes.at[interval].add(by_bin(jnp.where(told.ended, told.successes, 0.0))),
        features=diary.features.at[interval].add(jnp.sum(jnp.where(told.ended[:, None], told.features, 0.0), axis=0)),
        levels=_sampled(diary.levels, told, finite & told.train, interval, part),
    )


def stepped(diary: Diary, train: Array, part: Array, agents: int = 1) -> Diary:
    """Return the diary with N steps counted, each by every one of the ``agents``; ``train`` is bool [N], ``part`` as in `written`."""
    interval = _interval(part)
    return diary._replace(
        steps=diary.steps.at[interval].add(agents * train.size),
        unlearned=diary.unlearned.at[interval].add(agents * jnp.sum(~train, dtype=jnp.int32)),
    )


def _interval(part: Array) -> Array:
    return jnp.clip((part * INTERVALS).astype(jnp.int32), 0, INTERVALS - 1)


def _sampled(levels: Levels, told: Episodes, learned: Array, interval: Array, part: Array) -> Levels:
    """Return the levels with those of the ``learned`` [N] episodes that drew one of the greatest priorities of the interval.

    A sample of the greatest of independent priorities is uniform over all that drew one (reservoir sampling).
    """
    if levels.points.shape[-1] == 0 or told.points is None:
        return levels
    key = jax.random.fold_in(jax.random.key(0), lax.bitcast_convert_type(part.astype(jnp.float32), jnp.int32))
    # above 0, which says that there is none
    drawn = jnp.where(learned, jax.random.uniform(key, learned.shape, minval=1e-6), 0.0)
    count = min(SAMPLES, len(drawn))
    greatest, rows = lax.top_k(drawn, count)
    fresh = Levels(told.points[rows], told.returns[rows], told.successes[rows], greatest)
    both = jax.tree.map(lambda old, new: jnp.concatenate([old[interval], new]), levels, fresh)
    _, kept = lax.top_k(both.priority, SAMPLES)
    return jax.tree.map(lambda old, all_of: old.at[interval].set(all_of[kept]), levels, both)
