"""Graphs as expressions for people: each value once, what cancels or folds done away with. For reading, never for running.

Equal to the graph in real numbers, within the bounds and guards of the language.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from autorl.objectives.graphs.graph import Graph, check
from autorl.objectives.graphs.language import LIMIT
from autorl.objectives.graphs.types import Type

NUMBER: Final = "number"
REGISTER: Final = "register"
CLIP: Final = "clip"
"""Of an expression and two numbers; no operator of the language, but easier to read than a minimum of a maximum."""
_FOLDED: Final[Mapping[str, Callable[..., float]]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "min": min,
    "max": max,
    "square": lambda x: x * x,
    "abs": abs,
    "relu": lambda x: max(x, 0.0),
}
_FLAT: Final = frozenset({"greater", "argmax_a", "stop_gradient"})


@dataclass(frozen=True)
class Entry:
    """One value: ``op`` of earlier entries; ``name`` is that of a register.

    ``c`` is its constant, the value of a number, or the place in the graph of a random one, no two of which are the same value.
    """

    op: str
    args: tuple[int, ...] = ()
    c: float = 1.0
    name: str = ""


@dataclass
class Expressions:
    """Entries, none of them twice; arguments come before what uses them.

    Attributes:
        graph: What they were read from.
        entries: The values.
        root: The loss.
        stops: Positions of the nodes whose stopped slopes are written.
    """

    graph: Graph
    entries: list[Entry] = field(default_factory=list)
    root: int = -1
    stops: set[int] = field(default_factory=set)
    _types: list[Type] = field(default_factory=list)
    _moving: list[bool] = field(default_factory=list)
    _known: dict[Entry, int] = field(default_factory=dict)

    @property
    def uses(self) -> dict[int, int]:
        """How often each entry that the root needs is read by others of them."""
        found = {self.root: 1}
        for index in range(self.root, -1, -1):
            if index in found:
                for argument in self.entries[index].args:
                    found[argument] = found.get(argument, 0) + 1
        return found

    def operations(self, index: int) -> int:
        """Return the number of operations written when ``index`` is written out in full."""
        counts: list[int] = []
        for entry in self.entries[: index + 1]:
            counts.append(sum(counts[i] for i in entry.args) + (entry.op not in (NUMBER, REGISTER)))
        return counts[index]

    def drawn(self, index: int) -> bool:
        """Return whether an entry is a number drawn at random."""
        entry = self.entries[index]
        return entry.op not in (NUMBER, REGISTER, CLIP) and self.graph.table.operator(entry.op).random

    def value(self, index: int) -> float | None:
        """Return the number that an entry is, or None."""
        entry = self.entries[index]
        return entry.c if entry.op == NUMBER else None

    def number(self, c: float) -> int:
        """Return the entry of a number."""
        return self._entry(Entry(NUMBER, (), c + 0.0), Type.FLOAT, False)

    def make(self, op: str, *args: int, c: float = 1.0) -> int:
        """Return the entry of an operation, as written in the graph."""
        if op == CLIP:
            kind: Type | None = self._types[args[0]]
        else:
            kind = self.graph.table.operator(op).rule(tuple(self._types[i] for i in args))
        assert kind is not None
        return self._entry(Entry(op, args, c), kind, op not in _FLAT and any(self._moving[i] for i in args))

    def _entry(self, entry: Entry, kind: Type, moving: bool) -> int:
        if entry not in self._known:
            self._known[entry] = len(self.entries)
            self.entries.append(entry)
            self._types.append(kind)
            self._moving.append(moving)
        return self._known[entry]

    def single(self, index: int) -> bool:
        """Return whether an entry is one number for each sample."""
        return self._types[index] is Type.FLOAT

    def moving(self, index: int) -> bool:
        """Return whether a slope may flow through an entry into the agent."""
        return self._moving[index]

    def scaled(self, index: int) -> tuple[float, int]:
        """Return (factor, rest) of an entry."""
        entry = self.entries[index]
        return (entry.c, entry.args[0]) if entry.op == "scale" else (1.0, index)


def read(graph: Graph, simplify: bool = True) -> Expressions:
    """Return the expressions of a graph, simplified unless told otherwise (only for the language ``autorl``).

    Raises:
        GraphError: It is not well formed.
    """
    check(graph)
    made = Expressions(graph)
    count = len(graph.registers)
    places = {
        i: made._entry(Entry(REGISTER, (), 1.0, r.name), r.type, r.differentiable)
        for i, r in enumerate(graph.registers)
    }
    tidy = simplify and graph.language == "autorl"
    for position in graph.live:
        node = graph.nodes[position]
        args = tuple(places[i] for i in node.inputs)
        operator = graph.table.operator(node.op)
        c = float(node.constant) if operator.has_constant else float(position) if operator.random else 1.0
        places[count + position] = simplified(made, node.op, args, c) if tidy else made.make(node.op, *args, c=c)
        if node.op == "stop_gradient" and places[count + position] not in args:
            made.stops.add(position)
    made.root = places[count + len(graph.nodes) - 1]
    return made


def simplified(made: Expressions, op: str, args: tuple[int, ...], c: float) -> int:
    """Return the entry of an operation of the language ``autorl`` in its simplest writing."""
    if op == "constant":
        return made.number(c)
    numbers = [made.value(i) for i in args]
    if op in _FOLDED and None not in numbers:
        folded = _FOLDED[op](*numbers)
        if math.isfinite(folded) and abs(folded) <= LIMIT:
            return made.number(folded)
    rule = _RULES.get(op)
    found = None if rule is None else rule(made, *args) if op != "scale" else _scale(made, args[0], c)
    return made.make(op, *args, c=c) if found is None else found


def _scale(made: Expressions, x: int, c: float) -> int:
    """Write c x: factors gathered, a minus sign taken into a difference."""
    value = made.value(x)
    if value is not None and abs(c * value) <= LIMIT:
        return made.number(c * value)
    inner, rest = made.scaled(x)
    factor = c * inner
    if factor == 0.0 and made.single(x):
        return made.number(0.0)
    entry = made.entries[rest]
    if factor < 0.0 and entry.op == "sub":
        return _scale(made, made.make("sub", entry.args[1], entry.args[0]), -factor)
    return rest if factor == 1.0 else made.make("scale", rest, c=factor)


def _add(made: Expressions, x: int, y: int) -> int | None:
    """Write x + y: no zeros, no negative terms, a number last."""
    for one, other in ((x, y), (y, x)):
        if made.value(one) == 0.0:
            return other
        c, rest = made.scaled(one)
        if c < 0.0:
            return _sub(made, other, _scale(made, rest, -c)) or made.make("sub", other, _scale(made, rest, -c))
        value = made.value(one)
        if value is not None:
            return made.make("sub", other, made.number(-value)) if value < 0.0 else made.make("add", other, one)
    return _scale(made, x, 2.0) if x == y else None


def _sub(made: Expressions, x: int, y: int) -> int | None:
    """Write x - y: no zeros, no negative second term."""
    if x == y and made.single(x):
        return made.number(0.0)
    if made.value(y) == 0.0:
        return x
    if made.value(x) == 0.0:
        return _scale(made, y, -1.0)
    value = made.value(y)
    if value is not None and value < 0.0:
        return made.make("add", x, made.number(-value))
    c, rest = made.scaled(y)
    return made.make("add", x, _scale(made, rest, -c)) if c < 0.0 else None


def _mul(made: Expressions, x: int, y: int) -> int | None:
    """Write x y: numbers gathered in front, registers before larger terms."""
    for one, other in ((x, y), (y, x)):
        value = made.value(one)
        if value is not None:
            return _scale(made, other, value)
    (c, left), (d, right) = made.scaled(x), made.scaled(y)
    if left == right:
        product = made.make("square", left)
    else:
        first, second = sorted((left, right), key=lambda i: (made.entries[i].op != REGISTER, not made.single(i)))
        product = made.make("mul", first, second)
    return _scale(made, product, c * d)


def _div(made: Expressions, x: int, y: int) -> int | None:
    return x if made.value(y) == 1.0 else None


def _square(made: Expressions, x: int) -> int | None:
    """Write x squared: signs do not matter."""
    entry = made.entries[x]
    c, rest = made.scaled(x)
    return made.make("square", entry.args[0] if entry.op == "abs" else rest) if entry.op == "abs" or c == -1.0 else None


def _abs(made: Expressions, x: int) -> int | None:
    entry = made.entries[x]
    if entry.op in ("abs", "square", "relu"):
        return x
    return made.make("abs", entry.args[0]) if entry.op == "scale" and entry.c == -1.0 else None


def _extreme(op: str, opposite: str) -> Callable[[Expressions, int, int], int | None]:
    def rule(made: Expressions, x: int, y: int) -> int | None:
        """One of two: the same twice is itself, a number comes last, two numbers around a term clip it."""
        if x == y:
            return x
        if made.value(x) is not None:
            x, y = y, x
        bound, inner = made.value(y), made.entries[x]
        if bound is not None and inner.op == opposite and made.value(inner.args[1]) is not None:
            ends = sorted((inner.args[1], y), key=lambda i: made.value(i) or 0.0)
            if ends[0 if op == "max" else 1] == y:
                return made.make(CLIP, inner.args[0], *ends)
        return made.make(op, x, y)

    return rule


def _stop_gradient(made: Expressions, x: int) -> int | None:
    """Nothing to stop where no slope flows."""
    return None if made.moving(x) else x


_RULES: Final[Mapping[str, Callable[..., int | None]]] = {
    "scale": _scale,
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "square": _square,
    "abs": _abs,
    "min": _extreme("min", "max"),
    "max": _extreme("max", "min"),
    "stop_gradient": _stop_gradient,
}
