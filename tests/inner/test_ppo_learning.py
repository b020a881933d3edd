"""PPO learns from its defaults: ten seeds in one program each. Floors lie well below what was measured (in brackets)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.registry import make_environment
from autorl.inner.ppo import PPO

SEEDS, EPISODES = 10, 32


def final_returns(environment_id, env_steps):
    """Return the mean evaluation return of each of ten agents, float [10], in increasing order."""
    environment = make_environment(environment_id)
    learner, task = PPO(environment), environment.default_task()
    hp = PPO.prepare({}, env_steps, {})
    steps = jnp.int32(env_steps)

    def member(seed):
        key = jax.random.key(seed)
        state = learner.train(learner.init(key, hp, task), hp, task, steps, steps)
        return learner.evaluate(state, hp, task, jax.random.fold_in(key, 1), EPISODES).returns.mean(), state.progress

    returns, progress = jax.jit(lambda seeds: jax.lax.map(member, seeds))(jnp.arange(100, 100 + SEEDS))
    assert not np.any(progress.diverged)
    return np.sort(returns)


@pytest.mark.bits
def test_cartpole_is_learned_in_50_000_steps():
    returns = final_returns("gymnax:CartPole-v1", 50_000)
    assert returns.mean() > 450  # [500]
    assert returns[1] > 300


@pytest.mark.slow
def test_cartpole_is_solved_by_every_seed():
    assert final_returns("gymnax:CartPole-v1", 100_000)[0] > 450  # [500 all ten]


@pytest.mark.slow
def test_acrobot_is_solved_by_every_seed():
    returns = final_returns("gymnax:Acrobot-v1", 250_000)
    assert returns.mean() > -95  # [-81]
    assert returns[0] > -120  # [-91]


@pytest.mark.slow
def test_pendulum_is_solved_by_every_seed():
    returns = final_returns("gymnax:Pendulum-v1", 300_000)
    assert returns.mean() > -220  # [-165]
    assert returns[0] > -350  # [-187]
