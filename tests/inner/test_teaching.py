"""Learning under a teacher, in an environment small enough to know every number."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.curricula.course import make_course
from autorl.environments.protocol import Discrete, Step
from autorl.environments.task_box import TaskBox, TaskDimension
from autorl.environments.task_points import task_points
from autorl.inner.course import Course
from autorl.inner.diary import BINS, INTERVALS, SAMPLES, Episodes, empty_diary, written
from autorl.inner.evaluation import TaskSet, evaluate_policy
from autorl.inner.normalisation import initial_moments, merge
from autorl.inner.ppo import PPO
from autorl.inner.ppo_loss import Samples, ppo_loss
from autorl.inner.teaching import PROPOSED, _heard, start_lessons, taught_step, told


@dataclass(frozen=True)
class Pay:
    """Each step pays ``wage``; an episode takes ``length`` steps, and succeeds if it pays more than 5 a step. Above 90 it pays nan."""

    name: str = "test:pay"
    observation_shape: tuple[int, ...] = (1,)
    action_space: Discrete = Discrete(2)  # noqa: RUF009
    max_episode_steps: int = 5

    @property
    def task_space(self):
        return TaskBox((TaskDimension("wage", 0.0, 100.0, 1.0), TaskDimension("length", 1, 5, 2, whole=True)))

    def default_task(self):
        return {"wage": np.float32(1.0), "length": np.int32(2)}

    def reset(self, key, task):
        return jnp.asarray(task["wage"], jnp.float32)[None], jnp.int32(0)

    def step(self, key, state, action, task):
        wage = jnp.asarray(task["wage"], jnp.float32)
        pay = jnp.where(wage > 90.0, jnp.nan, wage)
        return Step(wage[None], state + 1, pay, state + 1 >= task["length"], jnp.bool_(False), {"success": wage > 5.0})


PAY = Pay()
POINTS = task_points(PAY)
POINT = lambda wage, length: [wage / 100.0, (length - 1) / 4]  # noqa: E731


class Heard(NamedTuple):
    """What a `Recorder` was told, in order."""

    count: Any
    rows: Any


@jax.tree_util.register_pytree_node_class
@dataclass(frozen=True)
class Recorder:
    """Proposes given tasks in turn, and writes down whatever it is told."""

    tasks: Any
    train: Any

    dimensions = 2
    features = 2
    hears = frozenset({"mean_values"})
    room = 64

    def tree_flatten(self):
        return (self.tasks, self.train), None

    @classmethod
    def tree_unflatten(cls, _, leaves):
        return cls(*leaves)

    def init(self, key):
        return Heard(jnp.int32(0), jnp.full((self.room, 8), jnp.nan))

    def propose(self, state, key, n):
        which = jnp.arange(n) % len(self.tasks)
        return self.tasks[which], self.train[which]

    def update(self, state, points, episodes):
        names = ("returns", "successes", "values", "positive_value_losses", "absolute_value_losses", "mean_values")
        rows = jnp.concatenate([points, jnp.stack([episodes[name] for name in names], axis=1)], axis=1)
        valid = jnp.isfinite(episodes["returns"])
        place = jnp.where(valid, state.count + jnp.cumsum(valid) - 1, self.room)
        return Heard(state.count + valid.sum(), state.rows.at[place].set(rows, mode="drop"))

    def task(self, default, point):
        return POINTS.task(default, point)

    def described(self, points):
        return points


def recorder(*tasks, train=None):
    points = jnp.asarray([POINT(*task) for task in tasks], jnp.float32)
    return Recorder(points, jnp.ones(len(tasks), bool) if train is None else jnp.asarray(train))


STEPS, COUNT = 4, 2


@jax.jit
def begun(course):
    lessons, _, states = start_lessons(course, PAY, PAY.default_task(), jax.random.key(0), COUNT)
    return lessons, states, jnp.zeros(COUNT)


@jax.jit
def rollout(course, lessons, states, totals, part=jnp.float32(0.0)):  # noqa: B008
    """Play four steps in two environments, with values 10 t + b and advantages 1, -1, 1, -1."""

    def advance(now, key):
        lessons, states, totals = now
        step, _, states, lessons, played = taught_step(
            course, PAY, jax.random.split(key, COUNT), states, jnp.zeros(COUNT, jnp.int32), PAY.default_task(), lessons
        )
        totals = totals + step.reward
        return (lessons, states, jnp.where(step.terminated, 0.0, totals)), (played, step.terminated, totals)

    keys = jax.random.split(jax.random.key(1), STEPS)
    (lessons, states, totals), (played, done, returns) = jax.lax.scan(advance, (lessons, states, totals), keys)
    times = jnp.arange(STEPS, dtype=jnp.float32)[:, None]
    values, advantage = 10.0 * times + jnp.arange(COUNT), jnp.where(times % 2 == 0, 1.0, -1.0) * jnp.ones(COUNT)
    return told(course, lessons, played, done, returns, values, advantage, part), states, totals, played


def wages(points):
    return np.round(100 * np.asarray(points[..., 0])).astype(int).tolist()


def test_the_tasks_proposed_are_those_that_are_played_and_told_of():
    course = recorder((1.0, 2), (10.0, 3), (20.0, 1))
    assert isinstance(course, Course)
    lessons, _, _, played = rollout(course, *begun(course))
    # the first environment: wage 1 for two steps, then wage 20 for one, then what comes next; the second: wage 10 for three
    assert wages(played.points) == [[1, 10], [1, 10], [20, 10], [1, 10]]
    heard = lessons.teacher
    assert int(heard.count) == 3
    wage, _, total, success, value, positive, absolute, mean = np.asarray(heard.rows[:3]).T
    np.testing.assert_allclose(100 * wage, [1, 20, 10], rtol=1e-5)
    np.testing.assert_allclose(total, [2, 20, 30], rtol=1e-5)
    assert success.tolist() == [0, 1, 1]
    assert value.tolist() == [0, 20, 1], "the agent's value of each episode's first observation"
    np.testing.assert_allclose(mean, [5, 20, 11], err_msg="of its observations 0 and 10; 20; 1, 11 and 21")
    np.testing.assert_allclose(positive, [1 / 2, 1, 2 / 3])
    np.testing.assert_allclose(absolute, [1, 1, 1])


def test_an_episode_goes_on_over_the_end_of_a_rollout():
    course = recorder((7.0, 5), (7.0, 5), (7.0, 5))
    *now, _ = rollout(course, *begun(course))
    assert int(now[0].teacher.count) == 0
    lessons, *_ = rollout(course, *now)
    assert int(lessons.teacher.count) == 2
    first = np.asarray(lessons.teacher.rows[0])
    assert first[4] == 0.0, "the value of its first observation, in the rollout before"
    np.testing.assert_allclose(first[[2, 5, 6, 7]], [35.0, 3 / 5, 1.0, 12.0], rtol=1e-6)


def test_a_new_proposal_is_made_when_one_is_used_up():
    course = recorder((1.0, 1), (2.0, 1), (3.0, 1))
    start = begun(course)
    assert len(start[0].desk.next_points) == PROPOSED * COUNT == 8
    lessons, _, _, played = rollout(course, *start)
    assert wages(played.points) == [[1, 2], [3, 1], [2, 3], [1, 2]]
    assert wages(lessons.desk.points) == [1, 2], "not 3, 1: the ninth task is the first of another proposal"


@pytest.mark.parametrize(("ended", "parts"), [(3, [3]), (8, [8]), (9, [8, 1]), (16, [8, 8]), (20, [8, 8, 4])])
def test_a_round_is_told_in_parts_of_which_each_knows_whether_more_follow(ended, parts):
    class Parts(Recorder):
        """Writes down how many episodes each update is about, and whether more follow."""

        def update(self, state, points, episodes):
            row = jnp.stack([episodes["ended"].sum(), episodes["more"]]).astype(jnp.float32)
            return Heard(state.count + 1, state.rows.at[state.count, :2].set(row))

    course = Parts(jnp.zeros((1, 2)), jnp.ones(1, bool))
    channels = {"returns": jnp.zeros(24)}
    which = jnp.zeros(24, bool).at[jnp.asarray(np.random.default_rng(0).permutation(24)[:ended])].set(True)
    heard = _heard(course, course.init(None), jnp.zeros((24, 2)), channels, which, 8)
    assert int(heard.count) == len(parts)
    more = [1.0] * (len(parts) - 1) + [0.0]
    np.testing.assert_array_equal(heard.rows[: len(parts), :2], np.stack([parts, more], axis=1))


def test_the_diary_counts_episodes_by_interval_and_feature():
    course = recorder((1.0, 2), (10.0, 3), (20.0, 1), train=[True, False, True])
    diary = rollout(course, *begun(course), jnp.float32(0.52))[0].diary
    assert diary.episodes.shape == (INTERVALS, 2, BINS)
    interval = int(0.52 * INTERVALS)
    by_wage = np.asarray(diary.episodes[interval, 0])
    assert (by_wage[0], by_wage[1], by_wage[3], by_wage.sum(), int(diary.episodes.sum())) == (1, 1, 1, 3, 6)
    np.testing.assert_allclose(diary.returns[interval, 0, [0, 1, 3]], [2, 30, 20], rtol=1e-5)
    assert int(diary.unlearned[interval]) == 4, "the steps of the second environment"


def test_levels_in_the_diary_are_a_uniform_sample_of_those_learned_from():
    rng = np.random.default_rng(0)
    seen = np.zeros(40)

    @jax.jit
    def three_rollouts(parts, ended, train):
        diary = empty_diary(1, 2)
        for part in parts:
            numbers = jnp.arange(40.0)
            points = jnp.stack([numbers, -numbers], axis=1)
            told_of = Episodes(jnp.zeros((40, 1)), numbers / 10, numbers / 40, ended, train, points)
            diary = written(diary, told_of, part)
        return diary.levels

    for _ in range(200):
        ended, train = rng.random(40) < 0.8, np.arange(40) % 4 > 0
        levels = three_rollouts(jnp.asarray(0.31 + 0.001 * rng.random(3), jnp.float32), ended, train)
        points, row = np.asarray(levels.points), int(0.31 * INTERVALS)
        assert (np.asarray(levels.priority) > 0).sum(axis=1).tolist() == [
            SAMPLES * (k == row) for k in range(INTERVALS)
        ]
        numbers = points[row, :, 0].astype(int)
        assert (ended & train)[numbers].all()
        np.testing.assert_allclose(np.asarray(levels.returns)[row], numbers / 10, rtol=1e-6)
        np.testing.assert_array_equal(points[row, :, 1], -numbers)
        seen += np.bincount(numbers, minlength=40)
    assert seen[::4].sum() == 0, "those that were only looked at"
    learned = seen[np.arange(40) % 4 > 0]
    assert 0.4 < learned.min() / learned.mean() < learned.max() / learned.mean() < 1.7


def test_tasks_that_are_no_levels_are_not_kept():
    course = recorder((1.0, 2), (10.0, 3), (20.0, 1))
    assert begun(course)[0].diary.levels.points.shape == (INTERVALS, SAMPLES, 0)


def test_an_evaluation_plays_each_held_out_task_in_turn():
    exam = TaskSet({"wage": jnp.asarray([1.0, 2.0, 9.0]), "length": jnp.asarray([2, 5, 1])})
    still = lambda observations, key: jnp.zeros(len(observations), jnp.int32)  # noqa: E731
    found = jax.jit(lambda key: evaluate_policy(PAY, still, exam, key, 6))(jax.random.key(0))
    assert found.returns.tolist() == [2, 10, 9, 2, 10, 9]
    assert found.successes.tolist() == [0, 0, 1, 0, 0, 1]
    assert int(found.env_steps) == 16
    alone = jax.eval_shape(lambda key: evaluate_policy(PAY, still, PAY.default_task(), key, 2), jax.random.key(0))
    assert alone.successes is None


def test_samples_without_weight_change_no_loss_and_no_moment():
    rng = np.random.default_rng(0)
    columns = jnp.asarray(rng.normal(size=(7, 12)), jnp.float32)
    weight = jnp.asarray(rng.integers(0, 2, 12), jnp.float32)
    hp = PPO.prepare({"ent_coef": 0.1}, 10_000, {})
    kept = columns[:, np.flatnonzero(weight)]
    loss, parts = ppo_loss(*columns[:3], Samples(*columns[3:], weight), hp)
    expected, same = ppo_loss(*kept[:3], Samples(*kept[3:]), hp)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(parts, same, rtol=1e-4, atol=1e-6)
    rows = columns.T
    for own, other in zip(merge(initial_moments(7), rows, weight), merge(initial_moments(7), kept.T), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5)
    assert all(np.isfinite(x).all() for x in merge(initial_moments(7), rows, jnp.zeros(12)))


SETTINGS = {
    "n_envs": 2,
    "n_steps": 8,
    "minibatch_size": 8,
    "update_epochs": 1,
    "hidden_size": 4,
    "n_layers": 1,
    "normalize_observations": True,
}


@pytest.fixture(scope="module")
def train():
    """Train PPO under a recorder; one program for all tests."""
    learner = PPO(PAY)

    def begun(course):
        hp = PPO.prepare({**SETTINGS, "teacher": course}, 1000, {})
        return learner.init(jax.random.key(3), hp, PAY.default_task())

    def trained(state, course, until):
        hp = PPO.prepare({**SETTINGS, "teacher": course}, 1000, {})
        return learner.train(state, hp, PAY.default_task(), until, jnp.int32(96))

    programs = jax.jit(begun), jax.jit(trained)
    return lambda course, *cuts, state=None: _cut(programs, course, cuts, state)


def _cut(programs, course, cuts, state):
    state = programs[0](course) if state is None else state
    for until in cuts:
        state = programs[1](state, course, jnp.int32(until))
    return state


def equal(a, b):
    raw = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x  # noqa: E731
    return all(
        np.array_equal(raw(x), raw(y), equal_nan=True) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True)
    )


def test_cutting_a_training_changes_no_bit(train):
    course = recorder((1.0, 2), (10.0, 3), (20.0, 1))
    whole, cut = train(course, 96), train(course, 16, 40, 96)
    assert int(whole.progress.env_steps) == 96
    assert int(whole.actors.lessons.teacher.count) > 20
    assert equal(whole, cut)


def test_nothing_is_learned_from_episodes_that_are_only_looked_at(train):
    looked = recorder((1.0, 2), (10.0, 3), (20.0, 1), train=[False] * 3)
    start, after = train(looked), train(looked, 96)
    assert equal((start.adam, start.moments.mean), (after.adam, after.moments.mean))
    assert (int(after.progress.env_steps), int(after.progress.updates), bool(after.progress.diverged)) == (96, 0, False)
    assert int(after.actors.lessons.diary.unlearned.sum()) == 96
    some = train(recorder((1.0, 2), (10.0, 3), (20.0, 1), train=[True, False, True]), 96)
    assert 0 < int(some.actors.lessons.diary.unlearned.sum()) < 96
    assert not equal(some.adam.parameters, start.adam.parameters)


def test_a_diverged_member_is_frozen_with_its_teacher(train):
    course = recorder((1.0, 5), (1.0, 5), (1.0, 5), (95.0, 5))
    after = train(course, 96)
    assert bool(after.progress.diverged)
    assert int(after.progress.env_steps) < 96
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(after.adam))
    assert equal(train(course, 96, state=after), after)


def test_a_real_teacher_is_told_scores_and_skips_what_told_nothing():
    course = make_course({"name": "spdl"}, PAY, POINTS, (0.0, 500.0))
    assert isinstance(course, Course)
    state = course.init(jax.random.key(0))
    points, train_ = course.propose(state, jax.random.key(1), 6)
    assert (points.shape, train_.shape) == ((6, 2), (6,))
    episodes = dict.fromkeys(
        ("returns", "successes", "values", "mean_values", "positive_value_losses", "absolute_value_losses"),
        jnp.full(6, 250.0),
    )
    update = jax.jit(course.update)
    after = update(state, points, {**episodes, "returns": jnp.full(6, jnp.nan)})
    assert equal(after, state), "episodes that told nothing"
    assert np.isclose(update(state, points, episodes).signals[-1], 0.5), "returns are told as scores"
