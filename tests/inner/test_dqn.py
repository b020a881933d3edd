"""DQN's parts against numbers worked out by hand, and what a training promises: segments, freezing, independence."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorl.environments.registry import make_environment
from autorl.errors import IncompatibleError, UsageError
from autorl.inner import sum_tree
from autorl.inner.dqn import DQN
from autorl.inner.dqn_hyperparameters import DQNHyperparameters, exploration
from autorl.inner.dqn_loss import td_targets
from autorl.inner.off_policy import target_updates
from autorl.inner.protocol import is_traced, make_hyperparameters
from autorl.inner.random_words import random_words, uniform
from autorl.inner.replay import Transitions

HORIZON = 2000
SMALL = {
    "n_envs": 2,
    "hidden_size": 8,
    "n_layers": 1,
    "buffer_batch_size": 16,
    "learning_starts": 100,
    "buffer_prio_sampling": True,
}
train = jax.jit(lambda dqn, *rest: dqn.train(*rest), static_argnums=0)
init = jax.jit(lambda dqn, *rest: dqn.init(*rest), static_argnums=0)


@pytest.fixture(autouse=True)
def strict_promotion():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@functools.cache
def learner(name="gymnax:CartPole-v1"):
    dqn = DQN(make_environment(name))
    return dqn, jax.tree.map(jnp.asarray, dqn.environment.default_task())


def settings(**values):
    return DQN.prepare({**SMALL, **values}, HORIZON, {})


def go(state, hp, until, name="gymnax:CartPole-v1", task=None):
    dqn, default = learner(name)
    return train(dqn, state, hp, default if task is None else task, jnp.int32(until), jnp.int32(HORIZON))


def start(hp, seed=0, name="gymnax:CartPole-v1"):
    dqn, task = learner(name)
    return init(dqn, jax.random.key(seed), hp, task)


def assert_same_bits(a, b):
    def same(x, y):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(np.asarray(x).view(np.uint8), np.asarray(y).view(np.uint8))

    jax.tree.map(lambda x, y: same(np.atleast_1d(x), np.atleast_1d(y)), a, b)


# --- hyperparameters ---------------------------------------------------------------------------------------------------


def test_only_shapes_are_static():
    fields = DQNHyperparameters.__dataclass_fields__
    static = {name for name in fields if not is_traced(DQNHyperparameters, name)}
    assert static == {
        "buffer_batch_size",
        "n_envs",
        "hidden_size",
        "n_layers",
        "activation",
        "buffer_capacity",
        "objective",
        "teacher",
    }


@pytest.mark.parametrize(
    ("values", "horizon", "bounds", "capacity"),
    [
        ({}, 50_000, {}, 65_536),
        ({}, 10_000_000, {}, 131_072),  # the default buffer of 100,000
        ({"buffer_size": 1024}, 50_000, {}, 1024),
        ({"buffer_size": 1024}, 50_000, {"buffer_size": 120_000.0}, 65_536),  # one program for the whole space
        ({"buffer_size": 1025}, 1_000_000, {"buffer_size": 4000}, 4096),
        ({"buffer_size": 1, "n_envs": 12}, 50_000, {}, 16),
        ({"buffer_capacity": 1000}, 50_000, {}, 1024),
    ],
)
def test_allocation(values, horizon, bounds, capacity):
    assert DQN.prepare(values, horizon, bounds).buffer_capacity == capacity


def test_prepare_refuses():
    with pytest.raises(
        UsageError, match=r"gamma: expected a value in \[0.0, 1.0\], got 2.*unknown hyperparameter 'tua'"
    ):
        DQN.prepare({"gamma": 2, "tua": 1.0}, 1000, {})
    with pytest.raises(UsageError, match=r"train_freq \* n_envs: one iteration of 300 \* 4 env steps.*of 1000"):
        DQN.prepare({"train_freq": 300, "n_envs": 4}, 1000, {})
    with pytest.raises(UsageError, match="buffer_capacity: expected at least n_envs = 64, got 2"):
        DQN.prepare({"buffer_capacity": 2, "n_envs": 64}, 1000, {})


def test_continuous_actions_are_refused():
    with pytest.raises(IncompatibleError, match="discrete actions, but 'gymnax:Pendulum-v1' has Box"):
        DQN(make_environment("gymnax:Pendulum-v1"))


# --- formulas ----------------------------------------------------------------------------------------------------------


def test_td_targets():
    zero = jnp.zeros((4, 1))
    batch = Transitions(
        zero, zero, jnp.zeros(4, jnp.int32), jnp.array([1.0, 1.0, -2.0, 0.0]), jnp.array([0.0, 1, 0, 1])
    )
    values = jnp.array([[3.0, 5.0], [3.0, 5.0], [-4.0, -6.0], [7.0, 1.0]])
    np.testing.assert_allclose(td_targets(batch, values, jnp.float32(0.9)), [5.5, 1.0, -5.6, 0.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("step", "fraction", "expected"),
    [(0, 0.5, 0.9), (250, 0.5, 0.5), (500, 0.5, 0.1), (900, 0.5, 0.1), (0, 0.0, 0.1), (500, 1.0, 0.5)],
)
def test_epsilon_falls_linearly(step, fraction, expected):
    values = {"initial_epsilon": 0.9, "target_epsilon": 0.1, "exploration_fraction": fraction}
    hp = make_hyperparameters(DQNHyperparameters, values)
    assert float(exploration(hp, jnp.int32(step), jnp.int32(1000))) == pytest.approx(expected, abs=1e-6)


@given(interval=st.integers(1, 50), envs=st.integers(1, 8), before=st.integers(0, 30), steps=st.integers(0, 30))
def test_target_updates_fall_due_as_if_counted_step_by_step(interval, envs, before, steps):
    hp = make_hyperparameters(DQNHyperparameters, {"target_update_interval": interval, "n_envs": envs})
    period = -(-interval // envs)  # in steps of all environments
    expected = sum(step % period == 0 for step in range(before + 1, before + steps + 1))
    assert int(target_updates(hp, np.int32(before * envs), np.int32((before + steps) * envs))) == expected


# --- one update --------------------------------------------------------------------------------------------------------


def linear(flat, size, actions):
    """Bias [A] and weights [D, A] of a network without hidden layers."""
    return flat[:actions].astype(np.float64), flat[actions:].reshape(size, actions).astype(np.float64)


@pytest.mark.parametrize("use_target_network", [True, False])
@pytest.mark.parametrize("max_grad_norm", [1e6, 0.05])
def test_one_update_equals_numpy(use_target_network, max_grad_norm):
    values = {"n_layers": 0, "train_freq": 1, "gradient_steps": 1, "learning_starts": 0, "buffer_alpha": 0.7}
    values |= {"use_target_network": use_target_network, "max_grad_norm": max_grad_norm, "buffer_beta": 0.5}
    values |= {"buffer_epsilon": 0.01, "gamma": 0.9, "learning_rate": 0.01, "buffer_batch_size": 16}
    hp = settings(**values)
    waiting = settings(**values | {"learning_starts": HORIZON})
    state = go(start(hp), waiting, 60)
    # other priorities, another target: so that neither weights nor bootstrap are trivial
    place = np.arange(hp.buffer_capacity)
    leaves = np.where(place < 60, 1.0 + place % 5, 0.0).astype(np.float32)
    tree = sum_tree.build(jnp.asarray(leaves))
    state = state._replace(target=state.target + 0.3, replay=state.replay._replace(tree=tree))
    before = go(state, waiting, 62)  # the act of the iteration without its update; adds two rows of priority 1
    after = go(state, hp, 62)
    assert int(after.progress.updates) == 1

    tree = before.replay.tree
    u = uniform(random_words(state.key, 1, jnp.int32(0), 16))
    drawn = np.asarray(sum_tree.sample(tree, u))
    rows = np.asarray(before.replay.rows)[drawn].astype(np.float64)
    s, n, a, r, end = rows[:, :4], rows[:, 4:8], rows[:, 8].astype(int), rows[:, 9], rows[:, 10]
    leaf = np.asarray(tree[0])[drawn].astype(np.float64)
    weights = (62 * leaf / float(sum_tree.total(tree))) ** -0.5
    weights /= weights.max()
    bias, weight = linear(np.asarray(before.adam.parameters), 4, 2)
    tbias, tweight = linear(np.asarray(before.target if use_target_network else before.adam.parameters), 4, 2)
    target = r + 0.9 * (1 - end) * (n @ tweight + tbias).max(1)
    error = target - (s @ weight + bias)[np.arange(16), a]
    assert float(after.progress.metrics["loss"]) == pytest.approx((weights * error**2).mean() / 2, rel=1e-4)
    slope = np.zeros((16, 2))
    slope[np.arange(16), a] = -weights * error / 16
    gradient = np.concatenate([slope.sum(0), (s.T @ slope).reshape(-1)])
    norm = np.linalg.norm(gradient)
    assert float(after.progress.metrics["gradient_norm"]) == pytest.approx(norm, rel=1e-4)
    gradient *= min(1, max_grad_norm / norm)
    step = 0.01 * gradient / (np.abs(gradient) + 1e-8)  # Adam's first
    np.testing.assert_allclose(after.adam.parameters, np.asarray(before.adam.parameters) - step, atol=2e-5)
    np.testing.assert_allclose(after.adam.first, 0.1 * gradient, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(np.asarray(after.replay.tree[0])[drawn], (np.abs(error) + 0.01) ** 0.7, rtol=1e-3)
    assert float(after.replay.max_priority) == pytest.approx(max(1.0, np.abs(error).max() + 0.01), rel=1e-4)


def test_the_target_network_moves_by_tau_when_due():
    values = {"train_freq": 3, "target_update_interval": 4, "tau": 0.25, "learning_starts": 0}
    hp = settings(**values)
    state, dues = start(hp), set()
    for i in range(1, 8):  # 6 env steps an iteration: one or two updates fall due in each
        before, state = state, go(state, hp, 6 * i)
        due = 6 * i // 4 - 6 * (i - 1) // 4
        dues.add(due)
        old, parameters = np.asarray(before.target), np.asarray(before.adam.parameters)
        np.testing.assert_allclose(state.target, old + (1 - 0.75**due) * (parameters - old), atol=1e-6)
    assert dues == {1, 2}
    assert np.abs(np.asarray(state.adam.parameters) - np.asarray(state.target)).max() > 1e-4


def test_the_settings_of_co_reyes_et_al_mean_what_they_did():
    """One update for each env step from the 1000th on, the target copied every 100, epsilon 1 to 0.02 over some env steps."""
    values = {"learning_rate": 1e-4, "n_envs": 1, "train_freq": 1, "gradient_steps": 1, "learning_starts": 1000}
    values |= {"tau": 1.0, "target_update_interval": 100, "max_grad_norm": 1e10, "buffer_prio_sampling": False}
    values |= {"buffer_size": 1_000_000, "target_epsilon": 0.02, "exploration_fraction": 500 / HORIZON}
    hp = settings(**values)
    before = go(start(hp), hp, 1199)
    due = go(before, hp, 1200)
    after = go(due, hp, 1299)
    assert [int(state.progress.updates) for state in (before, due, after)] == [199, 200, 299]
    np.testing.assert_allclose(due.target, before.adam.parameters, atol=1e-6)
    np.testing.assert_array_equal(due.target, after.target)
    assert np.abs(np.asarray(after.target) - np.asarray(after.adam.parameters)).max() > 1e-4
    epsilons = [float(exploration(hp, jnp.int32(step), jnp.int32(HORIZON))) for step in (0, 250, 500, HORIZON)]
    assert epsilons == pytest.approx([1.0, 0.51, 0.02, 0.02], abs=1e-6)


# --- a training --------------------------------------------------------------------------------------------------------


def test_counts_and_learning_starts():
    hp = settings(train_freq=5, gradient_steps=3, learning_starts=100)
    early = go(start(hp), hp, 109)  # 10 env steps an iteration, whole ones only
    assert (int(early.progress.env_steps), int(early.progress.updates)) == (100, 0)
    np.testing.assert_array_equal(early.adam.parameters, early.target)
    late = go(early, hp, 155)
    assert (int(late.progress.env_steps), int(late.progress.updates)) == (150, 15)
    assert int(late.replay.filled) == 150


def test_no_update_before_the_replay_holds_a_batch():
    hp = settings(train_freq=1, gradient_steps=1, learning_starts=0)
    state = go(start(hp), hp, 14)
    assert int(state.progress.updates) == 0
    assert int(go(state, hp, 16).progress.updates) == 1
    tiny = settings(
        train_freq=1, gradient_steps=1, learning_starts=0, buffer_size=4, buffer_capacity=hp.buffer_capacity
    )
    state = go(start(tiny), tiny, 40)
    assert (int(state.replay.filled), int(state.progress.updates)) == (4, 19)  # a full ring is always enough


@pytest.mark.bits
@pytest.mark.parametrize("prioritised", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_segments_change_no_bit(prioritised):
    hp = settings(buffer_prio_sampling=prioritised, normalize_observations=True, buffer_size=300)
    whole = go(start(hp), hp, HORIZON)
    cut = start(hp)
    for until in (1, 333, 334, 1000, 1999, HORIZON):
        cut = go(cut, hp, until)
    assert int(whole.progress.env_steps) == HORIZON
    assert int(whole.progress.updates) > 400
    assert_same_bits(whole, cut)


def test_replay_never_holds_an_observation_after_a_reset_as_next():
    hp = settings(learning_starts=HORIZON, n_envs=1)
    state = go(start(hp), hp, HORIZON)
    rows = np.asarray(state.replay.rows)[:HORIZON]
    position, velocity, following, end = rows[:, 0], rows[:, 1], rows[:, 4], rows[:, 10]
    assert end.sum() > 50
    np.testing.assert_allclose(following, position + 0.02 * velocity, atol=1e-6)  # the dynamics, at episode ends too
    angle = 12 * 2 * np.pi / 360
    np.testing.assert_array_equal((np.abs(rows[:, 6]) > angle) | (np.abs(following) > 2.4), end == 1)
    continued = (rows[1:, :4] == rows[:-1, 4:8]).all(1)
    np.testing.assert_array_equal(continued, end[:-1] == 0)  # the next row starts afresh after an end


def test_exploration_follows_epsilon():
    values = {"learning_starts": HORIZON, "exploration_fraction": 1.0, "n_envs": 1}
    greedy = settings(**values, initial_epsilon=0.0, target_epsilon=0.0)
    state = go(start(greedy), greedy, HORIZON)
    dqn, _ = learner()
    tree = dqn.layout(greedy).unpack(state.adam.parameters)
    rows = np.asarray(state.replay.rows)[:HORIZON]
    best = np.asarray(dqn.network(greedy).apply(tree, rows[:, :4])).argmax(1)
    assert (best == rows[:, 8]).mean() > 0.999  # but for rounding of ties
    half = settings(**values, initial_epsilon=1.0, target_epsilon=0.0)
    rows = np.asarray(go(start(half), half, HORIZON).replay.rows)[:HORIZON]
    best = np.asarray(dqn.network(greedy).apply(tree, rows[:, :4])).argmax(1)
    different = best != rows[:, 8]
    # a random action differs half of the time: 3/8 in the first half of the training, 1/8 in the second
    assert different[: HORIZON // 2].mean() == pytest.approx(3 / 8, abs=0.065)
    assert different[HORIZON // 2 :].mean() == pytest.approx(1 / 8, abs=0.065)


def test_observations_are_normalised_by_their_running_moments():
    hp = settings(normalize_observations=True)
    state = go(start(hp), hp, 480)
    seen = np.asarray(state.replay.rows)[:480, :4]
    np.testing.assert_allclose(state.moments.mean, seen.mean(0), atol=1e-4)
    np.testing.assert_allclose(state.moments.variance, seen.var(0), rtol=1e-3)
    without = go(start(hp), settings(), 480)
    assert not np.asarray(without.moments.mean).any()


# --- failures ----------------------------------------------------------------------------------------------------------


def test_a_reward_that_is_not_a_number_freezes_the_member():
    name = "probe:nan_reward"
    hp = settings(n_envs=1)
    state = go(start(hp, name=name), hp, HORIZON, name)
    assert bool(state.progress.diverged)
    assert int(state.progress.env_steps) < 20
    assert np.isfinite(np.asarray(state.adam.parameters)).all()
    assert_same_bits(state, go(state, hp, HORIZON, name))
    task = learner(name)[1]
    fine = go(start(hp, name=name), hp, HORIZON, name, {**task, "nan_after": jnp.int32(20)})
    assert (bool(fine.progress.diverged), int(fine.progress.env_steps)) == (False, HORIZON)


@pytest.mark.slow
def test_a_learning_rate_beyond_all_bounds_diverges_and_disturbs_nobody():
    dqn, task = learner()

    def population(rates):
        many = [settings(learning_rate=rate) for rate in rates]
        hps = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(y) for y in x]), *many)

        def member(hp):
            return dqn.train(dqn.init(jax.random.key(3), hp, task), hp, task, jnp.int32(1000), jnp.int32(HORIZON))

        return jax.jit(lambda hps: jax.lax.map(member, hps))(hps)

    wild, calm = population([1e38, 1e-3]), population([1e-3, 1e-3])
    assert np.asarray(wild.progress.diverged).tolist() == [True, False]
    assert int(wild.progress.updates[0]) < int(wild.progress.updates[1])
    assert int(wild.progress.env_steps[0]) < 1000
    assert all(np.isfinite(np.asarray(x)).all() for x in (wild.adam.first, wild.target, *wild.replay.tree))
    assert_same_bits(*(jax.tree.map(lambda x: x[1], state) for state in (wild, calm)))


# --- the compiled program ----------------------------------------------------------------------------------------------


def test_the_loop_copies_no_buffer():
    dqn, task = learner()
    hp = settings(buffer_capacity=4096)
    state = jax.eval_shape(lambda k: dqn.init(k, hp, task), jax.random.key(0))
    lanes = jax.tree.map(lambda x: jax.ShapeDtypeStruct((2, *x.shape), x.dtype), state)

    def program(states):
        return jax.lax.map(lambda s: dqn.train(s, hp, task, jnp.int32(HORIZON), jnp.int32(HORIZON)), states)

    text = jax.jit(program, donate_argnums=0).lower(lanes).compile().as_text()
    copies = [line for line in text.splitlines() if " copy(" in line and ("[4096,11]" in line or "[4096]" in line)]
    assert "f32[4096,11]" in text
    # taking a member out of the population may copy its two buffers, once for each call
    assert len(copies) <= 2, copies


@pytest.mark.slow
def test_vmap_gives_the_same_training():
    dqn, task = learner()
    hp = settings(train_freq=2)

    def member(seed):
        state = dqn.init(jax.random.key(seed), hp, task)
        return dqn.train(state, hp, task, jnp.int32(200), jnp.int32(HORIZON))

    vmapped = jax.jit(jax.vmap(member))(jnp.arange(2))
    for seed in range(2):
        alone = go(start(hp, seed), hp, 200)
        lane = jax.tree.map(lambda x, i=seed: x[i], vmapped)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), lane, alone)
