"""Fused losses: on a CPU each has an update of its own, on an accelerator only the loss is a branch."""

from __future__ import annotations

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.registry import make_environment
from autorl.environments.tasks import make_task
from autorl.inner.dqn import DQN
from autorl.inner.own_code import with_own_code
from autorl.inner.ppo import PPO
from autorl.inner.protocol import make_hyperparameters
from autorl.inner.tabular import TabularQ
from autorl.objectives.graphs.compiled import CompiledLoss, FusedLoss
from autorl.objectives.graphs.compiled_coreyes import CompiledNetworkLoss, FusedNetworkLoss
from autorl.objectives.graphs.interpreter import InterpretedLoss
from autorl.objectives.graphs.program import Signature
from autorl.objectives.loader import load_objective

NAMES = ("dqn", "double_dqn", "dqnreg_paper")
NETWORK_NAMES = ("coreyes_normal_dqn", "coreyes_ddqn")


def graphs_of(names):
    return [load_objective(name).graph for name in names]


def ran(objective):
    """Return which losses `with_own_code` runs, in a compiled program where branches are branches."""
    seen = []

    def run(loss):
        jax.debug.callback(lambda: seen.append(type(loss).__name__ + str(getattr(loss, "graph", ""))))
        return sum((jnp.sum(jnp.asarray(x)) for x in jax.tree.leaves(loss)), jnp.float32(0.0))

    jax.block_until_ready(jax.jit(lambda objective: with_own_code(objective, run))(objective))
    jax.effects_barrier()
    return seen


@pytest.mark.parametrize("index", range(len(NAMES)))
def test_only_the_code_of_its_own_graph_runs(index):
    graphs = graphs_of(NAMES)
    own = CompiledLoss.of(graphs[index]).graph
    assert ran(FusedLoss.batch(graphs)[index]) == [f"CompiledLoss{own}"]


def test_a_loss_with_no_others_runs_as_it_is():
    graph = load_objective("dqn").graph
    assert [name[:12] for name in ran(CompiledLoss.of(graph))] == ["CompiledLoss"]
    assert ran(InterpretedLoss.of(graph, Signature.covering([graph]))) == ["InterpretedLoss"]


def test_on_an_accelerator_only_the_loss_itself_is_a_branch(monkeypatch):
    fused = FusedLoss.batch(graphs_of(NAMES))[0]
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert ran(fused) == ["FusedLoss"]


@pytest.mark.parametrize(
    ("fused", "alone", "names"),
    [(FusedLoss, CompiledLoss, NAMES), (FusedNetworkLoss, CompiledNetworkLoss, NETWORK_NAMES)],
)
def test_members_are_the_graphs_with_the_constants_of_this_one(fused, alone, names):
    graphs = graphs_of(names)
    for graph, loss in zip(graphs, fused.batch(graphs), strict=True):
        which, members = loss.members()
        assert members[int(which)].graph == alone.of(graph).graph
        np.testing.assert_array_equal(members[int(which)].constants, alone.of(graph).constants)
        assert [member.graph for member in members] == [alone.of(other).graph for other in graphs]


VALUE = ("dqn", "double_dqn", "dqnreg_paper", "huber_dqn", "dqn_clipped")
POLICY = ("ppo_clip", "a2c", "awr", "dpo", "importance_weighted")
NETWORK = ("coreyes_normal_dqn", "coreyes_ddqn", "coreyes_dqn_reg", "coreyes_dqn_reg_abs", "coreyes_cql")
LEARNERS = [
    (DQN, "gymnax:CartPole-v1", FusedLoss, VALUE, {"buffer_size": 64, "buffer_batch_size": 8}),
    (DQN, "gymnax:CartPole-v1", FusedNetworkLoss, NETWORK, {"buffer_size": 64, "buffer_batch_size": 8}),
    (PPO, "gymnax:CartPole-v1", FusedLoss, POLICY, {"n_envs": 2, "n_steps": 8}),
    (TabularQ, "mdp:lottery", FusedLoss, VALUE, {}),
]


def branchings(jaxpr, wide):
    """Return how many choices of ``wide`` branches are in a program, those within others' branches included."""
    count = 0
    for equation in jaxpr.eqns:
        count += equation.primitive.name == "cond" and len(equation.params["branches"]) == wide
        inner = jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr")
        )
        for part in inner:
            part = getattr(part, "jaxpr", part)
            count += branchings(part, wide) if hasattr(part, "eqns") else 0
    return count


@pytest.mark.parametrize(
    ("made", "name", "fused", "names", "values"), LEARNERS, ids=lambda value: getattr(value, "__name__", None)
)
def test_every_learner_of_fused_losses_has_one_branch_an_update(monkeypatch, made, name, fused, names, values):
    environment = make_environment(name)
    learner, task = made(environment), make_task(environment, {})
    hp = make_hyperparameters(made.Hyperparameters, {**values, "objective": fused.batch(graphs_of(names))[1]})
    state = jax.eval_shape(learner.init, jax.random.key(0), hp, task)

    asked = []

    def spy(objective, run):
        asked.append(type(objective))
        return with_own_code(objective, run)

    monkeypatch.setattr(sys.modules[made.__module__], "with_own_code", spy)
    program = jax.make_jaxpr(learner.train)(state, hp, task, np.int32(64), np.int32(64))
    assert asked
    assert set(asked) == {fused}
    assert branchings(program.jaxpr, len(names)) == 1, "one choice an update, whose branches are all that it does"
