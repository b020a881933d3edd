"""Formulas say what graphs do: written with few parentheses and simplified, they still evaluate to the loss."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest

from autorl.keys import generator
from autorl.objectives.graphs import functions_numpy
from autorl.objectives.graphs.expressions import read
from autorl.objectives.graphs.files import graph_from_json
from autorl.objectives.graphs.formula import formula, formula_latex, formula_lines, formula_text, mathtext, number_text
from autorl.objectives.graphs.graph import Graph, Node, differentiable
from autorl.objectives.graphs.language_autorl import OPERATORS
from autorl.objectives.graphs.sampling import Grammar, random_node
from autorl.objectives.graphs.types import Type
from autorl.objectives.loader import load_objective, names

NO_BARS = tuple(row.name for row in OPERATORS if "|" not in row.text)
"""All operators but those whose text has bars, which Python does not read."""


def written(name: str) -> str:
    return "\n".join(formula_lines(load_objective(name).graph))


def of(*nodes: dict[str, Any], family: str = "value") -> str:
    return formula_text(graph_from_json({"language": "autorl", "family": family, "nodes": list(nodes)}))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dqn", "0.5 * (q_action - (reward + discount * max_a(q_target_next)))^2"),
        (
            "dqnreg_paper",
            "0.1 * q_action + delta^2\n  where delta = q_action - (reward + discount * max_a(q_target_next))",
        ),
        (
            "dqn_clipped",
            "max(q_action, delta^2 + target) + max(delta, discount * max_a(q_target_next)^2)\n"
            "  where target = reward + discount * max_a(q_target_next)\n  where delta = q_action - target",
        ),
        ("a2c", "0.5 * (value - return)^2 - log_prob * advantage - 0.01 * entropy"),
        (
            "ppo_clip",
            "0.25 * (value - return)^2 - min(ratio * advantage, advantage * clip(ratio, 0.8, 1.2))",
        ),
    ],
)
def test_formulas_of_the_catalogue(name: str, text: str) -> None:
    assert written(name) == text


def test_latex_of_dqnreg() -> None:
    assert formula_latex(load_objective("dqnreg_paper").graph) == (
        r"L = 0.1\,Q(s,a) + \delta^2,\quad \delta = Q(s,a) - \left(r + \gamma\,\max_a \bar Q(s',\cdot)\right)"
    )


@pytest.mark.parametrize(
    ("nodes", "text"),
    [
        ([{"op": "scale", "in": ["reward"], "c": 1.0}], "reward"),
        ([{"op": "scale", "in": ["reward"], "c": -1.0}], "-reward"),
        ([{"op": "scale", "in": ["reward"], "c": 2}, {"op": "scale", "in": [0], "c": 0.25}], "0.5 * reward"),
        ([{"op": "constant", "c": -2}, {"op": "add", "in": [0, "reward"]}], "reward - 2"),
        ([{"op": "constant", "c": -2}, {"op": "mul", "in": ["reward", 0]}], "-2 * reward"),
        ([{"op": "constant", "c": 0}, {"op": "sub", "in": [0, "reward"]}], "-reward"),
        ([{"op": "constant", "c": 3}, {"op": "square", "in": [0]}, {"op": "mul", "in": [1, "reward"]}], "9 * reward"),
        ([{"op": "mul", "in": ["reward", "reward"]}], "reward^2"),
        ([{"op": "add", "in": ["reward", "reward"]}], "2 * reward"),
        ([{"op": "sub", "in": ["reward", "reward"]}], "0"),
        ([{"op": "sub", "in": ["reward", "q_action"]}, {"op": "scale", "in": [0], "c": -3}], "3 * (q_action - reward)"),
        ([{"op": "stop_gradient", "in": ["reward"]}], "reward"),
        ([{"op": "stop_gradient", "in": ["q_action"]}], "sg(q_action)"),
        (
            [{"op": "sub", "in": ["reward", "discount"]}, {"op": "sub", "in": ["q_action", 0]}],
            "q_action - (reward - discount)",
        ),
        (
            [{"op": "div", "in": ["reward", "discount"]}, {"op": "div", "in": ["q_action", 0]}],
            "q_action / (reward / discount)",
        ),
        ([{"op": "mul", "in": ["reward", "discount"]}, {"op": "square", "in": [0]}], "(reward * discount)^2"),
        ([{"op": "constant", "c": 1e-7}, {"op": "max", "in": [0, "reward"]}], "max(reward, 1e-7)"),
        ([{"op": "abs", "in": ["reward"]}, {"op": "square", "in": [0]}], "reward^2"),
    ],
)
def test_simplified_writing(nodes: list[dict[str, Any]], text: str) -> None:
    assert of(*nodes) == text


def random_graph(seed: int, operators: tuple[str, ...] = (), family: str = "value") -> Graph:
    """A random graph whose loss reads something that learns."""
    rng, grammar = generator(seed), Grammar(family=family, operators=operators, nodes=14)
    while True:
        nodes: list[Node] = []
        sources = list(grammar.sources)
        count = len(grammar.table.registers(family))
        for _ in range(12):
            node = random_node(rng, grammar, sources)
            assert node is not None
            nodes.append(node)
            sources.append((count + len(nodes) - 1, Graph(tuple(nodes), family).types[-1]))
        graph = Graph(tuple(nodes), family)
        if graph.types[-1] is Type.FLOAT and differentiable(graph):
            return graph


def registers(graph: Graph, seed: int) -> dict[str, np.ndarray]:
    rng, samples, actions = np.random.default_rng(seed), 7, 3
    made: dict[str, np.ndarray] = {}
    for register in graph.registers:
        if register.type is Type.ACTION:
            made[register.name] = np.eye(actions)[:, rng.integers(0, actions, samples)]
        else:
            shape = (actions if register.type is Type.LIST else 1, samples)
            made[register.name] = rng.normal(size=shape)
    return made


def reference(graph: Graph, values: dict[str, np.ndarray]) -> np.ndarray:
    found = [values[r.name] for r in graph.registers]
    for node in graph.nodes:
        operation = getattr(functions_numpy, node.op)
        found.append(np.asarray(operation(node.constant, *(found[i] for i in node.inputs)), np.float64))
    return found[-1]


BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}


class Reader(ast.NodeTransformer):
    """Turns the text of a formula, read as Python, into calls of the operators' own functions."""

    def call(self, name: str, *args: ast.expr) -> ast.Call:
        return ast.Call(ast.Name(name, ast.Load()), list(args), [])

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.Pow):
            return self.call("square", node.left)
        return self.call(BINARY[type(node.op)], node.left, node.right)

    def visit_List(self, node: ast.List) -> ast.expr:
        (comparison,) = node.elts
        assert isinstance(comparison, ast.Compare)
        return self.call("greater", self.visit(comparison.left), self.visit(comparison.comparators[0]))

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        return self.call("select", self.visit(node.value), self.visit(node.slice))


