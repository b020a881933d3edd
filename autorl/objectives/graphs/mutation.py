"""Small changes of a loss graph. Each is a function of explicit randomness, and gives a graph of the same grammar.

Replacing a node is the one mutation of Co-Reyes et al. (2021); inserting, deleting (twice as likely) and the constants' factors are
AutoML-Zero's (Real et al., 2020); growing is genetic programming's (Koza, 1992). *Slide* moves an operation along an edge, as from
``g * (r + max Q)`` to ``r + g * max Q``, or from ``mean(Qa - g Q)`` to ``Qa - mean(g Q)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from autorl.errors import UnknownNameError, UsageError
from autorl.keys import generator
from autorl.objectives.graphs.canonical import key as structure
from autorl.objectives.graphs.cells import Cell, put_together, readers, substituted, take_apart
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.sampling import ANY, Grammar, pick, random_node, signatures
from autorl.objectives.graphs.types import Type

ATTEMPTS = 200
"""Tries at a mutation before the graph is found to have no neighbour."""

_SOURCE = -1  # stands for what an inserted node follows
_TALLEST = 3  # nodes of an expression that grows at once
_SMALLEST, _LARGEST = 1e-4, 1e4  # constants stay within: beyond, a term is all of the loss or nothing of it

Mutation = Callable[[np.random.Generator, Graph, Grammar], Graph | None]
"""From a graph to a changed one, perhaps not of the grammar; None where there is nothing to change in this way."""


def replace_node(rng: np.random.Generator, graph: Graph, grammar: Grammar) -> Graph | None:
    """Replace a node by a random one of the same type, inputs and all."""
    root, cells, types = _opened(graph)
    cell = cells[int(rng.integers(len(cells)))]
    sources, place = _sources(cells, types, grammar, above=cell)
    node = random_node(rng, grammar, sources, frozenset({types[id(cell)]}))
    if node is None:
        return None
    cell.op, cell.constant = node.op, node.constant
    cell.inputs = [place.get(i, i) for i in node.inputs]
    return put_together(root, graph)


def rewire(rng: np.random.Generator, graph: Graph, grammar: Grammar) -> Graph | None:
    """Let one input of a node read something else."""
    root, cells, types = _opened(graph)
    edges = [(cell, slot) for cell in cells for slot in range(len(cell.inputs))]
    if not edges:
        return None
    cell, slot = edges[int(rng.integers(len(edges)))]
    sources, place = _sources(cells, types, grammar, above=cell)
    given = [_type(source, types, graph) for source in cell.inputs]
    fitting = [
        place.get(index, index)
        for index, kind in sources
        if _gives(graph, cell.op, [*given[:slot], kind, *given[slot + 1 :]]) is types[id(cell)]
    ]
    fitting = [source for source in fitting if source is not cell.inputs[slot] and source != cell.inputs[slot]]
    if not fitting:
        return None
    cell.inputs[slot] = fitting[int(rng.integers(len(fitting)))]
    return put_together(root, graph)


def jitter(rng: np.random.Generator, graph: Graph, grammar: Grammar) -> Graph | None:
    """Multiply a constant by a factor drawn from [0.5, 2]; one time in ten change its sign (Real et al., 2020)."""
    root, cells, _ = _opened(graph)
    holders = [cell for cell in cells if graph.table.operator(cell.op).has_constant]
    if not holders:
        return None
    cell = holders[int(rng.integers(len(holders)))]
    moved = cell.constant * rng.uniform(0.5, 2.0) * (-1.0 if rng.random() < 0.1 else 1.0)
    cell.constant = round_constant(moved)
    return put_together(root, graph)


def round_constant(value: float) -> float:
    """Return a constant of four digits, its size within [1e-4, 1e4]: readable, and exact in JSON."""
    size = min(max(abs(value), _SMALLEST), _LARGEST)
    return float(f"{np.copysign(size, value):.4g}")


def insert(rng: np.random.Generator, graph: Graph, grammar: Grammar) -> Graph | None:
    """Put a new node on an edge, or after a node (so on all edges that leave it)."""
    root, cells, types = _opened(graph)
    edges = [(cell, slot) for cell in cells for slot in range(len(cell.inputs))]
    choice = int(rng.integers(len(edges) + len(cells)))
    on_edge = choice < len(edges)
    reader, slot = edges[choice] if on_edge else (cells[0], 0)
    source: int | Cell = reader.inputs[slot] if on_edge else cells[choice - len(edges)]
    sources, place = _sources(cells, types, grammar, above=reader if on_edge else _cell(source))
    kind = _type(source, types, graph)
    wanted = _accepted(graph, reader, slot, types) if on_edge else frozenset({kind})
    node = random_node(rng, grammar, sources, wanted, fixed=(_SOURCE, kind))
    if node is None:
        return None
    inputs: list[int | Cell] = [source if i == _SOURCE else place.get(i, i) for i in node.inputs]
    new = Cell(node.op, inputs, node.constant)
    if on_edge:
        reader.inputs[slot] = new
        return put_together(root, graph)
    assert isinstance(source, Cell)
    changed = substituted(root, source, new)
    return put_together(changed, graph) if isinstance(changed, Cell) else None


def grow(rng: np.random.Generator, graph: Graph, grammar: Grammar) -> Graph | None:
    """Let one input of a node read a new expression of one to three nodes (Koza, 1992: subtree mutation)."""
    root, cells, types = _opened(graph)
    edges = [(cell, slot) for cell in cells for slot in range(len(cell.inputs))]
    if not edges:
        return None
    reader, slot = edges[int(rng.integers(len(edges)))]
    sources, place = _sources(cells, types, grammar, above=reader)
    grown: Cell | None = None
    for left in range(int(rng.integers(_TALLEST)), -1, -1):
        wanted = ANY if left else _accepted(graph, reader, slot, types)
        node = random_node(rng, grammar, sources, wanted, (_SOURCE, types[id(grown)]) if grown else None)
        if node is None:
            return None
        inputs: list[int | Cell] = [grown if i == _SOURCE and grown else place.get(i, i) for i in node.inputs]
        grown = Cell(node.op, inputs, node.constant)
        gives = _gives(graph, node.op, [_type(source, types, graph) for source in inputs])
        assert gives is not None
        types[id(grown)] = gives
    assert grown is not None
    reader.inputs[slot] = grown
    return put_together(root, graph)


def delete(rng: np.random.Generator, graph: Graph, grammar: Grammar) -> Graph | None:
    """Take a node out: what read it reads one of its inputs of the same type."""
    root, cells, types = _opened(graph)
    cell = cells[int(rng.integers(len(cells)))]
    heirs = [source for source in cell.inputs if _type(source, types, graph) is types[id(cell)]]
    if not heirs:
        return None
    changed = substituted(root, cell, heirs[int(rng.integers(len(heirs)))])
    return put_together(changed, graph) if isinstance(changed, Cell) else None


def swap_operator(rng: np.random.Generator, graph: Graph, grammar: Grammar) -> Graph | None:
    """Give a node another operator of the same types, or its two inputs in the other order."""
    root, cells, types = _opened(graph)
    cell = cells[int(rng.integers(len(cells)))]
    given = [_type(source, types, graph) for source in cell.inputs]
    others = [op for op in grammar.operators if op != cell.op and _gives(graph, op, given) is types[id(cell)]]
    turned = len(given) == 2 and given[0] is given[1] and not graph.table.operator(cell.op).commutative
    choice = int(rng.integers(max(1, len(others) + turned)))
    if choice < len(others):
        cell.op = others[choice]
    elif turned:
        cell.inputs.reverse()
    else:
        return None
    return put_together(root, graph)


def slide(rng: np.random.Generator, graph: Graph, grammar: Grammar) -> Graph | None:
    """Move an operation one edge along: before what it follows, or behind what reads it; its other input goes with it."""
    root, cells, _ = _opened(graph)
    movable = [(c, slot) for c in cells for slot in range(len(c.inputs))]
    if not movable:
        return None
    mover, main = movable[int(rng.integers(len(movable)))]
    carried = mover.inputs[main]
    if rng.random() < 0.5:
        return _slide_up(rng, graph, root, mover, main, carried)
    edges = list(readers(root, mover))
    if not edges:
        return None
    reader, slot = edges[int(rng.integers(len(edges)))]
    if any(isinstance(s, Cell) and s.reads(reader) for s in mover.inputs):
        return None
    behind = Cell(mover.op, list(mover.inputs), mover.constant)
    reader.inputs[slot] = carried
    behind.inputs[main] = reader
    changed = substituted(root, reader, behind)
    return put_together(changed, graph) if isinstance(changed, Cell) else None


def _slide_up(
    rng: np.random.Generator, graph: Graph, root: Cell, mover: Cell, main: int, carried: int | Cell
) -> Graph | None:
    """Move ``mover`` before the node ``carried`` that it follows, onto one of that node's inputs."""
    if not isinstance(carried, Cell) or not carried.inputs:
        return None
    slot = int(rng.integers(len(carried.inputs)))
    before = Cell(mover.op, list(mover.inputs), mover.constant)
    before.inputs[main] = carried.inputs[slot]
    if any(isinstance(s, Cell) and s is carried for s in before.inputs):
        return None
    copy = Cell(carried.op, list(carried.inputs), carried.constant)  # others may go on reading the node itself
    copy.inputs[slot] = before
    changed = substituted(root, mover, copy)
    return put_together(changed, graph) if isinstance(changed, Cell) else None


