"""Stochastic policies: from network outputs to actions, with all their noise drawn beforehand.

A rollout's noise comes from one call to the generator before the time loop; inside it, sampling is arithmetic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from autorl.environments.protocol import Box, Discrete

_LOG_2_PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Categorical:
    """Softmax over ``n`` actions. Outputs are logits [..., n]; actions are stored as float32 [..., 1]."""

    n: int

    @property
    def size(self) -> int:
        """Numbers that store one action."""
        return 1

    def noise(self, key: Array, shape: tuple[int, ...]) -> Array:
        """Return the noise of ``shape`` samples: float32 [*shape, n]."""
        return jax.random.gumbel(key, (*shape, self.n), jnp.float32)

    def sample(self, logits: Array, log_std: Array, noise: Array) -> Array:
        """Return actions [..., 1]: the Gumbel-max trick, exact."""
        del log_std
        return _argmax(logits + noise)

    def mode(self, logits: Array) -> Array:
        """Return the most likely actions [..., 1]."""
        return _argmax(logits)

    def to_environment(self, actions: Array) -> Array:
        """Return int32 [...] for stored actions [..., 1]."""
        return actions[..., 0].astype(jnp.int32)

    def from_environment(self, actions: Array) -> Array:
        """Return stored actions [..., 1] for the environment's, [...]."""
        return actions[..., None].astype(jnp.float32)

    def log_prob(self, logits: Array, log_std: Array, actions: Array) -> Array:
        """Return float32 [...]."""
        del log_std
        chosen = actions == _indices(logits)
        return jnp.sum(jnp.where(chosen, logits, 0.0), axis=-1) - jax.nn.logsumexp(logits, axis=-1)

    def entropy(self, logits: Array, log_std: Array) -> Array:
        """Return float32 [...], in nats."""
        del log_std
        logs = jax.nn.log_softmax(logits)
        return -jnp.sum(jnp.exp(logs) * logs, axis=-1)


@dataclass(frozen=True)
class Gaussian:
    """Independent normals with a state-independent deviation; outputs are means [..., A] on the scale of [-1, 1].

    Actions are stored unclipped; for the environment they are scaled to its bounds and clipped (as usual since Schulman
    et al., 2017: the density is that of the unclipped action).
    """

    low: float
    high: float
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Numbers that store one action."""
        return math.prod(self.shape)

    def noise(self, key: Array, shape: tuple[int, ...]) -> Array:
        """Return the noise of ``shape`` samples: float32 [*shape, A]."""
        return jax.random.normal(key, (*shape, self.size), jnp.float32)

    def sample(self, mean: Array, log_std: Array, noise: Array) -> Array:
        """Return actions [..., A]."""
        return mean + _aligned(jnp.exp(log_std), mean) * noise

    def mode(self, mean: Array) -> Array:
        """Return the most likely actions [..., A]."""
        return mean

    def to_environment(self, actions: Array) -> Array:
        """Return float32 [..., *shape] within the bounds, for stored actions [..., A]."""
        bounded = jnp.clip(actions, -1.0, 1.0)
        scaled = self.low + (bounded + 1.0) * (0.5 * (self.high - self.low))
        return scaled.reshape(*actions.shape[:-1], *self.shape)

    def from_environment(self, actions: Array) -> Array:
        """Return stored actions [..., A] for the environment's, [..., *shape]; they lie within [-1, 1]."""
        flat = actions.reshape(*actions.shape[: actions.ndim - len(self.shape)], self.size).astype(jnp.float32)
        return jnp.clip(2.0 * (flat - self.low) / (self.high - self.low) - 1.0, -1.0, 1.0)

    def log_prob(self, mean: Array, log_std: Array, actions: Array) -> Array:
        """Return float32 [...]."""
        standard = (actions - mean) * _aligned(jnp.exp(-log_std), mean)
        return -jnp.sum(0.5 * jnp.square(standard) + _aligned(log_std, mean) + 0.5 * _LOG_2_PI, axis=-1)

    def entropy(self, mean: Array, log_std: Array) -> Array:
        """Return float32 [...], in nats (the same for every observation)."""
        return jnp.broadcast_to(jnp.sum(log_std + 0.5 * (1.0 + _LOG_2_PI)), mean.shape[:-1])


Policy = Categorical | Gaussian


def make_policy(space: Discrete | Box) -> Policy:
    """Return the policy that acts in ``space``."""
    if isinstance(space, Discrete):
        return Categorical(space.n)
    return Gaussian(space.low, space.high, space.shape)


def _indices(logits: Array) -> Array:
    """Return 0..n-1 as float32, of as many axes as ``logits``."""
    n = logits.shape[-1]
    return jnp.arange(n, dtype=jnp.float32).reshape((1,) * (logits.ndim - 1) + (n,))


def _argmax(scores: Array) -> Array:
    if scores.shape[-1] == 2:  # argmax is a two-value reduction, slow in a time loop
        return (scores[..., 1:] > scores[..., :1]).astype(jnp.float32)
    return jnp.argmax(scores, axis=-1, keepdims=True).astype(jnp.float32)


def _aligned(vector: Array, like: Array) -> Array:
    return vector.reshape((1,) * (like.ndim - 1) + (-1,))
