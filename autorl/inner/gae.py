"""Generalised advantage estimation (Schulman et al., 2016), with terminations and time limits told apart."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax


def next_values(values: Array, last_value: Array, final_values: Array, terminated: Array, truncated: Array) -> Array:
    """Return the value of what followed each step.

    Zero after a termination; after a truncation the value of the observation in which the episode was cut, not that of
    the next episode's first one (Pardo et al., 2018, "Time Limits in Reinforcement Learning").

    Args:
        values: float32 [T, B]; of the observations acted on.
        last_value: float32 [B]; of the observation after the last step.
        final_values: float32 [T, B]; of the observations reached, before any reset. Read only at truncations.
        terminated: bool [T, B].
        truncated: bool [T, B].
    """
    following = jnp.concatenate([values[1:], last_value[None]], axis=0)
    return jnp.where(terminated, 0.0, jnp.where(truncated, final_values, following))


def advantages(rewards: Array, values: Array, following: Array, done: Array, gamma: Array, gae_lambda: Array) -> Array:
    """Return the generalised advantages float32 [T, B].

    Args:
        rewards: float32 [T, B].
        values: float32 [T, B].
        following: float32 [T, B]; from `next_values`.
        done: bool [T, B]; terminated or truncated: no advantage flows back over the end of an episode.
        gamma: Discount, scalar.
        gae_lambda: Trace decay, scalar; 0 is the one-step error, 1 the Monte Carlo advantage.
    """
    deltas = rewards + gamma * following - values
    decays = jnp.where(done, 0.0, gamma * gae_lambda)

    def back(advantage: Array, step: tuple[Array, Array]) -> tuple[Array, Array]:
        delta, decay = step
        advantage = delta + decay * advantage
        return advantage, advantage

    _, result = lax.scan(back, jnp.zeros_like(deltas[0]), (deltas, decays), reverse=True, unroll=8)
    return result
