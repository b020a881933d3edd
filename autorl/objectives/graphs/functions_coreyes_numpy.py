"""What the operators of ``coreyes2021`` do, in numpy: values only, one plain function for each, ``f(constant, *inputs)``.

As `functions_coreyes_jax`, function by function: float32 in, float32 out; floats [1, N], lists and one-hot actions [A, N],
states [D, N].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Network = Callable[[Array], Array]
LIMIT = 1e10
_LOG_LIMIT = 23.025851  # exp of it is 1e10


def bounded(x: Array) -> Array:
    """Return ``x`` within +-LIMIT, float32."""
    return np.clip(np.asarray(x, np.float32), -LIMIT, LIMIT)


def folded(key: Array, position: int) -> Array:
    """Return the random words, uint32 [2], of the live node at ``position``, from the words ``key`` of the update."""
    count = np.arange(1, 3, dtype=np.uint32) + np.uint32(2) * np.full(2, position, np.uint32)
    return _mixed(key ^ _mixed(key[::-1] + np.uint32(0x9E3779B9) * count))


def _mixed(x: Array) -> Array:
    """Return the finalizer of MurmurHash3, a permutation of the words in which every bit depends on every bit."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


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
    return np.sum(network(state) * action, axis=0, keepdims=True)


def subtract(c: Array, x: Array, y: Array) -> Array:
    """Return x - y."""
    return x - y


def add(c: Array, x: Array, y: Array) -> Array:
    """Return x + y."""
    return x + y


def dot_product(c: Array, x: Array, y: Array) -> Array:
    """Return the sum of x y over the numbers of a state."""
    return np.sum(x * y, axis=0, keepdims=True)


def dot_product_list(c: Array, x: Array, y: Array) -> Array:
    """Return x y."""
    return x * y


def l2_distance(c: Array, x: Array, y: Array) -> Array:
    """Return half the squared difference, summed over the numbers of a state."""
    return 0.5 * np.sum((x - y) * (x - y), axis=0, keepdims=True)


def l2_norm(c: Array, x: Array) -> Array:
    """Return x squared, summed over the numbers of a state."""
    return np.sum(x * x, axis=0, keepdims=True)


def l2_norm_list(c: Array, x: Array) -> Array:
    """Return x squared."""
    return x * x


def select_list(c: Array, x: Array, action: Array) -> Array:
    """Return the entry of the list x that the one-hot action names."""
    return np.sum(x * action, axis=0, keepdims=True)


def multiply_float(c: Array, x: Array, y: Array) -> Array:
    """Return x y; one of them is a float."""
    return x * y


def arg_max_list(c: Array, x: Array) -> Array:
    """Return the action, one-hot, of the largest entry; the first of ties."""
    return (np.arange(x.shape[0])[:, None] == np.argmax(x, axis=0, keepdims=True)).astype(np.float32)


def max_list(c: Array, x: Array) -> Array:
    """Return the largest entry."""
    return np.max(x, axis=0, keepdims=True)


def sum_list(c: Array, x: Array) -> Array:
    """Return the sum of the entries."""
    return np.sum(x, axis=0, keepdims=True)


def mean_list(c: Array, x: Array) -> Array:
    """Return the mean of the entries."""
    return np.mean(x, axis=0, keepdims=True)


def std_list(c: Array, x: Array) -> Array:
    """Return the standard deviation of the entries."""
    apart = x - x[:1]  # so that equal entries differ by 0, not by rounding
    apart = apart - np.mean(apart, axis=0, keepdims=True)
    variance = np.mean(apart * apart, axis=0, keepdims=True)
    return np.where(variance == 0.0, 0.0, np.sqrt(np.where(variance == 0.0, 1.0, variance)))


def log_sum_exp_list(c: Array, x: Array) -> Array:
    """Return log sum exp of the entries."""
    top = np.max(x, axis=0, keepdims=True)
    return top + np.log(np.sum(np.exp(x - top), axis=0, keepdims=True))


def softmax(c: Array, x: Array) -> Array:
    """Return exp of the entries, divided by its sum."""
    share = np.exp(x - np.max(x, axis=0, keepdims=True))
    return share / np.sum(share, axis=0, keepdims=True)


