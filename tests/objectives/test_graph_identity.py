"""Canonical forms keep the meaning; fingerprints name what a loss does to an agent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from graph_programs import DELTA, DOUBLE, GRAMMARS, TD, VALUE, made
from hypothesis import given, settings
from hypothesis import strategies as st

from autorl.keys import generator
from autorl.objectives.graphs.canonical import canonical
from autorl.objectives.graphs.canonical import key as structure
from autorl.objectives.graphs.compiled import constants_of, evaluate, functions
from autorl.objectives.graphs.fingerprint import BLOCK, Fingerprint, fingerprint, fingerprints
from autorl.objectives.graphs.graph import Graph, GraphError, Node
from autorl.objectives.graphs.mutation import mutate
from autorl.objectives.graphs.probes import ACTIONS, SAMPLES, output_slopes, probe
from autorl.objectives.graphs.sampling import random_graph
from autorl.objectives.loader import load_objective
from autorl.objectives.loader import names as names_of_objectives

keys = st.integers(0, 2**62)
ASKED = ("reward", "action", "discount", "progress")


def loss(graph: Graph) -> np.ndarray:
    rows = {n: v if v.ndim == 2 else v[None] for n, v in probe(graph.family).registers.items()}
    found = evaluate(graph, constants_of(graph), rows, functions("autorl", "numpy"))
    return np.broadcast_to(found, (1, SAMPLES))


def scrambled(key: int, graph: Graph) -> Graph:
    """Write the same program differently: a dead node, a doubled node, commutative inputs turned, constants without meaning."""
    rng, count = generator(key), len(graph.registers)
    nodes = [Node("abs", (graph.index("progress"),), 3.0)]
    place: dict[int, tuple[int, ...]] = {}
    for i, node in enumerate(graph.nodes):
        inputs = [int(rng.choice(place[j])) if j >= count else j for j in node.inputs]
        row = graph.table.operator(node.op)
        if row.commutative and rng.random() < 0.5:
            inputs.reverse()
        copy = Node(node.op, tuple(inputs), node.constant if row.has_constant else float(rng.random()))
        nodes += [copy, copy] if i < len(graph.nodes) - 1 else [copy]
        last = count + len(nodes) - 1
        place[count + i] = (last, last - 1) if i < len(graph.nodes) - 1 else (last,)
    return replace(graph, nodes=tuple(nodes))


@settings(max_examples=60)
@given(keys, st.sampled_from(["value", "policy"]))
def test_canonical_form_keeps_the_meaning_and_forgets_the_writing(key: int, name: str) -> None:
    graph = random_graph(key, GRAMMARS[name])
    form = canonical(graph)
    np.testing.assert_array_equal(loss(form), loss(graph))
    other = scrambled(key, graph)
    np.testing.assert_array_equal(loss(other), loss(graph))
    assert canonical(other) == form == canonical(form)
    assert structure(other) == structure(graph) == structure(form)
    assert len(form.nodes) == len(form.live)
    assert form.needs == graph.needs


@pytest.mark.parametrize("seed", range(300))
def test_a_form_is_its_own_form_also_where_nodes_draw_numbers(seed: int) -> None:
    """In the language of 2021 two constants of chance are two, whatever they read."""
    rng = generator(seed)
    names, nodes = ("constant_gaussian", "constant_uniform", "add", "min", "abs", "subtract"), []
    graph = Graph((), "network", "coreyes2021")
    source, count = graph.index("constant"), len(graph.registers)
    for _ in range(2):
        nodes += [
            Node("constant_gaussian", (source,)),
            Node("constant_gaussian", (source,)),
            Node("constant_uniform", (source,)),
        ]
    for _ in range(10):
        op = names[int(rng.integers(len(names)))]
        arity = 2 if op in ("add", "min", "subtract") else 1
        own = (
            (source,)
            if op.startswith("constant")
            else tuple(int(rng.integers(count, count + len(nodes))) for _ in range(arity))
        )
        nodes.append(Node(op, own))
    graph = replace(graph, nodes=tuple(nodes))
    form = canonical(graph)
    assert canonical(form) == form
    assert structure(form) == structure(graph)
    assert len(form.live) == len(form.nodes)
    drawing = {node.op for node in nodes} & {"constant_gaussian", "constant_uniform"}
    for op in drawing:  # none was merged with another
        assert sum(n.op == op for n in form.nodes) == sum(graph.nodes[i].op == op for i in graph.live)


def test_whether_a_draw_is_shared_matters() -> None:
    registers = Graph((), "network", "coreyes2021")
    source, n = registers.index("constant"), len(registers.registers)
    draws = (Node("constant_gaussian", (source,)), Node("constant_gaussian", (source,)))
    two = replace(registers, nodes=(*draws, Node("subtract", (n, n + 1))))
    one = replace(registers, nodes=(*draws, Node("subtract", (n, n))))
    turned = replace(registers, nodes=(*draws, Node("subtract", (n + 1, n))))
    assert structure(one) != structure(two) == structure(turned)


@settings(max_examples=60)
@given(keys)
def test_names_differ_where_forms_do(key: int) -> None:
    graph = random_graph(key, VALUE)
    changed = mutate(key, graph, VALUE)
    assert (canonical(graph) == canonical(changed)) == (structure(graph) == structure(changed)) == False  # noqa: E712


def test_the_order_of_other_inputs_matters() -> None:
    one = made(("sub", "q_action", "reward"))
    two = made(("sub", "reward", "q_action"))
    assert structure(one) != structure(two)
    assert structure(made(("scale", "q_action", [0.5]))) != structure(made(("scale", "q_action", [0.25])))


def names(*graphs: Graph) -> list[Fingerprint]:
    return fingerprints(graphs, ASKED)


def test_scale_and_terms_without_slope_do_not_matter() -> None:
    square = ("square", 3)
    same = [
        TD,
        made(*DELTA, square, ("scale", 4, [0.5])),
        made(*DELTA, square, ("scale", 4, [2.0])),
        made(*DELTA, square, ("scale", 4, [0.3])),
        made(*DELTA, square, ("square", "reward"), ("add", 4, 5)),
        made(*DELTA, ("mul", 3, 3)),
        made(*DELTA, ("abs", 3), ("square", 4)),
        made(DELTA[0], DELTA[1], DELTA[2], ("sub", 2, "q_action"), square),
        made(
            ("select", "q", "action"),
            DELTA[0],
            ("mul", "discount", 1),
            ("add", "reward", 2),
            ("sub", 0, 3),
            ("square", 4),
        ),
    ]
    found = names(*same)
    assert {f.key for f in found} == {found[0].key}
    assert all(f.kind == "slope" and f.depends == ("reward", "action", "discount") for f in found)
    exact = [f.exact_key for f in found]
    assert exact[0] == exact[4] == exact[5]
    assert len({exact[0], exact[1], exact[2], exact[3]}) == 4


def test_what_trains_otherwise_has_another_name() -> None:
    square = ("square", 3)
    different = [
        TD,
        DOUBLE,
        made(*DELTA, ("abs", 3)),
        made(*DELTA, square, ("scale", 4, [-1.0])),
        made(*DELTA, square, ("scale", "q_action", [0.1]), ("add", 4, 5)),
        made(*DELTA, square, ("scale", "q_action", [0.2]), ("add", 4, 5)),
        made(("max_a", "q_target_next"), ("add", "reward", 0), ("sub", "q_action", 1), ("square", 2)),
        made(("max_a", "q_next"), *DELTA[1:], square),
        made(("max_a", "q_target"), *DELTA[1:], square),
        made(*DELTA, square, ("mul", "progress", 4)),
    ]
    found = names(*different)
    assert len({f.key for f in found}) == len(different)
    assert "progress" in found[-1].depends
    assert "discount" not in found[6].depends


def test_what_cannot_learn_has_a_class_of_its_own() -> None:
    zero = made(("greater", "q_action", "reward"))
    stopped = made(("stop_gradient", "q_action"), ("sub", 0, "reward"), ("square", 1))
    huge = made(("exp", "q_action"), ("exp", 0), ("square", 1), ("square", 2), ("mul", 3, 3))
    lost = made(("square", "q_action"), ("square", 0), ("square", 1), ("square", 2), ("square", 3))
    found = names(zero, stopped, huge, lost)
    assert [f.kind for f in found] == ["zero", "zero", "non_finite", "non_finite"]
    assert [f.key for f in found] == [f.kind for f in found]


def test_losses_blind_to_reward_or_action_are_told() -> None:
    blind, still = names(
        made(("max_a", "q_target_next"), ("sub", "q_action", 0), ("square", 1), ("add", 2, "reward")),
        made(("max_a", "q"), ("sub", 0, "reward"), ("square", 1)),
    )
    assert blind.depends == ("action",)
    assert still.depends == ("reward",)


def known_losses(names: list[str]) -> list[Graph]:
    graphs = [load_objective(name).graph for name in names]
    return [graph for graph in graphs if graph.family == "value"]


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_losses_with_a_minimum_in_the_value_they_train_are_told(every: bool) -> None:
    known = known_losses(list(names_of_objectives()) if every else ["dqn", "dqnreg_paper"])
    assert len(known) >= (7 if every else 2)
    masked = made(*DELTA, ("square", 3), ("mul", 4, "discount"))
    away = made(("sub", "q_action", "reward"))
    saddle = made(("sub", "q_action", "reward"), ("mul", 0, "reward"))
    capped = made(*DELTA, ("square", 3), ("scale", 4, [-1.0]))
    turned = made(("add", "q_action", "reward"), ("square", 0))
    graphs = [*known, masked, away, saddle, capped, turned]
    found = fingerprints(graphs, minimum=True)
    assert [f.minimum for f in found] == [True] * (len(known) + 1) + [False] * 4
    assert [f.key for f in found] == [f.key for f in fingerprints(graphs)]
    with pytest.raises(GraphError, match="no value of an action"):
        fingerprints([load_objective("ppo_clip").graph], minimum=True)


def test_policy_gradient_outputs() -> None:
    def graph(*nodes: tuple[object, ...]) -> Graph:
        return made(*nodes, family="policy_gradient")

    ratio = graph(("mul", "ratio", "advantage"))
    same = graph(("sub", "log_prob", "old_log_prob"), ("exp", 0), ("mul", 1, "advantage"))
    plain = graph(("mul", "log_prob", "advantage"))
    critic = graph(("sub", "value", "return"), ("square", 0))
    found = fingerprints([ratio, same, plain, critic], ("advantage", "return"))
    assert found[0].key == found[1].key != found[2].key
    assert [f.depends for f in found] == [("advantage",)] * 3 + [("advantage", "return")], "returns follow advantages"


def test_a_fingerprint_does_not_depend_on_its_neighbours() -> None:
    graphs = [random_graph(key, VALUE) for key in range(BLOCK + 5)]
    together = fingerprints(graphs, ASKED)
    assert [fingerprint(graph, ASKED) for graph in graphs[:6]] == together[:6]
    assert fingerprints(graphs[::-1], ASKED) == together[::-1]
    assert fingerprints([], ASKED) == []


@pytest.mark.slow
def test_lists_may_mix_families_and_sizes() -> None:
    long = made(*DELTA, ("square", 3), *(("scale", i) for i in range(4, 24)))
    ratio = made(("mul", "ratio", "advantage"), family="policy_gradient")
    found = fingerprints([TD, ratio, long, DOUBLE])
    assert found[2].key == found[0].key == fingerprint(TD, ASKED).key
    assert found[3].key == fingerprint(DOUBLE, ASKED).key
    assert found[1].key == fingerprint(ratio).key


def test_probes_are_consistent_and_realistic() -> None:
    registers, groups = probe("value").registers, probe("value").groups
    np.testing.assert_allclose(registers["q_action"], (registers["q"] * registers["action"]).sum(0))
    assert registers["q"].shape == registers["action"].shape == (ACTIONS, SAMPLES)
    np.testing.assert_array_equal(registers["action"].sum(0), 1.0)
    assert {-1.0, 0.0, 1.0} <= set(registers["reward"].tolist())
    assert 0 < (registers["discount"] == 0).mean() < 0.5
    assert len(set(registers["progress"].tolist())) >= 4
    sizes = [np.abs(registers["q_target_next"][:, groups == g]).mean() for g in (0, 1)]
    assert sizes[1] > 5 * sizes[0]
    policy = probe("policy_gradient").registers
    np.testing.assert_allclose(policy["ratio"], np.exp(policy["log_prob"] - policy["old_log_prob"]), rtol=1e-5)
    assert policy["ratio"].min() < 0.8
    assert policy["ratio"].max() > 1.2
    assert not registers["q"].flags.writeable


@pytest.mark.parametrize("family", ["value", "policy_gradient"])
def test_one_register_at_a_time_changes(family: str) -> None:
    together = {"q": {"q_action"}, "action": {"q_action"}, "log_prob": {"ratio"}, "old_log_prob": {"ratio"},
                "advantage": {"return"}, "old_value": {"return"}, "q_action": {"q"}, "ratio": {"log_prob"}}  # fmt: skip
    base = probe(family).registers
    for name in base:
        other = probe(family, name).registers
        moved = {n for n in base if not np.array_equal(base[n], other[n])}
        assert name in moved
        assert moved <= {name} | together.get(name, set())


def test_unknown_families_and_registers_are_refused() -> None:
    with pytest.raises(GraphError, match="no probe batches for register family 'network'"):
        probe("network")
    with pytest.raises(GraphError, match="has no register 'rewards'"):
        fingerprint(TD, ("rewards",))


def test_slopes_of_outputs_add_up_what_flows_through_derived_registers() -> None:
    registers = probe("value").registers
    ones = {"q": np.ones((ACTIONS, SAMPLES), np.float32), "q_action": np.full(SAMPLES, 2.0, np.float32)}
    found = output_slopes("value", registers, ones)
    np.testing.assert_array_equal(found["q"], 1 + 2 * registers["action"])
    np.testing.assert_array_equal(found["q_next"], 0)
