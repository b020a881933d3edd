"""The shortest way found to write a loss that does the same: what a search drifted into, made readable.

Nodes are left out one by one, a register or a smaller part standing in for each, as long as the fingerprint stays. Nothing is trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product

from autorl.objectives.graphs.canonical import canonical
from autorl.objectives.graphs.fingerprint import fingerprint, fingerprints
from autorl.objectives.graphs.graph import Graph, Node, differentiable


def reduced(graph: Graph, readable: tuple[str, ...] = (), operators: tuple[str, ...] = ()) -> Graph:
    """Return a graph with the fingerprint of ``graph`` and as few nodes as leaving nodes out can reach; canonical.

    Args:
        graph: Well formed.
        readable: Registers that may stand in for a node, beside those that the graph reads already.
        operators: Operators that may take another's place; empty for all of the language.

    The positive scale of a loss may change: under Adam it does not matter. Where gradients are clipped (DQN at a norm of 10, PPO at .5
    by default) it does; `Fingerprint.exact_key` tells losses apart by it.
    """
    now = canonical(graph)
    name = fingerprint(now).key
    allowed = tuple(dict.fromkeys([*readable, *now.needs]))
    while True:
        # a second edit only where one is not enough: there are many pairs
        stages = (
            _shorter,
            partial(_shorter_by_one_operator, operators=operators),
            partial(_shorter_with_another_operator, operators=operators),
        )
        for edits in stages:
            shorter = sorted(set(edits(now, allowed)), key=lambda g: (len(g.nodes), repr(g)))
            found = fingerprints(shorter)
            kept = [candidate for candidate, mark in zip(shorter, found, strict=True) if mark.key == name]
            if kept:
                now = kept[0]
                break
        else:
            return now


def _shorter(graph: Graph, readable: tuple[str, ...]) -> Iterator[Graph]:
    """Yield the graphs with fewer nodes in which something else of the same type stands in the place of one node."""
    count, types = len(graph.registers), graph.types
    registers = [i for i, register in enumerate(graph.registers) if register.name in readable]
    for position in range(len(graph.nodes)):
        index = count + position
        others = [*registers, *range(count, index)]
        for other in others:
            if types[other] is types[index] and not (other < count and position == len(graph.nodes) - 1):
                made = _replaced(graph, index, other)
                if len(made.nodes) < len(graph.nodes) and differentiable(made):
                    yield made


def _shorter_by_one_operator(graph: Graph, readable: tuple[str, ...], operators: tuple[str, ...]) -> Iterator[Graph]:
    """Yield the graphs with fewer nodes in which one node is an operator of one input: ``d * d`` is ``d^2``."""
    count, types = len(graph.registers), graph.types
    registers = [i for i, register in enumerate(graph.registers) if register.name in readable]
    allowed = [o for o in graph.table.operators if o.arity == 1 and not o.has_constant and not o.random]
    for position, operator in product(range(len(graph.nodes)), allowed):
        if operators and operator.name not in operators:
            continue
        index = count + position
        for source in [*registers, *range(count, index)]:
            if operator.rule((types[source],)) is types[index]:
                node = Node(operator.name, (source,))
                made = canonical(replace(graph, nodes=_with(graph.nodes, position, node)))
                if len(made.nodes) < len(graph.nodes) and differentiable(made):
                    yield made


def _shorter_with_another_operator(
    graph: Graph, readable: tuple[str, ...], operators: tuple[str, ...]
) -> Iterator[Graph]:
    """Yield the same with the operator of one node, or the order of its inputs, changed too: ``a - (b - c)`` is ``a + c - b``."""
    allowed = [o for o in graph.table.operators if o.arity == 2 and (not operators or o.name in operators)]
    for shorter in set(_shorter(graph, readable)):
        count = len(shorter.registers)
        for position, node in enumerate(shorter.nodes):
            given = tuple(shorter.types[i] for i in node.inputs)
            result = shorter.types[count + position]
            for operator in allowed if len(given) == 2 else ():
                for inputs in (node.inputs, node.inputs[::-1])[: 1 if operator.commutative else 2]:
                    types = given if inputs == node.inputs else given[::-1]
                    if operator.rule(types) is result and (operator.name, inputs) != (node.op, node.inputs):
                        changed = replace(node, op=operator.name, inputs=inputs)
                        yield canonical(replace(shorter, nodes=_with(shorter.nodes, position, changed)))


def _with(nodes: tuple[Node, ...], position: int, node: Node) -> tuple[Node, ...]:
    return (*nodes[:position], node, *nodes[position + 1 :])


def _replaced(graph: Graph, index: int, other: int) -> Graph:
    """Return the graph whose nodes read ``other`` where they read ``index``; the last node itself is then ``other``."""
    count = len(graph.registers)
    if index == count + len(graph.nodes) - 1:
        return canonical(replace(graph, nodes=graph.nodes[: other - count + 1]))
    nodes = tuple(replace(node, inputs=tuple(other if i == index else i for i in node.inputs)) for node in graph.nodes)
    return canonical(replace(graph, nodes=nodes))