def entropy(c: Array, p: Array) -> Array:
    """Return sum p log(p + 1e-8): minus the entropy. In the logarithm a p below 0 counts as 0 (the original gives NaN)."""
    return np.sum(p * np.log(np.where(p < 0.0, 0.0, p) + 1e-8), axis=0, keepdims=True)


def kl_div(c: Array, p: Array, q: Array) -> Array:
    """Return sum p log(p / q), all of them kept within [1e-7, 1]."""
    p = np.where(p > 1.0, 1.0, np.where(p < 1e-7, 1e-7, p))
    q = np.where(q > 1.0, 1.0, np.where(q < 1e-7, 1e-7, q))
    return np.sum(p * np.log(p / q), axis=0, keepdims=True)


def min(c: Array, x: Array, y: Array) -> Array:
    """Return the smaller."""
    return np.minimum(x, y)


def max(c: Array, x: Array, y: Array) -> Array:
    """Return the larger."""
    return np.maximum(x, y)


def max_float(c: Array, x: Array, y: Array) -> Array:
    """Return the larger; one of them is a float."""
    return np.maximum(x, y)


def add_gaussian_noise(c: Array, x: Array) -> Array:
    """Return x: keras' layer adds noise in keras' training mode only, in which the released search never is."""
    return x


def log(c: Array, x: Array) -> Array:
    """Return the logarithm of |x| + 1e-12."""
    return np.log(np.abs(x) + 1e-12)


def exp(c: Array, x: Array) -> Array:
    """Return e to the power of x, at most 1e10."""
    return np.exp(np.where(x > _LOG_LIMIT, np.float32(_LOG_LIMIT), x))


def abs(c: Array, x: Array) -> Array:
    """Return |x|."""
    return np.abs(x)


def multiply_tenth(c: Array, x: Array) -> Array:
    """Return 0.1 x."""
    return 0.1 * x


def div(c: Array, x: Array, y: Array) -> Array:
    """Return x / (y + 1e-10), with 1e-10 for a divisor of 0."""
    below = y + np.float32(1e-10)
    return x / np.where(below == 0.0, np.float32(1e-10), below)


def mean_batch(c: Array, x: Array) -> Array:
    """Return the mean over the samples, the same for each."""
    return np.broadcast_to(np.mean(x, axis=1, keepdims=True), x.shape)


def std_batch(c: Array, x: Array) -> Array:
    """Return the standard deviation over the samples, the same for each."""
    apart = x - x[:, :1]
    apart = apart - np.mean(apart, axis=1, keepdims=True)
    variance = np.mean(apart * apart, axis=1, keepdims=True)
    deviation = np.where(variance == 0.0, 0.0, np.sqrt(np.where(variance == 0.0, 1.0, variance)))
    return np.broadcast_to(deviation, x.shape)


def constant_p5(c: Array, source: Array) -> Array:
    """Return 0.5."""
    return np.full((1, 1), 0.5, np.float32)


def constant_p2(c: Array, source: Array) -> Array:
    """Return 0.2."""
    return np.full((1, 1), 0.2, np.float32)


def constant_p1(c: Array, source: Array) -> Array:
    """Return 0.1."""
    return np.full((1, 1), 0.1, np.float32)


def constant_p01(c: Array, source: Array) -> Array:
    """Return 0.01."""
    return np.full((1, 1), 0.01, np.float32)


def constant_uniform(c: Array, source: Array) -> Array:
    """Return one number of [0, 1) for all samples, of the random words ``source`` (uint32 [2]) of this node."""
    return ((source[:1] >> 8).astype(np.float32) * 2.0**-24).reshape(1, 1)


def constant_gaussian(c: Array, source: Array) -> Array:
    """Return one standard normal number for all samples (Box and Muller), of the random words ``source`` of this node."""
    even = (source >> 8).astype(np.float32) * 2.0**-24
    distance = np.sqrt(-2.0 * np.log(even[:1] + 2.0**-24))
    return (distance * np.cos(2.0 * np.pi * even[1:])).reshape(1, 1)


def weighted_loss(c: Array, x: Array) -> Array:
    """Return c x: the output, times the loss weight."""
    return c * x