MUTATIONS: Mapping[str, Mutation] = MappingProxyType(
    {
        "replace": replace_node,
        "rewire": rewire,
        "jitter": jitter,
        "insert": insert,
        "grow": grow,
        "delete": delete,
        "swap": swap_operator,
        "slide": slide,
    }
)
WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"replace": 2.0, "rewire": 2.0, "jitter": 0.5, "insert": 1.0, "grow": 1.0, "delete": 2.0, "swap": 1.0, "slide": 1.0}
)
"""How often each mutation is tried, in proportion."""


class NoNeighbourError(UsageError):
    """A graph that no mutation changes into another one of its space."""


def check_weights(weights: Mapping[str, float]) -> None:
    """Raise `UsageError` if weights name no mutation, are negative or not finite, or are all 0."""
    for name, weight in weights.items():
        if name not in MUTATIONS:
            raise UnknownNameError("mutation", name, MUTATIONS)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < np.inf:
            raise UsageError(f"mutations.{name}: expected a number of at least 0, got {weight!r}")
    if not sum(weights.values()) > 0:
        raise UsageError("mutations: expected one of them to have a weight above 0")


def mutate(
    key: int,
    graph: Graph,
    grammar: Grammar,
    weights: Mapping[str, float] = WEIGHTS,
    changes: int = 1,
) -> Graph:
    """Return ``graph`` changed by mutations drawn by weight, in canonical identity different from it.

    Args:
        key: See `autorl.keys`.
        graph: A graph of the grammar.
        grammar: What the result is made of.
        weights: Of `MUTATIONS`, by name.
        changes: Mutations in a row; fewer where what was changed has no neighbour.

    Raises:
        NoNeighbourError: The graph has no neighbour in the grammar (none in `ATTEMPTS` tries).
    """
    rng = generator(key)
    names, shares = list(weights), list(weights.values())
    changed = graph
    for _ in range(changes):
        made = _once(rng, changed, grammar, names, shares, {structure(graph), structure(changed)})
        if made is None:
            break
        changed = made
    if changed is graph:
        raise NoNeighbourError(
            f"no mutation of a loss graph stays within its search space ({ATTEMPTS} tries). Remedy: allow more nodes or operators."
        )
    return changed


