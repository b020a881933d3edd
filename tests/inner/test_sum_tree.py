"""The sum tree against numpy, and against itself built anew."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from autorl.inner import sum_tree

update, sample, find, build = map(jax.jit, (sum_tree.update, sum_tree.sample, sum_tree.find, sum_tree.build))


@pytest.fixture(autouse=True)
def strict_promotion():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


def tree_of(leaves):
    return build(np.asarray(leaves, np.float32))


@pytest.mark.parametrize("exponent", range(11))
def test_every_level_sums_the_one_below(exponent):
    leaves = np.random.default_rng(exponent).random(2**exponent).astype(np.float32)
    tree = tree_of(leaves)
    assert tree[0].shape == leaves.shape
    assert tree[-1].shape[0] <= sum_tree.WIDTH
    for below, above in itertools.pairwise(tree):
        np.testing.assert_allclose(above, np.asarray(below).reshape(-1, sum_tree.WIDTH).sum(1), rtol=1e-6)
    assert sum_tree.total(tree) == pytest.approx(leaves.sum(dtype=np.float64), rel=1e-6)


def test_capacity_must_be_a_power_of_two():
    with pytest.raises(ValueError, match="power of two, got 12"):
        tree_of(np.zeros(12))


@given(
    seed=st.integers(0, 2**32 - 1),
    exponent=st.sampled_from([0, 2, 3, 5, 7]),
    rounds=st.integers(1, 4),
)
def test_updates_equal_a_tree_built_from_the_same_leaves_bit_for_bit(seed, exponent, rounds):
    random = np.random.default_rng(seed)
    capacity = 2**exponent
    leaves = np.zeros(capacity, np.float32)
    tree = tree_of(leaves)
    for _ in range(rounds):
        indices = random.integers(0, capacity, 16).astype(np.int32)  # duplicates all the time
        values = (random.random(capacity) * 10.0 ** random.integers(-6, 6, capacity)).astype(np.float32)[indices]
        leaves[indices] = values
        tree = update(tree, indices, values)
    for kept, built in zip(tree, tree_of(leaves), strict=True):
        np.testing.assert_array_equal(kept, built)


def test_of_different_values_for_one_index_one_is_kept_and_the_sums_agree():
    tree = update(tree_of(np.ones(64)), jnp.array([5, 5, 9]), jnp.array([2.0, 3.0, 4.0]))
    assert float(tree[0][5]) in (2.0, 3.0)
    assert float(sum_tree.total(tree)) == float(np.sum(np.asarray(tree[0])))


@given(seed=st.integers(0, 2**32 - 1), exponent=st.sampled_from([0, 1, 3, 4, 6, 9]))
def test_find_is_the_inverse_of_the_cumulative_sum(seed, exponent):
    random = np.random.default_rng(seed)
    leaves = random.integers(0, 4, 2**exponent).astype(np.float32)  # whole numbers: sums are exact; a quarter are empty
    leaves[random.integers(0, leaves.size)] += 1
    prefixes = np.unique((random.random(64) * leaves.sum()).astype(np.float32))
    prefixes = np.resize(prefixes[prefixes < leaves.sum()], 64)
    expected = np.searchsorted(np.cumsum(leaves), prefixes, side="right")
    np.testing.assert_array_equal(find(tree_of(leaves), prefixes), expected)


@given(seed=st.integers(0, 2**32 - 1), exponent=st.sampled_from([1, 4, 9]))
def test_an_empty_leaf_is_never_drawn(seed, exponent):
    random = np.random.default_rng(seed)
    leaves = np.where(random.random(2**exponent) < 0.8, 0.0, 10.0 ** random.uniform(-9, 9, 2**exponent))
    leaves[random.integers(0, leaves.size)] = 1e-9
    uniforms = np.where(random.random(64) < 0.5, random.random(64), 1.0 - 2.0**-24).astype(np.float32)
    drawn = np.asarray(sample(tree_of(leaves), uniforms))
    assert (leaves[drawn] > 0).all()


def test_frequencies_are_proportional_and_each_stratum_gives_one():
    random = np.random.default_rng(0)
    leaves = random.random(128) ** 2
    tree = tree_of(leaves)
    draws = np.concatenate([sample(tree, random.random(64).astype(np.float32)) for _ in range(500)])
    counts = np.bincount(draws, minlength=128)
    expected = leaves / leaves.sum() * draws.size
    large = expected > 5
    counts = np.append(counts[large], counts[~large].sum())
    expected = np.append(expected[large], expected[~large].sum())
    # stratified draws vary less than independent ones, so the statistic is small: a false alarm is all the rarer
    assert chisquare(counts, expected).pvalue > 1e-3
    one_each = sample(tree_of(np.ones(64)), random.random(64).astype(np.float32))
    np.testing.assert_array_equal(one_each, np.arange(64))
