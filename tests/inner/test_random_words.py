"""Random words: the same Threefry as jax, and independent draws for every key, stream and counter."""

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest, norm

from autorl.inner.random_words import below, normal, random_words, threefry_2x32, uniform

KEY = jnp.array([0x12345678, 0x9ABCDEF0], jnp.uint32)


@pytest.fixture(autouse=True)
def strict_promotion():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


compiled = jax.jit(random_words, static_argnums=(1, 3))


def words(counter, count, stream=0, key=KEY):
    return np.asarray(compiled(key, stream, jnp.int32(counter), count))


def test_the_cipher_is_jax_s_own():
    counters = jax.random.bits(jax.random.key(0), (2, 100), jnp.uint32)
    ours = jnp.concatenate(jax.jit(threefry_2x32)(KEY[0], KEY[1], counters[0], counters[1]))
    np.testing.assert_array_equal(ours, jax.extend.random.threefry_2x32(KEY, counters.reshape(-1)))


def test_the_cipher_gives_the_published_vector():
    # Random123, kat_vectors: threefry2x32, 20 rounds, key and counter of ones
    ones = jnp.uint32(0xFFFFFFFF)
    assert [int(x) for x in threefry_2x32(ones, ones, ones, ones)] == [0x1CB996FC, 0xBB002BE7]


def test_draws_do_not_repeat_over_keys_streams_and_counters():
    other = KEY.at[1].add(jnp.uint32(1))
    blocks = [words(c, 64, s, k) for c in (0, 1, 2, 2**31 - 1) for s in (0, 1) for k in (KEY, other)]
    assert np.unique(np.concatenate(blocks)).size == 64 * len(blocks)


def test_a_draw_depends_neither_on_how_many_nor_on_being_compiled():
    np.testing.assert_array_equal(words(7, 33), words(7, 100)[:33])
    np.testing.assert_array_equal(random_words(KEY, 1, jnp.int32(7), 33), words(7, 33, stream=1))


def test_uniform_is_uniform_below_one():
    extremes = uniform(jnp.array([0, 0xFFFFFFFF], jnp.uint32))
    assert float(extremes[0]) == 0.0
    assert float(extremes[1]) == 1.0 - 2.0**-24
    drawn = uniform(jnp.asarray(words(3, 40_000)))
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.006)  # four standard errors
    assert float((drawn**2).mean()) == pytest.approx(1 / 3, abs=0.006)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 2**24])
def test_below_covers_its_range_and_nothing_else(limit):
    extremes = below(jnp.array([0, 0xFFFFFFFF], jnp.uint32), limit)
    assert [int(x) for x in extremes] == [0, limit - 1]
    if limit < 10:
        counts = np.bincount(below(jnp.asarray(words(5, 30_000)), jnp.int32(limit)))
        np.testing.assert_allclose(counts / 30_000, 1 / limit, atol=0.012)


def test_normal_is_symmetric_bounded_and_normal():
    extremes = normal(jnp.array([0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000], jnp.uint32))
    np.testing.assert_allclose(extremes[:2], norm.ppf([2.0**-24, 1 - 2.0**-24]), rtol=1e-4)
    np.testing.assert_allclose(extremes[2:], norm.ppf([0.5 - 2.0**-24, 0.5 + 2.0**-24]), rtol=1e-3)
    drawn = np.asarray(normal(jnp.asarray(words(11, 20_000))))
    assert kstest(drawn, "norm").pvalue > 1e-3
