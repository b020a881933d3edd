"""What the operators of ``coreyes2021`` do, in JAX: one plain function for each, ``f(constant, *inputs)``.

Shapes: floats [1, N], lists, probabilities and one-hot actions [A, N], states [D, N], networks: functions from [D, N] to [A, N].
Where floats, vectors and states differ from lists, the list's function is called ``NAME_list`` (a sum over the one row of a float
changes nothing, so one function serves floats and states). Where the original gives NaN or an infinite slope, a guard stands before
the unsafe operation; everywhere else the value is the original's. Exports quote these functions.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from autorl.objectives.graphs.functions_jax import bounded

__all__ = ["bounded", "folded"]

Network = Callable[[Array], Array]
_LOG_LIMIT = 23.025851  # exp of it is 1e10


def folded(key: Array, position: int | Array) -> Array:
    """Return the random words, uint32 [2], of the live node at ``position``, from the words ``key`` of the update."""
    count = jnp.arange(1, 3, dtype=jnp.uint32) + jnp.uint32(2) * jnp.asarray(position).astype(jnp.uint32)
    return _mixed(key ^ _mixed(key[::-1] + jnp.uint32(0x9E3779B9) * count))


def _mixed(x: Array) -> Array:
    """Return the finalizer of MurmurHash3, a permutation of the words in which every bit depends on every bit."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


def q_value_list(c: Array, network: Network, state: Array) -> Array:
    """Return the network's values of all actions."""
    return network(state)


def q_value_list_from_vec(c: Array, network: Network, features: Array) -> Array:
    """Return the values of all actions by the network's head."""
    return network(features)


def state_encoder(c: Array, network: Network, state: Array) -> Array:
    """Return the network's outputs, as features."""
    return network(state)


def q_value(c: Array, network: Network, state: Array, action: Array) -> Array:
    """Return the network's value of one action."""
    return jnp.sum(network(state) * action, axis=0, keepdims=True)


def subtract(c: Array, x: Array, y: Array) -> Array:
    """Return x - y."""
    return x - y


def add(c: Array, x: Array, y: Array) -> Array:
    """Return x + y."""
    return x + y


def dot_product(c: Array, x: Array, y: Array) -> Array:
    """Return the sum of x y over the numbers of a state."""
    return jnp.sum(x * y, axis=0, keepdims=True)


def dot_product_list(c: Array, x: Array, y: Array) -> Array:
    """Return x y."""
    return x * y


def l2_distance(c: Array, x: Array, y: Array) -> Array:
    """Return half the squared difference, summed over the numbers of a state."""
    return 0.5 * jnp.sum((x - y) * (x - y), axis=0, keepdims=True)


def l2_norm(c: Array, x: Array) -> Array:
    """Return x squared, summed over the numbers of a state."""
    return jnp.sum(x * x, axis=0, keepdims=True)


def l2_norm_list(c: Array, x: Array) -> Array:
    """Return x squared."""
    return x * x


def select_list(c: Array, x: Array, action: Array) -> Array:
    """Return the entry of the list x that the one-hot action names."""
    return jnp.sum(x * action, axis=0, keepdims=True)


def multiply_float(c: Array, x: Array, y: Array) -> Array:
    """Return x y; one of them is a float."""
    return x * y


def arg_max_list(c: Array, x: Array) -> Array:
    """Return the action, one-hot, of the largest entry; the first of ties. No slope."""
    return jnp.where(jnp.arange(x.shape[0])[:, None] == jnp.argmax(x, axis=0, keepdims=True), 1.0, 0.0)


def max_list(c: Array, x: Array) -> Array:
    """Return the largest entry; ties share the slope."""
    return jnp.max(x, axis=0, keepdims=True)


def sum_list(c: Array, x: Array) -> Array:
    """Return the sum of the entries."""
    return jnp.sum(x, axis=0, keepdims=True)


def mean_list(c: Array, x: Array) -> Array:
    """Return the mean of the entries."""
    return jnp.mean(x, axis=0, keepdims=True)


def std_list(c: Array, x: Array) -> Array:
    """Return the standard deviation of the entries; slope 0 where they are equal."""
    apart = x - jax.lax.stop_gradient(x[:1])  # so that equal entries differ by 0, not by rounding
    apart = apart - jnp.mean(apart, axis=0, keepdims=True)
    variance = jnp.mean(apart * apart, axis=0, keepdims=True)
    return jnp.where(variance == 0.0, 0.0, jnp.sqrt(jnp.where(variance == 0.0, 1.0, variance)))


def log_sum_exp_list(c: Array, x: Array) -> Array:
    """Return log sum exp of the entries."""
    top = jax.lax.stop_gradient(jnp.max(x, axis=0, keepdims=True))
    return top + jnp.log(jnp.sum(jnp.exp(x - top), axis=0, keepdims=True))


