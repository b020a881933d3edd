"""SAC learns Pendulum from its defaults. Floors lie well below what was measured (in brackets)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.registry import make_environment
from autorl.inner.sac import SAC

SEEDS, EPISODES, STEPS = 4, 32, 20_000


@pytest.mark.slow
def test_pendulum_is_solved_by_every_seed_with_uniform_and_with_prioritised_replay():
    environment = make_environment("gymnax:Pendulum-v1")
    learner, task, steps = SAC(environment), environment.default_task(), jnp.int32(STEPS)
    hp = SAC.prepare({}, STEPS, {})

    def member(lane):
        seed, prioritised = lane
        own, key = dataclasses.replace(hp, buffer_prio_sampling=prioritised), jax.random.key(seed)
        state = learner.train(learner.init(key, own, task), own, task, steps, steps)
        return learner.evaluate(state, own, task, jax.random.fold_in(key, 1), EPISODES).returns.mean(), state.progress

    seeds, prioritised = np.tile(np.arange(100, 100 + SEEDS), 2), np.repeat([False, True], SEEDS)
    returns, progress = jax.jit(lambda lanes: jax.lax.map(member, lanes))((seeds, prioritised))
    assert not np.any(progress.diverged)
    for own in np.asarray(returns).reshape(2, SEEDS):
        assert own.mean() > -175, returns  # [-145 and -144]
        assert own.min() > -200, returns  # [-152 and -153]
