"""The back ends of loss graphs mean the same: interpreter, compiled, fused, NumPy, the PyTorch twin, and losses by hand."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_batches import (
    Found,
    agree,
    differentiable,
    disagreement,
    everything,
    in_jax,
    in_torch,
    interpreted,
    registers,
)

from autorl.errors import UnknownNameError
from autorl.objectives.graphs.compiled import CompiledLoss, FusedLoss, constants_of, evaluate, functions
from autorl.objectives.graphs.graph import Graph, GraphError, Node
from autorl.objectives.graphs.interpreter import LARGEST_ROW, InterpretedLoss
from autorl.objectives.graphs.language import LIMIT
from autorl.objectives.graphs.language_autorl import OPERATORS, POLICY_GRADIENT, VALUE
from autorl.objectives.graphs.program import Signature, pack
from autorl.objectives.graphs.sampling import Grammar, random_graph
from autorl.objectives.handwritten import FAMILY_AND_NEEDS, HandWrittenLoss
from autorl.objectives.loader import load_objective, names

NODES, ROOM, CLOSE = 12, 40, 1e-5
FAMILIES = ("value", "policy_gradient")
GRAMMARS = {family: Grammar(family=family, nodes=NODES) for family in FAMILIES}
TD = Graph(
    (Node("max_a", (4,)), Node("mul", (7, 9)), Node("add", (6, 10)), Node("sub", (11, 1)), Node("square", (12,)))
)
INDEX = {register.name: i for i, register in enumerate(VALUE)}


def random_graphs(family: str, count: int, first: int = 0) -> list[Graph]:
    return [random_graph(first + i, GRAMMARS[family]) for i in range(count)]


def plain(family: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Registers of realistic sizes; probability ratios and the like are positive."""
    given = {name: np.tile(value[..., :20], 2) for name, value in registers(family, 3, seed).items()}
    if family == "policy_gradient":
        given["ratio"] = np.exp(np.clip(given["ratio"], -1.0, 1.0))
    return given


@pytest.mark.parametrize("name", FAMILY_AND_NEEDS)
def test_every_back_end_agrees_with_the_loss_written_by_hand(name: str) -> None:
    graph, by_hand = load_objective(name).graph, HandWrittenLoss(name)
    assert set(graph.needs) == set(by_hand.needs)
    given = plain(by_hand.family)
    wanted = in_jax(by_hand, given)
    assert np.max(np.abs(wanted[1]["q_action" if by_hand.family == "value" else "value"])) > 0.1
    found = [in_jax(CompiledLoss.of(graph), given), in_torch(graph, given)]
    found.append(interpreted([graph], everything(by_hand.family, ROOM), given)[0])
    assert [disagreement(wanted, one) < CLOSE for one in found] == [True] * 3


@pytest.mark.parametrize("name", [name for name in names() if load_objective(name).graph.family in FAMILIES])
def test_every_graph_of_the_catalogue_means_the_same_in_every_back_end(name: str) -> None:
    graph = load_objective(name).graph
    given = plain(graph.family, 1)
    wanted = in_jax(CompiledLoss.of(graph), given)
    found = [in_torch(graph, given), interpreted([graph], everything(graph.family, ROOM), given)[0]]
    found.append(
        in_jax(FusedLoss.batch([graph, load_objective("dqn" if graph.family == "value" else "a2c").graph])[0], given)
    )
    assert [disagreement(wanted, one) < CLOSE for one in found] == [True] * 3


def compare(family: str, actions: int, count: int, first: int) -> int:
    """Compare all back ends on random graphs; return how many of the graphs have a slope that is not 0."""
    graphs, given = random_graphs(family, count, first), registers(family, actions, first)
    moving = 0
    for graph, found in zip(graphs, interpreted(graphs, everything(family, ROOM), given), strict=True):
        compiled = in_jax(CompiledLoss.of(graph), given)
        assert agree(graph, given, found, compiled), graph
        assert agree(graph, given, found, in_torch(graph, given)), graph
        moving += any(np.any(slope) for slope in found[1].values())
        numpy_loss = evaluate(graph, constants_of(graph), _rows(given), functions("autorl", "numpy"))[0]
        assert agree(graph, given, found, (numpy_loss, found[1])), graph
    return moving


