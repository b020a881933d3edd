"""What a time limit means to a learner: value after it, or, as in ARLBench, the end of the task."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.registry import make_environment
from autorl.inner.dqn import DQN
from autorl.inner.sac import SAC


@pytest.mark.parametrize(("made", "name"), [(DQN, "probe:truncation"), (SAC, "probe:continuous_truncation")])
@pytest.mark.parametrize("bootstrapped", [True, False])
def test_a_time_limit_ends_the_task_in_the_replay_if_it_is_not_bootstrapped(made, name, bootstrapped):
    learner = made(make_environment(name))
    task = jax.tree.map(jnp.asarray, learner.environment.default_task())
    values = {"buffer_size": 64, "learning_starts": 1000, "n_envs": 1, "bootstrap_time_limits": bootstrapped}
    hp = made.prepare(values, 40, {"buffer_size": 64})
    state = learner.init(jax.random.key(0), hp, task)
    state = jax.jit(learner.train)(state, hp, task, jnp.int32(40), jnp.int32(40))
    terminated = np.asarray(state.replay.rows[:40, -1])
    assert terminated.sum() == (0.0 if bootstrapped else 4.0), "four episodes of ten steps"
