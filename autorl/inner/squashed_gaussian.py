"""The policy of soft actor-critic: a Gaussian, squashed by tanh into the action bounds (Haarnoja et al., 2018, appendix C).

Actions live on the scale of [-1, 1]: there they are stored, judged by critics, and have their density; only the environment
sees them scaled to its bounds. With bounds of width w the density there is the same but for a factor of 2 / w for each
dimension, a constant that Stable-Baselines3 and ARLBench leave out as well. Entropies are to be read so: at most log 2 nats
for each dimension.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

LOG_STD_LOW, LOG_STD_HIGH = -20.0, 2.0
"""Bounds of the logarithm of the standard deviation before squashing (Haarnoja et al., 2018)."""
_LOG_2, _LOG_2_PI = math.log(2.0), math.log(2.0 * math.pi)


@dataclass(frozen=True)
class SquashedGaussian:
    """``tanh(mean + std * noise)`` in A dimensions; networks put out [..., 2 A]: means, then logarithms of deviations.

    Attributes:
        low: Lower bound of every action of the environment.
        high: Upper bound.
        shape: Of one action of the environment; A is its product.
    """

    low: float
    high: float
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """A, numbers of one action."""
        return math.prod(self.shape)

    def sample(self, outputs: Array, noise: Array) -> tuple[Array, Array]:
        """Return actions [..., A] in [-1, 1] and their log-densities [...] there, in nats.

        Both are differentiable in ``outputs`` (the reparametrisation of equation 11).

        Args:
            outputs: Of the network, float32 [..., 2 A].
            noise: Standard normal, float32 [..., A].
        """
        mean, log_std = self._moments(outputs)
        before = mean + jnp.exp(log_std) * noise
        normal = -0.5 * jnp.square(noise) - log_std - 0.5 * _LOG_2_PI
        # log(1 - tanh(x)^2), exact also where tanh(x) rounds to 1
        slope = 2.0 * (_LOG_2 - before - jax.nn.softplus(-2.0 * before))
        return jnp.tanh(before), jnp.sum(normal - slope, axis=-1)

    def mode(self, outputs: Array) -> Array:
        """Return the squashed means [..., A], in [-1, 1]."""
        return jnp.tanh(self._moments(outputs)[0])

    def to_environment(self, actions: Array) -> Array:
        """Return float32 [..., *shape] within the bounds, for actions [..., A] in [-1, 1]."""
        scaled = self.low + (actions + 1.0) * (0.5 * (self.high - self.low))
        return scaled.reshape(*actions.shape[:-1], *self.shape)

    def _moments(self, outputs: Array) -> tuple[Array, Array]:
        """Return means and logarithms of deviations [..., A]."""
        return outputs[..., : self.size], jnp.clip(outputs[..., self.size :], LOG_STD_LOW, LOG_STD_HIGH)
