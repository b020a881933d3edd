"""Two agents in lockstep: what a teacher hears of them, in an environment small enough to know every number."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.protocol import Discrete, Step
from autorl.errors import UsageError
from autorl.inner.course import Course
from autorl.inner.paired_ppo import AGENTS, PairedPPO, _heard
from autorl.inner.ppo import PPO
from autorl.inner.rollout import Trajectory
from autorl.inner.teaching import Played


@dataclass(frozen=True)
class Pay:
    """An episode takes ``length`` steps, each of which pays the action; it succeeds if the last action was 1. Above 7 steps it pays nan."""

    name: str = "test:pay"
    observation_shape: tuple[int, ...] = (1,)
    action_space: Discrete = Discrete(2)  # noqa: RUF009
    max_episode_steps: int = 9

    def default_task(self):
        return {"length": np.int32(2)}

    def reset(self, key, task):
        return jnp.ones(1, jnp.float32), jnp.int32(0)

    def step(self, key, state, action, task):
        pay = jnp.where(task["length"] > 7, jnp.nan, action.astype(jnp.float32))
        over = state + 1 >= task["length"]
        return Step(jnp.ones(1, jnp.float32), state + 1, pay, over, jnp.bool_(False), {"success": over & (action == 1)})


class Told(NamedTuple):
    """What the teacher was told last, and how often."""

    count: Any
    rows: Any


NAMES = ("returns", "antagonist_returns", "successes", "values")


@jax.tree_util.register_pytree_node_class
@dataclass(frozen=True)
class Recorder:
    """Proposes tasks of given lengths, and keeps what it was told last."""

    lengths: Any
    train: Any

    dimensions = 1
    features = 1

    def tree_flatten(self):
        return (self.lengths, self.train), None

    @classmethod
    def tree_unflatten(cls, _, leaves):
        return cls(*leaves)

    def init(self, key):
        return Told(jnp.int32(0), jnp.zeros((len(self.lengths), len(NAMES) + 1)))

    def propose(self, state, key, n):
        assert n == len(self.lengths)
        return self.lengths[:, None] / 10, self.train

    def update(self, state, points, episodes):
        columns = jnp.stack([points[:, 0], *(episodes[name] for name in NAMES)], axis=1)
        return Told(state.count + 1, columns)

    def task(self, default, point):
        return {"length": jnp.round(10 * point[0]).astype(jnp.int32)}

    def described(self, points):
        return points


def recorder(*lengths, train=True):
    return Recorder(jnp.asarray(lengths, jnp.float32), jnp.full(len(lengths), train))


SETTINGS = {"n_envs": 3, "n_steps": 6, "minibatch_size": 18, "update_epochs": 4, "hidden_size": 4, "n_layers": 1}
SETTINGS |= {"learning_rate": 0.05, "gamma": 0.0}
HORIZON = 36 * 20


@pytest.fixture(scope="module")
def programs():
    """Return (train from scratch to some cuts, evaluate), compiled once."""
    learner = PairedPPO(Pay())
    task = learner.environment.default_task()
    prepared = lambda course: PairedPPO.prepare({**SETTINGS, "teacher": course}, HORIZON, {})  # noqa: E731
    begun = jax.jit(lambda course: learner.init(jax.random.key(3), prepared(course), task))
    go_on = jax.jit(lambda s, course, until: learner.train(s, prepared(course), task, until, jnp.int32(HORIZON)))
    evaluate = jax.jit(lambda s, course: learner.evaluate(s, prepared(course), task, jax.random.key(0), 4))

    def train(course, *cuts, state=None):
        state = begun(course) if state is None else state
        for until in cuts:
            state = go_on(state, course, jnp.int32(until))
        return state

    return train, evaluate


def equal(a, b):
    raw = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x  # noqa: E731
    return all(
        np.array_equal(raw(x), raw(y), equal_nan=True) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True)
    )


def test_a_task_is_worth_the_mean_or_the_best_of_its_episodes():
    done = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1], [1, 0, 1]], bool)
    returns = np.array([[1, 1, 1], [2, 2, 2], [5, 3, 3], [7, 4, -1]], np.float32)
    success = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    played = Played(None, None, success)
    fields = dict.fromkeys(Trajectory._fields)
    seen = Trajectory(**{**fields, "reward": returns, "terminated": done, "truncated": done & False})
    heard = _heard(seen._replace(episode_return=returns, played=played))
    # the second never ends: its return so far counts
    np.testing.assert_allclose(heard.mean, [4.5, 4.0, 1.0])
    np.testing.assert_allclose(heard.best, [7.0, 4.0, 3.0])
    np.testing.assert_allclose(heard.success, [0.5, 1.0, 0.5])


@pytest.mark.slow
def test_both_agents_play_each_task_for_a_whole_rollout(programs):
    course = recorder(1, 3, 7)
    assert isinstance(course, Course)
    state = programs[0](course, 36)
    assert int(state.progress.env_steps) == AGENTS * 3 * 6
    assert int(state.progress.updates) == AGENTS * 4
    assert int(state.teacher.count) == 1
    rows = np.asarray(state.teacher.rows)
    np.testing.assert_allclose(rows[:, 0], [0.1, 0.3, 0.7], rtol=1e-6)
    length_one, length_three, never_over = rows[:, 1:3]
    assert length_one[1] in (0.0, 1.0)
    assert np.isclose(6 * length_one[0] % 1, 0.0, atol=1e-5), "the protagonist's mean over six episodes"
    assert length_three[1] == int(length_three[1]), "the antagonist's best of two episodes"
    assert np.isclose(2 * length_three[0] % 1, 0.0, atol=1e-6)
    assert never_over[0] == int(never_over[0])
    assert int(state.diary.episodes.sum()) == 6 + 2, "of the protagonist"


@pytest.mark.slow
def test_the_agents_are_two_and_both_learn(programs):
    train, evaluate = programs
    course = recorder(1, 2, 3)
    start, after = train(course), train(course, HORIZON)
    assert not equal(start.protagonist.adam.parameters, start.antagonist.adam.parameters)
    assert int(after.teacher.count) == 20
    rows = np.asarray(after.teacher.rows)
    np.testing.assert_allclose(rows[:, 2], [1.0, 2.0, 3.0], rtol=1e-6, err_msg="the antagonist takes all pay")
    assert (rows[:, 1] > 0.7 * rows[:, 2]).all(), "so does the protagonist"
    assert evaluate(after, course).returns.tolist() == [2.0] * 4


@pytest.mark.slow
def test_cutting_a_training_changes_no_bit(programs):
    train, _ = programs
    course = recorder(1, 2, 3)
    assert equal(train(course, 216), train(course, 40, 100, 216))


@pytest.mark.slow
def test_neither_agent_learns_from_what_is_only_looked_at(programs):
    train, _ = programs
    course = recorder(1, 2, 3, train=False)
    start, after = train(course), train(course, 72)
    for name in ("protagonist", "antagonist"):
        before, now = getattr(start, name), getattr(after, name)
        assert equal((before.adam, before.moments.mean), (now.adam, now.moments.mean))
    assert int(after.diary.unlearned.sum()) == 72
    assert int(after.teacher.count) == 2


@pytest.mark.slow
def test_a_diverged_training_is_frozen_with_its_teacher(programs):
    train, _ = programs
    course = recorder(1, 2, 8)
    after = train(course, HORIZON)
    assert bool(after.progress.diverged)
    assert int(after.teacher.count) == 0
    assert equal(after.protagonist, train(course).protagonist)


def test_a_rollout_of_both_must_fit_and_without_a_teacher_it_is_ppo():
    with pytest.raises(UsageError, match=r"one rollout of two agents, 2 \* 3 \* 6 env steps"):
        PairedPPO.prepare({**SETTINGS, "teacher": recorder(1, 2, 3)}, 30, {})
    hp = PairedPPO.prepare(SETTINGS, 30, {})
    state = jax.eval_shape(PairedPPO(Pay()).init, jax.random.key(0), hp, {"length": np.int32(2)})
    assert jax.tree.structure(state) == jax.tree.structure(
        jax.eval_shape(PPO(Pay()).init, jax.random.key(0), hp, {"length": np.int32(2)})
    )
