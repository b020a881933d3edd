"""Types, random programs and mutation of Co-Reyes et al. (2021): against their code, and against what was counted of it."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from autorl.errors import UsageError
from autorl.objectives.graphs.graph import Graph, GraphError, Node, check
from autorl.objectives.graphs.language import load_language
from autorl.objectives.graphs.language_coreyes2021 import COREYES2021, NETWORK, OPERATORS_33
from autorl.objectives.graphs.programs_coreyes import (
    LOSS_WEIGHTS,
    PAPER,
    RELEASED,
    Quirks,
    choices,
    draw_program,
    is_valid,
    mutate_program,
    random_program,
    start_called,
)
from autorl.objectives.graphs.starts_coreyes import REFERENCES, STARTS, graph_of
from autorl.objectives.graphs.types import Type
from autorl.objectives.loader import load_objective

SCRATCH = STARTS["pre_graph_8_scratch"]
_LETTERS = {
    "F": Type.FLOAT, "L": Type.LIST, "P": Type.PROBABILITY, "A": Type.ACTION, "S": Type.STATE, "V": Type.VECTOR,
    "N": Type.PARAMETERS, "H": Type.HEAD, "C": Type.CONSTANT,
}  # fmt: skip

# every accepted tuple of input types and what it gives, written out from ops.py (both of its checks passed)
TABLE = {
    "q_value_list": "NS:L",
    "subtract": "FF:F FV:V VF:V FL:L LF:L VV:V LL:L",
    "add": "FF:F FV:V VF:V FL:L LF:L VV:V LL:L",
    "dot_product": "FF:F SS:F VV:F LL:L",
    "l2_distance": "FF:F VV:F SS:F",
    "select_list": "LA:F",
    "multiply_float": "FS:S SF:S FV:V VF:V FL:L LF:L",
    "arg_max_list": "L:A",
    "max_list": "L:F",
    "l2_norm": "F:F V:F S:F L:L",
    "softmax": "L:P",
    "entropy": "P:F",
    "min": "FF:F VV:V LL:L",
    "max": "FF:F VV:V LL:L",
    "max_float": "FV:V VF:V FL:L LF:L",
    "add_gaussian_noise": "F:F S:S V:V L:L",
    "kl_div": "PP:F",
    "sum_list": "L:F",
    "log": "P:P F:F L:L",
    "exp": "P:P F:F L:L",
    "abs": "F:F V:V L:L S:S",
    "multiply_tenth": "F:F",
    "div": "FF:F VV:V LL:L SS:S",
    "mean_batch": "V:V S:S F:F",
    "mean_list": "L:F",
    "std_batch": "V:V S:S F:F",
    "std_list": "L:F",
    "constant_p5": "C:F",
    "constant_p2": "C:F",
    "constant_p1": "C:F",
    "constant_p01": "C:F",
    "constant_gaussian": "C:F",
    "constant_uniform": "C:F",
    "loss": "F:F",
    "log_sum_exp_list": "L:F",
    "q_value_list_from_vec": "HV:L",
    "state_encoder": "NS:V",
    "q_value": "NSA:F",
}


def _types(graph: Graph, upto: int) -> tuple[Type, ...]:
    return graph.types[: len(NETWORK) + upto]


def test_the_33_operators_and_the_rows_outside_them() -> None:
    names = [operator.name for operator in OPERATORS_33]
    assert len(names) == len(set(names)) == 33
    assert names == list(TABLE)[:33]
    assert [operator.name for operator in COREYES2021.operators] == list(TABLE)
    assert load_language("coreyes2021") is COREYES2021


@pytest.mark.parametrize("name", TABLE)
def test_types_row_by_row(name: str) -> None:
    operator = COREYES2021.operator(name)
    wanted = {
        tuple(_LETTERS[letter] for letter in given): _LETTERS[gives]
        for given, gives in (entry.split(":") for entry in TABLE[name].split())
    }
    arities = {len(given) for given in wanted}
    assert arities == {operator.arity}
    every: list[tuple[Type, ...]] = [()]
    for length in range(5):
        for types in every:
            assert operator.rule(types) is wanted.get(types), (name, types)
        if length < 3:
            every = [(*types, kind) for types in every for kind in Type]


def test_a_graph_that_breaks_a_rule_is_refused_with_its_node() -> None:
    with pytest.raises(GraphError, match=r"node 1: max_list does not accept \(state\)"):
        check(graph_of(("q_value_list", "q_param", "s_t"), ("max_list", "s_t")))
    with pytest.raises(GraphError, match="must be a float"):
        check(graph_of(("q_value_list", "q_param", "s_t")))


def test_counts_that_were_made_of_the_released_code() -> None:
    """108 pairs fit after Q(s, a), about 1,300 after 15 random nodes, and 46 % of random programs are valid (own counts)."""
    types = Graph(SCRATCH.nodes, "network", "coreyes2021").types
    assert len(choices(types, SCRATCH)) == 108
    # the first check of the released code also lets through a minimum of a float and a list, three times
    assert len(choices(types, SCRATCH, Quirks(loose_check=True))) == 111
    # and every pair of a commutative operator twice
    assert len(choices(types, SCRATCH, Quirks(every_order=True))) == 108 + 32
    assert len(choices(types, SCRATCH, RELEASED)) == 146
    rng = np.random.default_rng(0)
    drawn = [draw_program(rng, SCRATCH) for _ in range(300)]
    valid = [graph for graph in drawn if is_valid(graph)]
    assert 0.37 < len(valid) / len(drawn) < 0.55  # three standard errors about 0.46
    offered = [len(choices(_types(graph, 17), SCRATCH)) for graph in drawn]
    assert 1200 < np.mean(offered) < 1450
    both = [graph for graph in valid if {"reward", "q_targ_param"} <= set(graph.needs)]
    assert len(both) <= 3  # 0 of 183 in the count


def test_an_operator_never_reads_a_node_twice_and_commutative_ones_in_one_order() -> None:
    types = Graph(SCRATCH.nodes, "network", "coreyes2021").types
    offered = choices(types, SCRATCH)
    assert len(offered) == len(set(offered))
    for op, inputs in offered:
        assert len(set(inputs)) == len(inputs)
        if COREYES2021.operator(op).commutative:
            assert inputs[0] < inputs[1]
    orders = set(choices(types, SCRATCH, Quirks(every_order=True)))
    assert all((op, inputs[::-1]) in orders for op, inputs in offered if COREYES2021.operator(op).commutative)


def test_released_code_adds_no_two_lists() -> None:
    graph = graph_of(("q_value_list", "q_param", "s_tm1"), ("q_value_list", "q_targ_param", "s_t"))
    pair = ("add", (len(NETWORK), len(NETWORK) + 1))
    assert pair in choices(graph.types, SCRATCH)
    assert pair not in choices(graph.types, SCRATCH, Quirks(no_lists_together=True))


@pytest.mark.parametrize("quirks", [PAPER, RELEASED])
@pytest.mark.parametrize("name", STARTS)
def test_random_programs_begin_as_the_released_search_does(name: str, quirks: Quirks) -> None:
    start = start_called(name)
    free = {"6": 14, "7": 14, "8": 16, "9": 13, "10": 13, "11": 16}[name.split("_")[2]]
    given = {"6": 7, "7": 7, "8": 2, "9": 8, "10": 7, "11": 2}[name.split("_")[2]]
    assert (len(start.nodes), start.free) == (given, free)
    assert start.frozen == (2 if "scratch" in name else 0)
    assert len(start.operators) == {"6": 19, "10": 31, "11": 31}.get(name.split("_")[2], 33)
    rng = np.random.default_rng(1)
    for _ in range(5):
        graph = check(random_program(rng, start, quirks))
        assert graph.nodes[:given] == start.nodes
        assert len(graph.nodes) == given + free
        assert is_valid(graph)
        used = {node.op for node in graph.nodes[given:]}
        assert used <= set(start.operators)
        if not start.has_constant:
            assert "constant" not in graph.needs


@pytest.mark.parametrize("quirks", [PAPER, RELEASED])
def test_a_mutation_changes_one_node_and_keeps_what_is_frozen(quirks: Quirks) -> None:
    rng = np.random.default_rng(2)
    graph = random_program(rng, SCRATCH, quirks)
    touched: collections.Counter[int] = collections.Counter()
    for _ in range(150):
        child = check(mutate_program(rng, graph, SCRATCH, quirks))
        changed = [i for i, (a, b) in enumerate(zip(graph.nodes, child.nodes, strict=True)) if a != b]
        assert len(changed) <= 1
        assert is_valid(child)
        for i in changed:
            assert i >= SCRATCH.frozen
            index = len(NETWORK) + i
            read = any(index in node.inputs for node in graph.nodes) or i == len(graph.nodes) - 1
            assert not read or child.types[index] is graph.types[index]
            if quirks.skips_previous:
                assert index - 1 not in child.nodes[i].inputs
            touched[i] += 1
        graph = child
    assert len(touched) > 8
    reads_previous = any(len(NETWORK) + i - 1 in node.inputs for i, node in enumerate(graph.nodes))
    assert reads_previous or quirks.skips_previous


def test_loss_weights_are_kept_unless_asked_to_forget() -> None:
    rng = np.random.default_rng(3)
    graph = random_program(rng, SCRATCH, weighted=True)
    assert graph.nodes[-1].op == "loss"
    graph = Graph((*graph.nodes[:-1], Node("loss", graph.nodes[-1].inputs, 0.01)), "network", "coreyes2021")
    for quirks, kept in ((PAPER, True), (Quirks(forgets_weight=True), False)):
        weights = []
        for _ in range(60):
            child = mutate_program(rng, graph, SCRATCH, quirks)
            assert child.nodes[-1].op == "loss"
            assert child.nodes[-1].constant in LOSS_WEIGHTS
            if child.nodes[:-1] != graph.nodes[:-1]:
                weights.append(child.nodes[-1].constant)
        assert set(weights) == ({0.01} if kept else {1.0})


def test_the_same_key_gives_the_same_programs() -> None:
    first, second = (random_program(np.random.default_rng(9), SCRATCH) for _ in range(2))
    assert first == second
    assert mutate_program(np.random.default_rng(1), first, SCRATCH) == mutate_program(
        np.random.default_rng(1), second, SCRATCH
    )


def test_nothing_to_mutate_is_an_error_with_a_remedy() -> None:
    with pytest.raises(UsageError, match="expected more than the 2 frozen nodes of pre_graph_8_scratch"):
        mutate_program(np.random.default_rng(0), Graph(SCRATCH.nodes, "network", "coreyes2021"), SCRATCH)
    with pytest.raises(UsageError, match=r"start: expected one of pre_graph_6.*got 'pre_graph_5'"):
        start_called("pre_graph_5")


@pytest.mark.parametrize("name", REFERENCES)
def test_catalogue_holds_the_graphs_that_the_released_code_ships(name: str) -> None:
    assert load_objective(f"coreyes_{name}").graph == check(REFERENCES[name])
    assert is_valid(REFERENCES[name])
