"""What learners with a replay share: loops with bounds that are data, counting, target updates, the buffer's allocation.

One iteration of such a learner is ``train_freq`` steps of ``n_envs`` environments, then ``gradient_steps`` updates, as in
ARLBench (Becktepe et al., 2024) and Stable-Baselines3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import jax.numpy as jnp
from jax import Array, lax

from autorl.errors import UsageError
from autorl.inner import replay as buffer
from autorl.inner.branching import update_if
from autorl.inner.course import Course
from autorl.inner.normalisation import Moments, merge
from autorl.inner.protocol import Progress, make_hyperparameters
from autorl.inner.replay import Prioritisation, Replay
from autorl.inner.rollout import RETURN_DECAY

ACT, LEARN = 0, 1
"""Streams of random words: one block for each step, one for each update."""

T = TypeVar("T")
H = TypeVar("H", bound="OffPolicyHyperparameters")


class OffPolicyHyperparameters(Protocol):
    """The hyperparameters that all such learners have; scalars, the sizes static."""

    @property
    def train_freq(self) -> Array:
        """int32; steps of all environments between updates."""

    @property
    def gradient_steps(self) -> Array:
        """int32; updates after these steps."""

    @property
    def learning_starts(self) -> Array:
        """int32; environment steps before the first update."""

    @property
    def target_update_interval(self) -> Array:
        """int32; environment steps from one target update to the next."""

    @property
    def tau(self) -> Array:
        """float32; part of the way that a target update goes."""

    @property
    def normalize_observations(self) -> Array:
        """bool; by their running mean and variance."""

    @property
    def buffer_size(self) -> Array:
        """int32; transitions kept."""

    @property
    def buffer_prio_sampling(self) -> Array:
        """bool; draw transitions by their TD errors."""

    @property
    def buffer_alpha(self) -> Array:
        """float32; exponent of priorities."""

    @property
    def buffer_beta(self) -> Array:
        """float32; exponent of importance weights."""

    @property
    def buffer_epsilon(self) -> Array:
        """float32; added to absolute TD errors."""

    @property
    def buffer_batch_size(self) -> int:
        """Transitions of one update."""

    @property
    def n_envs(self) -> int:
        """Environments side by side."""

    @property
    def teacher(self) -> Course | None:
        """What sets the tasks of the episodes; None: all are of the same one."""


def prepared(cls: type[H], values: Mapping[str, Any], horizon: int, upper_bounds: Mapping[str, float]) -> H:
    """Return the hyperparameters ``cls`` of a training of ``horizon`` env steps; missing ones take their default.

    The allocation ``buffer_capacity``, unless given, is the smallest power of two that holds every ``buffer_size`` up
    to the larger of its value and its upper bound in ``upper_bounds``, but no more than the training produces: one
    program then serves a whole space.

    Raises:
        IncompatibleError: The learner cannot minimise the objective.
        UsageError: Listing every unknown name and value out of range; or no single iteration fits into ``horizon``.
    """
    hp = make_hyperparameters(cls, values)
    if int(hp.train_freq) * hp.n_envs > horizon:
        raise UsageError(
            f"train_freq * n_envs: one iteration of {int(hp.train_freq)} * {hp.n_envs} env steps does not fit into a "
            f"training of {horizon}; make the budget's env_steps larger, or train_freq or n_envs smaller"
        )
    largest = max(int(hp.buffer_size), int(upper_bounds.get("buffer_size", 0)))
    capacity = _power_of_two(max(min(horizon, largest), hp.n_envs))
    capacity = _power_of_two(int(values.get("buffer_capacity", capacity)))
    if capacity < hp.n_envs:
        raise UsageError(f"buffer_capacity: expected at least n_envs = {hp.n_envs}, got {capacity}")
    return make_hyperparameters(cls, {**values, "buffer_capacity": capacity})


def prioritisation(hp: OffPolicyHyperparameters) -> Prioritisation:
    """Return the settings of the replay."""
    return Prioritisation(hp.buffer_prio_sampling, hp.buffer_alpha, hp.buffer_beta, hp.buffer_epsilon)


def target_updates(hp: OffPolicyHyperparameters, before: Array, after: Array) -> Array:
    """Return how many target updates (int32) fall due after ``before`` and up to ``after`` env steps.

    One falls due every ``target_update_interval`` env steps, rounded up to whole steps of all environments.
    """
    interval = -(-hp.target_update_interval // hp.n_envs) * hp.n_envs
    return after // interval - before // interval


def updated_target(
    target: Array, parameters: Array, hp: OffPolicyHyperparameters, before: Array, after: Array
) -> Array:
    """Return ``target`` after the target updates that fell due since env step ``before`` and up to ``after``."""
    due = target_updates(hp, before, after)
    # the parameters stood still meanwhile, so several updates are one that goes further
    share = 1.0 - jnp.power(1.0 - hp.tau, due.astype(jnp.float32))
    return update_if(due > 0, lambda old: old + share * (parameters - old), target)


def take_in(
    replay: Replay, moments: Moments, hp: OffPolicyHyperparameters, size: Array, start: Array
) -> tuple[Replay, Moments]:
    """Give priorities to what one iteration's steps stored since position ``start``, and add it to the moments."""
    count, width = hp.n_envs, moments.mean.shape[0]
    steps = jnp.minimum(hp.train_freq, size // count)  # a ring smaller than the rollout kept only its end

    def add(moments: Moments) -> Moments:
        def one(i: Array, now: Moments) -> Moments:
            first = lax.rem(start + i * count, size)
            rows = lax.dynamic_slice_in_dim(replay.rows, first, count)
            return merge(now, rows[:, :width])

        return lax.fori_loop(0, steps, one, moments)

    moments = update_if(hp.normalize_observations, add, moments)
    return buffer.admit(replay, start, steps, count, size, prioritisation(hp)), moments


def updates_until(hp: OffPolicyHyperparameters, progress: Progress, replay: Replay, size: Array) -> Array:
    """Return the number of updates (int32) that this iteration goes on to; none is made if it is too early."""
    enough = replay.filled >= jnp.minimum(size, hp.buffer_batch_size)
    ready = (progress.env_steps > hp.learning_starts) & enough
    return progress.updates + jnp.where(ready, hp.gradient_steps, 0)


def initial_progress(metrics: tuple[str, ...]) -> Progress:
    """Return what is counted, before the first step."""
    return Progress(
        env_steps=jnp.zeros((), jnp.int32),
        updates=jnp.zeros((), jnp.int32),
        diverged=jnp.zeros((), jnp.bool_),
        train_return=jnp.full((), jnp.nan, jnp.float32),
        metrics=dict.fromkeys(metrics, jnp.zeros((), jnp.float32)),
    )


def repeat(count: Array, step: Callable[[T], T], state: T) -> T:
    """Apply ``step`` ``count`` (int32, traced) times, four in a row where that fits: a turn of a loop costs a quarter of one."""

    def four(turn: Array, now: T) -> T:
        del turn
        for _ in range(4):
            now = step(now)
        return now

    state = lax.fori_loop(0, count // 4, four, state)
    return lax.fori_loop(0, lax.rem(count, 4), lambda _, now: step(now), state)


def average_return(before: Array, total: Array, done: Array) -> Array:
    """Return the exponential average of returns after a step in which the episodes ``done`` [B] ended with ``total``."""
    count = jnp.sum(done, dtype=jnp.float32)
    mean = jnp.sum(jnp.where(done, total, 0.0)) / count
    keep = jnp.power(RETURN_DECAY, count)
    after = jnp.where(jnp.isnan(before), mean, keep * before + (1.0 - keep) * mean)
    return jnp.where(count > 0.0, after, before)


def _power_of_two(n: int) -> int:
    """Return the smallest power of two that is at least ``n``."""
    return 1 << max(n - 1, 0).bit_length()
