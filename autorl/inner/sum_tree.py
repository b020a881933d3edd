"""A sum tree: priorities with O(log capacity) updates and draws, as pure functions over a tuple of arrays.

Schaul et al., 2016, "Prioritized experience replay", appendix B.2.1, with 8 children a node instead of 2: a third of the
levels, and each node's children lie side by side in memory. A parent is always computed anew from its children, in one
fixed order of additions, never by adding differences: nothing drifts, and a tree that was updated a million times is
equal, bit for bit, to one built from its leaves.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

SumTree = tuple[Array, ...]
"""Levels from the leaves [capacity] up to at most 8 nodes: float32, each an eighth of the one below it."""

WIDTH = 8
_BELOW_ONE = np.float32(1.0 - 2.0**-22)


def build(leaves: Array) -> SumTree:
    """Return the tree over ``leaves``, float32 [capacity], not negative; the capacity is a power of two."""
    capacity = leaves.shape[0]
    if capacity & (capacity - 1):
        raise ValueError(f"the capacity of a sum tree is a power of two, got {capacity}")
    levels = [leaves]
    while levels[-1].shape[0] > WIDTH:
        levels.append(_pairwise_sum(levels[-1].reshape(-1, WIDTH)))
    return tuple(levels)


def total(tree: SumTree) -> Array:
    """Return the sum of all leaves, a float32 scalar."""
    return _pairwise_sum(tree[-1])


def update(tree: SumTree, indices: Array, values: Array) -> SumTree:
    """Set leaves and mend their ancestors.

    Args:
        tree: The tree.
        indices: int32 [N] within the capacity. Where one occurs twice, one of its values is kept.
        values: float32 [N], finite and not negative.
    """
    levels = [tree[0].at[indices].set(values, mode="promise_in_bounds")]
    for level in tree[1:]:
        children = levels[-1].reshape(-1, WIDTH)
        indices = indices // WIDTH
        sums = _pairwise_sum(children.at[indices].get(mode="promise_in_bounds"))
        levels.append(level.at[indices].set(sums, mode="promise_in_bounds"))
    return tuple(levels)


def find(tree: SumTree, prefixes: Array) -> Array:
    """Return, for each prefix sum, the leaf whose interval it falls into; never a leaf of 0 while the total is positive.

    Args:
        tree: The tree.
        prefixes: float32 [N] in [0, total).

    Returns:
        int32 [N].
    """
    node = jnp.zeros(prefixes.shape, jnp.int32)
    rest = prefixes
    for level in reversed(tree):
        width = min(WIDTH, level.shape[0])
        children = level.reshape(-1, width).at[node].get(mode="promise_in_bounds")
        sums = jnp.cumsum(children, axis=1)
        # rounding may carry a prefix past the node's own sum: keep it below, so that the child found is not empty
        rest = jnp.minimum(rest, sums[:, -1] * _BELOW_ONE)
        passed = sums <= rest[:, None]
        child = jnp.minimum(jnp.sum(passed, axis=1, dtype=jnp.int32), width - 1)
        rest = rest - jnp.max(jnp.where(passed, sums, 0.0), axis=1)
        node = node * width + child
    return node


def sample(tree: SumTree, uniforms: Array) -> Array:
    """Draw leaves in proportion to their values, one from each of N equal strata of the total (appendix B.2.1).

    Args:
        tree: The tree; its total is positive.
        uniforms: float32 [N] in [0, 1).

    Returns:
        int32 [N].
    """
    count = uniforms.shape[0]
    strata = (jnp.arange(count, dtype=jnp.float32) + uniforms) * np.float32(1.0 / count)
    return find(tree, strata * total(tree))


def _pairwise_sum(x: Array) -> Array:
    """Return sums [...] of ``x`` [..., 2**n], in an order of additions that no compiler setting changes."""
    while x.shape[-1] > 1:
        half = x.shape[-1] // 2
        x = x[..., :half] + x[..., half:]
    return x[..., 0]
