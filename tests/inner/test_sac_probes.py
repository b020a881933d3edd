"""A probe that SAC solves exactly: the action, its bounds, and values bootstrapped through time limits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.registry import make_environment
from autorl.inner.sac import SAC

STEPS = 3000
VALUES = {
    "learning_rate": 5e-3,
    "gamma": 0.8,
    "hidden_size": 16,
    "n_layers": 1,
    "buffer_batch_size": 32,
    "tau": 0.1,
    "learning_starts": 64,
    "alpha": 0.01,
}
LANES = ({"alpha_auto": False}, {"alpha_auto": False, "buffer_prio_sampling": True}, {"target_entropy": -2.5})


@pytest.fixture(autouse=True)
def strict_promotion():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@functools.cache
def trained():
    """Return for each lane Q(observation, target * observation) [2 observations], the episodes' returns and the state.

    The last lane's rewards are not numbers.
    """
    sac = SAC(make_environment("probe:continuous_truncation"))
    task = jax.tree.map(jnp.asarray, sac.environment.default_task())
    hps = [SAC.prepare({**VALUES, **lane}, STEPS, {}) for lane in (*LANES, {})]
    tasks = [task] * len(LANES) + [{**task, "reward": jnp.float32(jnp.nan)}]
    observations, actions = jnp.array([[-1.0], [1.0]]), jnp.array([[-0.5], [0.5]])

    def member(lane):
        hp, task = lane
        state = sac.init(jax.random.key(0), hp, task)
        state = sac.train(state, hp, task, jnp.int32(STEPS), jnp.int32(STEPS))
        tree = sac.critic_layout(hp).unpack(state.critics.parameters)
        values = jnp.mean(sac.critic_network(hp).apply(tree, observations, actions), axis=0)
        return values, sac.evaluate(state, hp, task, jax.random.key(1), 8).returns, state

    stacked = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(y) for y in x]), *zip(hps, tasks, strict=True))
    return jax.jit(lambda lanes: jax.lax.map(member, lanes))((stacked[0], stacked[1]))


def test_the_action_is_found():
    _, returns, state = trained()
    assert not np.asarray(state.progress.diverged)[: len(LANES)].any()
    np.testing.assert_allclose(returns[: len(LANES)], 10.0, atol=0.1)


def test_time_limits_are_bootstrapped():
    values, _, state = trained()
    alpha = np.asarray(state.progress.metrics["alpha"])[:2]
    assert (alpha == np.float32(0.01)).all()
    np.testing.assert_allclose(values[:2], 1 / (1 - 0.8), atol=0.25)  # not sum(.8**i for i in range(10)) and less


def test_the_temperature_brings_the_entropy_to_its_target():
    _, _, state = trained()
    assert float(state.progress.metrics["entropy"][2]) == pytest.approx(-2.5, abs=0.4)


def test_a_reward_that_is_not_a_number_freezes_the_member():
    _, _, state = trained()
    assert bool(state.progress.diverged[-1])
    assert int(state.progress.env_steps[-1]) == 1
    assert np.isfinite(np.asarray(state.actor.parameters[-1])).all()
