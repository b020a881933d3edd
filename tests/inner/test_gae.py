"""Advantages against numbers worked out by hand, and against the definition written as a loop."""

import jax
import numpy as np
import pytest

from autorl.inner.gae import advantages, next_values


def by_definition(rewards, values, following, done, gamma, lam):
    """A_t = sum over l of (gamma lambda)^l delta_(t+l), up to the end of the episode or of the rollout."""
    steps, count = rewards.shape
    result = np.zeros((steps, count))
    for b in range(count):
        for t in range(steps):
            weight = 1.0
            for k in range(t, steps):
                result[t, b] += weight * (rewards[k, b] + gamma * following[k, b] - values[k, b])
                if done[k, b]:
                    break
                weight *= gamma * lam
    return result


def test_three_steps_by_hand():
    rewards = np.array([[1.0], [2.0], [3.0]], np.float32)
    values = np.array([[0.5], [1.0], [1.5]], np.float32)
    no = np.zeros((3, 1), bool)
    following = next_values(values, np.array([2.0], np.float32), np.full((3, 1), 99.0, np.float32), no, no)
    np.testing.assert_allclose(following[:, 0], [1.0, 1.5, 2.0])
    # deltas with gamma .5: 1 + .5 - .5 = 1; 2 + .75 - 1 = 1.75; 3 + 1 - 1.5 = 2.5; gamma lambda = .25
    got = advantages(rewards, values, following, no, np.float32(0.5), np.float32(0.5))
    np.testing.assert_allclose(got[:, 0], [1 + 0.25 * (1.75 + 0.25 * 2.5), 1.75 + 0.25 * 2.5, 2.5], rtol=1e-6)


def test_termination_has_no_future_and_truncation_has_that_of_its_final_observation():
    values = np.array([[1.0, 1.0], [10.0, 10.0]], np.float32)
    terminated = np.array([[True, False], [False, False]])
    truncated = np.array([[False, True], [False, False]])
    final_values = np.array([[7.0, 7.0], [np.nan, np.nan]], np.float32)  # read at truncations only
    following = next_values(values, np.array([5.0, 5.0], np.float32), final_values, terminated, truncated)
    np.testing.assert_array_equal(following, [[0.0, 7.0], [5.0, 5.0]])
    rewards = np.ones((2, 2), np.float32)
    got = advantages(rewards, values, following, terminated | truncated, np.float32(0.5), np.float32(0.9))
    # first step: 1 + .5 * 0 - 1 = 0 and 1 + .5 * 7 - 1 = 3.5: nothing of the next episode's advantage
    np.testing.assert_allclose(got, [[0.0, 3.5], [1 + 2.5 - 10, 1 + 2.5 - 10]], rtol=1e-6)


@pytest.mark.parametrize(("gamma", "lam"), [(0.99, 0.95), (1.0, 1.0), (0.9, 0.0), (0.0, 0.5)])
@pytest.mark.parametrize("steps", [1, 7, 33])
def test_equals_the_definition(gamma, lam, steps):
    draw = np.random.default_rng(steps)
    rewards, values, finals = (draw.normal(size=(steps, 4)).astype(np.float32) for _ in range(3))
    terminated = draw.random((steps, 4)) < 0.15
    truncated = (draw.random((steps, 4)) < 0.15) & ~terminated
    last = draw.normal(size=4).astype(np.float32)
    done = terminated | truncated
    following = np.asarray(next_values(values, last, finals, terminated, truncated))
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        got = jax.jit(advantages)(rewards, values, following, done, np.float32(gamma), np.float32(lam))
    np.testing.assert_allclose(got, by_definition(rewards, values, following, done, gamma, lam), rtol=2e-4, atol=2e-5)
