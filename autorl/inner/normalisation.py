"""Running mean and variance of observations, merged once for each rollout.

Within a rollout and the updates on it the statistics are those from before it, so the policy that acted and the policy
that learns see the same numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

EPSILON = 1e-8
BOUND = 10.0
"""Normalised observations are clipped to [-10, 10] (Stable-Baselines3's and baselines' ``VecNormalize``)."""


class Moments(NamedTuple):
    """Of all observations so far.

    Attributes:
        weight: float32 scalar; how many.
        mean: float32 [D].
        variance: float32 [D]; 1 before the first merge.
    """

    weight: Array
    mean: Array
    variance: Array


class Normaliser(NamedTuple):
    """An affine map and a clip: ``clip((x - shift) * scale, -bound, bound)``; the identity if switched off.

    Attributes:
        shift: float32 [D].
        scale: float32 [D].
        bound: float32 scalar.
    """

    shift: Array
    scale: Array
    bound: Array

    def __call__(self, x: Array) -> Array:
        """Return [..., D] for flat observations [..., D]."""
        lead = (1,) * (x.ndim - 1)
        shift, scale = self.shift.reshape(*lead, -1), self.scale.reshape(*lead, -1)
        return jnp.clip((x - shift) * scale, -self.bound, self.bound)


def initial_moments(size: int) -> Moments:
    """Return the moments of no observation: `normaliser` leaves the first rollout as it is (but for the clip)."""
    return Moments(jnp.zeros((), jnp.float32), jnp.zeros(size, jnp.float32), jnp.ones(size, jnp.float32))


def merge(moments: Moments, batch: Array, weights: Array | None = None) -> Moments:
    """Add a batch [N, D] to the moments (Chan, Golub and LeVeque, 1983: the parallel form of Welford's update).

    ``weights`` [N] count rows more or less, or not at all (0).
    """
    if weights is None:
        n = jnp.float32(batch.shape[0])
        mean = jnp.mean(batch, axis=0)
        variance = jnp.mean(jnp.square(batch - mean[None]), axis=0)
    else:
        n = jnp.sum(weights)
        share = (weights / jnp.maximum(n, 1e-9))[:, None]
        mean = jnp.sum(share * batch, axis=0)
        variance = jnp.sum(share * jnp.square(batch - mean[None]), axis=0)
    total = moments.weight + n
    if weights is not None:
        total = jnp.maximum(total, 1e-9)  # nothing learned from yet
    delta = mean - moments.mean
    share = n / total
    merged = moments.variance * (1.0 - share) + variance * share + jnp.square(delta) * share * (1.0 - share)
    return Moments(total, moments.mean + delta * share, merged)


def normaliser(moments: Moments, enabled: Array) -> Normaliser:
    """Return the map for ``moments``; the identity where ``enabled`` (bool scalar) is false."""
    return Normaliser(
        shift=jnp.where(enabled, moments.mean, 0.0),
        scale=jnp.where(enabled, 1.0 / jnp.sqrt(moments.variance + EPSILON), 1.0),
        bound=jnp.where(enabled, jnp.float32(BOUND), jnp.float32(jnp.inf)),
    )
