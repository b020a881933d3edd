"""Loss graphs as pictures: what to draw and where, as plain data, and the text of a DOT file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from autorl.objectives.graphs.formula import number_text
from autorl.objectives.graphs.graph import Graph, check
from autorl.objectives.graphs.language import Operator

Kind = Literal["learned", "register", "constant", "operator", "loss"]
SYMBOLS: Final[Mapping[str, str]] = {
    "add": "+",
    "sub": "−",
    "mul": "×",
    "div": "÷",
    "greater": ">",
    "square": "x²",
    "abs": "|x|",
    "argmax_a": "argmax",
    "max_a": "max a",
    "mean_a": "mean a",
    "sum_a": "sum a",
    "logsumexp_a": "logsumexp",
    "softmax_a": "softmax",
    "entropy_a": "entropy",
    "stop_gradient": "stop",
    "subtract": "−",
    "multiply_float": "×",
    "dot_product": "×",
    "multiply_tenth": "0.1 ×",
    "l2_norm": "x²",
    "l2_distance": "½(x−y)²",
}
_ORDERED: Final = frozenset({"sub", "div", "greater", "subtract"})
"""Operators whose first input is told from the second in a picture."""
_SWEEPS: Final = 8


@dataclass(frozen=True)
class Box:
    """A value in a picture.

    Attributes:
        label: What it is.
        kind: How it is drawn; ``learned`` is a register through which slopes flow.
        layer: Column, 0 for registers and constants whose readers allow it.
    """

    label: str
    kind: Kind
    layer: int


@dataclass(frozen=True)
class Picture:
    """Boxes by index of the graph, edges (from, to, text), and where all stand: x by layer, y from 0 downwards.

    Attributes:
        boxes: Values.
        edges: In the order of the nodes that read.
        places: Where boxes stand.
        ways: For each edge the points that it goes through, from box to box, one in every layer between.
    """

    boxes: Mapping[int, Box]
    edges: tuple[tuple[int, int, str], ...]
    places: Mapping[int, tuple[float, float]]
    ways: tuple[tuple[tuple[float, float], ...], ...]


def picture(graph: Graph) -> Picture:
    """Return what to draw of the live part of ``graph``, laid out in layers from registers to the loss.

    Raises:
        GraphError: It is not well formed.
    """
    check(graph)
    boxes, edges = _boxes(graph), []
    count = len(graph.registers)
    for position in graph.live:
        node = graph.nodes[position]
        told = node.op in _ORDERED
        edges += [(i, count + position, "xy"[slot] if told else "") for slot, i in enumerate(node.inputs)]
    places, ways = _layout(boxes, edges)
    return Picture(boxes, tuple(edges), places, ways)


def dot(graph: Graph, name: str = "loss") -> str:
    """Return the graph as text for Graphviz; raise `GraphError` if it is not well formed.

    Beside what is drawn, boxes say which register they are, or which operator with which constant, and edges which input: attributes that
    Graphviz passes over, and all that is needed to compute the loss.
    """
    made = picture(graph)
    looks = {
        "learned": 'shape=box, style=filled, fillcolor="#cfe6f5"',
        "register": 'shape=box, style=filled, fillcolor="#eceff2"',
        "constant": "shape=plaintext",
        "operator": "shape=ellipse",
        "loss": 'shape=ellipse, peripheries=2, color="#d55e00"',
    }
    lines = [f"digraph {_quoted(name)} {{", "  rankdir=LR;", '  node [fontname="Helvetica"];']
    lines += [
        f"  n{i} [label={_quoted(box.label)}, {looks[box.kind]}, {_meaning(graph, i)}];"
        for i, box in made.boxes.items()
    ]
    read: dict[int, int] = {}
    for a, b, text in made.edges:
        read[b] = read.get(b, -1) + 1
        lines.append(f"  n{a} -> n{b} [" + (f"label={_quoted(text)}, " if text else "") + f"input={read[b]}];")
    return "\n".join([*lines, "}"]) + "\n"


def shown(graph: Graph) -> dict[str, tuple[str | None, bool]]:
    """Return (label, whether its edges are told apart) of each operator in a drawing; None where the label is the constant's number."""
    found = {}
    for position in graph.live:
        node = graph.nodes[position]
        operator = graph.table.operator(node.op)
        called = operator.function(tuple(graph.types[i] for i in node.inputs))
        found[called] = (_symbol(operator), node.op in _ORDERED)
    return found


