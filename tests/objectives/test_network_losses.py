"""The family ``network``: the interpreter, straight-line code, fused batches and PyTorch give one loss and one gradient."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_losses import (
    ACTIONS,
    ONLINE,
    SAMPLES,
    TARGET,
    WEIGHTS,
    apply,
    assert_same,
    batch,
    by_torch,
    loss_and_slopes,
    network,
    registers,
)

from autorl.inner.registers import value_registers
from autorl.inner.replay import Transitions
from autorl.objectives.graphs.compiled import CompiledLoss
from autorl.objectives.graphs.compiled_coreyes import CompiledNetworkLoss, FusedNetworkLoss
from autorl.objectives.graphs.graph import Graph, GraphError
from autorl.objectives.graphs.interpreter_coreyes import InterpretedNetworkLoss
from autorl.objectives.graphs.program_coreyes import NetworkSignature, instructions, pack_network
from autorl.objectives.graphs.programs_coreyes import Quirks, mutate_program, random_program
from autorl.objectives.graphs.starts_coreyes import REFERENCES, STARTS, graph_of
from autorl.objectives.loader import load_objective, names
from autorl.objectives.protocol import Objective

SCRATCH = STARTS["pre_graph_8_scratch"]
TWINS = {"normal_dqn": "dqn", "dqn_reg": "dqnreg_code", "cql": "cql", "ddqn": "double_dqn"}
_Q = (("q_value_list", "q_param", "s_tm1"), ("select_list", "0", "action"))

SPECIAL = {
    # networks of computed states, the online one's slopes through the target network
    "computed_state": graph_of(
        *_Q, ("multiply_float", "1", "s_t"), ("q_value_list", "q_targ_param", "2"), ("max_list", "3")
    ),
    "noisy_state": graph_of(
        ("add_gaussian_noise", "s_t"),
        ("div", "s_tm1", "0"),
        ("abs", "1"),
        ("mean_batch", "2"),
        ("std_batch", "s_t"),
        ("multiply_float", "reward", "4"),
        ("q_value_list", "q_param", "3"),
        ("q_value_list", "q_param", "5"),
        ("dot_product", "6", "7"),
        ("sum_list", "8"),
    ),
    "states_to_floats": graph_of(
        *_Q,
        ("multiply_float", "1", "s_t"),
        ("l2_distance", "2", "s_tm1"),
        ("l2_norm", "2"),
        ("dot_product", "2", "s_t"),
        ("add", "3", "4"),
        ("add", "5", "6"),
    ),
    "batch_statistics": graph_of(
        *_Q, ("mean_batch", "1"), ("std_batch", "1"), ("subtract", "1", "2"), ("div", "4", "3"), ("l2_norm", "5")
    ),
    "probabilities": graph_of(
        ("q_value_list", "q_param", "s_tm1"),
        ("q_value_list", "q_targ_param", "s_tm1"),
        ("softmax", "0"),
        ("softmax", "1"),
        ("kl_div", "2", "3"),
        ("log", "2"),
        ("entropy", "2"),
        ("exp", "5"),
        ("entropy", "7"),
        ("add", "4", "6"),
        ("add", "8", "9"),
    ),
    "random_constants": graph_of(
        *_Q,
        ("constant_gaussian", "constant"),
        ("constant_uniform", "constant"),
        ("constant_gaussian", "constant"),
        ("dot_product", "1", "2"),
        ("subtract", "5", "3"),
        ("l2_distance", "6", "4"),
    ),
    "list_with_itself": graph_of(
        ("q_value_list", "q_param", "s_tm1"), ("dot_product", "0", "0"), ("std_list", "1"), ("multiply_tenth", "2")
    ),
}


def _random(count: int, seed: int = 0) -> list[Graph]:
    rng = np.random.default_rng(seed)
    return [random_program(rng, SCRATCH, Quirks(every_order=bool(i % 2))) for i in range(count)]


@pytest.fixture(scope="module")
def interpreted():
    """Loss and slopes by one interpreter of the whole language, compiled once."""
    signature = NetworkSignature(tuple(instructions()), 20)
    run = jax.jit(loss_and_slopes_of_batch)

    def of(graph: Graph, given: dict[str, np.ndarray]) -> tuple:
        return run(InterpretedNetworkLoss.of(graph, signature), given)

    of.traces = run._cache_size
    return of


def loss_and_slopes_of_batch(objective, given):
    return loss_and_slopes(objective, given)


def test_interpreter_is_straight_line_code_is_torch(interpreted) -> None:
    given = batch()
    shipped = {name: load_objective(name).graph for name in names() if load_objective(name).graph.family == "network"}
    assert len(shipped) >= 5
    for name, graph in {**shipped, **REFERENCES, **SPECIAL}.items():
        compiled = loss_and_slopes(CompiledNetworkLoss.of(graph), given)
        assert_same(interpreted(graph, given), compiled, name)
        assert_same(by_torch(graph, given), compiled, name)
        assert all(np.abs(slope).max() > 0.0 for slope in jax.tree.leaves(compiled[1])), name
    for graph in _random(25):
        assert_same(interpreted(graph, given), by_torch(graph, given), graph)
    assert interpreted.traces() == 1


@pytest.mark.parametrize("size", [0.0, 1e-6, 100.0, 1e6])
def test_edge_inputs_agree_and_are_finite(interpreted, size: float) -> None:
    given = batch(3, size)
    given["next_states"] = given["states"].copy()  # ties between networks' inputs
    for graph in [*SPECIAL.values(), *_random(12, seed=4)]:
        ours = interpreted(graph, given)
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(ours)), graph
        if size in (0.0, 1e-6):
            assert_same(ours, by_torch(graph, given), graph, 1e-4)


@pytest.mark.slow
def test_3000_random_programs_are_finite_and_1000_agree_with_torch(interpreted) -> None:
    shaky = 0
    for i, graph in enumerate(_random(3000, seed=8)):
        given = batch(i, [1.0, 10.0, 1e5][i % 3])
        ours = interpreted(graph, given)
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(ours)), graph
        if i % 3 == 0:
            shaky += _shaky(ours, by_torch(graph, given), graph, given)
        if i % 60 == 0:
            shaky += _shaky(ours, loss_and_slopes(CompiledNetworkLoss.of(graph), given), graph, given)
    assert shaky <= 30


@pytest.mark.slow
def test_200_random_programs_fused_agree_with_torch() -> None:
    given, shaky = batch(9), 0
    for seed in range(10):
        graphs = _random(20, seed=100 + seed)
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *FusedNetworkLoss.batch(graphs))
        found = jax.jit(lambda members: jax.lax.map(lambda one: loss_and_slopes(one, given), members))(stacked)
        for i, graph in enumerate(graphs):
            own = jax.tree.map(lambda leaf, i=i: leaf[i], found)
            shaky += _shaky(own, by_torch(graph, given), graph, given)
    assert shaky <= 6


@pytest.mark.slow
def test_a_hundred_thousand_programs_are_finite(interpreted) -> None:
    """A hundred random programs and a thousand mutations, one after another, of each: drawing all of them would take far longer."""
    rng, seen = np.random.default_rng(11), set()
    for i, graph in enumerate(_random(100, seed=11)):
        given = batch(i, [1.0, 10.0, 1e5][i % 3])
        for _ in range(1000):
            graph = mutate_program(rng, graph, SCRATCH, Quirks(every_order=True))
            assert all(np.isfinite(x).all() for x in jax.tree.leaves(interpreted(graph, given))), graph
            seen.add(graph)
    assert len(seen) > 95_000


def _shaky(ours: tuple, theirs: tuple, graph: Graph, given: dict[str, np.ndarray]) -> bool:
    """Return whether two back ends are further apart than 1e-5, though no further than inputs some units in the last place away make it.

    So it is with a quotient of differences, for one.
    """
    try:
        assert_same(ours, theirs, graph)
    except AssertionError:
        here, moved = (by_torch(graph, {**given, "states": given["states"] * np.float32(f)}) for f in (1.0, 1.0 + 2e-6))
        size, apart = (
            [np.abs(np.asarray(a) - np.asarray(b)).max() for a, b in zip(_leaves(one), _leaves(two), strict=True)]
            for one, two in ((here, moved), (ours, theirs))
        )
        assert all(a <= 10.0 * s + 1e-5 for a, s in zip(apart, size, strict=True)), graph
        return True
    return False


def _leaves(found: tuple) -> list:
    return [found[0], *(found[1][name] for name in ("b", "v", "w"))]


def test_numbers_that_are_none_give_none_not_a_crash(interpreted) -> None:
    given = batch()
    given["rewards"][2] = np.nan
    each, slopes = interpreted(REFERENCES["normal_dqn"], given)
    assert np.isnan(each[2])
    assert np.isfinite(np.delete(each, 2)).all()
    assert np.isnan(slopes["b"]).any()
    each, _ = interpreted(graph_of(*_Q, ("mean_batch", "reward"), ("dot_product", "1", "2")), given)
    assert np.isnan(each).all()


def test_a_mean_over_the_batch_passes_slopes_to_every_sample(interpreted) -> None:
    graph = graph_of(*_Q, ("mean_batch", "1"), ("dot_product", "1", "2"))
    given = batch()

    def by_hand(tree):
        values = jnp.sum(apply(tree, given["states"]) * jax.nn.one_hot(given["actions"], ACTIONS), axis=1)
        return jnp.mean(WEIGHTS * values * jnp.mean(values))

    wanted = jax.grad(by_hand)(jax.tree.map(jnp.asarray, ONLINE))
    for _, slopes in (loss_and_slopes(CompiledNetworkLoss.of(graph), given), interpreted(graph, given)):
        for name, slope in slopes.items():
            np.testing.assert_allclose(slope, wanted[name], rtol=1e-5, atol=1e-6)


def _in_our_language(name: str, given: dict[str, np.ndarray]) -> tuple:
    objective = CompiledLoss.of(load_objective(name).graph)
    transitions = Transitions(
        observation=given["states"],
        next_observation=given["next_states"],
        action=given["actions"],
        reward=given["rewards"],
        terminated=np.where(given["discounts"] == 0.0, 1.0, 0.0).astype(np.float32),
    )

    def mean(tree):
        held = value_registers(
            objective.needs,
            transitions,
            lambda x: apply(tree, x),
            lambda x: apply(TARGET, x),
            ACTIONS,
            jnp.float32(0.99),
            jnp.float32(0.0),
        )
        each = objective.per_sample(held)
        return jnp.mean(WEIGHTS * each), each

    (_, each), slopes = jax.value_and_grad(mean, has_aux=True)(jax.tree.map(jnp.asarray, ONLINE))
    return each, slopes


@pytest.mark.parametrize("name", TWINS)
def test_a_loss_of_both_languages_is_one_loss(name: str) -> None:
    given = batch(1)
    theirs = loss_and_slopes(CompiledNetworkLoss.of(load_objective(f"coreyes_{name}").graph), given)
    assert_same(theirs, _in_our_language(TWINS[name], given), name)


def test_dqn_is_the_hand_written_one(interpreted) -> None:
    given = batch(2)

    def by_hand(tree):
        best = jnp.max(apply(TARGET, given["next_states"]), axis=1)
        values = apply(tree, given["states"])[jnp.arange(SAMPLES), given["actions"]]
        each = 0.5 * (given["rewards"] + given["discounts"] * best - values) ** 2
        return jnp.mean(WEIGHTS * each), each

    (_, each), slopes = jax.value_and_grad(by_hand, has_aux=True)(jax.tree.map(jnp.asarray, ONLINE))
    graph = REFERENCES["normal_dqn"]
    for found in (loss_and_slopes(CompiledNetworkLoss.of(graph), given), interpreted(graph, given)):
        assert_same(found, (each, slopes))


def test_random_constants_are_one_number_an_update_and_another_in_the_next() -> None:
    graph = graph_of(*_Q, ("constant_gaussian", "constant"), ("dot_product", "1", "2"))
    given, objective = batch(), CompiledNetworkLoss.of(graph)
    first, again, other = (
        np.asarray(loss_and_slopes(objective, given, np.array([7, word], np.uint32))[0]) for word in (1, 1, 2)
    )
    values = np.asarray(loss_and_slopes(CompiledNetworkLoss.of(graph_of(*_Q)), given)[0])
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    np.testing.assert_allclose(first / values, np.full(SAMPLES, (first / values)[0]), rtol=1e-5)


@pytest.mark.slow
def test_members_of_a_population_do_not_touch_each_other() -> None:
    graphs = [REFERENCES["normal_dqn"], SPECIAL["computed_state"], SPECIAL["batch_statistics"]]
    signature = NetworkSignature.covering(graphs)
    losses = [InterpretedNetworkLoss.of(graph, signature) for graph in graphs]
    fused = FusedNetworkLoss.batch(graphs)
    trees = [network(seed) for seed in range(3)]
    given = batch()

    def one(objective, tree):
        def mean(some):
            each = objective.per_sample(registers(some, given))
            return jnp.mean(WEIGHTS * each), each

        return jax.value_and_grad(mean, has_aux=True)(tree)

    alone = [one(CompiledNetworkLoss.of(graph), tree) for graph, tree in zip(graphs, trees, strict=True)]
    tree = jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
    in_turn = partial(jax.lax.map, lambda pair: one(*pair))
    for members, many in ((losses, jax.vmap(one)), (losses, in_turn), (fused, jax.vmap(one)), (fused, in_turn)):
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
        # one after the other every branch is a branch; side by side (as on an accelerator) all of them run, and one is picked
        (_, each), slopes = jax.jit(many)(*(((stacked, tree),) if many is in_turn else (stacked, tree)))
        for i, ((_, right), right_slopes) in enumerate(alone):
            assert_same((each[i], {n: s[i] for n, s in slopes.items()}), (right, right_slopes))


def test_losses_say_what_they_need() -> None:
    graph = graph_of(("q_value_list", "q_param", "s_tm1"), ("max_list", "0"))
    compiled, interpreter = CompiledNetworkLoss.of(graph), InterpretedNetworkLoss.of(graph)
    assert compiled.needs == ("q_param", "s_tm1", "reward")
    assert len(interpreter.needs) == 8
    for objective in (compiled, interpreter, *FusedNetworkLoss.batch([graph])):
        assert isinstance(objective, Objective)
        assert objective.family == "network"


def test_what_cannot_be_run_is_refused() -> None:
    dqn = REFERENCES["normal_dqn"]
    value = load_objective("dqn").graph
    for make in (CompiledNetworkLoss.of, InterpretedNetworkLoss.of, lambda g: FusedNetworkLoss.batch([g])):
        with pytest.raises(GraphError, match="network"):
            make(value)
    for make in (NetworkSignature.covering, FusedNetworkLoss.batch):
        with pytest.raises(GraphError, match="expected at least one"):
            make([])
    with pytest.raises(GraphError, match="room for 3"):
        pack_network(dqn, NetworkSignature.of(3))
    with pytest.raises(GraphError, match="nodes: a graph has 7 live nodes, got 3"):
        NetworkSignature.covering([dqn], nodes=3)
    with pytest.raises(GraphError, match=r"\['max_list\(list\)'\] are not among"):
        pack_network(dqn, NetworkSignature(tuple(n for n in instructions() if n != "max_list(list)"), 9))
    encoded = graph_of(*_Q, ("state_encoder", "q_param", "s_t"), ("l2_norm", "2"), ("add", "1", "3"))
    with pytest.raises(GraphError, match=r"node 2: state_encoder.* compile this graph"):
        pack_network(encoded, NetworkSignature.of(9))
    assert np.isfinite(loss_and_slopes(CompiledNetworkLoss.of(encoded), batch())[0]).all()
