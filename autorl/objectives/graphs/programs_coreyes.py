"""Random programs and mutation of Co-Reyes et al. (2021), as their released code has them (``program.py``, ``evolution_v2.py``).

A random node is drawn uniformly from all pairs (operator, inputs) that its first check accepts; a program is drawn anew until
its second check accepts every node, its last node is a float and a path leads from ``q_param`` to it. A mutation replaces one
node by a pair of the same output type (of any type if nothing reads the node), until the program is valid.

An operator never gets the same node twice (``itertools.combinations`` or ``permutations``): x * x can only be written with two
equal nodes, or as `l2_norm`. `Quirks` are what the released code does though nothing in the paper says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from autorl.errors import UsageError
from autorl.objectives.graphs.graph import Graph, Node
from autorl.objectives.graphs.language_coreyes2021 import COREYES2021, NETWORK
from autorl.objectives.graphs.starts_coreyes import FAMILY, LANGUAGE, STARTS, Start
from autorl.objectives.graphs.types import Type

LOSS_WEIGHTS: Final = (1.0, 0.5, 0.2, 0.1, 0.01, 0.001)
_TRIES: Final = 100_000

Pair = tuple[str, tuple[int, ...]]
_REGISTERS: Final = tuple(register.type for register in NETWORK)
_F, _L, _V = Type.FLOAT, Type.LIST, Type.VECTOR


@dataclass(frozen=True)
class Quirks:
    """Where the released code departs from the paper. All off: the paper. `RELEASED` has all of them.

    Attributes:
        loose_check: The first check lets pass what the second refuses (minimum of a float and a list): such programs are drawn
            and thrown away. Off: only pairs that both checks accept are drawn.
        every_order: Commutative operators too are drawn with either order of inputs, so twice as often: where a class does not
            say whether order matters, Python hands out the property object of its base class, which counts as true.
        no_lists_together: The first check of `subtract` and `add` refuses two lists or two vectors, which the second accepts.
        skips_previous: A mutated node cannot read the node right before it (``ops_lst[:node_idx - 1]``).
        forgets_weight: A mutation sets the loss weight back to 1.
    """

    loose_check: bool = False
    every_order: bool = False
    no_lists_together: bool = False
    skips_previous: bool = False
    forgets_weight: bool = False


PAPER: Final = Quirks()
RELEASED: Final = Quirks(True, True, True, True, True)


def choices(
    types: tuple[Type, ...],
    start: Start,
    quirks: Quirks = PAPER,
    forbidden: frozenset[int] = frozenset(),
    output: Type | None = None,
) -> tuple[Pair, ...]:
    """Return all pairs (operator, inputs) that may follow registers and nodes of ``types``.

    Args:
        types: Of registers, then nodes.
        start: Its operators are offered.
        quirks: Of the released code.
        forbidden: Indices that may not be read.
        output: If given, the type that the pair must give.
    """
    by_type: dict[Type, list[int]] = {}
    for i, kind in enumerate(types):
        if i not in forbidden | start.forbidden:
            by_type.setdefault(kind, []).append(i)
    return tuple(
        (op, inputs)
        for op in start.operators
        for kinds, found in _accepted(op, quirks, start.loose_division)
        if output is None or found is output
        for inputs in _inputs(op, [by_type.get(kind, []) for kind in kinds], quirks)
    )


def _inputs(op: str, among: list[list[int]], quirks: Quirks) -> Iterator[tuple[int, ...]]:
    """Yield inputs, no two the same; each set of them once where the operator is commutative."""
    once = COREYES2021.operator(op).commutative and not quirks.every_order
    for inputs in itertools.product(*among):
        if len(set(inputs)) == len(inputs) and not (once and inputs[0] > inputs[1]):
            yield inputs


@cache
def _accepted(op: str, quirks: Quirks, loose_division: bool) -> tuple[tuple[tuple[Type, ...], Type], ...]:
    """Return the types of inputs with which an operator is drawn, and the type that it then claims to give."""
    operator = COREYES2021.operator(op)
    found = []
    for types in itertools.product(Type, repeat=operator.arity):
        output = operator.rule(types)
        if quirks.no_lists_together and op in ("subtract", "add") and set(types) <= {_L, _V}:
            output = None
        if quirks.loose_check and output is None and _slips_through(op, types, loose_division):
            output = types[0]
        if output is not None:
            found.append((types, output))
    return tuple(found)


def _slips_through(op: str, types: tuple[Type, ...], loose_division: bool) -> bool:
    """Return whether the released first check accepts inputs that the second refuses."""
    accepted = {"min": {_F, _V, _L}, "div": {_F, _V, _L, Type.STATE} if loose_division else set()}.get(op, set())
    return set(types) <= accepted


def is_valid(graph: Graph) -> bool:
    """Return whether a program is valid: every node well typed, a float at its end, a path from ``q_param`` to it."""
    types = list(_REGISTERS)
    for node in graph.nodes:
        found = COREYES2021.operator(node.op).rule(tuple(types[i] for i in node.inputs))
        if found is None:
            return False
        types.append(found)
    return types[-1] is _F and "q_param" in graph.needs


def draw_program(rng: np.random.Generator, start: Start, quirks: Quirks = PAPER) -> Graph:
    """Return one random program, valid or not."""
    nodes, types = list(start.nodes), list(_types_of(start.nodes))
    for _ in range(start.free):
        offered = choices(tuple(types), start, quirks)
        op, inputs = offered[rng.integers(len(offered))]
        nodes.append(Node(op, inputs))
        types.append(_claimed(op, tuple(types[i] for i in inputs)))
    return Graph(tuple(nodes), FAMILY, LANGUAGE)


def random_program(rng: np.random.Generator, start: Start, quirks: Quirks = PAPER, weighted: bool = False) -> Graph:
    """Return a random valid program; if ``weighted``, it ends with `loss` and one of `LOSS_WEIGHTS` (as ``adjust_loss_weight``)."""
    for _ in range(_TRIES):
        graph = draw_program(rng, start, quirks)
        if is_valid(graph):
            weight = LOSS_WEIGHTS[rng.integers(len(LOSS_WEIGHTS))] if weighted else 1.0
            return with_loss_weight(graph, weight) if weighted else graph
    raise UsageError(f"start {start.name}: no valid program among {_TRIES} random ones; give it more operators")


def mutate_program(rng: np.random.Generator, graph: Graph, start: Start, quirks: Quirks = PAPER) -> Graph:
    """Return a valid program in which one node that is not frozen is another one.

    A program that ends with `loss` may have its loss weight redrawn instead (as the released ``adjust_loss_weight``).

    Raises:
        UsageError: ``graph`` has no node that is not frozen, or no valid replacement was found.
    """
    if len(graph.nodes) <= start.frozen:
        raise UsageError(f"graph: expected more than the {start.frozen} frozen nodes of {start.name}, got no other")
    for _ in range(_TRIES):
        position = int(rng.integers(start.frozen, len(graph.nodes)))
        if graph.nodes[position].op == "loss":
            return with_loss_weight(_without_loss(graph), LOSS_WEIGHTS[rng.integers(len(LOSS_WEIGHTS))])
        found = _replaced(rng, graph, position, start, quirks)
        if found is not None and is_valid(found):
            return with_loss_weight(_without_loss(found), 1.0) if quirks.forgets_weight and _weighted(found) else found
    raise UsageError(f"start {start.name}: no valid mutation among {_TRIES}; give it more operators or free nodes")


def _replaced(rng: np.random.Generator, graph: Graph, position: int, start: Start, quirks: Quirks) -> Graph | None:
    index = len(_REGISTERS) + position
    types = _types_of(graph.nodes)
    read = any(index in node.inputs for node in graph.nodes) or position == len(graph.nodes) - 1
    # the released programs end with a loss node, which reads the last: so the last one is read too
    forbidden = frozenset({index - 1}) if quirks.skips_previous else frozenset()
    offered = choices(types[:index], start, quirks, forbidden, types[index] if read else None)
    if not offered:
        return None
    op, inputs = offered[rng.integers(len(offered))]
    return Graph((*graph.nodes[:position], Node(op, inputs), *graph.nodes[position + 1 :]), FAMILY, LANGUAGE)


def _claimed(op: str, types: tuple[Type, ...]) -> Type:
    """Return the type of a node, also of one that the second check refuses: then that of its first input."""
    return COREYES2021.operator(op).rule(types) or types[0]


def _types_of(nodes: tuple[Node, ...]) -> tuple[Type, ...]:
    types = list(_REGISTERS)
    for node in nodes:
        types.append(_claimed(node.op, tuple(types[i] for i in node.inputs)))
    return tuple(types)


def _weighted(graph: Graph) -> bool:
    return graph.nodes[-1].op == "loss"


def _without_loss(graph: Graph) -> Graph:
    return Graph(graph.nodes[:-1], FAMILY, LANGUAGE) if _weighted(graph) else graph


def with_loss_weight(graph: Graph, weight: float) -> Graph:
    """Return the graph with its last node's value, times a weight, as the loss."""
    last = len(_REGISTERS) + len(graph.nodes) - 1
    return Graph((*graph.nodes, Node("loss", (last,), weight)), FAMILY, LANGUAGE)


def start_called(name: str) -> Start:
    """Return the start called ``name``; raise `UsageError` with the names that there are."""
    if name not in STARTS:
        raise UsageError(f"start: expected one of {', '.join(STARTS)}, got {name!r}")
    return STARTS[name]
