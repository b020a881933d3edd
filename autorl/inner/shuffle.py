"""Shuffles for minibatches, without sorting where the length allows.

`jax.random.permutation` sorts pairs in several rounds: for 2048 elements .6 ms on a CPU, four times an epoch's worth of
other bookkeeping. A keyed bijection needs no sort and takes 3 microseconds.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array, lax

ROUNDS = 12
_SHORTEST = 256


def permutation(key: Array, n: int) -> Array:
    """Return a random permutation of 0..n-1, int32 [n].

    For powers of two from 256 on: a Feistel network over the bits of the index, each round keyed with its own random
    word and mixed by MurmurHash3's finaliser (Mitchell et al., 2022, "Bandwidth-Optimal Random Shuffling for GPUs").
    Not every permutation can come out, but all positions, pairs and minibatches are equally likely (see the tests).
    Otherwise: one random word for each index, sorted; few of them by comparing all pairs, which gives the same order and leaves a loop
    without a sort (`autorl.engine.devices.in_one_piece`).
    """
    if n >= _SHORTEST and n & (n - 1) == 0:
        return _bijection(jax.random.bits(key, (ROUNDS,), jnp.uint32), n)
    words = jax.random.bits(key, (n,), jnp.uint32)
    if n < _SHORTEST:
        return _order(words)
    return lax.sort((words, lax.iota(jnp.int32, n)), num_keys=1)[1]


def _order(words: Array) -> Array:
    """Return the indices of ``words`` [n] in ascending order, equal ones as they stand, int32 [n]."""
    index = lax.iota(jnp.int32, len(words))
    equal_before = (words[None] == words[:, None]) & (index[None] < index[:, None])
    rank = jnp.sum((words[None] < words[:, None]) | equal_before, axis=1, dtype=jnp.int32)
    return jnp.sum(jnp.where(rank[None] == index[:, None], index[None], 0), axis=1, dtype=jnp.int32)


def _bijection(keys: Array, n: int) -> Array:
    bits = (n - 1).bit_length()
    low_bits = bits // 2
    low_mask, high_mask = jnp.uint32((1 << low_bits) - 1), jnp.uint32((1 << (bits - low_bits)) - 1)
    index = lax.iota(jnp.uint32, n)
    low, high = index & low_mask, index >> jnp.uint32(low_bits)
    keys = lax.optimization_barrier(keys)  # or XLA computes them again for every element
    for i in range(0, ROUNDS, 2):  # each half-round XORs one half with a hash of the other: it can be undone
        low = low ^ (_mix(high ^ keys[i]) & low_mask)
        high = high ^ (_mix(low ^ keys[i + 1]) & high_mask)
    return ((high << jnp.uint32(low_bits)) | low).astype(jnp.int32)


def _mix(x: Array) -> Array:
    """Return MurmurHash3's 32-bit finaliser: every bit of the input moves every bit of the output."""
    x = (x ^ (x >> jnp.uint32(16))) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> jnp.uint32(13))) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> jnp.uint32(16))
