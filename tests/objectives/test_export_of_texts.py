"""Formulas and drawings that are exported say what the graph does: their own tests read them, and notice what is changed."""

from __future__ import annotations

import re
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from autorl.objectives.graphs.export import export_files
from autorl.objectives.graphs.files import graph_from_json
from autorl.objectives.graphs.formula import formula_latex, formula_lines
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.latex_reader import Value, read_latex
from autorl.objectives.graphs.programs_coreyes import random_program
from autorl.objectives.graphs.starts_coreyes import STARTS
from autorl.objectives.loader import LearnedObjective, load_objective, names
from tests.objectives.test_export import EVERYTHING
from tests.objectives.test_formula import random_graph

TEXTS = ("latex", "dot")
# two draws, one of them read twice, of a program of 2021
DRAWS = {
    "language": "coreyes2021",
    "family": "network",
    "nodes": [
        {"op": "q_value_list", "in": ["q_param", "s_tm1"]},
        {"op": "select_list", "in": [0, "action"]},
        {"op": "constant_gaussian", "in": ["constant"]},
        {"op": "constant_gaussian", "in": ["constant"]},
        {"op": "dot_product", "in": [1, 2]},
        {"op": "subtract", "in": [4, 3]},
        {"op": "add", "in": [5, 2]},
        {"op": "dot_product", "in": ["s_tm1", "s_t"]},
        {"op": "l2_norm", "in": ["s_t"]},
        {"op": "dot_product", "in": [7, 8]},
        {"op": "add", "in": [6, 9]},
        {"op": "q_value_list", "in": ["q_targ_param", "s_t"]},
        {"op": "softmax", "in": [11]},
        {"op": "entropy", "in": [12]},
        {"op": "std_list", "in": [11]},
        {"op": "mean_batch", "in": [14]},
        {"op": "add", "in": [13, 15]},
        {"op": "l2_distance", "in": [10, 16]},
    ],
}


def named(graph: Graph) -> LearnedObjective:
    return LearnedObjective("some", graph, {}, Path())


def exported(objective: LearnedObjective, to: str, change: Callable[[str], str] = lambda text: text) -> bool:
    """Return whether the exported test passes beside the exported text, changed."""
    files = export_files(objective, to)
    ((name, test),) = [(name, text) for name, text in files.items() if name.startswith("test_")]
    made = types.ModuleType(name.removesuffix(".py"))
    with tempfile.TemporaryDirectory() as folder, patch.dict(sys.modules, {made.__name__: made}):
        for other, text in files.items():
            (Path(folder) / other).write_text(change(text), encoding="utf-8")
        made.__dict__["__file__"] = str(Path(folder) / name)
        exec(test, made.__dict__)
        try:
            for run in [value for called, value in made.__dict__.items() if called.startswith("test_")]:
                run()
        except (AssertionError, ValueError):  # wrong, or not to be read
            return False
    return True


def some_graphs() -> Iterator[Graph]:
    for family in ("value", "policy_gradient"):
        yield from (random_graph(seed, (), family) for seed in range(20))
    rng, starts = np.random.default_rng(3), sorted(STARTS)
    drawn = (random_program(rng, STARTS[starts[i % len(starts)]], weighted=i % 2 == 0) for i in range(50))
    yield from (graph for graph in drawn if graph.needs)


@pytest.mark.parametrize("to", TEXTS)
@pytest.mark.filterwarnings("ignore:.*encountered.*:RuntimeWarning")
def test_texts_of_random_graphs_compute_their_losses(to: str) -> None:
    for count, graph in enumerate(some_graphs()):
        assert exported(named(graph), to), (count, formula_latex(graph))
    assert count > 70


@pytest.mark.parametrize("to", TEXTS)
@pytest.mark.parametrize("objective", [EVERYTHING, named(graph_from_json(DRAWS))], ids=["every operator", "draws"])
def test_texts_of_every_kind_of_value_compute_their_losses(objective: LearnedObjective, to: str) -> None:
    assert exported(objective, to)


