"""Trainings with objectives: the hand-written losses' curves, divergence that disturbs nobody, other algorithms as graphs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.registry import make_environment
from autorl.inner.dqn import DQN
from autorl.inner.ppo import PPO
from autorl.objectives.graphs.graph import Graph, Node
from autorl.objectives.graphs.interpreter import InterpretedLoss
from autorl.objectives.graphs.program import Signature
from autorl.objectives.loader import load_objective

HORIZON = 4000
CARTPOLE, TWO_STEP = "gymnax:CartPole-v1", "probe:two_step"
SMALL = {
    "learning_rate": 5e-3,
    "gamma": 0.8,
    "hidden_size": 16,
    "n_layers": 1,
    "buffer_batch_size": 32,
    "gradient_steps": 4,
    "tau": 0.1,
    "learning_starts": 64,
    "target_epsilon": 0.2,
}
RUNAWAY = Graph((Node("square", (1,)), Node("scale", (9,), -1.0)))
"""Minus Q(s, a) squared: the values run away until every loss saturates."""


@functools.cache
def signature():
    graphs = [load_objective(name).graph for name in ("dqn", "double_dqn", "dqnreg_paper")]
    return Signature.covering([*graphs, RUNAWAY])


def interpreted(graph):
    graph = load_objective(graph).graph if isinstance(graph, str) else graph
    return InterpretedLoss.of(graph, signature())


@functools.cache
def dqn_program(name, own):
    """Return (learner, population): compiled once for all graphs, and once for the hand-written loss (``own``)."""
    del own
    dqn = DQN(make_environment(name))
    task = jax.tree.map(jnp.asarray, dqn.environment.default_task())

    def member(lane):
        hp, until = lane
        return dqn.train(dqn.init(jax.random.key(5), hp, task), hp, task, until, jnp.int32(HORIZON))

    return dqn, jax.jit(lambda hps, untils: jax.lax.map(member, (hps, untils)))


def dqn_trained(name, members, until=HORIZON):
    """Return (learner, hyperparameters, states) of members given as values; the states have a lane axis."""
    dqn, program = dqn_program(name, members[0].get("objective") is None)
    hps = [DQN.prepare({**SMALL, **values}, HORIZON, {}) for values in members]
    with jax.numpy_dtype_promotion("strict"):
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *hps)
        states = program(stacked, jnp.full(len(hps), until, jnp.int32))
    return dqn, hps[0], states


def lane(states, i):
    return jax.tree.map(lambda x: np.asarray(x[i]), states)


def same(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x, y), a, b)


# --- DQN ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_interpreted_td_graph_trains_as_the_hand_written_loss():
    own = [{}, {"buffer_prio_sampling": True}]
    graphs = [{**values, "objective": interpreted("dqn")} for values in own]
    for until, tolerance in [(72, 1e-5), (HORIZON, 2e-2)]:
        a, b = (dqn_trained(TWO_STEP, members, until)[2] for members in (own, graphs))
        np.testing.assert_array_equal(a.progress.updates, b.progress.updates)
        assert (np.asarray(a.progress.updates) == (until - 64) // 4 * 4).all()
        np.testing.assert_allclose(a.adam.parameters, b.adam.parameters, atol=tolerance)
        for metric in ("loss", "action_value"):
            np.testing.assert_allclose(a.progress.metrics[metric], b.progress.metrics[metric], atol=tolerance)
        np.testing.assert_allclose(a.replay.max_priority, b.replay.max_priority, rtol=1e-2)


def test_graphs_of_one_program_learn_what_each_says():
    dqn, hp, states = dqn_trained(
        TWO_STEP, [{"objective": interpreted(name)} for name in ("double_dqn", "dqnreg_paper")]
    )
    assert not np.asarray(states.progress.diverged).any()
    parameters = jax.vmap(dqn.layout(hp).unpack)(states.adam.parameters)
    values = jax.vmap(dqn.network(hp).apply, (0, None))(parameters, jnp.array([[0.0], [1.0]]))
    np.testing.assert_allclose(values[0], [[0.8, 0.8], [1.0, 1.0]], atol=0.02)
    # 0.1 Q + delta^2 is least where delta is -0.05
    np.testing.assert_allclose(values[1], [[0.8 * 0.95 - 0.05] * 2, [0.95] * 2], atol=0.02)


def test_a_diverging_graph_is_frozen_and_disturbs_nobody():
    wild = {"objective": interpreted(RUNAWAY), "learning_rate": 10.0}
    calm = {"objective": interpreted("dqn")}
    with_wild, without = (dqn_trained(TWO_STEP, members)[2] for members in ([wild, calm], [calm, calm]))
    assert np.asarray(with_wild.progress.diverged).tolist() == [True, False]
    assert int(with_wild.progress.env_steps[0]) < int(with_wild.progress.env_steps[1]) == HORIZON
    assert np.isfinite(np.asarray(with_wild.adam.parameters)).all()
    same(lane(with_wild, 1), lane(without, 1))
    same(lane(without, 0), lane(without, 1))


@pytest.mark.slow
def test_the_interpreted_td_graph_learns_cartpole_as_the_hand_written_loss():
    """Ten seeds each, the learner's defaults. Curves part by float noise, so what is compared is what was learned."""
    dqn, steps = DQN(make_environment(CARTPOLE)), 50_000
    task = jax.tree.map(jnp.asarray, dqn.environment.default_task())

    def returns(values):
        hp = DQN.prepare(values, steps, {})

        def member(seed):
            state = dqn.init(jax.random.key(seed), hp, task)
            state = dqn.train(state, hp, task, jnp.int32(steps), jnp.int32(steps))
            return dqn.evaluate(state, hp, task, jax.random.key(seed), 32).returns.mean()

        run = jax.pmap(lambda seeds: jax.lax.map(member, seeds), devices=jax.devices()[:2])
        return np.asarray(run(jnp.arange(10).reshape(2, -1))).reshape(-1)

    own, graph = returns({}), returns({"objective": interpreted("dqn")})
    assert np.median(graph) >= 490, (own, graph)
    assert abs(own.mean() - graph.mean()) <= 100, (own, graph)


