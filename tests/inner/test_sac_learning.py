"""SAC learns Pendulum from its defaults. Floors lie well below what was measured (in brackets)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.registry import make_environment
from autorl.inner.sac import SAC

SEEDS, EPISODES, STEPS = 6, 32, 20_000


@pytest.mark.slow
@pytest.mark.parametrize("prioritised", [False, True])
def test_pendulum_is_solved_by_every_seed(prioritised):
    environment = make_environment("gymnax:Pendulum-v1")
    learner, task, steps = SAC(environment), environment.default_task(), jnp.int32(STEPS)
    hp = SAC.prepare({"buffer_prio_sampling": prioritised}, STEPS, {})

    def member(seed):
        key = jax.random.key(seed)
        state = learner.train(learner.init(key, hp, task), hp, task, steps, steps)
        return learner.evaluate(state, hp, task, jax.random.fold_in(key, 1), EPISODES).returns.mean(), state.progress

    returns, progress = jax.jit(lambda seeds: jax.lax.map(member, seeds))(jnp.arange(100, 100 + SEEDS))
    assert not np.any(progress.diverged)
    assert np.mean(returns) > -190, returns
    assert np.min(returns) > -250, returns