NUMBERS = {
    "latex": re.compile(r"(?<![\d{(_^])\d+(?:\.\d+)?(?= *\\)|(?<=, )-?\d+(?:\.\d+)?"),
    "dot": re.compile(r'(?<=c=")[^"]*'),
}


@pytest.mark.parametrize("to", TEXTS)
@pytest.mark.parametrize("name", names())
def test_their_tests_notice_a_fifth_more_of_any_constant(name: str, to: str) -> None:
    objective = load_objective(name)
    files = export_files(objective, to)
    (text,) = [text for file, text in files.items() if not file.startswith("test_")]
    start, end = (text.index("L &="), text.index("\\end{align*}")) if to == "latex" else (0, len(text))
    used = {match.start(): match for match in NUMBERS[to].finditer(text, start, end)}
    if to == "dot":  # only what has a constant
        used = {at: m for at, m in used.items() if re.search(r'op="(scale|constant)", c="$', text[: m.start()])}
    changed = [
        f"{text[: m.start()]}{1.2 * float(m[0]):.6g}{text[m.end() :]}" for m in used.values() if float(m[0]) != 0.0
    ]
    if not changed:  # of another register, in the place of the reward
        changed = [text[:start] + re.sub(r'(?<=[ (])r(?= \+)|"reward"', swapped, text[start:end]) + text[end:]]
    for other in changed:
        assert other != text
        assert not exported(objective, to, lambda _, other=other: other), other


def swapped(found: re.Match[str]) -> str:
    return '"discount"' if found[0] == '"reward"' else "\\gamma"


def test_the_test_of_a_drawing_notices_inputs_that_changed_places() -> None:
    objective = load_objective("cql")

    def change(text: str) -> str:
        return re.sub("input=[01]", lambda found: f"input={1 - int(found[0][-1])}", text)

    assert not exported(objective, "dot", change)


def test_an_entry_of_what_is_computed_from_a_list_is_told_from_an_entry_of_the_list() -> None:
    nodes = [{"op": "softmax_a", "in": ["q"]}, {"op": "select", "in": [0, "action"]}]
    graph = graph_from_json({"language": "autorl", "family": "value", "nodes": nodes})
    assert formula_latex(graph) == "L = \\left(\\operatorname{softmax}_a Q(s,\\cdot)\\right)[a]"
    assert exported(named(graph), "latex")


def value_graph(*nodes: dict[str, Any], family: str = "value") -> Graph:
    return graph_from_json({"language": "autorl", "family": family, "nodes": list(nodes)})


SURROGATE = value_graph(
    {"op": "stop_gradient", "in": ["log_prob"]},
    {"op": "sub", "in": ["log_prob", 0]},
    {"op": "exp", "in": [1]},
    {"op": "mul", "in": [2, "advantage"]},
    {"op": "scale", "in": [3], "c": -1.0},
    family="policy_gradient",
)


def test_their_tests_notice_where_slopes_are_stopped() -> None:
    assert exported(named(SURROGATE), "latex")
    assert not exported(named(SURROGATE), "latex", lambda text: re.sub("L &= .*", r"L &= -A", text))
    assert not exported(
        named(SURROGATE), "latex", lambda text: re.sub(r"\\operatorname{sg}\\left\((.*?)\\right\)", r"\1", text)
    )
    assert exported(named(SURROGATE), "dot")
    assert not exported(named(SURROGATE), "dot", lambda text: text.replace('op="stop_gradient"', 'op="scale"'))


def test_a_stop_through_which_no_slope_would_flow_is_not_written_and_not_missed() -> None:
    graph = value_graph(
        {"op": "sub", "in": ["q_action", "q_action"]},
        {"op": "stop_gradient", "in": [0]},
        {"op": "stop_gradient", "in": ["q_action"]},
        {"op": "stop_gradient", "in": [2]},
        {"op": "add", "in": [1, 3]},
        {"op": "sub", "in": [4, "q_action"]},
    )
    assert "sg" in formula_latex(graph)
    assert all(exported(named(graph), to) for to in TEXTS)


