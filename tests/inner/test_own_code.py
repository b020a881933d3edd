"""Fused losses: on a CPU each has an update of its own, on an accelerator only the loss is a branch."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.inner.own_code import with_own_code
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
