"""Random well-typed programs, and what a search may make them of. Numpy alone; every draw is a function of an integer key.

Two ways to draw a node. *Operator first* (the default): an operator uniformly among those that have valid inputs, then its inputs
uniformly. *Pairs* (Co-Reyes et al., 2021, for comparison): uniformly among all valid (operator, inputs), so that operators with many
valid inputs are drawn more often; a random program is then the TD loss some 2 to 10 times less often.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, product
from typing import Literal

import numpy as np

from autorl.errors import UnknownNameError, UsageError
from autorl.keys import generator
from autorl.objectives.graphs.cells import trimmed
from autorl.objectives.graphs.graph import MOST_NODES, Graph, GraphError, Node, differentiable
from autorl.objectives.graphs.language import Language, load_language
from autorl.objectives.graphs.types import Type

CONSTANTS = (1.0, 0.5, 2.0, 0.2, 0.1, 0.01)
"""Constants that new nodes get: those of Co-Reyes et al. (2021), and 1 and 2. Mutation moves them to any value."""

_Drawn = tuple[str, tuple[int, ...], float]
"""Operator, inputs and constant of a node. Most are dropped at once, so no node is made of them before."""

ATTEMPTS = 20_000
"""Programs drawn for one that is accepted, before the search space is found too narrow."""

ANY = frozenset(Type)
"""All types."""
_FLOAT = frozenset({Type.FLOAT})

Sampling = Literal["operator", "pair"]

CARRIERS: Mapping[str, tuple[str, ...]] = {
    "action": ("action", "q_action"),
    "advantage": ("advantage", "return"),
    "log_prob": ("log_prob", "ratio"),
}
"""Registers through which a loss may depend on a register, where it is not that register alone."""


@dataclass(frozen=True)
class Grammar:
    """What programs may be made of.

    Attributes:
        language: Name of the language.
        family: Register family.
        operators: Operators that may be used; empty for all of the language but those that it leaves undrawn.
        registers: Registers that may be read; empty for all of the family.
        nodes: Most nodes that the loss may depend on.
        reads: Registers that the loss must read (or a carrier of theirs, see `CARRIERS`).
        sampling: How nodes are drawn.

    Raises:
        UsageError: An unknown or repeated name, no or too many nodes, or no register through which an agent could learn.
    """

    language: str = "autorl"
    family: str = "value"
    operators: tuple[str, ...] = ()
    registers: tuple[str, ...] = ()
    nodes: int = 12
    reads: tuple[str, ...] = ()
    sampling: Sampling = "operator"

    def __post_init__(self) -> None:
        table = load_language(self.language)
        known = tuple(register.name for register in table.registers(self.family))
        names = {"operators": tuple(operator.name for operator in table.operators), "registers": known, "reads": known}
        for field, all_names in names.items():
            given: tuple[str, ...] = tuple(getattr(self, field))
            for name in given:
                if name not in all_names:
                    raise UnknownNameError(
                        f"{field.removesuffix('s')} of {self.language} ({self.family})", name, all_names
                    )
            if len(set(given)) < len(given):
                raise UsageError(f"{field}: expected each name once, got {', '.join(given)}")
            ordered = tuple(name for name in all_names if name in given)  # one grammar, however its names were written
            everything = tuple(name for name in all_names if field != "operators" or name not in table.undrawn)
            object.__setattr__(self, field, ordered if given or field == "reads" else everything)
        if isinstance(self.nodes, bool) or not isinstance(self.nodes, int) or not 1 <= self.nodes <= MOST_NODES:
            raise UsageError(f"nodes: expected a whole number from 1 to {MOST_NODES}, got {self.nodes!r}")
        if self.sampling not in ("operator", "pair"):
            raise UsageError(f"sampling: expected 'operator' or 'pair', got {self.sampling!r}")
        slopes = [register.name for register in table.registers(self.family) if register.differentiable]
        if slopes and not set(slopes) & set(self.registers):
            raise UsageError(
                f"registers: no agent could learn through {', '.join(self.registers)}. Remedy: add one of {', '.join(slopes)}"
            )
        for name in self.reads:
            if not set(CARRIERS.get(name, (name,))) & set(self.registers):
                raise UsageError(f"registers: the loss must depend on {name!r}, so one of them must carry it")

    @property
    def table(self) -> Language:
        """The language itself."""
        return load_language(self.language)

    @cached_property
    def sources(self) -> tuple[tuple[int, Type], ...]:
        """Index and type of each register that may be read."""
        family = self.table.registers(self.family)
        return tuple((i, r.type) for i, r in enumerate(family) if r.name in self.registers)

    @cached_property
    def needed(self) -> tuple[int, ...]:
        """For each register that the loss must read, its carriers as bits."""
        names = [register.name for register in self.table.registers(self.family)]
        carriers = [CARRIERS.get(name, (name,)) for name in self.reads]
        return tuple(sum(1 << names.index(carrier) for carrier in own) for own in carriers)

    @cached_property
    def known_options(self) -> dict[tuple[object, ...], tuple[_Option, ...]]:
        """What can be built over how many sources of which types, as far as anybody asked: a memory, no part of the grammar."""
        return {}

    @cached_property
    def beginning(self) -> tuple[_Sources, dict[Type, list[int]]]:
        """The sources of a program without nodes, and their indices by type."""
        by_type: dict[Type, list[int]] = {}
        for source, kind in self.sources:
            by_type.setdefault(kind, []).append(source)
        return self.known_sources(tuple(sorted((kind, len(own)) for kind, own in by_type.items()))), by_type

    def known_sources(self, counts: tuple[tuple[Type, int], ...]) -> _Sources:
        """Return what can be built over so many sources of each type, found out once."""
        found = self._known_sources.get(counts)
        if found is None:
            found = self._known_sources[counts] = _Sources(self, counts)
        return found

    @cached_property
    def _known_sources(self) -> dict[tuple[tuple[Type, int], ...], _Sources]:
        return {}

    def problems(self, graph: Graph) -> list[str]:
        """Return why a well-formed graph is none of this grammar; empty if it is."""
        wrong = []
        for field in ("language", "family"):
            if getattr(graph, field) != getattr(self, field):
                return [f"{field}: expected {getattr(self, field)!r}, got {getattr(graph, field)!r}"]
        used = {graph.nodes[position].op for position in graph.live}
        wrong += [f"operator {name!r} is not of this space" for name in sorted(used - set(self.operators))]
        wrong += [f"register {name!r} is not of this space" for name in graph.needs if name not in self.registers]
        if len(graph.live) > self.nodes:
            wrong.append(f"expected at most {self.nodes} nodes, got {len(graph.live)}")
        if not differentiable(graph):
            wrong.append("the loss reads no register through which an agent could learn")
        return wrong + [f"the loss does not read {name!r}" for name in self.reads if not _reads(graph, name)]

    def accepts(self, graph: Graph) -> bool:
        """Return whether a graph is well formed and of this grammar."""
        try:
            return graph.types[-1] is Type.FLOAT and not self.problems(graph)
        except GraphError:
            return False


def _reads(graph: Graph, register: str) -> bool:
    return not set(CARRIERS.get(register, (register,))).isdisjoint(graph.needs)


@lru_cache(maxsize=512)
def signatures(language: str, operator: str) -> tuple[tuple[tuple[Type, ...], Type], ...]:
    """Return every tuple of input types that an operator accepts, with the type of its output."""
    row = load_language(language).operator(operator)
    accepted = ((types, row.rule(types)) for types in product(Type, repeat=row.arity))
    return tuple((types, gives) for types, gives in accepted if gives is not None)


def random_node(
    rng: np.random.Generator,
    grammar: Grammar,
    sources: Sequence[tuple[int, Type]],
    gives: frozenset[Type] = ANY,
    fixed: tuple[int, Type] | None = None,
) -> Node | None:
    """Return a random node over ``sources``; None if no operator fits.

    Args:
        rng: Where draws come from.
        grammar: Operators, and how to draw.
        sources: Indices that may be read, with their types.
        gives: Output types that are wanted.
        fixed: A source that the node must read, in one of its inputs.
    """
    by_type: dict[Type, list[int]] = {}
    for index, kind in sources:
        by_type.setdefault(kind, []).append(index)
    return _node_over(rng, grammar, by_type, gives, fixed)


def _node_over(
    rng: np.random.Generator,
    grammar: Grammar,
    by_type: Mapping[Type, Sequence[int]],
    gives: frozenset[Type],
    fixed: tuple[int, Type] | None = None,
) -> Node | None:
    drawn = _drawn_node(rng, grammar, by_type, gives, fixed)
    return None if drawn is None else Node(*drawn[0])


def _drawn_node(
    rng: np.random.Generator,
    grammar: Grammar,
    by_type: Mapping[Type, Sequence[int]],
    gives: frozenset[Type],
    fixed: tuple[int, Type] | None = None,
) -> tuple[_Drawn, Type] | None:
    """Return what a random node is made of, and the type of its output. Called millions of times: no work that could be done once."""
    key = (gives, None if fixed is None else fixed[1], *((kind, len(indices)) for kind, indices in by_type.items()))
    options = grammar.known_options.get(key)
    if options is None:
        counts = tuple((kind, len(indices)) for kind, indices in by_type.items())
        options = _options(grammar.language, grammar.operators, counts, gives, None if fixed is None else fixed[1])
        grammar.known_options[key] = options
    if not options:
        return None
    pair = grammar.sampling == "pair"
    option = options[pick(rng, [option.total for option in options]) if pair else below(rng, len(options))]
    types, slot, _, given = option.rows[pick(rng, option.weights) if len(option.rows) > 1 else 0]
    inputs = []
    for i, kind in enumerate(types):
        if i == slot and fixed is not None:
            inputs.append(fixed[0])
        else:
            sources = by_type[kind]
            inputs.append(sources[below(rng, len(sources))])
    constant = CONSTANTS[below(rng, len(CONSTANTS))] if option.has_constant else 1.0
    return (option.operator, tuple(inputs), constant), given


@dataclass(frozen=True)
class _Option:
    """An operator and the ways to use it: input types, slot of the fixed source or -1, number of input tuples, output's type."""

    operator: str
    has_constant: bool
    rows: tuple[tuple[tuple[Type, ...], int, float, Type], ...]
    weights: tuple[float, ...]
    total: float


