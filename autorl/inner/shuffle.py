"""Shuffles: a random permutation by one sort of one word for each element."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array, lax

_PACKED_BITS = 13


def permutation(key: Array, n: int) -> Array:
    """Return a random permutation of 0..n-1, int32 [n].

    `jax.random.permutation` sorts pairs in several rounds (14 times slower for 2048 elements on a CPU). Here each index
    is the low bits of one random word, and the words are sorted. Up to 2**13 elements at least 19 random bits remain:
    about one pair in 2**20 keeps its order, nothing that a minibatch could feel. Longer ones sort pairs of random word
    and index, once.
    """
    index = jnp.arange(n, dtype=jnp.uint32)
    words = jax.random.bits(key, (n,), jnp.uint32)
    bits = max(1, (n - 1).bit_length())
    if bits > _PACKED_BITS:
        return lax.sort((words, index), num_keys=1)[1].astype(jnp.int32)
    mask = jnp.uint32((1 << bits) - 1)
    return (lax.sort((words & ~mask) | index, is_stable=False) & mask).astype(jnp.int32)
