"""Evaluations count whole episodes and only the steps of unfinished ones."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from autorl.environments.protocol import Discrete, Step
from autorl.inner.evaluation import evaluate_policy


@dataclass(frozen=True)
class Countdown:
    """An episode of 1 to 6 steps, drawn at reset; reward 1 a step, a poisoned one after the end; limit ``max_episode_steps``."""

    name: str = "countdown"
    observation_shape: tuple[int, ...] = ()
    max_episode_steps: int = 10

    @property
    def action_space(self):
        return Discrete(2)

    def default_task(self):
        return {"scale": jnp.float32(1.0)}

    def reset(self, key, task):
        left = jax.random.randint(key, (), 1, 7)
        return left.astype(jnp.float32), left

    def step(self, key, state, action, task):
        left = state - 1
        reward = jnp.where(left < 0, jnp.nan, task["scale"])
        none = jnp.zeros((), jnp.bool_)
        return Step(left.astype(jnp.float32), left, reward, left <= 0, none, {})


def evaluate(environment, episodes, act=lambda o, k: jnp.zeros(o.shape, jnp.int32), scale=1.0):
    task = {"scale": jnp.float32(scale)}
    return jax.jit(lambda key: evaluate_policy(environment, act, task, key, episodes))(jax.random.key(3))


def test_every_episode_ends_at_its_own_length():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        got = evaluate(Countdown(), 64)
    assert sorted(set(np.asarray(got.returns))) == [1, 2, 3, 4, 5, 6]  # no nan: nothing counts after the end
    assert got.env_steps == got.returns.sum()
    assert got.returns.dtype == jnp.float32
    assert got.env_steps.dtype == jnp.int32


def test_the_task_and_the_actions_reach_the_environment():
    np.testing.assert_allclose(evaluate(Countdown(), 8, scale=2.0).returns, 2 * evaluate(Countdown(), 8).returns)
    seen = []
    evaluate(Countdown(), 3, act=lambda o, k: seen.append((o.shape, k.shape)) or jnp.zeros(o.shape, jnp.int32))
    assert seen[0] == ((3,), ())


def test_an_endless_episode_stops_at_the_limit():
    got = evaluate(Countdown(max_episode_steps=2), 64)
    assert set(np.asarray(got.returns)) == {1.0, 2.0}
    assert got.env_steps <= 128
