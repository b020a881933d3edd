"""DQN and SAC under a teacher: what enters the replay, what the teacher hears, and that a training may be cut anywhere."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_teaching import PAY, equal, recorder

from autorl.environments.protocol import Box
from autorl.inner import replay as buffer
from autorl.inner.dqn import DQN
from autorl.inner.normalisation import initial_moments
from autorl.inner.off_policy import prioritisation
from autorl.inner.replay import Transitions
from autorl.inner.sac import SAC
from autorl.inner.taught_replay import store_learned, take_in_learned
from autorl.inner.teaching import Played

PUSH = dataclasses.replace(PAY, action_space=Box(-1.0, 1.0, (1,)))
SETTINGS = {
    "n_envs": 2,
    "train_freq": 3,
    "gradient_steps": 1,
    "learning_starts": 12,
    "hidden_size": 4,
    "n_layers": 1,
    "buffer_batch_size": 4,
    "buffer_prio_sampling": True,
    "normalize_observations": True,
}
HORIZON = 120


class Training:
    """One learner in the environment; its programs are compiled once for each structure of a course."""

    def __init__(self, learner):
        self.learner = learner
        task = learner.environment.default_task()
        self._init = jax.jit(lambda hp: learner.init(jax.random.key(3), hp, task))
        self._train = jax.jit(lambda state, hp, until: learner.train(state, hp, task, until, jnp.int32(HORIZON)))

    def hp(self, course, **values):
        return self.learner.prepare({**SETTINGS, **values, "teacher": course}, HORIZON, {})

    def __call__(self, course, *cuts, state=None, **values):
        hp = self.hp(course, **values)
        state = self._init(hp) if state is None else state
        for until in cuts:
            state = self._train(state, hp, jnp.int32(until))
        return state


@pytest.fixture(scope="module")
def dqn():
    return Training(DQN(PAY))


@pytest.fixture(scope="module")
def sac():
    return Training(SAC(PUSH))


@pytest.fixture(params=["dqn", pytest.param("sac", marks=pytest.mark.slow)])
def training(request):
    return request.getfixturevalue(request.param)


def stored(state):
    return buffer.unpack(np.asarray(state.replay.rows[: int(state.replay.filled)]))


TASKS = ((1.0, 2), (10.0, 3), (20.0, 1))


def test_rows_to_learn_from_fill_the_ring_one_after_another():
    """Against a list that is written in Python, over several times round."""
    rng, size, count = np.random.default_rng(0), 6, 3
    replay = buffer.empty(8, 1)
    store = jax.jit(store_learned)
    ring, number = [None] * size, 0
    for turn in range(12):
        mask = rng.integers(0, 2, count).astype(bool)
        rewards = 10.0 * turn + np.arange(count, dtype=np.float32)
        zero = jnp.zeros((count, 1))
        new = Transitions(zero, zero, jnp.zeros(count, jnp.int32), jnp.asarray(rewards), jnp.zeros(count))
        played = Played(jnp.zeros((count, 2)), jnp.asarray(mask), jnp.zeros(count))
        replay = store(replay, new, jnp.int32(size), played)
        for reward in rewards[mask]:
            ring[number % size] = float(reward)
            number += 1
        known = [x for x in ring if x is not None]
        assert np.asarray(replay.rows[: len(known), -2]).tolist() == known
        assert (int(replay.position), int(replay.filled)) == (number % size, len(known))


@pytest.mark.parametrize(("start", "kept"), [(0, 0), (4, 1), (4, 5), (2, 6), (3, 17)])
def test_what_was_stored_since_gets_a_priority_and_counts_as_observations(dqn, start, kept):
    size, hp = 6, dqn.hp(None, buffer_alpha=1.0)
    rows = jnp.arange(8, dtype=jnp.float32)[:, None] * jnp.ones((1, 5))
    replay = buffer.empty(8, 1)._replace(rows=rows, max_priority=jnp.float32(2.0))
    after, moments = take_in_learned(replay, initial_moments(1), hp, jnp.int32(size), jnp.int32(start), jnp.int32(kept))
    new = {(start + i) % size for i in range(kept)}
    assert np.flatnonzero(after.tree[0]).tolist() == sorted(new)
    assert set(np.asarray(after.tree[0]).tolist()) <= {0.0, 2.0}
    assert float(moments.weight) == pytest.approx(len(new), abs=1e-6)
    if new:
        np.testing.assert_allclose(moments.mean, np.mean(sorted(new)), rtol=1e-6)
    assert prioritisation(hp).enabled


@pytest.mark.slow
def test_a_teacher_of_the_usual_task_changes_nothing(training):
    alone, taught = training(None, HORIZON), training(recorder(*[(1.0, 2)] * 3), HORIZON)
    assert int(alone.progress.updates) == int(taught.progress.updates) > 10
    # to rounding: they are two programs
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)  # noqa: E731
    jax.tree.map(close, (alone.replay, alone.target, alone.moments), (taught.replay, taught.target, taught.moments))


def test_cutting_a_training_changes_no_bit(training):
    course = recorder(*TASKS, train=[True, False, True])
    whole, cut = training(course, HORIZON), training(course, 6, 40, 41, HORIZON)
    assert int(whole.actors.lessons.teacher.count) > 20
    assert equal(whole, cut)


def test_only_episodes_to_learn_from_enter_the_replay(training):
    state = training(recorder(*TASKS, train=[True, False, True]), HORIZON)
    unlearned = int(state.actors.lessons.diary.unlearned.sum())
    assert set(stored(state).reward.tolist()) == {1.0, 20.0}
    assert 0 < unlearned == HORIZON - int(state.replay.filled)
    none = training(recorder(*TASKS, train=[False] * 3), HORIZON)
    assert (int(none.replay.filled), int(none.progress.updates), int(none.progress.env_steps)) == (0, 0, HORIZON)
    assert float(none.moments.weight) <= 1e-6
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(none.moments))


def test_the_teacher_hears_returns_successes_and_values(training):
    # without learning, the values at the end are those of all episodes
    own = {"learning_starts": 10 * HORIZON, "normalize_observations": False}
    own |= {"reward_scale": 4.0} if isinstance(training.learner, SAC) else {}
    state, hp = training(recorder(*TASKS), HORIZON, **own), training.hp(None, **own)
    heard = state.actors.lessons.teacher
    rows = np.asarray(heard.rows[: int(heard.count)])
    wages = 100 * rows[:, 0]
    np.testing.assert_allclose(rows[:, 2], wages * (1 + 4 * rows[:, 1]), rtol=1e-4)
    assert rows[:, 3].tolist() == (wages > 5).astype(float).tolist()
    expected = values(training.learner, hp, state, jnp.asarray(wages, jnp.float32)[:, None])
    np.testing.assert_allclose(rows[:, 4], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        rows[:, 7], expected, rtol=1e-4, atol=1e-5, err_msg="what is observed never changes in an episode"
    )
    assert np.isnan(rows[:, 5:7]).all(), "value losses are nothing that it can be told"


def values(learner, hp, state, observation):
    if isinstance(learner, DQN):
        found = learner.network(hp).apply(learner.layout(hp).unpack(state.adam.parameters), observation)
        return found.max(axis=-1)
    policy = learner.actor_layout(hp).unpack(state.actor.parameters)["policy"]
    action = learner.policy.mode(learner.actor_network(hp).apply(policy, observation))
    critics = learner.critic_layout(hp).unpack(state.critics.parameters)
    return learner.critic_network(hp).apply(critics, observation, action).min(axis=0) / 4.0


def test_a_diverged_member_is_frozen_with_its_teacher(training):
    course = recorder((1.0, 5), (1.0, 5), (95.0, 5))
    after = training(course, HORIZON)
    assert bool(after.progress.diverged)
    assert equal(training(course, HORIZON, state=after), after)
