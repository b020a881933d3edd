"""What the operators of the language ``autorl`` do, in NumPy: values alone, no slopes. As `functions_jax`, which see."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
LIMIT = 1e10
"""As in `autorl.objectives.graphs.language`; repeated, so that this file stands alone."""


def bounded(x: Array) -> Array:
    """Return ``x`` within +-LIMIT."""
    return np.clip(x, np.float32(-LIMIT), np.float32(LIMIT))


def add(c: Array, x: Array, y: Array) -> Array:
    """Return x + y."""
    return x + y


def sub(c: Array, x: Array, y: Array) -> Array:
    """Return x - y."""
    return x - y


def mul(c: Array, x: Array, y: Array) -> Array:
    """Return x y."""
    return x * y


def div(c: Array, x: Array, y: Array) -> Array:
    """Return x / y, with y kept 1e-6 away from 0 (0 counts as positive)."""
    away: Array = np.where(np.abs(y) < 1e-6, np.where(y < 0.0, np.float32(-1e-6), np.float32(1e-6)), y)
    return x / away


def min(c: Array, x: Array, y: Array) -> Array:
    """Return the smaller."""
    return np.minimum(x, y)


def max(c: Array, x: Array, y: Array) -> Array:
    """Return the larger."""
    return np.maximum(x, y)


def greater(c: Array, x: Array, y: Array) -> Array:
    """Return 1 where x > y, else 0."""
    return np.where(x > y, np.float32(1.0), np.float32(0.0))


def square(c: Array, x: Array) -> Array:
    """Return x squared."""
    return x * x


def abs(c: Array, x: Array) -> Array:
    """Return |x|."""
    return np.abs(x)


def log(c: Array, x: Array) -> Array:
    """Return log |x|, with |x| at least 1e-8."""
    size = np.abs(x)
    return np.log(np.where(size < 1e-8, np.float32(1e-8), size))


def exp(c: Array, x: Array) -> Array:
    """Return the exponential of x, with x within +-20."""
    return np.exp(np.where(x > 20.0, np.float32(20.0), np.where(x < -20.0, np.float32(-20.0), x)))


def tanh(c: Array, x: Array) -> Array:
    """Return the hyperbolic tangent."""
    return np.tanh(x)


def relu(c: Array, x: Array) -> Array:
    """Return x where positive, else 0."""
    return np.where(x <= 0.0, np.float32(0.0), x)


def scale(c: Array, x: Array) -> Array:
    """Return c x."""
    return c * x


def stop_gradient(c: Array, x: Array) -> Array:
    """Return x."""
    return x


def constant(c: Array) -> Array:
    """Return c."""
    return np.asarray(c, np.float32).reshape(1, 1)


def select(c: Array, x: Array, y: Array) -> Array:
    """Return the entry of the list x that the one-hot action y names."""
    return np.sum(x * y, axis=0, keepdims=True)


def argmax_a(c: Array, x: Array) -> Array:
    """Return the action, one-hot, of the largest entry; the first of ties."""
    return np.where(
        np.arange(x.shape[0])[:, None] == np.argmax(x, axis=0, keepdims=True), np.float32(1.0), np.float32(0.0)
    )


def max_a(c: Array, x: Array) -> Array:
    """Return the largest entry."""
    return np.max(x, axis=0, keepdims=True)


def mean_a(c: Array, x: Array) -> Array:
    """Return the mean over actions."""
    return np.mean(x, axis=0, keepdims=True)


def sum_a(c: Array, x: Array) -> Array:
    """Return the sum over actions."""
    return np.sum(x, axis=0, keepdims=True)


def logsumexp_a(c: Array, x: Array) -> Array:
    """Return log sum exp over actions."""
    top = np.max(x, axis=0, keepdims=True)
    return top + np.log(np.sum(np.exp(x - top), axis=0, keepdims=True))


def softmax_a(c: Array, x: Array) -> Array:
    """Return exp over actions, divided by its sum."""
    share = np.exp(x - np.max(x, axis=0, keepdims=True))
    return share / np.sum(share, axis=0, keepdims=True)


def entropy_a(c: Array, x: Array) -> Array:
    """Return the entropy of probabilities, each kept within [1e-8, 1]."""
    share = np.where(x > 1.0, np.float32(1.0), np.where(x < 1e-8, np.float32(1e-8), x))
    return -np.sum(share * np.log(share), axis=0, keepdims=True)
