"""PAIRED's adversary, where the task of the greatest regret is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.curricula.paired import _advantages, _log_probabilities, _values
from autorl.curricula.protocol import Feedback
from autorl.curricula.tasks import TaskSpace
from autorl.curricula.teachers import make_teacher
from autorl.environments.maze.points import MazePoints

ROUND = 16


@pytest.fixture(scope="module")
def adversary():
    teacher = make_teacher("paired", TaskSpace.unit(3))
    parameters = teacher.parameters({"learning_rate": 3e-3, "hidden_size": 16, "warm_up": 2})
    propose = jax.jit(lambda state, key: teacher.propose(parameters, state, key, ROUND).tasks)
    return teacher, parameters, propose, jax.jit(teacher.update)


def trained(adversary, returns, rounds=120, seed=0):
    """Return tasks of the last ten rounds; ``returns``: tasks -> (protagonist's, antagonist's)."""
    teacher, parameters, propose, update = adversary
    state, late = teacher.init(jax.random.key(seed), parameters), []
    for number in range(rounds):
        tasks = propose(state, jax.random.key(1000 * (seed + 1) + number))
        own, rival = returns(np.asarray(tasks))
        state = update(
            parameters, state, tasks, Feedback(returns=jnp.asarray(own), antagonist_returns=jnp.asarray(rival))
        )
        late += [np.asarray(tasks)] * (number >= rounds - 10)
    return np.concatenate(late), state


def gap(tasks):
    """Return both agents' returns: at x beyond .85 nobody can do anything; in one place, 9 % of the box, the antagonist does more."""
    hard = tasks[:, 0] > 0.85
    place = (np.abs(tasks[:, :2] - [0.7, 0.3]) < 0.15).all(axis=1)
    own = np.where(hard, 0.0, 0.5)
    return own, np.where(place & ~hard, 1.0, own)


@pytest.mark.parametrize("seed", [0, 1])
def test_it_builds_the_tasks_of_the_greatest_regret_neither_easy_ones_nor_impossible_ones(adversary, seed):
    late, _ = trained(adversary, gap, seed=seed)
    own, rival = gap(late)
    assert (rival > own).mean() > 0.8
    assert np.ptp(late[:, 2]) > 0.8, "what does not matter stays varied"


def test_the_last_coordinate_is_built_for_those_before_it(adversary):
    def same(tasks):
        # whichever half the first coordinate is in, the last must be in the same one: no single choice is best
        return np.zeros(len(tasks)), ((tasks[:, 0] > 0.5) == (tasks[:, 2] > 0.5)).astype(float)

    late, _ = trained(adversary, same, rounds=200)
    assert same(late)[1].mean() > 0.8


def test_without_regret_it_stays_uniform(adversary):
    late, _ = trained(adversary, lambda tasks: (tasks[:, 0], tasks[:, 0]), rounds=60)
    counts = np.stack([np.histogram(column, 4, (0, 1))[0] for column in late.T])
    assert counts.min() > 0.1 * len(late)


def test_what_told_nothing_changes_nothing(adversary):
    _, parameters, propose, update = adversary
    _, state = trained(adversary, gap, rounds=4)
    tasks = propose(state, jax.random.key(9))
    nothing = Feedback(returns=jnp.full(ROUND, jnp.nan), antagonist_returns=jnp.ones(ROUND))
    for old, new in zip(*map(jax.tree.leaves, (state, update(parameters, state, tasks, nothing))), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
def test_until_it_is_warm_levels_are_random_and_it_learns_to_draw_such():
    points = MazePoints(5, 4)
    teacher = make_teacher("paired", TaskSpace((0.0,) * 28, (1.0,) * 28, points.sample, points.edit))
    parameters = teacher.parameters()
    propose = jax.jit(lambda state, key: teacher.propose(parameters, state, key, ROUND).tasks)
    update, state = jax.jit(teacher.update), teacher.init(jax.random.key(0), parameters)
    walls = lambda tasks: float((tasks[:, :25] > 0.5).sum(axis=1).mean())  # noqa: E731
    for number in range(10):
        tasks = propose(state, jax.random.key(number))
        assert walls(tasks) == 4.0
        state = update(parameters, state, tasks, Feedback(jnp.zeros(ROUND), antagonist_returns=jnp.ones(ROUND)))
    own = jnp.concatenate([propose(state, jax.random.key(number)) for number in range(100, 110)])
    assert 2.5 < walls(own) < 6.0, "about as many, where an untrained policy would build 12.5"
    assert len(np.unique(np.asarray(own[:, :25]) > 0.5, axis=0)) > 100


@pytest.mark.slow
def test_probabilities_of_a_coordinate_add_up_and_do_not_look_ahead(adversary):
    _, state = trained(adversary, gap, rounds=40)
    network = jax.tree.map(jnp.asarray, state.network)
    point = jnp.array([[0.3, 0.6, 0.1]])
    parts = jnp.repeat(point, 8, axis=0).at[:, 1].set((jnp.arange(8) + 0.5) / 8)
    logs, _ = jax.jit(_log_probabilities, static_argnums=2)(network, parts, 8)
    np.testing.assert_allclose(jnp.exp(logs[:, 1]).sum(), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(logs[:, 0], logs[0, 0])
    assert float(jnp.ptp(logs[:, 2])) > 0


def test_advantages_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    values, regret, discount, decay = rng.normal(size=(5, 4)), rng.normal(size=5), 0.9, 0.7
    surprise = np.concatenate([discount * values[:, 1:], regret[:, None]], axis=1) - values
    expected = [
        [sum((discount * decay) ** (k - t) * row[k] for k in range(t, 4)) for t in range(4)] for row in surprise
    ]
    found = _advantages(jnp.asarray(values, jnp.float32), jnp.asarray(regret, jnp.float32), discount, decay)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    whole = _advantages(jnp.zeros((1, 3)), jnp.ones(1), 0.9, 1.0)
    np.testing.assert_allclose(whole, [[0.81, 0.9, 1.0]], rtol=1e-6)


def test_a_coordinate_is_credited_for_what_it_adds(adversary):
    """The first coordinate alone decides: the critic knows so, and what is drawn after it is neither praised nor blamed."""
    first = lambda tasks: (np.zeros(len(tasks)), tasks[:, 0])  # noqa: E731
    _, state = trained(adversary, first, rounds=60)
    tasks = np.random.default_rng(0).random((400, 3)).astype(np.float32)
    values = np.asarray(_values(state.network, jnp.asarray(tasks)))
    assert np.corrcoef(values[:, 1], tasks[:, 0])[0, 1] > 0.9
    assert np.ptp(values[:, 0]) == 0, "before the first nothing is known"
    gains = np.asarray(_advantages(jnp.asarray(values), jnp.asarray(tasks[:, 0]), 0.995, 0.98))
    assert gains[:, 2].std() < 0.5 * gains[:, 0].std()
