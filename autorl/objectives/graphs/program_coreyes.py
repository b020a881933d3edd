"""A graph of the family ``network`` as arrays: what its interpreter runs, for many graphs with one compiled program.

An instruction is an operator with the types of its inputs, because types decide which numbers it reads and writes. Values (floats,
lists, probabilities, actions) and states lie in two banks of registers: rows of [A, N] and rows of [D, N]. What a network says of an
observation of the batch is not a node of the program but a register, as nearly all losses read it and nothing else of the networks.
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

STATE_REGISTERS = ("s_tm1", "s_t")
NETWORKS = ("q_param", "q_targ_param")
APPLIED = tuple(itertools.product(NETWORKS, STATE_REGISTERS))
"""Networks applied to the observations of the batch: value registers after `VALUE_REGISTERS`."""
VALUE_REGISTERS = ("action", "reward", "discount")
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

    @property
    def touches_states(self) -> bool:
        """Whether it reads or writes states."""
        return Type.STATE in (*self.inputs, self.output)


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
        used = {line.name for found in lines for line in found if line.applied is None}
        most = max(len(found) for found in lines)
        if nodes is not None and nodes < most:
            raise GraphError(f"nodes: a graph has {most} live nodes, got {nodes}")
        return cls(tuple(name for name in instructions() if name in used), nodes or most)

    def covers(self, graph: Graph) -> bool:
        """Return whether its interpreter can run ``graph``."""
        try:
            lines = _lines(graph)
        except GraphError:
            return False
        used = {line.name for line in lines if line.applied is None}
        return len(lines) <= self.nodes and used <= set(self.instructions)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["op", "inputs", "constants", "positions", "length", "applied", "plain"],
    meta_fields=["signature"],
)
@dataclass(frozen=True)
class NetworkProgram:
    """The live nodes of a graph but those that are registers (`APPLIED`), in order; the last one is the loss. Rows from ``length`` on
    are never read.

    Attributes:
        op: int32 [nodes]; positions in ``signature.instructions``.
        inputs: int32 [nodes, 2]; rows of the bank that the input's type says: its registers, then nodes. 0 where there is none.
        constants: float32 [nodes].
        positions: int32 [nodes]; which live node of the graph it is: random numbers depend on it.
        length: int32 scalar; number of nodes.
        applied: bool [4]; whether each of `APPLIED` is read.
        plain: bool scalar; whether no node touches states.
        signature: What it was packed for.
    """

    op: Any
    inputs: Any
    constants: Any
    positions: Any
    length: Any
    applied: Any
    plain: Any
    signature: NetworkSignature = field(metadata={"static": True})


def pack_network(graph: Graph, signature: NetworkSignature) -> NetworkProgram:
    """Return ``graph`` as a program of ``signature``; numpy arrays.

    Raises:
        GraphError: It is not well formed, of another family, reads no register, or the signature does not cover it.
    """
    lines = _lines(graph)
    if len(lines) > signature.nodes:
        raise GraphError(f"the graph has {len(lines)} live nodes; the interpreter has room for {signature.nodes}")
    kept = [(position, line) for position, line in enumerate(lines) if line.applied is None]
    missing = sorted({line.name for _, line in kept} - set(signature.instructions))
    if missing:
        raise GraphError(f"instructions {missing} are not among the interpreter's {len(signature.instructions)}")
    op, positions = np.zeros(signature.nodes, np.int32), np.zeros(signature.nodes, np.int32)
    inputs, constants = np.zeros((signature.nodes, 2), np.int32), np.ones(signature.nodes, np.float32)
    for row, (position, line) in enumerate(kept):
        op[row] = signature.instructions.index(line.name)
        inputs[row, : len(line.read)] = line.read
        constants[row] = graph.nodes[graph.live[position]].constant
        positions[row] = position
    applied = np.isin(np.arange(len(APPLIED)), [line.applied for line in lines if line.applied is not None])
    plain = np.bool_(not any(instructions()[line.name].touches_states for _, line in kept))
    return NetworkProgram(op, inputs, constants, positions, np.int32(len(kept)), applied, plain, signature)


@dataclass(frozen=True)
class _Line:
    """A live node: its instruction, the rows that it reads, and which of `APPLIED` it is, if it is one."""

    name: str
    read: list[int]
    applied: int | None


def _lines(graph: Graph) -> list[_Line]:
    """Return the live nodes in order."""
    if (graph.language, graph.family) != (LANGUAGE, "network"):
        raise GraphError(f"expected a graph of {LANGUAGE}, family 'network', got {graph.language}, {graph.family!r}")
    check(graph)
    if not graph.needs:
        raise GraphError("the loss reads no register: it is the same number for every sample")
    names = [register.name for register in NETWORK]
    rows: dict[int, tuple[int, int]] = {}  # of a node: its rows in the banks of values and of states
    lines: list[_Line] = []
    kept = 0
    for position in graph.live:
        name, read, types = _instruction(graph, position, names)
        applied = None
        if graph.nodes[position].op == _APPLY and read[0] < len(names):
            applied = APPLIED.index((name[len(_APPLY) + 1 : -1], names[read[0]]))
        lines.append(_Line(name, [_row(i, kind, names, rows) for i, kind in zip(read, types, strict=True)], applied))
        if applied is None:
            rows[len(names) + position] = (len(VALUE_REGISTERS) + len(APPLIED) + kept, len(STATE_REGISTERS) + kept)
            kept += 1
        else:
            rows[len(names) + position] = (len(VALUE_REGISTERS) + applied, -1)
    return lines


def _instruction(graph: Graph, position: int, names: list[str]) -> tuple[str, list[int], tuple[Type, ...]]:
    """Return the instruction of a node, and what it reads besides a network: values' indices in the graph, and their types."""
    node = graph.nodes[position]
    types, read = tuple(graph.types[i] for i in node.inputs), list(node.inputs)
    if graph.table.operator(node.op).commutative and _swapped(types):
        types, read = types[::-1], read[::-1]
    if node.op == _APPLY:
        name, read, types = f"{_APPLY}({names[read[0]]})", read[1:], types[1:]
    else:
        name = f"{node.op}({','.join(types)})"
    if name not in instructions():
        raise GraphError(f"node {position}: {name} has no instruction; compile this graph instead")
    return name, read, types


def _row(index: int, kind: Type, names: list[str], rows: dict[int, tuple[int, int]]) -> int:
    if kind is Type.CONSTANT:
        return 0
    bank = STATE_REGISTERS if kind is Type.STATE else VALUE_REGISTERS
    return bank.index(names[index]) if index < len(names) else rows[index][kind is Type.STATE]