def _once(
    rng: np.random.Generator,
    graph: Graph,
    grammar: Grammar,
    names: Sequence[str],
    shares: Sequence[float],
    known: set[str],
) -> Graph | None:
    for _ in range(ATTEMPTS):
        made = MUTATIONS[names[pick(rng, shares)]](rng, graph, grammar)
        if made is not None and grammar.accepts(made) and structure(made) not in known:
            return made
    return None


def crossover(key: int, a: Graph, b: Graph, grammar: Grammar) -> Graph:
    """Return ``a`` with one of its nodes, and all below, replaced by a part of ``b`` of the same type; ``a`` itself if none fits."""
    rng = generator(key)
    for _ in range(ATTEMPTS):
        root, cells, types = _opened(a)
        _, others, other_types = _opened(b)
        cell = cells[int(rng.integers(len(cells)))]
        fitting = [other for other in others if other_types[id(other)] is types[id(cell)]]
        if not fitting:
            continue
        changed = substituted(root, cell, fitting[int(rng.integers(len(fitting)))])
        assert isinstance(changed, Cell)
        made = put_together(changed, a)
        if grammar.accepts(made):
            return made
    return a


def _opened(graph: Graph) -> tuple[Cell, list[Cell], dict[int, Type]]:
    """Return the root, all cells (inputs before readers) and the type of each cell by ``id``."""
    root = take_apart(graph)
    cells = root.below()
    types: dict[int, Type] = {}
    for cell in cells:
        given = _gives(graph, cell.op, [_type(source, types, graph) for source in cell.inputs])
        assert given is not None, "graphs are well typed before they are changed"
        types[id(cell)] = given
    return root, cells, types


def _sources(
    cells: Sequence[Cell], types: Mapping[int, Type], grammar: Grammar, above: Cell
) -> tuple[list[tuple[int, Type]], dict[int, int | Cell]]:
    """Return what ``above`` may read without a cycle: (index, type) of each source, and the cell of each index past the registers."""
    count = len(grammar.table.registers(grammar.family))
    place: dict[int, int | Cell] = {}
    sources = list(grammar.sources)
    dependent = {id(above)}  # cells come inputs first, so one pass finds all that depend on it
    for i, cell in enumerate(cells):
        if any(isinstance(source, Cell) and id(source) in dependent for source in cell.inputs):
            dependent.add(id(cell))
        if id(cell) not in dependent:
            place[count + i] = cell
            sources.append((count + i, types[id(cell)]))
    return sources, place


def _cell(source: int | Cell) -> Cell:
    assert isinstance(source, Cell)
    return source


def _type(source: int | Cell, types: Mapping[int, Type], graph: Graph) -> Type:
    return types[id(source)] if isinstance(source, Cell) else graph.registers[source].type


def _gives(graph: Graph, op: str, types: Sequence[Type]) -> Type | None:
    row = graph.table.operator(op)
    return row.rule(tuple(types)) if len(types) == row.arity else None


def _accepted(graph: Graph, reader: Cell, slot: int, types: Mapping[int, Type]) -> frozenset[Type]:
    """Return the types that an input of ``reader`` may have without changing the type of its output."""
    given = [_type(source, types, graph) for source in reader.inputs]
    found = {
        row[slot]
        for row, output in signatures(graph.language, reader.op)
        if output is types[id(reader)] and [*row[:slot], *row[slot + 1 :]] == [*given[:slot], *given[slot + 1 :]]
    }
    return frozenset(found)