def _options(
    language: str,
    operators: tuple[str, ...],
    counts: tuple[tuple[Type, int], ...],
    gives: frozenset[Type],
    fixed: Type | None,
) -> tuple[_Option, ...]:
    """Return what can be built over as many sources of each type as ``counts`` says."""
    number, found = dict(counts), []
    for operator in operators:
        rows = []
        for types, given in signatures(language, operator):
            for slot in (-1,) if fixed is None else range(len(types)):
                if given not in gives or (fixed is not None and types[slot] is not fixed):
                    continue
                weight = math.prod(number.get(kind, 0) for i, kind in enumerate(types) if i != slot)
                if weight:
                    rows.append((types, slot, float(weight), given))
        if rows:
            weights = tuple(row[2] for row in rows)
            has_constant = load_language(language).operator(operator).has_constant
            found.append(_Option(operator, has_constant, tuple(rows), weights, sum(weights)))
    return tuple(found)


def new_constant(rng: np.random.Generator, table: Language, operator: str) -> float:
    """Return a constant for a new node: 1 where the operator has none."""
    return CONSTANTS[below(rng, len(CONSTANTS))] if table.operator(operator).has_constant else 1.0


def below(rng: np.random.Generator, count: int) -> int:
    """Return a whole number from 0 to ``count`` - 1. Several times as fast as ``Generator.integers``, and millions are drawn."""
    return int(rng.random() * count)


