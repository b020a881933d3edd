"""Replay: the ring against a list, priorities and weights against numbers worked out by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from autorl.inner import replay as buffer
from autorl.inner import sum_tree
from autorl.inner.replay import Prioritisation, Transitions

CAPACITY = 32
EMPTY = buffer.empty(CAPACITY, 2)
unpack = jax.jit(buffer.unpack)


@pytest.fixture(autouse=True)
def strict_promotion():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


def prioritisation(enabled=True, alpha=0.5, beta=0.4, epsilon=1e-6):
    return Prioritisation(jnp.asarray(enabled), *(jnp.float32(x) for x in (alpha, beta, epsilon)))


def numbered(start, count):
    """Transitions that carry their own number in every field."""
    n = jnp.asarray(start, jnp.int32) + jnp.arange(count, dtype=jnp.int32)
    x = n.astype(jnp.float32)
    return Transitions(
        jnp.stack([x, -x], axis=1), jnp.stack([x + 0.5, -x], axis=1), n % 3, 10 * x, (n % 2).astype(jnp.float32)
    )


@functools.partial(jax.jit, static_argnums=3)
def filled(size, total, priority, count):
    """A buffer after ``total`` (a multiple of ``count``) numbered transitions, ``count`` at a time."""
    steps = total // count
    full = jax.lax.fori_loop(0, steps, lambda i, r: buffer.store(r, numbered(i * count, count), size), EMPTY)
    return buffer.admit(full, jnp.int32(0), steps, count, size, priority)


@jax.jit
def store(replay, new, size, priority):
    """Store and admit one transition."""
    return buffer.admit(buffer.store(replay, new, size), replay.position, jnp.int32(1), 1, size, priority)


def fill(size, total, count=1, priority=None):
    return filled(jnp.int32(size), jnp.int32(total), prioritisation() if priority is None else priority, count)


@given(size=st.integers(1, 40), count=st.sampled_from([1, 2, 4]), steps=st.integers(1, 40))
def test_the_ring_keeps_the_last_ones_and_touches_nothing_beyond_its_size(size, count, steps):
    used = max(min(size, CAPACITY) // count, 1) * count
    assert int(buffer.ring_size(EMPTY, jnp.int32(size), count)) == used
    got = fill(used, steps * count, count)
    kept = jax.tree.map(lambda x: np.asarray(x)[: int(got.filled)], unpack(got.rows))
    expected = range(max(0, steps * count - used), steps * count)
    assert sorted(np.asarray(kept.reward) / 10) == list(expected)
    for i, n in enumerate(np.asarray(kept.reward) / 10):
        fields = [np.asarray(field)[i].tolist() for field in kept]
        assert fields == [[n, -n], [n + 0.5, -n], n % 3, 10 * n, n % 2]
    assert not np.asarray(got.rows)[used:].any()
    assert int(got.position) == steps * count % used
    stored = np.arange(CAPACITY) < int(got.filled)
    np.testing.assert_array_equal(np.asarray(got.tree[0]) > 0, stored)


def test_uniform_members_leave_the_tree_alone():
    priority = prioritisation(enabled=False)
    got = fill(32, 20, priority=priority)
    got = buffer.reprioritise(got, jnp.array([1, 2]), jnp.array([5.0, 6.0]), priority)
    assert not any(np.asarray(level).any() for level in got.tree)
    assert float(got.max_priority) == 1.0


def test_priorities_and_weights_by_hand():
    priority = prioritisation(alpha=0.5, beta=0.5, epsilon=0.25)
    got = fill(4, 4, priority=priority)
    got = buffer.reprioritise(got, jnp.array([0, 1, 2]), jnp.array([3.75, -0.0, -15.75]), priority)
    # |3.75| + .25 = 4, .25 and 16, to the power of a half; the fourth still has the largest of its time, 1
    np.testing.assert_allclose(got.tree[0][:4], [2.0, 0.5, 4.0, 1.0])
    assert float(got.max_priority) == 16.0
    # P = leaf / 7.5, w = (4 P)^-.5, over the largest, that of .5: (leaf / .5)^-.5
    np.testing.assert_allclose(
        buffer.importance_weights(got.tree[0][:4], priority.beta), [0.5, 1.0, 8**-0.5, 2**-0.5], rtol=1e-6
    )
    leaves = np.array([2.0, 0.5, 4.0, 1.0])
    paper = (4 * leaves / leaves.sum()) ** -0.5
    np.testing.assert_allclose(
        buffer.importance_weights(got.tree[0][:4], priority.beta), paper / paper.max(), rtol=1e-6
    )
    # a new transition takes the largest priority so far, over the oldest one
    got = store(got, numbered(4, 1), jnp.int32(4), priority)
    np.testing.assert_allclose(got.tree[0][:4], [4.0, 0.5, 4.0, 1.0])
    assert float(sum_tree.total(got.tree)) == 9.5


def test_alpha_0_and_beta_0_are_uniform_without_correction():
    priority = prioritisation(alpha=0.0, beta=0.0)
    got = fill(8, 8, priority=priority)
    got = buffer.reprioritise(got, jnp.arange(4), jnp.array([0.0, 1.0, 10.0, 1e6]), priority)
    np.testing.assert_array_equal(got.tree[0][:8], np.ones(8))
    drawn = buffer.sample(got, jax.random.bits(jax.random.key(0), (16,), jnp.uint32), priority)
    np.testing.assert_array_equal(drawn.weights, np.ones(16))


@pytest.mark.parametrize("enabled", [False, True])
def test_sampling_frequencies(enabled):
    priority = prioritisation(enabled=enabled, alpha=1.0, beta=1.0, epsilon=1e-3)
    got = fill(20, 20, priority=priority)
    errors = jnp.linspace(-2.0, 3.0, 20)
    got = buffer.reprioritise(got, jnp.arange(20), errors, priority)
    words = jax.random.bits(jax.random.key(1), (1000, 32), jnp.uint32)
    drawn = jax.jit(jax.vmap(lambda w: buffer.sample(got, w, priority)))(words)
    probability = np.abs(np.asarray(errors, np.float64)) + 1e-3 if enabled else np.ones(20)
    probability = probability / probability.sum()
    counts = np.bincount(np.asarray(drawn.indices).reshape(-1), minlength=CAPACITY)
    assert not counts[20:].any()
    assert chisquare(counts[:20], probability * counts.sum()).pvalue > 1e-3
    np.testing.assert_array_equal(np.asarray(drawn.transitions.reward), np.asarray(drawn.indices) * 10)
    weights, drawn_probability = np.asarray(drawn.weights), probability[np.asarray(drawn.indices)]
    np.testing.assert_allclose(weights, drawn_probability.min(1, keepdims=True) / drawn_probability, rtol=1e-4)


def test_beginning_again_with_the_same_settings_changes_no_bit():
    priority = prioritisation()
    got = fill(20, 50, 2, priority)
    got = buffer.reprioritise(got, jnp.arange(20), jax.random.normal(jax.random.key(0), (20,)), priority)
    again = buffer.begin(got, jnp.int32(20), priority)
    jax.tree.map(np.testing.assert_array_equal, got, again)


def test_a_ring_that_shrinks_forgets_and_one_that_grows_goes_on():
    priority = prioritisation()
    full = fill(20, 20, priority=priority)
    smaller = buffer.begin(full, jnp.int32(8), priority)
    assert (int(smaller.filled), int(smaller.position)) == (8, 0)
    assert not np.asarray(smaller.tree[0][8:]).any()
    assert float(sum_tree.total(smaller.tree)) == 8.0
    larger = buffer.begin(fill(20, 25, priority=priority), jnp.int32(32), priority)
    assert (int(larger.filled), int(larger.position)) == (20, 5)
    for n in range(25, 25 + 27):  # up to the end of the larger ring, all rows stay filled
        larger = store(larger, numbered(n, 1), jnp.int32(32), priority)
        assert int(larger.filled) == max(20, n - 25 + 6)
    assert int(larger.position) == 0
    assert sorted(np.asarray(buffer.unpack(larger.rows).reward) / 10) == [*range(20, 25), *range(25, 52)]


def test_a_uniform_member_that_becomes_prioritised_can_draw_everything():
    priority = prioritisation()
    uniform = fill(20, 13, priority=prioritisation(enabled=False))
    got = buffer.begin(uniform, jnp.int32(20), priority)
    np.testing.assert_array_equal(got.tree[0], np.arange(CAPACITY) < 13)
    assert float(sum_tree.total(got.tree)) == 13.0