@pytest.mark.parametrize(
    ("old", "new"), [("−", "+"), ("max a", "min a"), ('label="reward"', 'label="discount"'), ('"x"', '"y"')]
)
def test_the_test_of_a_drawing_notices_what_is_written_in_it(old: str, new: str) -> None:
    objective = load_objective("dqn")
    assert old in export_files(objective, "dot")["dqn_graph.dot"]
    assert not exported(objective, "dot", lambda text: text.replace(old, new))


@pytest.mark.parametrize(
    "nodes",
    [
        # divided by a discount of 0, and then brought back: the order of steps matters where they saturate
        [("div", ["reward", "discount"]), ("scale", [0], 0.01), ("mul", [1, 0]), ("log", [2])],
        [("sub", ["q_action", "reward"]), ("square", [0]), ("scale", [1], 1e-7)],
        [("add", ["q_action", "reward"]), ("scale", [0], 1e6), ("scale", [1], 1e-6)],
    ],
    ids=["saturates", "small", "large"],
)
def test_texts_of_losses_of_odd_sizes_compute_them(nodes: list[tuple[Any, ...]]) -> None:
    graph = value_graph(*({"op": op, "in": inputs, **({"c": c[0]} if c else {})} for op, inputs, *c in nodes))
    assert all(exported(named(graph), to) for to in TEXTS)


def test_their_tests_notice_a_constant_of_a_small_loss() -> None:
    graph = value_graph({"op": "square", "in": ["q_action"]}, {"op": "scale", "in": [0], "c": 1e-7})
    assert not exported(named(graph), "latex", lambda text: text.replace("10^{-7}", "3 \\times 10^{-7}"))
    assert not exported(
        named(graph), "dot", lambda text: text.replace('c="1e-07"', 'c="1.5e-07"').replace("1e-7", "1.5e-7")
    )


@pytest.mark.parametrize("op", ["constant_gaussian", "constant_uniform"])
def test_a_random_number_as_the_loss_is_read_too(op: str) -> None:
    nodes = [{"op": op, "in": ["constant"]}]
    graph = graph_from_json({"language": "coreyes2021", "family": "network", "nodes": nodes})
    assert all(exported(named(graph), to) for to in TEXTS)


@pytest.mark.parametrize("change", ["u &= \\mathcal{U}(0, 1)", "u &= 17\\,r"])
def test_the_test_of_a_formula_notices_another_distribution(change: str) -> None:
    drawn = "u &= \\mathcal{N}(0, 1)"
    objective = named(graph_from_json(DRAWS))
    assert drawn in export_files(objective, "latex")["some_latex.tex"]
    assert not exported(objective, "latex", lambda text: text.replace(drawn, change))


def test_a_prefix_takes_in_no_factor_that_follows_and_no_exponent_is_raised_again() -> None:
    product = value_graph(
        {"op": "max_a", "in": ["q_next"]},
        {"op": "mul", "in": ["reward", 0]},
        {"op": "constant", "c": 1.0},
        {"op": "sub", "in": ["discount", 2]},
        {"op": "mul", "in": [1, 3]},
    )
    assert formula_latex(product) == "L = \\left(r\\,\\max_a Q(s',\\cdot)\\right) \\cdot \\left(\\gamma - 1\\right)"
    squared = value_graph({"op": "square", "in": ["antagonist_return"]}, family="level")
    assert formula_latex(squared) == "L = {R^A}^2"
    assert exported(named(product), "latex")


def test_numbers_drawn_are_named_each() -> None:
    graph = graph_from_json(DRAWS)
    assert [line for line in formula_lines(graph) if line.endswith("normal()")] == [
        "  where u = normal()",
        "  where v = normal()",
    ]


@pytest.mark.parametrize(
    "text", ["", "A +", "A A", "A^2^2", "\\exp\\left(A", "\\operatorname{KL}\\left(A, A\\right)", "A\\left(A\\right)"]
)
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_latex({"L": text}, {"A": Value(np.ones((1, 3)))}, {"exp": np.exp, "add": np.add, "square": np.square})


def test_what_is_given_is_not_defined_again() -> None:
    with pytest.raises(ValueError, match="may not be defined"):
        read_latex({"L": "A", "A": "1"}, {"A": Value(np.ones((1, 3)))}, {})