def pick(rng: np.random.Generator, weights: Sequence[float]) -> int:
    """Return a position drawn with probabilities in proportion to ``weights`` (not all 0)."""
    return _picked(rng.random(), weights)


def _picked(uniform: float, weights: Sequence[float]) -> int:
    left = uniform * sum(weights)
    for i, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return i
    return max(i for i, weight in enumerate(weights) if weight > 0)  # rounding at the very end


class _Sources:
    """How many sources of each type a program that is being drawn may read: what its next node can be, and what follows.

    Programs pass through few such states, so what can be built in each is found out once.
    """

    def __init__(self, grammar: Grammar, counts: tuple[tuple[Type, int], ...]) -> None:
        self._grammar, self._counts = grammar, counts
        self._after: dict[Type, _Sources] = {}
        self.options = self._options(ANY)

    @cached_property
    def last(self) -> tuple[_Option, ...]:
        """What the last node can be, which is the loss."""
        return self._options(_FLOAT)

    def _options(self, gives: frozenset[Type]) -> tuple[_Option, ...]:
        return _options(self._grammar.language, self._grammar.operators, self._counts, gives, None)

    def after(self, kind: Type) -> _Sources:
        """Return the sources once a node of type ``kind`` is one of them."""
        found = self._after.get(kind)
        if found is None:
            counts = dict(self._counts)
            counts[kind] = counts.get(kind, 0) + 1
            found = self._after[kind] = self._grammar.known_sources(tuple(sorted(counts.items())))
        return found


