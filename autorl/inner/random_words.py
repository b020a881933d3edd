"""Random words as a pure function of (key, stream, counter), cheap enough to draw at every environment step.

This is Threefry-2x32 with 20 rounds (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3"), the generator
behind `jax.random.key`, written as unrolled elementwise operations. On a CPU jax lowers its own to a loop of small
kernels, which costs more than an environment step; this one fuses into a single kernel. Because the counter is the
learner's own step count there is no key to carry: cutting a training into segments cannot change a draw.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def random_words(key: Array, stream: int, counter: Array, count: int) -> Array:
    """Return uint32 [count] random words.

    Args:
        key: uint32 [2], as from `jax.random.key_data` of a threefry key.
        stream: 0 or 1; draws of different streams are independent.
        counter: int32 scalar, not negative; draws of different counters are independent.
        count: How many, below 2**31; the first words do not depend on it.
    """
    # a word's place in the block is the low half of its counter, so blocks never overlap
    place = np.arange((count + 1) // 2, dtype=np.uint32) | np.uint32(stream << 31)
    high = jnp.broadcast_to(counter.astype(jnp.uint32), place.shape)
    words = jnp.stack(threefry_2x32(key[0], key[1], high, jnp.asarray(place)), axis=-1).reshape(-1)
    # without the barrier every consumer of a few words would compute its own copy of the 20 rounds
    return jax.lax.optimization_barrier(words[:count])


def threefry_2x32(key0: Array, key1: Array, x0: Array, x1: Array) -> tuple[Array, Array]:
    """Encrypt the counters (``x0``, ``x1``), uint32 [...], with 20 rounds of Threefry-2x32."""
    schedule = (key0, key1, key0 ^ key1 ^ np.uint32(_PARITY))
    x0, x1 = x0 + schedule[0], x1 + schedule[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = (x1 << np.uint32(rotation)) | (x1 >> np.uint32(32 - rotation))
            x1 = x1 ^ x0
        x0 = x0 + schedule[(group + 1) % 3]
        x1 = x1 + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return x0, x1


def uniform(words: Array) -> Array:
    """Return float32 in [0, 1) for uint32 ``words``, from their upper 24 bits."""
    return (words >> np.uint32(8)).astype(jnp.int32).astype(jnp.float32) * np.float32(2.0**-24)


def below(words: Array, limit: Array | int) -> Array:
    """Return int32 uniform in [0, limit) for uint32 ``words``; ``limit`` at most 2**24 (bias below limit * 2**-24)."""
    scaled = (uniform(words) * jnp.asarray(limit, jnp.float32)).astype(jnp.int32)
    return jnp.minimum(scaled, jnp.asarray(limit, jnp.int32) - 1)


def normal(words: Array) -> Array:
    """Return float32 standard normal numbers for uint32 ``words``: the inverse distribution function of 2**23 midpoints.

    None is beyond 5.3 deviations.
    """
    odd = (words >> np.uint32(8)).astype(jnp.int32) | jnp.int32(1)  # odd numbers below 2**24
    return np.float32(np.sqrt(2.0)) * jax.lax.erf_inv(
        (odd - jnp.int32(1 << 23)).astype(jnp.float32) * np.float32(2.0**-23)
    )