def _symbol(operator: Operator) -> str | None:
    return None if operator.has_constant else SYMBOLS.get(operator.name, operator.name)


def _meaning(graph: Graph, index: int) -> str:
    if index < len(graph.registers):
        return f"register={_quoted(graph.registers[index].name)}"
    node = graph.nodes[index - len(graph.registers)]
    operator = graph.table.operator(node.op)
    constant = float(node.constant) if operator.has_constant else 1.0
    return f'op={_quoted(operator.function(tuple(graph.types[i] for i in node.inputs)))}, c="{constant!r}"'


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _boxes(graph: Graph) -> dict[int, Box]:
    count, loss = len(graph.registers), len(graph.nodes) - 1
    layers = dict.fromkeys(range(count), 0)
    boxes: dict[int, Box] = {
        i: Box(r.name, "learned" if r.differentiable else "register", 0)
        for i, r in enumerate(graph.registers)
        if r.name in graph.needs
    }
    readers: dict[int, list[int]] = {}
    for position in graph.live:
        node, operator = graph.nodes[position], graph.table.operator(graph.nodes[position].op)
        layers[count + position] = 1 + max((layers[i] for i in node.inputs), default=-1)
        label = _symbol(operator)
        if label is None:
            label = number_text(node.constant) + (" ×" if operator.arity else "")
        kind: Kind = "loss" if position == loss else "operator" if operator.arity else "constant"
        boxes[count + position] = Box(label, kind, layers[count + position])
        for i in node.inputs:
            readers.setdefault(i, []).append(layers[count + position])
    # a source stands just before its first reader, so that its edges are short
    return {i: _moved(box, readers.get(i, [])) for i, box in boxes.items()}


def _moved(box: Box, readers: Sequence[int]) -> Box:
    if box.kind in ("operator", "loss") or not readers:
        return box
    return Box(box.label, box.kind, max(0, min(readers) - 1))


def _layout(
    boxes: Mapping[int, Box], edges: Sequence[tuple[int, int, str]]
) -> tuple[dict[int, tuple[float, float]], tuple[tuple[tuple[float, float], ...], ...]]:
    """Return where boxes stand and which way edges go (Sugiyama et al., 1981).

    A long edge holds a place in every layer that it passes, so that it runs between boxes. Layers are first filled by networkx, then
    each is ordered by the mean height of its neighbours.
    """
    import networkx as nx

    drawn = nx.Graph()
    layers: dict[tuple[int, ...], int] = {(i,): box.layer for i, box in boxes.items()}
    chains = []
    for number, (a, b, _) in enumerate(edges):
        between = [(a, b, number, layer) for layer in range(boxes[a].layer + 1, boxes[b].layer)]
        layers |= {point: point[3] for point in between}
        chains.append([(a,), *between, (b,)])
    for point, layer in layers.items():
        drawn.add_node(point, layer=layer)
    for chain in chains:
        nx.add_path(drawn, chain)
    heights = {p: float(y) for p, (_, y) in nx.multipartite_layout(drawn, subset_key="layer").items()}
    columns: dict[int, list[tuple[int, ...]]] = {}
    for point, layer in layers.items():
        columns.setdefault(layer, []).append(point)
    for sweep in range(_SWEEPS):
        for layer in sorted(columns, reverse=bool(sweep % 2)):
            column = columns[layer]
            wanted = {p: _mean([heights[q] for q in drawn[p]], heights[p]) for p in column}
            ordered = sorted(column, key=lambda p: (wanted[p], heights[p], p))
            heights |= {p: row - (len(column) - 1) / 2 for row, p in enumerate(ordered)}
    found = {p: (float(layers[p]), heights[p]) for p in layers}
    return {i: found[(i,)] for i in boxes}, tuple(tuple(found[p] for p in chain) for chain in chains)


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