def softmax(c: Array, x: Array) -> Array:
    """Return exp of the entries, divided by its sum."""
    share = jnp.exp(x - jax.lax.stop_gradient(jnp.max(x, axis=0, keepdims=True)))
    return share / jnp.sum(share, axis=0, keepdims=True)


def entropy(c: Array, p: Array) -> Array:
    """Return sum p log(p + 1e-8): minus the entropy. In the logarithm a p below 0 counts as 0 (the original gives NaN)."""
    return jnp.sum(p * jnp.log(jnp.where(p < 0.0, 0.0, p) + 1e-8), axis=0, keepdims=True)


def kl_div(c: Array, p: Array, q: Array) -> Array:
    """Return sum p log(p / q), all of them kept within [1e-7, 1]."""
    p = jnp.where(p > 1.0, 1.0, jnp.where(p < 1e-7, 1e-7, p))
    q = jnp.where(q > 1.0, 1.0, jnp.where(q < 1e-7, 1e-7, q))
    return jnp.sum(p * jnp.log(p / q), axis=0, keepdims=True)


def min(c: Array, x: Array, y: Array) -> Array:
    """Return the smaller; a tie shares the slope."""
    return jnp.minimum(x, y)


def max(c: Array, x: Array, y: Array) -> Array:
    """Return the larger; a tie shares the slope."""
    return jnp.maximum(x, y)


def max_float(c: Array, x: Array, y: Array) -> Array:
    """Return the larger; one of them is a float."""
    return jnp.maximum(x, y)


def add_gaussian_noise(c: Array, x: Array) -> Array:
    """Return x: keras' layer adds noise in keras' training mode only, in which the released search never is."""
    return x


def log(c: Array, x: Array) -> Array:
    """Return the logarithm of |x| + 1e-12."""
    return jnp.log(x * jnp.sign(x) + 1e-12)  # not jnp.abs, whose slope at 0 is 1


def exp(c: Array, x: Array) -> Array:
    """Return e to the power of x, at most 1e10."""
    return jnp.exp(jnp.where(x > _LOG_LIMIT, _LOG_LIMIT, x))


def abs(c: Array, x: Array) -> Array:
    """Return |x|; slope 0 at 0."""
    return x * jnp.sign(x)  # the slope of jnp.abs at 0 is 1


def multiply_tenth(c: Array, x: Array) -> Array:
    """Return 0.1 x."""
    return 0.1 * x


def div(c: Array, x: Array, y: Array) -> Array:
    """Return x / (y + 1e-10), with 1e-10 for a divisor of 0. Slopes are bounded here too: their sums must not meet infinities."""
    below = bounded(y) + 1e-10
    return bounded(x) / jnp.where(below == 0.0, 1e-10, below)


def mean_batch(c: Array, x: Array) -> Array:
    """Return the mean over the samples, the same for each."""
    return jnp.broadcast_to(jnp.mean(x, axis=1, keepdims=True), x.shape)


def std_batch(c: Array, x: Array) -> Array:
    """Return the standard deviation over the samples, the same for each; slope 0 where they are equal."""
    apart = x - jax.lax.stop_gradient(x[:, :1])
    apart = apart - jnp.mean(apart, axis=1, keepdims=True)
    variance = jnp.mean(apart * apart, axis=1, keepdims=True)
    deviation = jnp.where(variance == 0.0, 0.0, jnp.sqrt(jnp.where(variance == 0.0, 1.0, variance)))
    return jnp.broadcast_to(deviation, x.shape)


def constant_p5(c: Array, source: Array) -> Array:
    """Return 0.5."""
    return jnp.full((1, 1), 0.5, jnp.float32)


def constant_p2(c: Array, source: Array) -> Array:
    """Return 0.2."""
    return jnp.full((1, 1), 0.2, jnp.float32)


def constant_p1(c: Array, source: Array) -> Array:
    """Return 0.1."""
    return jnp.full((1, 1), 0.1, jnp.float32)


def constant_p01(c: Array, source: Array) -> Array:
    """Return 0.01."""
    return jnp.full((1, 1), 0.01, jnp.float32)


def constant_uniform(c: Array, source: Array) -> Array:
    """Return one number of [0, 1) for all samples, of the random words ``source`` (uint32 [2]) of this node."""
    return ((source[:1] >> 8).astype(jnp.float32) * 2.0**-24).reshape(1, 1)


def constant_gaussian(c: Array, source: Array) -> Array:
    """Return one standard normal number for all samples (Box and Muller), of the random words ``source`` of this node."""
    even = (source >> 8).astype(jnp.float32) * 2.0**-24
    distance = jnp.sqrt(-2.0 * jnp.log(even[:1] + 2.0**-24))
    return (distance * jnp.cos(2.0 * jnp.pi * even[1:])).reshape(1, 1)


def weighted_loss(c: Array, x: Array) -> Array:
    """Return c x: the output, times the loss weight."""
    return c * x
