"""What soft actor-critic minimises (Haarnoja et al., 2018, "Soft actor-critic algorithms and applications"), on one batch."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array


def soft_targets(
    reward: Array, terminated: Array, next_values: Array, next_log_prob: Array, alpha: Array, gamma: Array
) -> Array:
    """Return ``r + gamma (1 - terminated) (min_i Q_i(s', a') - alpha log pi(a'|s'))`` [N] (equations 3 and 5).

    Args:
        reward: float32 [N], scaled.
        terminated: float32 [N]; 0 also at a time limit.
        next_values: float32 [2, N]; of both target critics, for actions a' that the policy draws in s'.
        next_log_prob: float32 [N]; of these actions.
        alpha: Temperature, float32 scalar.
        gamma: Discount, float32 scalar.
    """
    soft = jnp.min(next_values, axis=0) - alpha * next_log_prob
    return reward + gamma * (1.0 - terminated) * soft


def critic_loss(values: Array, targets: Array, weights: Array) -> tuple[Array, Array]:
    """Return the sum over both critics of half the weighted mean squared TD error, and the TD errors [2, N].

    Args:
        values: float32 [2, N]; Q_i(s, a).
        targets: float32 [N].
        weights: float32 [N]; importance weights.
    """
    errors = targets[None] - values
    return 0.5 * jnp.sum(jnp.mean(weights[None] * jnp.square(errors), axis=1)), errors


def actor_loss(log_prob: Array, values: Array, alpha: Array, weights: Array) -> Array:
    """Return the weighted mean of ``alpha log pi(a|s) - min_i Q_i(s, a)`` (equation 9), a scalar.

    Args:
        log_prob: float32 [N]; of actions that the policy draws in s.
        values: float32 [2, N]; of both critics for these actions.
        alpha: Temperature, float32 scalar.
        weights: float32 [N]; importance weights (ARLBench weighs the actor's loss too).
    """
    return jnp.mean(weights * (alpha * log_prob - jnp.min(values, axis=0)))


def temperature_slope(log_alpha: Array, entropy: Array, target_entropy: Array) -> Array:
    """Return the slope in ``log_alpha`` of ``alpha (entropy - target_entropy)`` (equation 18), a scalar.

    Descending it, alpha rises while the policy's entropy is below its target.
    """
    return jnp.exp(log_alpha) * (entropy - target_entropy)
