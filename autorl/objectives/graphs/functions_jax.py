"""What the operators of the language ``autorl`` do, in JAX: one plain function for each, ``f(constant, *inputs)``.

Shapes: floats [1, N] (or as wide as a list, the same in every row), lists and one-hot actions [A, N]. Guards are written with
``where``, so that the slope at a guard's own bound is 1. Exports quote these functions.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

LIMIT = 1e10
"""As in `autorl.objectives.graphs.language`; repeated, so that this file stands alone."""


@jax.custom_vjp
def bounded(x: Array) -> Array:
    """Return ``x`` within +-LIMIT. The slope that flows back saturates there too, and is 0 where ``x`` was outside."""
    return jnp.clip(x, -LIMIT, LIMIT)


def _bounded_forward(x: Array) -> tuple[Array, Array]:
    return bounded(x), x


def _bounded_backward(x: Array, slope: Array) -> tuple[Array]:
    return (jnp.where(jnp.abs(x) > LIMIT, 0.0, jnp.clip(slope, -LIMIT, LIMIT)),)


bounded.defvjp(_bounded_forward, _bounded_backward)


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
    return x / jnp.where(jnp.abs(y) < 1e-6, jnp.where(y < 0.0, -1e-6, 1e-6), y)


def min(c: Array, x: Array, y: Array) -> Array:
    """Return the smaller; a tie shares the slope."""
    return jnp.minimum(x, y)


def max(c: Array, x: Array, y: Array) -> Array:
    """Return the larger; a tie shares the slope."""
    return jnp.maximum(x, y)


def greater(c: Array, x: Array, y: Array) -> Array:
    """Return 1 where x > y, else 0. No slope."""
    return jnp.where(x > y, 1.0, 0.0)


def square(c: Array, x: Array) -> Array:
    """Return x squared."""
    return x * x


def abs(c: Array, x: Array) -> Array:
    """Return |x|; slope 0 at 0."""
    return x * jnp.sign(x)


def log(c: Array, x: Array) -> Array:
    """Return log |x|, with |x| at least 1e-8."""
    size = jnp.abs(x)
    return jnp.log(jnp.where(size < 1e-8, 1e-8, size))


def exp(c: Array, x: Array) -> Array:
    """Return the exponential of x, with x within +-20."""
    return jnp.exp(jnp.where(x > 20.0, 20.0, jnp.where(x < -20.0, -20.0, x)))


def tanh(c: Array, x: Array) -> Array:
    """Return the hyperbolic tangent."""
    return jnp.tanh(x)


def relu(c: Array, x: Array) -> Array:
    """Return x where positive, else 0; slope 0 at 0."""
    return jnp.where(x <= 0.0, 0.0, x)


def scale(c: Array, x: Array) -> Array:
    """Return c x."""
    return c * x


def stop_gradient(c: Array, x: Array) -> Array:
    """Return x. No slope."""
    return jax.lax.stop_gradient(x)


def constant(c: Array) -> Array:
    """Return c."""
    return jnp.asarray(c, jnp.float32).reshape(1, 1)


def select(c: Array, x: Array, y: Array) -> Array:
    """Return the entry of the list x that the one-hot action y names."""
    return jnp.sum(x * y, axis=0, keepdims=True)


def argmax_a(c: Array, x: Array) -> Array:
    """Return the action, one-hot, of the largest entry; the first of ties. No slope."""
    return jnp.where(jnp.arange(x.shape[0])[:, None] == jnp.argmax(x, axis=0, keepdims=True), 1.0, 0.0)


def max_a(c: Array, x: Array) -> Array:
    """Return the largest entry; ties share the slope."""
    return jnp.max(x, axis=0, keepdims=True)


def mean_a(c: Array, x: Array) -> Array:
    """Return the mean over actions."""
    return jnp.mean(x, axis=0, keepdims=True)


def sum_a(c: Array, x: Array) -> Array:
    """Return the sum over actions."""
    return jnp.sum(x, axis=0, keepdims=True)


def logsumexp_a(c: Array, x: Array) -> Array:
    """Return log sum exp over actions."""
    top = jax.lax.stop_gradient(jnp.max(x, axis=0, keepdims=True))
    return top + jnp.log(jnp.sum(jnp.exp(x - top), axis=0, keepdims=True))


def softmax_a(c: Array, x: Array) -> Array:
    """Return exp over actions, divided by its sum."""
    share = jnp.exp(x - jax.lax.stop_gradient(jnp.max(x, axis=0, keepdims=True)))
    return share / jnp.sum(share, axis=0, keepdims=True)


def entropy_a(c: Array, x: Array) -> Array:
    """Return the entropy of probabilities, each kept within [1e-8, 1]."""
    share = jnp.where(x > 1.0, 1.0, jnp.where(x < 1e-8, 1e-8, x))
    return -jnp.sum(share * jnp.log(share), axis=0, keepdims=True)
