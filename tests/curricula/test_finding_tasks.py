"""Tasks are found among thousands by a few sums first: the answer is that of comparing every coordinate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.curricula.tasks import SAME, find, same_task

jitted = jax.jit(find)


def compared(points, table, filled):
    same = np.asarray(same_task(jnp.asarray(points), jnp.asarray(table))) & filled
    return same.argmax(axis=1), same.any(axis=1)


@pytest.fixture(scope="module")
def levels():
    """Sixty rows of forty cells, as levels are: zeros and ones, and one number."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.integers(0, 2, (60, 40)), rng.random((60, 1))], axis=1).astype(np.float32)


@pytest.mark.parametrize("held", [60, 30, 0])
def test_levels_are_found_and_their_edits_are_not(levels, held):
    rng = np.random.default_rng(1)
    edited = levels[:10].copy()
    edited[np.arange(10), rng.integers(0, 40, 10)] = 0.5
    rounded = levels[50:60] + (rng.random((10, 41)).astype(np.float32) - 0.5) * SAME
    points = np.concatenate([edited, levels[10:20], rounded])
    place, known = jitted(points, levels, np.arange(60) < held)
    expected = compared(points, levels, np.arange(60) < held)
    np.testing.assert_array_equal(place, expected[0])
    np.testing.assert_array_equal(known, expected[1])
    assert known.sum() == {60: 20, 30: 10, 0: 0}[held]


def test_where_sums_leave_several_candidates_all_are_compared(levels):
    table = np.concatenate([levels, levels[:5] + np.float32(1.5 * SAME) * (np.arange(41) == 7)]).astype(np.float32)
    points = np.concatenate([table[60:], levels[:5]])
    place, known = jitted(points, table, np.ones(65, bool))
    assert place.tolist() == [60, 61, 62, 63, 64, 0, 1, 2, 3, 4]
    assert known.all()


def test_points_of_few_dimensions_are_compared_at_once():
    table = np.random.default_rng(2).random((20, 2)).astype(np.float32)
    place, known = jitted(np.concatenate([table[5:8], table[:1] + 0.01]), table, np.ones(20, bool))
    assert (place.tolist(), known.tolist()) == ([5, 6, 7, 0], [True, True, True, False])
