"""DQN with losses of the family ``network``, which apply the networks themselves."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.registry import make_environment
from autorl.errors import IncompatibleError
from autorl.inner.dqn import DQN
from autorl.inner.ppo import PPO
from autorl.objectives.graphs.compiled_coreyes import CompiledNetworkLoss
from autorl.objectives.graphs.interpreter_coreyes import InterpretedNetworkLoss
from autorl.objectives.graphs.program_coreyes import NetworkSignature
from autorl.objectives.graphs.starts_coreyes import REFERENCES, graph_of
from autorl.objectives.loader import load_objective

HORIZON = 2000
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
    "normalize_observations": True,
}
_Q = (("q_value_list", "q_param", "s_tm1"), ("select_list", "0", "action"))
NOISY = graph_of(*_Q, ("constant_gaussian", "constant"), ("l2_distance", "1", "2"))
RUNAWAY = graph_of(*_Q, ("l2_norm", "1"), ("subtract", "reward", "2"), ("l2_norm", "3"), ("subtract", "reward", "4"))
POPULATION = [REFERENCES["normal_dqn"], REFERENCES["ddqn"], RUNAWAY, NOISY, REFERENCES["cql"]]
SIGNATURE = NetworkSignature.covering(POPULATION)


@functools.cache
def program(kind):
    del kind  # one for each structure of members
    dqn = DQN(make_environment("probe:two_step"))
    task = jax.tree.map(jnp.asarray, dqn.environment.default_task())

    def member(lane):
        hp, until = lane
        return dqn.train(dqn.init(jax.random.key(5), hp, task), hp, task, until, jnp.int32(HORIZON))

    return dqn, jax.jit(lambda hps, untils: jax.lax.map(member, (hps, untils)))


def trained(kind, objectives, until=HORIZON, **values):
    dqn, run = program(kind)
    hps = [DQN.prepare({**SMALL, **values, "objective": objective}, HORIZON, {}) for objective in objectives]
    with jax.numpy_dtype_promotion("strict"):
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *hps)
        states = run(stacked, jnp.full(len(hps), until, jnp.int32))
    return dqn, hps[0], states


def interpreted(graph):
    return InterpretedNetworkLoss.of(graph, SIGNATURE)


@pytest.mark.slow
@pytest.mark.parametrize("prioritised", [False, True])
def test_dqn_as_a_graph_trains_as_the_hand_written_one(prioritised):
    _, _, own = trained("own", [None], 120, buffer_prio_sampling=prioritised)
    for kind, objectives in (("compiled", ["coreyes_normal_dqn"]), ("many", [interpreted(g) for g in POPULATION])):
        _, _, states = trained(kind, objectives, 120, buffer_prio_sampling=prioritised)
        assert int(states.progress.updates[0]) == int(own.progress.updates[0]) > 20
        np.testing.assert_allclose(states.adam.parameters[0], own.adam.parameters[0], rtol=2e-4, atol=2e-5)
        metrics, wanted = (s.progress.metrics["action_value"][0] for s in (states, own))
        np.testing.assert_allclose(metrics, wanted, rtol=1e-3, atol=1e-4)


def test_one_program_trains_a_population_and_divergence_disturbs_nobody():
    dqn, hp, states = trained("many", [interpreted(graph) for graph in POPULATION])
    _, run = program("many")
    assert [bool(flag) for flag in states.progress.diverged] == [False, False, True, False, False]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(states.adam.parameters))
    _, _, beside = trained("many", [interpreted(POPULATION[i]) for i in (2, 1, 4, 0, 3)])
    for here, there in ((1, 1), (4, 2), (0, 3), (3, 4)):
        np.testing.assert_array_equal(states.adam.parameters[here], beside.adam.parameters[there])
    assert run._cache_size() == 1
    task = jax.tree.map(jnp.asarray, dqn.environment.default_task())
    best = jax.tree.map(lambda x: x[0], states)
    assert float(jnp.mean(dqn.evaluate(best, hp, task, jax.random.key(1), 4).returns)) > 0.9


def test_learners_say_which_family_they_run():
    assert isinstance(DQN.prepare({"objective": "coreyes_ddqn"}, 10_000, {}).objective, CompiledNetworkLoss)
    with pytest.raises(IncompatibleError, match=r"family 'network'.*learners that fit: .*'dqn'"):
        PPO.prepare({"objective": CompiledNetworkLoss.of(load_objective("coreyes_cql").graph)}, 10_000, {})
