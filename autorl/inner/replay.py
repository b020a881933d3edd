"""Replay of transitions, uniform or prioritised (Schaul et al., 2016), in buffers that a loop changes in place.

A transition is one row of one array, so storing is one slice update and a batch is one gather. The ring may be smaller
than its allocation: its size is data, the allocation is shape, and one program serves every size of a search.

The next observation is stored with the transition: it is the one that the step reached, never that of a reset, and
``terminated`` alone says whether there is value after it. At a time limit there is.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from autorl.inner import sum_tree
from autorl.inner.branching import update_if
from autorl.inner.random_words import below, uniform
from autorl.inner.sum_tree import SumTree


class Transitions(NamedTuple):
    """A batch of transitions.

    Attributes:
        observation: float32 [N, D]; flat.
        next_observation: float32 [N, D]; reached by the step, before any reset.
        action: int32 [N]; or float32 [N, A] where actions are real numbers.
        reward: float32 [N].
        terminated: float32 [N]; 1 where the task ended, 0 also at a time limit.
    """

    observation: Array
    next_observation: Array
    action: Array
    reward: Array
    terminated: Array


class Replay(NamedTuple):
    """The buffer.

    Attributes:
        rows: float32 [capacity, 2 D + A + 2]; packed transitions, a discrete action being one number (A = 1).
        tree: Priorities to the power of alpha; 0 where nothing lies. Kept up to date for prioritised members only.
        max_priority: float32 scalar; the largest priority so far, given to new transitions.
        position: int32 scalar; where the next transition goes.
        filled: int32 scalar; rows [0, filled) hold transitions.
    """

    rows: Array
    tree: SumTree
    max_priority: Array
    position: Array
    filled: Array


class Prioritisation(NamedTuple):
    """Settings of prioritised replay, all scalars and traced.

    Attributes:
        enabled: bool; uniform replay otherwise.
        alpha: float32; exponent of priorities, 0 is uniform.
        beta: float32; exponent of importance weights, 1 corrects the bias in full.
        epsilon: float32; added to absolute TD errors.
    """

    enabled: Array
    alpha: Array
    beta: Array
    epsilon: Array


class Sample(NamedTuple):
    """What was drawn.

    Attributes:
        indices: int32 [N]; rows.
        transitions: The transitions [N].
        weights: float32 [N]; importance weights, the largest is 1.
    """

    indices: Array
    transitions: Transitions
    weights: Array


def empty(capacity: int, observation_size: int, action_size: int | None = None) -> Replay:
    """Return a buffer of ``capacity`` (a power of two) rows for flat observations of ``observation_size``.

    Actions are ``action_size`` real numbers; discrete where that is None.
    """
    return Replay(
        rows=jnp.zeros((capacity, 2 * observation_size + (action_size or 1) + 2), jnp.float32),
        tree=sum_tree.build(jnp.zeros(capacity, jnp.float32)),
        max_priority=jnp.ones((), jnp.float32),
        position=jnp.zeros((), jnp.int32),
        filled=jnp.zeros((), jnp.int32),
    )


def ring_size(replay: Replay, buffer_size: Array, count: int) -> Array:
    """Return the rows in use (int32): ``buffer_size`` within the allocation, in whole steps of ``count`` environments."""
    return jnp.maximum(jnp.minimum(buffer_size, replay.rows.shape[0]) // count, 1) * count


def begin(replay: Replay, size: Array, priority: Prioritisation) -> Replay:
    """Fit the buffer to settings that may have changed since it was filled (as population-based training does).

    Rows beyond a smaller ring are forgotten; transitions that a uniform member stored get a priority. Nothing changes,
    not a bit, where the settings are those from before: a training may be cut anywhere.

    Args:
        replay: The buffer.
        size: Ring size, of `ring_size`.
        priority: Settings.
    """
    filled = jnp.minimum(replay.filled, size)

    def fit(tree: SumTree) -> SumTree:
        leaves = tree[0]
        stored = jnp.arange(leaves.shape[0]) < filled
        fresh = jnp.power(replay.max_priority, priority.alpha)
        return sum_tree.build(jnp.where(stored, jnp.where(leaves > 0.0, leaves, fresh), 0.0))

    return replay._replace(
        tree=update_if(priority.enabled, fit, replay.tree),
        position=jnp.where(replay.position < size, replay.position, 0),
        filled=filled,
    )


def store(replay: Replay, new: Transitions, size: Array) -> Replay:
    """Add B transitions, over the oldest ones once the ring of ``size`` (a multiple of B) is full.

    They have no priority yet: `admit` gives it to all that a rollout stored, in one branch instead of one for each step.
    """
    row = jnp.concatenate(
        [
            new.observation,
            new.next_observation,
            new.action.astype(jnp.float32).reshape(new.reward.shape[0], -1),
            new.reward[:, None],
            new.terminated[:, None],
        ],
        axis=1,
    )
    stop = replay.position + row.shape[0]
    return replay._replace(
        rows=lax.dynamic_update_slice(replay.rows, row, (replay.position, jnp.zeros_like(stop))),
        position=jnp.where(stop < size, stop, 0),
        filled=jnp.maximum(replay.filled, stop),
    )


def admit(replay: Replay, start: Array, steps: Array, count: int, size: Array, priority: Prioritisation) -> Replay:
    """Give the largest priority so far to what was stored since ``start``: ``steps`` times ``count`` transitions.

    Args:
        replay: The buffer.
        start: int32 scalar; its position before.
        steps: int32 scalar.
        count: B of each step.
        size: Ring size.
        priority: Settings.
    """
    fresh = jnp.broadcast_to(jnp.power(replay.max_priority, priority.alpha), (count,))

    def give(tree: SumTree) -> SumTree:
        def one(i: Array, now: SumTree) -> SumTree:
            indices = lax.rem(start + i * count, size) + jnp.arange(count, dtype=jnp.int32)
            return sum_tree.update(now, indices, fresh)

        return lax.fori_loop(0, steps, one, tree)

    return replay._replace(tree=update_if(priority.enabled, give, replay.tree))


def sample(replay: Replay, words: Array, priority: Prioritisation, action_size: int | None = None) -> Sample:
    """Draw a batch with replacement; ``words`` are uint32 [N] random words. The buffer holds something.

    ``action_size`` is the one of `empty`.
    """

    def prioritised() -> tuple[Array, Array]:
        indices = sum_tree.sample(replay.tree, uniform(words))
        probability = replay.tree[0].at[indices].get(mode="promise_in_bounds")
        return indices, importance_weights(probability, priority.beta)

    def uniformly() -> tuple[Array, Array]:
        return below(words, replay.filled), jnp.ones(words.shape, jnp.float32)

    indices, weights = lax.cond(priority.enabled, prioritised, uniformly)
    rows = replay.rows.at[indices].get(mode="promise_in_bounds")
    return Sample(indices, unpack(rows, action_size), weights)


def importance_weights(probability: Array, beta: Array) -> Array:
    """Return (N P(i))**-beta over its largest in the batch [N] (section 3.4).

    N and the common scale of P cancel, so ``probability`` need not be normalised.
    """
    return jnp.power(jnp.min(probability) / probability, beta)


def reprioritise(replay: Replay, indices: Array, td_errors: Array, priority: Prioritisation) -> Replay:
    """Give the rows [N] the priority ``(|td_errors| + epsilon) ** alpha`` (proportional variant, section 3.3)."""

    def apply(operand: tuple[SumTree, Array]) -> tuple[SumTree, Array]:
        tree, largest = operand
        priorities = jnp.abs(td_errors) + priority.epsilon
        tree = sum_tree.update(tree, indices, jnp.power(priorities, priority.alpha))
        return tree, jnp.maximum(largest, jnp.max(priorities))

    tree, largest = update_if(priority.enabled, apply, (replay.tree, replay.max_priority))
    return replay._replace(tree=tree, max_priority=largest)


def unpack(rows: Array, action_size: int | None = None) -> Transitions:
    """Return the transitions of packed ``rows`` [N, 2 D + A + 2]; ``action_size`` is the one of `empty`."""
    size = (rows.shape[1] - (action_size or 1) - 2) // 2
    action = rows[:, 2 * size : -2]
    return Transitions(
        observation=rows[:, :size],
        next_observation=rows[:, size : 2 * size],
        action=action[:, 0].astype(jnp.int32) if action_size is None else action,
        reward=rows[:, -2],
        terminated=rows[:, -1],
    )
