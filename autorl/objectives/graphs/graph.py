"""A loss graph: a typed directed acyclic graph, held as a line of nodes each of which reads registers and earlier nodes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from autorl.errors import UsageError
from autorl.objectives.graphs.language import LIMIT, Language, Register, load_language
from autorl.objectives.graphs.types import Type

MOST_NODES = 64
"""Nodes of any graph, also of one from a file."""


class GraphError(UsageError):
    """A graph that is not well formed, or not of the language that it names."""


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        op: Name of the operator.
        inputs: Indices: registers of the family from 0, then nodes in order.
        constant: The node's constant; matters where the operator has one.
    """

    op: str
    inputs: tuple[int, ...] = ()
    constant: float = 1.0


@dataclass(frozen=True)
class Graph:
    """A program in a language, for the learners of one register family. Its last node is the loss of each sample.

    Nodes that the last one does not depend on may be there: a search drifts through them.

    Attributes:
        nodes: At least one.
        family: Register family.
        language: Name of the language.
    """

    nodes: tuple[Node, ...]
    family: str = "value"
    language: str = "autorl"

    @property
    def table(self) -> Language:
        """The language itself."""
        return load_language(self.language)

    @property
    def registers(self) -> tuple[Register, ...]:
        """Registers of its family."""
        return self.table.registers(self.family)

    @cached_property
    def types(self) -> tuple[Type, ...]:
        """Types of registers and nodes, in the order of indices.

        Raises:
            GraphError: At the first node that is not well typed.
        """
        return _types(self)

    @cached_property
    def live(self) -> tuple[int, ...]:
        """Positions (from 0, among the nodes) of the nodes that the loss depends on, in order."""
        count, wanted = len(self.registers), {len(self.nodes) - 1}
        for position in range(len(self.nodes) - 1, -1, -1):
            if position in wanted:
                wanted |= {i - count for i in self.nodes[position].inputs if i >= count}
        return tuple(sorted(wanted))

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """Names of the registers that the loss depends on, in the family's order."""
        read = {i for position in self.live for i in self.nodes[position].inputs}
        return tuple(register.name for i, register in enumerate(self.registers) if i in read)

    def index(self, register: str) -> int:
        """Return the index of a register by name."""
        for i, candidate in enumerate(self.registers):
            if candidate.name == register:
                return i
        raise GraphError(f"family {self.family!r} of {self.language!r} has no register {register!r}")


def check(graph: Graph) -> Graph:
    """Return ``graph`` if it is well formed: known operators, inputs before their use, types that fit, a float at its end.

    Raises:
        GraphError: Naming the node, what it holds and what was expected.
    """
    if graph.types[-1] is not Type.FLOAT:
        raise GraphError(
            f"node {len(graph.nodes) - 1}: the loss must be a float for each sample, got a {graph.types[-1]}"
        )
    return graph


def differentiable(graph: Graph) -> bool:
    """Return whether a path leads from a differentiable register to the loss (it may still carry no slope).

    Scores of levels are no losses, and none of their registers is differentiable: there it is whether a path leads from any.
    """
    able = {r.name for r in graph.registers if r.differentiable} or {r.name for r in graph.registers}
    return bool(able & set(graph.needs))


def _types(graph: Graph) -> tuple[Type, ...]:
    if not 1 <= len(graph.nodes) <= MOST_NODES:
        raise GraphError(f"expected 1 to {MOST_NODES} nodes, got {len(graph.nodes)}")
    table = graph.table
    types = [register.type for register in graph.registers]
    for position, node in enumerate(graph.nodes):
        operator = table.operator(node.op)
        if len(node.inputs) != operator.arity:
            raise GraphError(f"node {position}: {node.op} takes {operator.arity} inputs, got {len(node.inputs)}")
        for i in node.inputs:
            if not 0 <= i < len(types):
                raise GraphError(
                    f"node {position}: input {i} is not a register or an earlier node (0 to {len(types) - 1})"
                )
        if not abs(node.constant) <= LIMIT:  # also refuses NaN
            raise GraphError(f"node {position}: expected a constant within +-{LIMIT:g}, got {node.constant}")
        given = tuple(types[i] for i in node.inputs)
        found = operator.rule(given)
        if found is None:
            raise GraphError(f"node {position}: {node.op} does not accept ({', '.join(given)})")
        types.append(found)
    return tuple(types)