def _rows(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value if value.ndim == 2 else value[None] for name, value in given.items()}


def fused(graphs: Sequence[Graph], given: dict[str, np.ndarray]) -> list[Found]:
    """Return what one program of all ``graphs`` makes of each, one after another."""
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *FusedLoss.batch(graphs))
    found = jax.jit(lambda members: jax.lax.map(lambda one: in_jax(one, given), members))(stacked)
    return [jax.tree.map(lambda leaf, i=i: leaf[i], found) for i in range(len(graphs))]


def compare_fused(family: str, actions: int, count: int, first: int, batch: int = 25) -> int:
    """Compare fused batches with PyTorch on random graphs; return how many agree without any allowance for what rounding decides."""
    graphs, given = random_graphs(family, count, first), registers(family, actions, first)
    close = 0
    for start in range(0, count, batch):
        own = graphs[start : start + batch]
        for graph, found in zip(own, fused(own, given), strict=True):
            wanted = in_torch(graph, given)
            assert agree(graph, given, found, wanted), graph
            close += disagreement(found, wanted) < CLOSE
    return close


@pytest.mark.parametrize(
    ("family", "actions"), [("value", 1), pytest.param("value", 3, marks=pytest.mark.slow), ("policy_gradient", 1)]
)
def test_random_graphs_mean_the_same_to_every_back_end(family: str, actions: int) -> None:
    assert compare(family, actions, 67, 100 * actions) > 33
    assert compare_fused(family, actions, 25, 100 * actions) > 20


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_ten_thousand_random_graphs_mean_the_same_to_every_back_end(block: int) -> None:
    assert sum(compare(*which, 250, 10_000 * (block + 1)) for which in _KINDS) > 500
    assert sum(compare_fused(*which, 250, 10_000 * (block + 1)) for which in _KINDS) > 900, "without any slack"


_KINDS = (("value", 1), ("value", 2), ("value", 5), ("policy_gradient", 1))


@pytest.mark.parametrize("family", FAMILIES)
def test_fused_graphs_mean_the_same_as_by_hand(family: str) -> None:
    names = [name for name, (of, _) in FAMILY_AND_NEEDS.items() if of == family]
    given = plain(family)
    for name, one in zip(names, fused([load_objective(name).graph for name in names], given), strict=True):
        assert disagreement(one, in_jax(HandWrittenLoss(name), given)) < CLOSE, name


@pytest.mark.slow
def test_side_by_side_the_interpreter_means_the_same_as_lane_by_lane() -> None:
    graphs, given = random_graphs("value", 12, 50), registers("value", 3, 50)
    signature = everything("value", ROOM)
    programs = jax.tree.map(lambda *leaves: np.stack(leaves), *[InterpretedLoss.of(g, signature) for g in graphs])
    found = jax.jit(jax.vmap(in_jax, in_axes=(0, None)))(programs, given)
    for i, wanted in enumerate(interpreted(graphs, signature, given)):
        one = jax.tree.map(lambda leaf, i=i: leaf[i], found)
        assert agree(graphs[i], given, one, wanted), graphs[i]