def evaluated(text: str, values: dict[str, Any]) -> Any:
    tree = ast.fix_missing_locations(Reader().visit(ast.parse(text.replace("^", "**"), mode="eval")))
    return eval(compile(tree, "formula", "eval"), values)


def namespace(values: dict[str, np.ndarray]) -> dict[str, Any]:
    def plain(name: str) -> Any:
        return lambda *args: getattr(functions_numpy, name)(
            1.0, *(np.atleast_2d(np.asarray(a, np.float64)) for a in args)
        )

    given: dict[str, Any] = {name: plain(name) for name in NO_BARS}
    given |= {"sg": given["stop_gradient"], "argmax": given["argmax_a"]}
    given["clip"] = lambda x, low, high: np.clip(x, low, high)
    return given | {k if k != "return" else "return_": v for k, v in values.items()}


@pytest.mark.parametrize("family", ["value", "policy_gradient"])
@pytest.mark.parametrize("simplify", [True, False])
@pytest.mark.filterwarnings("ignore:.*encountered.*:RuntimeWarning")
def test_the_text_evaluates_to_the_loss(family: str, simplify: bool) -> None:
    compared = 0
    for seed in range(300):
        graph = random_graph(seed, NO_BARS, family)
        values = registers(graph, seed)
        wanted = reference(graph, values)
        if not np.abs(wanted).max() < 1e6:
            continue  # rounding of numbers that later cancel, and guards
        made = formula(graph, simplify=simplify)
        given = namespace(values)
        for name, text in [*made.definitions, ("loss", made.loss)]:
            given[name] = evaluated(text.replace("return", "return_"), given)
        # constants are printed in six digits, and quotients by what is nearly 0 are guarded
        close = np.isclose(np.broadcast_to(given["loss"], wanted.shape), wanted, rtol=1e-4, atol=1e-4)
        assert close.all(), (seed, formula_text(graph))
        compared += 1
    assert compared > 200


def test_every_formula_of_the_catalogue_and_of_random_graphs_is_drawn_by_matplotlib() -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.mathtext import MathTextParser

    parser: Any = MathTextParser("path")
    graphs = [load_objective(name).graph for name in names()]
    graphs += [random_graph(seed, (), family) for seed in range(60) for family in ("value", "policy_gradient")]
    for graph in graphs:
        parser.parse(f"${mathtext(formula_latex(graph))}$")


def test_formulas_stay_small_where_values_are_shared() -> None:
    nodes = [Node("add", (1, 6))]
    for _ in range(30):  # written out, it would have 2^30 terms
        nodes.append(Node("mul", (9 + len(nodes) - 1,) * 2))
        nodes.append(Node("add", (9 + len(nodes) - 1, 9 + len(nodes) - 2)))
    graph = Graph(tuple(nodes))
    assert len(formula_text(graph)) < 3000
    assert len(read(graph).entries) < 200


def test_numbers() -> None:
    assert [number_text(x) for x in (0.1, -3.0, 1e-7, 1.5e9, 1 / 3)] == ["0.1", "-3", "1e-7", "1.5e9", "0.333333"]
