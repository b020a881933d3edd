"""Probe environments: each fails if one particular part of DQN is broken (see `autorl.environments.probes`)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.registry import make_environment
from autorl.inner.dqn import DQN

STEPS = 4000
VALUES = {
    "learning_rate": 5e-3,
    "gamma": 0.8,
    "hidden_size": 16,
    "n_layers": 1,
    "buffer_batch_size": 32,
    "gradient_steps": 4,
    "tau": 0.1,
    "learning_starts": 64,
    "target_epsilon": 0.2,
}


@pytest.fixture(autouse=True)
def strict_promotion():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@functools.cache
def action_values(name):
    """Return the learnt Q(observation) [actions], with uniform and with prioritised replay, and the greedy return."""
    dqn = DQN(make_environment(f"probe:{name}"))
    task = jax.tree.map(jnp.asarray, dqn.environment.default_task())
    hps = [DQN.prepare({**VALUES, "buffer_prio_sampling": prioritised}, STEPS, {}) for prioritised in (False, True)]

    def member(hp):
        state = dqn.init(jax.random.key(0), hp, task)
        state = dqn.train(state, hp, task, jnp.int32(STEPS), jnp.int32(STEPS))
        returns = dqn.evaluate(state, hp, task, jax.random.key(1), 8).returns
        observations = jnp.array([[-1.0], [0.0], [1.0]])
        return dqn.network(hp).apply(dqn.layout(hp).unpack(state.adam.parameters), observations), returns

    stacked = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(y) for y in x]), *hps)
    values, returns = jax.jit(lambda hps: jax.lax.map(member, hps))(stacked)
    return {-1: np.asarray(values[:, 0]), 0: np.asarray(values[:, 1]), 1: np.asarray(values[:, 2])}, np.asarray(returns)


@pytest.mark.slow
def test_constant_reward():
    values, _ = action_values("constant_reward")
    np.testing.assert_allclose(values[0], 1.0, atol=0.02)


@pytest.mark.slow
def test_reward_that_depends_on_the_observation():
    values, _ = action_values("observation_reward")
    np.testing.assert_allclose(values[1], 1.0, atol=0.05)
    np.testing.assert_allclose(values[-1], -1.0, atol=0.05)


def test_two_steps_are_discounted():
    values, _ = action_values("two_step")
    np.testing.assert_allclose(values[0], 0.8, atol=0.05)
    np.testing.assert_allclose(values[1], 1.0, atol=0.05)


@pytest.mark.slow
def test_reward_that_depends_on_the_action():
    values, returns = action_values("action_reward")
    np.testing.assert_allclose(values[0], [[-1.0, 1.0]] * 2, atol=0.05)
    np.testing.assert_array_equal(returns, 1.0)


@pytest.mark.slow
def test_reward_that_depends_on_both():
    values, returns = action_values("observation_action_reward")
    np.testing.assert_allclose(values[1], [[-1.0, 1.0]] * 2, atol=0.1)
    np.testing.assert_allclose(values[-1], [[1.0, -1.0]] * 2, atol=0.1)
    np.testing.assert_array_equal(returns, 1.0)


def test_time_limits_are_bootstrapped():
    values, returns = action_values("truncation")
    np.testing.assert_allclose(values[0], 1 / (1 - 0.8), atol=0.1)  # not sum(.8**i for i in range(10)) and less
    np.testing.assert_array_equal(returns, 10.0)