def _uniforms(rng: np.random.Generator) -> Callable[[], float]:
    """Return a function that draws what ``rng.random()`` would, many at a time: millions are drawn."""
    return chain.from_iterable(iter(lambda: rng.random(1024).tolist(), None)).__next__


def _graph(drawn: Sequence[_Drawn], grammar: Grammar) -> Graph:
    return trimmed(Graph(tuple(Node(*parts) for parts in drawn), grammar.family, grammar.language))


def _drawn_nodes(uniform: Callable[[], float], grammar: Grammar) -> tuple[list[_Drawn], int] | None:
    """Return the nodes of a random program, and the registers that the last one depends on, as bits.

    Draws what `random_node` would, node by node. Called some ten thousand times for a sample that passes strict filters: each line counts.
    """
    pair, end, (state, by_type) = grammar.sampling == "pair", grammar.nodes - 1, grammar.beginning
    of_type = {kind: list(indices) for kind, indices in by_type.items()}
    first = len(grammar.table.registers(grammar.family))
    below_each = [1 << index for index in range(first)]
    nodes: list[_Drawn] = []
    for place in range(grammar.nodes):
        options = state.last if place == end else state.options
        if not options:
            return None
        own = uniform()
        option = options[_picked(own, [option.total for option in options]) if pair else int(own * len(options))]
        rows = option.rows
        types, _, _, gives = rows[_picked(uniform(), option.weights)] if len(rows) > 1 else rows[0]
        inputs, reached = [], 0
        for kind in types:
            sources = of_type[kind]
            i = sources[int(uniform() * len(sources))]
            inputs.append(i)
            reached |= below_each[i]
        constant = CONSTANTS[int(uniform() * len(CONSTANTS))] if option.has_constant else 1.0
        nodes.append((option.operator, tuple(inputs), constant))
        of_type.setdefault(gives, []).append(first + place)
        below_each.append(reached)
        if place < end:
            state = state.after(gives)
    return nodes, below_each[-1]


def random_graph(key: int, grammar: Grammar) -> Graph:
    """Return a random program that `Grammar.accepts`: drawn until one is.

    Args:
        key: See `autorl.keys`.
        grammar: What it is made of.

    Raises:
        UsageError: None was found in `ATTEMPTS` draws.
    """
    uniform = _uniforms(generator(key))
    for _ in range(ATTEMPTS):
        drawn = _drawn_nodes(uniform, grammar)
        # most programs read too little, which is seen before a graph is made of them
        if drawn is None or not all(drawn[1] & carriers for carriers in grammar.needed):
            continue
        graph = _graph(drawn[0], grammar)
        if not grammar.problems(graph):
            return graph
    raise UsageError(
        f"no program of {grammar.nodes} nodes that reads {', '.join(grammar.reads) or 'what it must'} was found in {ATTEMPTS} draws. "
        "Remedy: allow more nodes, operators or registers, or require fewer registers."
    )
