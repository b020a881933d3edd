"""jax's own random numbers, bit for bit, from straight-line code.

On a CPU jax computes Threefry-2x32 (Salmon et al., 2011) in a rolled loop, to keep programs small. XLA runs such a loop
operation by operation, about fifteen times slower than the unrolled rounds fused into one kernel: it would take a
sixth of the time of a training. `unrolled` turns a key into one of the same bits whose draws are unrolled.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.extend.random
import jax.numpy as jnp
from jax import Array

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_WORDS = {8: jnp.uint8, 16: jnp.uint16, 32: jnp.uint32}


def _rotate(x: Array, bits: int) -> Array:
    return (x << jnp.uint32(bits)) | (x >> jnp.uint32(32 - bits))


def _threefry(key: Array, high: Array, low: Array) -> tuple[Array, Array]:
    """Return the 20-round hash of the counter (``high``, ``low``), uint32 [...] each, under ``key`` [2]."""
    # a key is mostly the result of another hash: the barrier keeps XLA from computing that one again for every element
    key = jax.lax.optimization_barrier(key)
    words = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(_PARITY))
    a, b = high + words[0], low + words[1]
    for block in range(5):
        for rotation in _ROTATIONS[block % 2]:
            a = a + b
            b = a ^ _rotate(b, rotation)
        a = a + words[(block + 1) % 3]
        b = b + words[(block + 2) % 3] + jnp.uint32(block + 1)
    return a, b


def _counters(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Return (high, low) words of 0, 1, 2, ... in row-major order, at most 2**32 of them."""
    size = 1
    for n in shape:
        size *= n
    low = jax.lax.iota(jnp.uint32, size).reshape(shape)
    return jnp.zeros(shape, jnp.uint32), low


def _seed(seed: Any) -> Array:
    return jax.random.key_data(jax.random.key(seed, impl="threefry2x32"))


def _split(key: Array, shape: tuple[int, ...]) -> Array:
    return jnp.stack(_threefry(key, *_counters(tuple(shape))), axis=-1)


def _fold_in(key: Array, data: Any) -> Array:
    low = jnp.asarray(data).astype(jnp.uint32)
    return jnp.stack(_threefry(key, jnp.zeros_like(low), low))


def _random_bits(key: Array, bit_width: int, shape: tuple[int, ...]) -> Array:
    high, low = _threefry(key, *_counters(tuple(shape)))
    if bit_width == 64:
        return (high.astype(jnp.uint64) << jnp.uint64(32)) | low.astype(jnp.uint64)
    return (high ^ low).astype(_WORDS[bit_width])


_UNROLLED = jax.extend.random.define_prng_impl(
    key_shape=(2,),
    seed=_seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="threefry2x32_unrolled",
    tag="fru",
)


def unrolled(key: Array) -> Array:
    """Return ``key`` (a typed Threefry key, the default of jax) with the same draws from unrolled code."""
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=_UNROLLED)


def standard(key: Array) -> Array:
    """Undo `unrolled`."""
    return jax.random.wrap_key_data(jax.random.key_data(key), impl="threefry2x32")