# --- PPO ---------------------------------------------------------------------------------------------------------------

PPO_SMALL = {"n_envs": 4, "n_steps": 32, "minibatch_size": 128, "update_epochs": 4, "hidden_size": 16}
LOST = Graph((Node("constant", (), 1e6), Node("mul", (9, 9)), Node("mul", (10, 2))), "policy_gradient")
"""So large at once that every loss saturates."""


@functools.cache
def policy_signature():
    return Signature.covering([load_objective("ppo_clip").graph, load_objective("a2c").graph, LOST])


def policy(graph):
    graph = load_objective(graph).graph if isinstance(graph, str) else graph
    return InterpretedLoss.of(graph, policy_signature())


@functools.cache
def ppo_program(own):
    """Return (learner, training), compiled once for all graphs, and once for the hand-written loss (``own``)."""
    del own
    learner = PPO(make_environment("probe:observation_action_reward"))
    task = learner.environment.default_task()

    def trained(hp, until, horizon):
        return learner.train(learner.init(jax.random.key(7), hp, task), hp, task, until, horizon)

    return learner, jax.jit(trained)


def ppo_trained(values, steps, horizon=None):
    """Return (learner, hyperparameters, state)."""
    learner, program = ppo_program("objective" in values)
    hp = PPO.prepare({"learning_rate": 1e-2, **PPO_SMALL, **values}, horizon or steps, {})
    with jax.numpy_dtype_promotion("strict"):
        return learner, hp, program(hp, jnp.int32(steps), jnp.int32(horizon or steps))


def test_the_ppo_graph_trains_as_the_hand_written_loss():
    for steps, tolerance in [(128, 1e-5), (1280, 1e-3)]:
        own, graph = (ppo_trained(values, steps, 1280)[2] for values in ({}, {"objective": policy("ppo_clip")}))
        assert int(own.progress.updates) == int(graph.progress.updates) == steps // 128 * 4
        np.testing.assert_allclose(own.adam.parameters, graph.adam.parameters, atol=tolerance)
        a, b = own.progress.metrics, graph.progress.metrics
        whole = a["policy_loss"] + 0.5 * a["value_loss"]  # the default coefficients: the graph is the whole loss
        np.testing.assert_allclose(b["loss"], whole, atol=1e-3)
        assert set(a) - set(b) == {"policy_loss"}
        for metric in set(a) & set(b):
            np.testing.assert_allclose(a[metric], b[metric], atol=1e-3, err_msg=metric)


def test_a2c_as_a_graph_finds_the_action_for_each_observation():
    learner, hp, state = ppo_trained({"objective": policy("a2c"), "update_epochs": 1}, 128 * 100)
    assert int(state.progress.updates) == 100  # one for each rollout
    tree = learner.layout(hp).unpack(state.adam.parameters)
    logits, _ = learner.network(hp).apply({"params": tree}, jnp.array([[-1.0], [1.0]]))
    chosen = np.asarray(jax.nn.softmax(logits))
    assert chosen[0, 0] > 0.9, chosen
    assert chosen[1, 1] > 0.9, chosen
    assert float(state.progress.train_return) > 0.8


def test_a_diverging_policy_graph_is_frozen():
    *_, state = ppo_trained({"objective": policy(LOST)}, 1280)
    assert bool(state.progress.diverged)
    assert int(state.progress.env_steps) == 128
    assert np.isfinite(np.asarray(state.adam.parameters)).all()


@pytest.mark.slow
def test_the_ppo_graph_learns_cartpole_as_the_hand_written_loss():
    """Ten seeds each, the learner's defaults. Curves part by float noise, so what is compared is what was learned."""
    learner = PPO(make_environment(CARTPOLE))
    task, steps = learner.environment.default_task(), jnp.int32(50_000)

    def returns(values):
        hp = PPO.prepare(values, 50_000, {})

        def member(seed):
            key = jax.random.key(seed)
            state = learner.train(learner.init(key, hp, task), hp, task, steps, steps)
            return learner.evaluate(state, hp, task, jax.random.fold_in(key, 1), 32).returns.mean()

        return np.asarray(jax.jit(lambda seeds: jax.lax.map(member, seeds))(jnp.arange(100, 110)))

    own, graph = returns({}), returns({"objective": "ppo_clip"})
    assert graph.mean() > 450, (own, graph)
    assert abs(own.mean() - graph.mean()) <= 50, (own, graph)
