"""A graph of the family ``network`` as arrays: what its interpreter runs, for many graphs with one compiled program.

An instruction is an operator with the types of its inputs, because types decide which numbers it reads and writes. Values (floats,
lists, probabilities, actions) and states lie in two banks of registers: rows of [A, N] and rows of [D, N].
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import jax
import numpy as np

from autorl.objectives.graphs.graph import Graph, GraphError, check
from autorl.objectives.graphs.language_coreyes2021 import COREYES2021, NETWORK, OPERATORS_33, OPERATORS_OUTSIDE
from autorl.objectives.graphs.types import Type

VALUE_REGISTERS = ("action", "reward", "discount")
STATE_REGISTERS = ("s_tm1", "s_t")
NETWORKS = ("q_param", "q_targ_param")
LANGUAGE = COREYES2021.name

_TYPES = (Type.FLOAT, Type.LIST, Type.PROBABILITY, Type.ACTION, Type.STATE, Type.CONSTANT)
_APPLY = "q_value_list"


@dataclass(frozen=True)
class Instruction:
    """An operator for inputs of certain types.

    Attributes:
        name: ``subtract(float,list)``; ``q_value_list(q_param)``.
        op: The operator.
        function: Its function in the back ends.
        inputs: Types of its inputs, networks left out.
        output: Type of its output.
        network: The network that it applies, if it does.
    """

    name: str
    op: str
    function: str
    inputs: tuple[Type, ...]
    output: Type
    network: str = ""


@cache
def instructions() -> dict[str, Instruction]:
    """Return all instructions by name: of the 33 operators, `loss` and `log_sum_exp_list`."""
    found = [Instruction(f"{_APPLY}({n})", _APPLY, _APPLY, (Type.STATE,), Type.LIST, n) for n in NETWORKS]
    for operator in OPERATORS_33[1:] + OPERATORS_OUTSIDE[:2]:
        for types in itertools.product(_TYPES, repeat=operator.arity):
            output = operator.rule(types)
            if output is not None and not (operator.commutative and _swapped(types)):
                name = f"{operator.name}({','.join(types)})"
                found.append(Instruction(name, operator.name, operator.function(types), types, output))
    return {instruction.name: instruction for instruction in found}


def _swapped(types: tuple[Type, ...]) -> bool:
    """Return whether a commutative operator's inputs are rather given the other way round."""
    return len(types) == 2 and _TYPES.index(types[0]) > _TYPES.index(types[1])


@dataclass(frozen=True)
class NetworkSignature:
    """What one interpreter can run; part of a program's structure, so each signature compiles once.

    Attributes:
        instructions: Names of the instructions that it knows.
        nodes: Room for as many live nodes.
    """

    instructions: tuple[str, ...]
    nodes: int

    @classmethod
    def of(cls, nodes: int, operators: Iterable[str] = (o.name for o in OPERATORS_33)) -> NetworkSignature:
        """Return the signature that runs every graph of ``operators`` (the output node ``loss`` besides)."""
        known = {*operators, "loss"}
        return cls(tuple(name for name, one in instructions().items() if one.op in known), nodes)

    @classmethod
    def covering(cls, graphs: Iterable[Graph], nodes: int | None = None) -> NetworkSignature:
        """Return the smallest signature that runs all ``graphs``, with room for ``nodes`` (default: their most live nodes).

        Raises:
            GraphError: No graphs; one of another family or not well formed; ``nodes`` fewer than a graph has.
        """
        lines = [_lines(graph) for graph in graphs]
        if not lines:
            raise GraphError("graphs: expected at least one, got none")
        used = {name for line in lines for name, _ in line}
        most = max(len(line) for line in lines)
        if nodes is not None and nodes < most:
            raise GraphError(f"nodes: a graph has {most} live nodes, got {nodes}")
        return cls(tuple(name for name in instructions() if name in used), nodes or most)

    def covers(self, graph: Graph) -> bool:
        """Return whether its interpreter can run ``graph``."""
        try:
            lines = _lines(graph)
        except GraphError:
            return False
        return len(lines) <= self.nodes and {name for name, _ in lines} <= set(self.instructions)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["op", "inputs", "constants", "length"],
    meta_fields=["signature"],
)
@dataclass(frozen=True)
class NetworkProgram:
    """The live nodes of a graph, in order; the last one is the loss. Rows from ``length`` on are never read.

    Attributes:
        op: int32 [nodes]; positions in ``signature.instructions``.
        inputs: int32 [nodes, 2]; rows of the bank that the input's type says: its registers, then nodes. 0 where there is none.
        constants: float32 [nodes].
        length: int32 scalar; number of nodes.
        signature: What it was packed for.
    """

    op: Any
    inputs: Any
    constants: Any
    length: Any
    signature: NetworkSignature = field(metadata={"static": True})


def pack_network(graph: Graph, signature: NetworkSignature) -> NetworkProgram:
    """Return ``graph`` as a program of ``signature``; numpy arrays.

    Raises:
        GraphError: It is not well formed, of another family, reads no register, or the signature does not cover it.
    """
    lines = _lines(graph)
    if len(lines) > signature.nodes:
        raise GraphError(f"the graph has {len(lines)} live nodes; the interpreter has room for {signature.nodes}")
    missing = sorted({name for name, _ in lines} - set(signature.instructions))
    if missing:
        raise GraphError(f"instructions {missing} are not among the interpreter's {len(signature.instructions)}")
    op, inputs = np.zeros(signature.nodes, np.int32), np.zeros((signature.nodes, 2), np.int32)
    constants = np.ones(signature.nodes, np.float32)
    for row, (name, read) in enumerate(lines):
        op[row] = signature.instructions.index(name)
        inputs[row, : len(read)] = read
        constants[row] = graph.nodes[graph.live[row]].constant
    return NetworkProgram(op, inputs, constants, np.int32(len(lines)), signature)


def _lines(graph: Graph) -> list[tuple[str, list[int]]]:
    """Return the instruction and the rows that it reads, for each live node."""
    if (graph.language, graph.family) != (LANGUAGE, "network"):
        raise GraphError(f"expected a graph of {LANGUAGE}, family 'network', got {graph.language}, {graph.family!r}")
    check(graph)
    if not graph.needs:
        raise GraphError("the loss reads no register: it is the same number for every sample")
    names = [register.name for register in NETWORK]
    nodes = {len(names) + position: row for row, position in enumerate(graph.live)}
    lines = []
    for position in graph.live:
        node = graph.nodes[position]
        types = tuple(graph.types[i] for i in node.inputs)
        read = list(node.inputs)
        if graph.table.operator(node.op).commutative and _swapped(types):
            types, read = types[::-1], read[::-1]
        if node.op == _APPLY:
            name, read, types = f"{_APPLY}({names[read[0]]})", read[1:], types[1:]
        else:
            name = f"{node.op}({','.join(types)})"
        if name not in instructions():
            raise GraphError(f"node {position}: {name} has no instruction; compile this graph instead")
        lines.append((name, [_row(i, kind, names, nodes) for i, kind in zip(read, types, strict=True)]))
    return lines


def _row(index: int, kind: Type, names: list[str], nodes: dict[int, int]) -> int:
    if kind is Type.CONSTANT:
        return 0
    bank = STATE_REGISTERS if kind is Type.STATE else VALUE_REGISTERS
    return bank.index(names[index]) if index < len(names) else len(bank) + nodes[index]
