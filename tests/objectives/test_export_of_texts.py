"""Formulas and drawings that are exported say what the graph does: their own tests read them, and notice what is changed."""

from __future__ import annotations

import re
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from pathlib import Path
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
        (run,) = [value for called, value in made.__dict__.items() if called.startswith("test_")]
        try:
            run()
        except AssertionError:
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


def test_numbers_drawn_are_named_each() -> None:
    graph = graph_from_json(DRAWS)
    assert [line for line in formula_lines(graph) if line.endswith("normal()")] == [
        "  where u = normal()",
        "  where v = normal()",
    ]


@pytest.mark.parametrize(
    "text", ["", "A +", "A A", "\\exp\\left(A", "\\operatorname{KL}\\left(A, A\\right)", "A\\left(A\\right)"]
)
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_latex({"L": text}, {"A": Value(np.ones((1, 3)))}, {"exp": np.exp, "add": np.add})
