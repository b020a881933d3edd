"""A graph taken apart for editing: cells that point at each other, so that no index must be shifted by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from autorl.objectives.graphs.graph import Graph, Node


@dataclass(eq=False)
class Cell:
    """A node that points at what it reads. Mutable, compared by identity; lives only while a graph is edited.

    Attributes:
        op: Name of the operator.
        inputs: Registers by index, or cells.
        constant: The node's constant.
    """

    op: str
    inputs: list[int | Cell]
    constant: float = 1.0

    def below(self) -> list[Cell]:
        """Return the cells that this one depends on and itself, each once, inputs before what reads them."""
        found: dict[int, Cell] = {}
        stack: list[tuple[Cell, bool]] = [(self, False)]
        while stack:
            cell, entered = stack.pop()
            if id(cell) in found:
                continue
            if entered:
                found[id(cell)] = cell
                continue
            stack.append((cell, True))
            stack += [(source, False) for source in reversed(cell.inputs) if isinstance(source, Cell)]
        return list(found.values())

    def reads(self, other: Cell) -> bool:
        """Return whether this cell is ``other`` or depends on it."""
        return any(cell is other for cell in self.below())


def take_apart(graph: Graph) -> Cell:
    """Return the cell of a graph's last node, and so all that it depends on."""
    count = len(graph.registers)
    cells: list[Cell] = []
    for node in graph.nodes:
        cells.append(Cell(node.op, [i if i < count else cells[i - count] for i in node.inputs], node.constant))
    return cells[-1]


def put_together(root: Cell, like: Graph) -> Graph:
    """Return the graph whose last node is ``root``, of the language and family of ``like``; types are not checked."""
    count = len(like.registers)
    cells = root.below()
    place = {id(cell): count + i for i, cell in enumerate(cells)}
    nodes = tuple(
        Node(cell.op, tuple(place[id(s)] if isinstance(s, Cell) else s for s in cell.inputs), cell.constant)
        for cell in cells
    )
    return Graph(nodes, like.family, like.language)


def trimmed(graph: Graph) -> Graph:
    """Return the graph without the nodes that its last one does not depend on."""
    return put_together(take_apart(graph), graph)


def readers(root: Cell, of: Cell) -> Iterator[tuple[Cell, int]]:
    """Yield every cell below ``root`` that reads ``of``, with the position of the input."""
    for cell in root.below():
        for slot, source in enumerate(cell.inputs):
            if source is of:
                yield cell, slot


def substituted(root: Cell, old: Cell, new: int | Cell) -> int | Cell:
    """Let every reader of ``old`` read ``new``; return what is the root now. ``new`` itself goes on reading ``old``."""
    for cell, slot in list(readers(root, old)):
        if cell is not new:
            cell.inputs[slot] = new
    return new if root is old else root