@pytest.mark.parametrize("samples", [LARGEST_ROW // 12, LARGEST_ROW])
def test_the_interpreter_runs_batches_of_any_size(samples: int) -> None:
    """The largest in one kernel, and one far too large for it."""
    graph, given = load_objective("munchausen").graph, plain("value")
    given = {name: np.tile(value, 1 + samples // 40)[..., :samples] for name, value in given.items()}
    (found,) = interpreted([graph], Signature.covering([graph]), given)
    assert agree(graph, given, found, in_jax(CompiledLoss.of(graph), given))


@pytest.mark.parametrize("operator", [o for o in OPERATORS if o.name != "constant"], ids=lambda o: o.name)
def test_every_operator_has_one_value_and_one_slope_on_edges_in_every_back_end(operator) -> None:  # type: ignore[no-untyped-def]
    edges = np.float32([0, 1e-9, -1e-9, 1e-8, -1e-8, 1e-6, -1e-6, 1, 1, 20, -20, 21, -21, 1e5, -1e5, 1e6, -1e6, 1e10])
    pairs = np.stack([part.reshape(-1) for part in np.meshgrid(edges, edges)])
    inputs = (0, 5) if operator.name == "select" else (0, 2)[: operator.arity]
    nodes = [Node(operator.name, inputs, 0.3)]
    kind = Graph(tuple(nodes)).types[-1]
    # by a list with different entries, so that each entry's slope is seen
    nodes += {"list": [Node("mul", (9, 3)), Node("sum_a", (10,))], "action": [Node("select", (2, 9))]}.get(kind, [])
    graph, signature = Graph(tuple(nodes)), everything("value", ROOM)
    for start in range(0, pairs.shape[1], 40):
        x, y = np.resize(pairs[:, start : start + 40], (2, 40))
        given = registers("value", 3, 0) | {"q": np.stack([x, y, 0.0 * x]), "q_next": np.stack([y, x, x])}
        given["action"] = np.stack([x > y, x <= y, x > np.inf]).astype(np.float32)
        given["q_target"] = np.random.default_rng(1).normal(size=(3, 40)).astype(np.float32)
        wanted = in_torch(graph, given)
        for found in (in_jax(CompiledLoss.of(graph), given), interpreted([graph], signature, given)[0]):
            assert disagreement(found, wanted) < CLOSE
            assert all(np.isfinite(slope).all() for slope in found[1].values())


def test_what_saturates_has_no_slope_and_slopes_saturate_as_a_whole() -> None:
    # the same float feeds three actions: the sum of its slopes is what saturates, not each of them
    big = Graph((Node("scale", (1,), 1.0), Node("scale", (0,), 6e9), Node("mul", (9, 10)), Node("sum_a", (11,))))
    given = plain("value") | {"q": np.full((3, 40), 1.0, np.float32), "q_action": np.full(40, 0.1, np.float32)}
    for found in (interpreted([big], everything("value", ROOM), given)[0], in_jax(CompiledLoss.of(big), given)):
        np.testing.assert_allclose(found[0], 0.1 * 3 * 6e9, rtol=1e-6)
        np.testing.assert_allclose(found[1]["q_action"], LIMIT, rtol=1e-6)
    outside = Graph((Node("scale", (1,), 1e9), Node("square", (9,))))
    for found in (interpreted([outside], everything("value", ROOM), given)[0], in_jax(CompiledLoss.of(outside), given)):
        np.testing.assert_allclose(found[0], LIMIT)
        assert not np.any(found[1]["q_action"])


def count_not_finite(family: str, programs: int, first: int) -> int:
    signature, given, bad = everything(family, ROOM), registers(family, 3, first), 0
    for start in range(0, programs, 500):
        graphs = random_graphs(family, min(500, programs - start), first + start)
        for loss, slopes in interpreted(graphs, signature, given):
            bad += not (np.isfinite(loss).all() and all(np.isfinite(slope).all() for slope in slopes.values()))
    return bad


@pytest.mark.parametrize("family", FAMILIES)
def test_losses_and_slopes_of_random_programs_are_finite(family: str) -> None:
    assert count_not_finite(family, 1000, 1_000_000) == 0


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_losses_and_slopes_of_a_hundred_thousand_random_programs_are_finite(family: str) -> None:
    assert count_not_finite(family, 100_000, 2_000_000) == 0


@pytest.mark.parametrize("back_end", ["interpreter", "compiled", "fused"])
def test_nan_in_is_nan_out_in_its_own_sample_only(back_end: str) -> None:
    given = plain("value")
    given["reward"][4] = np.nan
    objective = {
        "interpreter": InterpretedLoss.of,
        "compiled": CompiledLoss.of,
        "fused": lambda g: FusedLoss.batch([g])[0],
    }
    loss, slopes = jax.jit(in_jax)(objective[back_end](TD), given)
    assert np.flatnonzero(np.isnan(loss)).tolist() == [4]
    assert np.flatnonzero(np.isnan(slopes["q_action"])).tolist() == [4]


def test_one_trace_for_many_graphs() -> None:
    traces = []

    @jax.jit
    def loss(objective: InterpretedLoss, given: dict[str, np.ndarray]) -> jax.Array:
        traces.append(1)
        return objective.per_sample(given)

    given, signature = plain("value"), everything("value", ROOM)
    losses = [loss(InterpretedLoss.of(graph, signature), given) for graph in random_graphs("value", 100)]
    assert len(traces) == 1
    assert len({np.asarray(one).tobytes() for one in losses}) > 50


def test_constants_are_data_to_compiled_and_fused_losses() -> None:
    def graph(factor: float) -> Graph:
        return Graph((*TD.nodes, Node("scale", (13,), factor)))

    one, other = CompiledLoss.of(graph(1.0)), CompiledLoss.of(graph(0.5))
    assert jax.tree.structure(one) == jax.tree.structure(other)
    assert len(FusedLoss.batch([graph(1.0), graph(0.5), TD])[0].graphs) == 2
    given = plain("value")
    np.testing.assert_allclose(0.5 * one.per_sample(given), other.per_sample(given), rtol=1e-6)


def test_dead_nodes_and_registers_cost_nothing() -> None:
    padded = Graph((Node("exp", (0,)), *(Node(n.op, tuple(i + (i > 8) for i in n.inputs)) for n in TD.nodes)))
    signature = Signature.covering([TD])
    assert signature.registers == TD.needs == ("q_action", "q_target_next", "reward", "discount")
    same = jax.tree.map(np.array_equal, pack(padded, signature), pack(TD, signature))
    assert all(jax.tree.leaves(same))
    assert CompiledLoss.of(padded).graph == CompiledLoss.of(TD).graph


def test_a_scalar_register_stands_for_all_samples() -> None:
    graph = Graph((Node("mul", (INDEX["progress"], 1)), Node("square", (9,))))
    given = plain("value")
    narrow = given | {"progress": np.float32(0.37)}
    for objective in (CompiledLoss.of(graph), InterpretedLoss.of(graph), FusedLoss.batch([graph])[0]):
        assert disagreement(in_jax(objective, given), in_jax(objective, narrow)) == 0.0
    alone = Graph((Node("square", (INDEX["progress"],)),))
    for objective in (CompiledLoss.of(alone), InterpretedLoss.of(alone)):
        assert objective.per_sample(narrow).shape == (40,)


def test_what_does_not_fit_is_refused() -> None:
    signature = Signature.covering([TD])
    with pytest.raises(GraphError, match="exp"):
        pack(Graph((Node("exp", (1,)),)), signature)
    with pytest.raises(GraphError, match="'q_next'"):
        pack(Graph((Node("max_a", (2,)),)), signature)
    with pytest.raises(GraphError, match="policy_gradient"):
        pack(Graph((Node("square", (0,)),), family="policy_gradient"), signature)
    with pytest.raises(GraphError, match="room for 2"):
        pack(TD, Signature.covering([Graph((Node("square", (1,)), Node("square", (9,))))]))
    with pytest.raises(GraphError, match="one language"):
        Signature.covering([])
    with pytest.raises(GraphError, match="reads no register"):
        CompiledLoss.of(Graph((Node("constant"),)))
    with pytest.raises(GraphError, match="within"):
        CompiledLoss.of(Graph((Node("scale", (1,), 1e11),)))
    with pytest.raises(UnknownNameError, match="Did you mean"):
        HandWrittenLoss("dqnn")


def test_both_families_are_covered_by_their_registers() -> None:
    assert differentiable("policy_gradient") == tuple(r.name for r in POLICY_GRADIENT if r.differentiable)
    assert jnp.asarray(LIMIT, jnp.float32) == functions("autorl", "jax").LIMIT == functions("autorl", "torch").LIMIT
