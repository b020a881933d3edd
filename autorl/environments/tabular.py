"""Tabular decision processes as pytrees of arrays, and their exact values: no evaluation noise, no rollouts.

Letters for shapes: S states, A actions. All functions are of one process; ``vmap`` them over many.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.environments.protocol import Environment

Process = Mapping[str, Array]
"""One decision process, a dict of

- ``transition`` float32 [S, A, S]: probabilities of the next state;
- ``reward`` float32 [S, A, S]: reward of each transition, also of one that ends the episode;
- ``terminated`` bool [S, A, S]: whether that transition ends the episode, so that nothing is gained in the state it reaches;
- ``discount`` float32 scalar, below 1;
- ``initial`` float32 [S]: probabilities of the first state.
"""

LOWEST_SCORE = -1.0
"""Scores are cut off below: one process on which a policy is far worse than chance must not outweigh all others."""

_SWEEPS = 400
"""Of value iteration. The error shrinks by the discount with each: for .95, to 1e-9 of what it was."""
_DOUBLINGS = 10
"""A policy's value is summed over 2**10 steps: for a discount of .95, all but 1e-22 of it."""


@runtime_checkable
class TabularEnvironment(Environment, Protocol):
    """An environment whose tasks are processes, drawn from a distribution, and whose observations are one-hot states."""

    def sample_task(self, key: Array) -> dict[str, Array]:
        """Return a random process."""


def expected_rewards(process: Process) -> Array:
    """Return the mean reward of each action in each state, float32 [S, A]."""
    return jnp.sum(process["transition"] * process["reward"], axis=-1)


def discounted_transitions(process: Process) -> Array:
    """Return the discount times the probability to go on in each state, float32 [S, A, S]."""
    return process["discount"] * jnp.where(process["terminated"], 0.0, process["transition"])


def optimal_values(process: Process) -> Array:
    """Return the action values of an optimal policy, float32 [S, A], by value iteration."""
    reward, going = expected_rewards(process), discounted_transitions(process)

    def values(best: Array) -> Array:
        return reward + jnp.sum(going * best, axis=-1)

    best = lax.fori_loop(0, _SWEEPS, lambda _, best: jnp.max(values(best), axis=-1), jnp.zeros_like(reward[:, 0]))
    return values(best)


def policy_value(process: Process, policy: Array) -> Array:
    """Return the value of each state, float32 [S], under ``policy``, the probabilities of actions [S, A].

    Exact but for rounding: the sum over the first 2**n steps gives that over twice as many, with no linear system to solve
    (batched solvers can deadlock on several host devices).
    """
    value = jnp.sum(policy * expected_rewards(process), axis=-1)
    going = jnp.sum(policy[..., None] * discounted_transitions(process), axis=1)
    for _ in range(_DOUBLINGS):
        value = value + jnp.sum(going * value, axis=-1)
        going = jnp.sum(going[:, :, None] * going, axis=1)
    return value


def greedy(values: Array) -> Array:
    """Return the policy [S, A] that takes the action of the highest of ``values`` [S, A], the first of equal ones."""
    return jax.nn.one_hot(jnp.argmax(values, axis=-1), values.shape[-1], dtype=jnp.float32)


def initial_value(process: Process, policy: Array) -> Array:
    """Return the value of ``policy`` [S, A] before the first state is drawn, float32 scalar."""
    return jnp.sum(process["initial"] * policy_value(process, policy))


def reference_values(process: Process) -> tuple[Array, Array]:
    """Return `initial_value` of the uniformly random policy and of an optimal one: the scores 0 and 1."""
    best = greedy(optimal_values(process))
    uniform = jnp.full_like(best, 1.0 / best.shape[-1])
    return initial_value(process, uniform), initial_value(process, best)


def normalised_score(value: Array, references: tuple[Any, Any]) -> Array:
    """Return the score of a policy worth ``value``: 0 as the random policy, 1 as an optimal one, at least `LOWEST_SCORE`."""
    random, best = references
    return jnp.maximum((value - random) / jnp.maximum(best - random, 1e-6), LOWEST_SCORE)
