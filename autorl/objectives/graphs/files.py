"""Loss graphs as JSON, for files and for candidates: ``{"language", "family", "nodes": [{"op", "in", "c"}, ...]}``.

In a node's ``in`` a text names a register and a number is the position of an earlier node, from 0. ``c`` is the node's constant; it
may be left out where it is 1. Reading checks everything and runs nothing: a graph is names looked up in a table.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from autorl.errors import UsageError
from autorl.objectives.graphs.graph import MOST_NODES, Graph, GraphError, Node, check
from autorl.objectives.graphs.language import LIMIT, Language

_KEYS: Final = ("language", "family", "nodes")
_NODE_KEYS: Final = ("op", "in", "c")
_MOST_NAME: Final = 64
_SHOWN: Final = 60


def graph_to_json(graph: Graph) -> dict[str, Any]:
    """Return ``graph`` as plain data that `graph_from_json` turns back into an equal one."""
    names = [register.name for register in graph.registers]
    table = graph.table
    nodes = []
    for node in graph.nodes:
        entry: dict[str, Any] = {"op": node.op}
        if node.inputs:
            entry["in"] = [names[i] if i < len(names) else i - len(names) for i in node.inputs]
        if table.operator(node.op).has_constant or node.constant != 1.0:
            entry["c"] = float(node.constant)
        nodes.append(entry)
    return {"language": graph.language, "family": graph.family, "nodes": nodes}


def graph_from_json(data: Any, where: str = "graph") -> Graph:
    """Return the checked graph that ``data`` (parsed JSON, from anywhere) describes.

    Args:
        data: Mapping as `graph_to_json` returns it.
        where: File or field that ``data`` came from, for messages.

    Raises:
        GraphError: Naming ``where``, the field, what it holds and what was expected.
    """
    fields = _mapping(data, where, _KEYS, _KEYS)
    language, family = _name(fields["language"], f"{where}: language"), _name(fields["family"], f"{where}: family")
    try:
        graph = Graph((Node("none"),), family, language)
        table, registers = graph.table, {r.name: i for i, r in enumerate(graph.registers)}
    except UsageError as error:
        raise GraphError(f"{where}: {error}") from None
    listed = fields["nodes"]
    if not _is_list(listed) or not 1 <= len(listed) <= MOST_NODES:
        got = f"{len(listed)} of them" if _is_list(listed) else shown(listed)
        raise GraphError(f"{where}: nodes: expected a list of 1 to {MOST_NODES} nodes, got {got}")
    nodes = tuple(_node(entry, f"{where}: nodes[{i}]", i, table, registers) for i, entry in enumerate(listed))
    try:
        return check(Graph(nodes, family, language))
    except UsageError as error:
        raise GraphError(f"{where}: {error}") from None


def _node(data: Any, where: str, position: int, table: Language, registers: Mapping[str, int]) -> Node:
    fields = _mapping(data, where, _NODE_KEYS, ("op",))
    op = _name(fields["op"], f"{where}.op")
    try:
        table.operator(op)
    except UsageError as error:
        raise GraphError(f"{where}.op: {error}") from None
    inputs = fields.get("in", ())
    if not _is_list(inputs) or len(inputs) > 3:
        raise GraphError(f"{where}.in: expected a list of at most 3 inputs, got {shown(inputs)}")
    indices = tuple(_input(entry, f"{where}.in[{i}]", position, registers) for i, entry in enumerate(inputs))
    return Node(op, indices, _constant(fields.get("c", 1.0), f"{where}.c"))


def _input(entry: Any, where: str, position: int, registers: Mapping[str, int]) -> int:
    if isinstance(entry, str):
        if entry not in registers:
            raise GraphError(f"{where}: no register {shown(entry)}; there are {', '.join(registers)}")
        return registers[entry]
    if isinstance(entry, bool) or not isinstance(entry, int):
        raise GraphError(f"{where}: expected a register's name or an earlier node's position, got {shown(entry)}")
    if not 0 <= entry < position:
        raise GraphError(f"{where}: expected the position of an earlier node (below {position}), got {shown(entry)}")
    return len(registers) + entry


def _constant(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise GraphError(f"{where}: expected a number, got {shown(value)}")
    if not abs(value) <= LIMIT:  # also refuses NaN
        raise GraphError(f"{where}: expected a number within +-{LIMIT:g}, got {shown(value)}")
    return float(value)


def _mapping(data: Any, where: str, known: Sequence[str], required: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise GraphError(f"{where}: expected an object with {', '.join(known)}, got {shown(data)}")
    unknown = [key for key in data if key not in known]
    if unknown:
        raise GraphError(f"{where}: unknown key {shown(unknown[0])}; known are {', '.join(known)}")
    missing = [key for key in required if key not in data]
    if missing:
        raise GraphError(f"{where}: {missing[0]!r} is missing")
    return data


def _name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _MOST_NAME:
        raise GraphError(f"{where}: expected a name, got {shown(value)}")
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def shown(value: object) -> str:
    """Return ``value`` for a message: short, and without characters that could control a terminal."""
    try:
        text = reprlib.repr(value)
    except ValueError:  # Python refuses to print the largest numbers
        text = "a very large number"
    text = text.encode("ascii", "backslashreplace").decode()
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
