"""One form, and one name, for all ways of writing down the same graph."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from autorl.objectives.graphs.graph import Graph, Node


def canonical(graph: Graph) -> Graph:
    """Return the graph with nothing dead or double in it, its nodes and inputs in one fixed order. Its meaning stays, bit for bit.

    Nodes that the loss does not depend on are out; equal nodes are one; inputs of commutative operators are ordered; the constant of
    an operator without one is 1. Constants are compared as float32, which programs run in.

    Nodes that draw numbers are never one, whatever they read; moved, they draw other numbers of the same distribution. Where two parts
    differ in nothing but which of such nodes they share, their first order decides, so that there may be more than one form.
    """
    count, names, first = len(graph.registers), _names(graph), _first_of_equals(graph)
    nodes: list[Node] = []
    places: dict[int, int] = {}

    def rank(index: int) -> tuple[bool, str, int, int]:
        # of two parts that are equal but for what they draw, the one placed already comes first: so the form of a form is itself
        return index >= count, names[index], places.get(index, len(names)), index

    def place(index: int) -> int:
        if index < count:
            return index
        if index not in places:
            node = graph.nodes[index - count]
            inputs = [first[i] for i in node.inputs]
            if graph.table.operator(node.op).commutative:
                inputs.sort(key=rank)
            placed = tuple([place(i) for i in inputs])
            nodes.append(Node(node.op, placed, _constant(graph, node)))
            places[index] = count + len(nodes) - 1
        return places[index]

    place(first[count + len(graph.nodes) - 1])
    return Graph(tuple(nodes), graph.family, graph.language)


def key(graph: Graph) -> str:
    """Return 32 hexadecimal digits that are equal if and only if the canonical forms are."""
    text = f"{graph.language}|{graph.family}|{_names(graph)[len(graph.registers) + len(graph.nodes) - 1]}"
    if any(graph.table.operator(graph.nodes[position].op).random for position in graph.live):
        text += f"|{canonical(graph).nodes!r}"  # which nodes read the same draw, no name of a structure says
    return _digest(text)


def _names(graph: Graph) -> dict[int, str]:
    """Return a name of the structure below each register and live node, by index; two nodes that draw numbers may share one."""
    count = len(graph.registers)
    names = {i: f"r{i:03d}" for i in range(count)}
    for position in graph.live:
        node, index = graph.nodes[position], count + position
        inputs: Sequence[int] = node.inputs
        if graph.table.operator(node.op).commutative:
            inputs = sorted(inputs, key=lambda i: (i >= count, names[i]))
        names[index] = _digest(f"{node.op}({','.join(names[i] for i in inputs)}){_constant(graph, node)!r}")
    return names


def _first_of_equals(graph: Graph) -> dict[int, int]:
    """Return, of each register and live node, the first one that has the same value always."""
    count = len(graph.registers)
    found = {i: i for i in range(count)}
    seen: dict[tuple[str, tuple[int, ...], float], int] = {}
    for position in graph.live:
        node, index = graph.nodes[position], count + position
        operator, inputs = graph.table.operator(node.op), [found[i] for i in node.inputs]
        inputs = sorted(inputs) if operator.commutative else inputs
        same = (node.op, tuple(inputs), _constant(graph, node))
        found[index] = index if operator.random else seen.setdefault(same, index)
    return found


def _constant(graph: Graph, node: Node) -> float:
    if not graph.table.operator(node.op).has_constant:
        return 1.0
    return float(np.float32(node.constant)) + 0.0  # -0.0 becomes 0.0


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
