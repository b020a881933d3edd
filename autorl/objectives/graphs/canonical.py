"""One form, and one name, for all ways of writing down the same graph."""

from __future__ import annotations

import hashlib

import numpy as np

from autorl.objectives.graphs.graph import Graph, Node


def canonical(graph: Graph) -> Graph:
    """Return the graph with nothing dead or double in it, its nodes and inputs in one fixed order. Its meaning stays, bit for bit.

    Nodes that the loss does not depend on are out; equal nodes are one; inputs of commutative operators are ordered; the constant of
    an operator without one is 1. Constants are compared as float32, which programs run in.
    """
    count, names = len(graph.registers), _names(graph)
    nodes: list[Node] = []
    places: dict[str, int] = {}

    def place(index: int) -> int:
        if index < count:
            return index
        name = names[index]
        if name not in places:
            inputs = tuple(place(i) for i in _inputs(graph, index, names))
            node = graph.nodes[index - count]
            nodes.append(Node(node.op, inputs, _constant(graph, node)))
            places[name] = count + len(nodes) - 1
        return places[name]

    place(count + len(graph.nodes) - 1)
    return Graph(tuple(nodes), graph.family, graph.language)


def key(graph: Graph) -> str:
    """Return 32 hexadecimal digits that are equal if and only if the canonical forms are."""
    names = _names(graph)
    text = f"{graph.language}|{graph.family}|{names[len(graph.registers) + len(graph.nodes) - 1]}"
    return _digest(text)


def _names(graph: Graph) -> dict[int, str]:
    """Return a name of the structure below each register and live node, by index."""
    count = len(graph.registers)
    names = {i: f"r{i:03d}" for i in range(count)}
    for position in graph.live:
        node, index = graph.nodes[position], count + position
        inputs = ",".join(names[i] for i in _inputs(graph, index, names))
        # two nodes that draw numbers are two, whatever they read: `place` must not merge them
        own = f"#{len(names)}" if graph.table.operator(node.op).random else ""
        names[index] = _digest(f"{node.op}({inputs}){_constant(graph, node)!r}{own}")
    return names


def _inputs(graph: Graph, index: int, names: dict[int, str]) -> tuple[int, ...]:
    node = graph.nodes[index - len(graph.registers)]
    if graph.table.operator(node.op).commutative:
        return tuple(sorted(node.inputs, key=lambda i: (i >= len(graph.registers), names[i])))
    return node.inputs


def _constant(graph: Graph, node: Node) -> float:
    if not graph.table.operator(node.op).has_constant:
        return 1.0
    return float(np.float32(node.constant)) + 0.0  # -0.0 becomes 0.0


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
