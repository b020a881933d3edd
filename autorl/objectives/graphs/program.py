"""A graph as arrays of a fixed size: what an interpreter runs, for many graphs with one compiled program."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import numpy as np

from autorl.objectives.graphs.graph import Graph, GraphError
from autorl.objectives.graphs.language import load_language
from autorl.objectives.graphs.types import Type


@dataclass(frozen=True)
class Signature:
    """What one interpreter can run; part of the structure of a program, so each signature compiles once.

    Attributes:
        language: Name of the language.
        family: Register family.
        registers: Names of the registers that it reads, in the family's order.
        operators: Names of the operators that it knows, in the language's order.
        nodes: Room for as many live nodes.
    """

    language: str
    family: str
    registers: tuple[str, ...]
    operators: tuple[str, ...]
    nodes: int

    @classmethod
    def covering(cls, graphs: Iterable[Graph], nodes: int | None = None) -> Signature:
        """Return the smallest signature that runs all ``graphs`` (of one language and family), with room for ``nodes``.

        Raises:
            GraphError: No graphs, graphs of several languages or families, or ``nodes`` fewer than a graph has.
        """
        graphs = list(graphs)
        kinds = {(graph.language, graph.family) for graph in graphs}
        if len(kinds) != 1:
            raise GraphError(f"expected graphs of one language and register family, got {sorted(kinds) or 'no graphs'}")
        ((language, family),) = kinds
        read = {name for graph in graphs for name in graph.needs}
        used = {graph.nodes[position].op for graph in graphs for position in graph.live}
        most = max(len(graph.live) for graph in graphs)
        if nodes is not None and nodes < most:
            raise GraphError(f"nodes: a graph has {most} live nodes, got {nodes}")
        table = load_language(language)
        return cls(
            language=language,
            family=family,
            registers=tuple(register.name for register in table.registers(family) if register.name in read),
            operators=tuple(operator.name for operator in table.operators if operator.name in used),
            nodes=nodes or most,
        )

    def covers(self, graph: Graph) -> bool:
        """Return whether `pack` accepts ``graph`` for this signature."""
        try:
            _check_covered(graph, self)
        except GraphError:
            return False
        return True


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["op", "inputs", "constants", "is_list", "length"],
    meta_fields=["signature"],
)
@dataclass(frozen=True)
class Program:
    """The live nodes of a graph, in order; the last one is the loss. Rows from ``length`` on are never read.

    Attributes:
        op: int32 [nodes]; positions in ``signature.operators``.
        inputs: int32 [nodes, 2 or the largest arity]; the signature's registers from 0, then nodes. An input that an operator
            does not have repeats its first one (0 if there is none).
        constants: float32 [nodes].
        is_list: bool [nodes]; whether a node has a value for each action of its own.
        length: int32 scalar; number of nodes.
        signature: What it was packed for.
    """

    op: Any
    inputs: Any
    constants: Any
    is_list: Any
    length: Any
    signature: Signature = field(metadata={"static": True})


def pack(graph: Graph, signature: Signature) -> Program:
    """Return ``graph`` as a program of ``signature``; numpy arrays.

    Raises:
        GraphError: The signature does not cover it: another language or family, a register or operator it lacks, too many nodes.
    """
    _check_covered(graph, signature)
    table, count = graph.table, len(graph.registers)
    width = max(2, *(table.operator(name).arity for name in signature.operators))
    op = np.zeros(signature.nodes, np.int32)
    inputs = np.zeros((signature.nodes, width), np.int32)
    constants = np.ones(signature.nodes, np.float32)
    is_list = np.zeros(signature.nodes, np.bool_)
    place = {graph.index(name): i for i, name in enumerate(signature.registers)}
    for row, position in enumerate(graph.live):
        node = graph.nodes[position]
        read = [place[i] for i in node.inputs]
        op[row] = signature.operators.index(node.op)
        inputs[row] = read + [read[0] if read else 0] * (width - len(read))
        constants[row] = node.constant
        is_list[row] = graph.types[count + position] is not Type.FLOAT
        place[count + position] = len(signature.registers) + row
    return Program(op, inputs, constants, is_list, np.int32(len(graph.live)), signature)


def _check_covered(graph: Graph, signature: Signature) -> None:
    if (graph.language, graph.family) != (signature.language, signature.family):
        raise GraphError(
            f"a graph of {graph.language!r}, family {graph.family!r}, does not fit an interpreter of "
            f"{signature.language!r}, {signature.family!r}"
        )
    if len(graph.live) > signature.nodes:
        raise GraphError(f"the graph has {len(graph.live)} live nodes; the interpreter has room for {signature.nodes}")
    for kind, used, known in (
        ("operators", {graph.nodes[position].op for position in graph.live}, signature.operators),
        ("registers", set(graph.needs), signature.registers),
    ):
        if not used <= set(known):
            raise GraphError(f"{kind} {sorted(used - set(known))} are not among the interpreter's {list(known)}")
