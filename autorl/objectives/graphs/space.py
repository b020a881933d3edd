"""Loss graphs as a search space. A candidate is ``{"graph": {...}}``, the graph as `autorl.objectives.graphs.files` writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autorl.errors import UnknownNameError, UsageError
from autorl.keys import derive, generator
from autorl.objectives.graphs.canonical import canonical
from autorl.objectives.graphs.canonical import key as structure
from autorl.objectives.graphs.files import graph_from_json, graph_to_json
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.language import load_language
from autorl.objectives.graphs.mutation import WEIGHTS, NoNeighbourError, check_weights, crossover, mutate
from autorl.objectives.graphs.sampling import CONSTANTS, Grammar, Sampling, random_graph

if TYPE_CHECKING:  # fingerprints are computed with jax, which reading a space does not need
    from autorl.objectives.graphs.fingerprint import Fingerprint
    from autorl.objectives.graphs.runners import AnySignature

Candidate = Mapping[str, Any]

_MOST_DRAWN = 800  # programs for one sample
_DRAWN_AT_ONCE = 8  # a fingerprint of many costs little more than one
_PLAIN = frozenset(float(np.float32(constant)) for constant in CONSTANTS)
_MOST_REMEMBERED = 50_000
_FURTHEST = 3  # mutations between a given start and a sample


@dataclass(frozen=True)
class GrammarSpace:
    """Graphs of one grammar, whatever they are for.

    Attributes:
        name: What people call it.
        language: Name of the language.
        family: Register family.
        operators: Operators that may be used; empty for all that searches of the language draw.
        registers: Registers that may be read; empty for all.
        nodes: Most nodes.
        start: Graphs that a search begins with; samples are then 1 to 3 mutations away from one of them. Empty: random programs.
        requires: Registers that the slopes must depend on: a loss whose slopes do not change with the reward is rejected untrained.
        minimum: Whether the loss must have a minimum in Q(s, a), the value it trains (family ``value``), that rises with the reward: one
            that drives it ever up or down, or down with more reward, is rejected untrained.
        sampling: How random nodes are drawn: ``operator`` or ``pair`` (see `autorl.objectives.graphs.sampling`).
        mutations: How often each mutation is tried, in proportion, by name; those left out never. Empty for the defaults.
        source: Author, year.

    Raises:
        UsageError: A field that makes no sense, or a start that is not of the grammar.
    """

    name: str
    language: str = "autorl"
    family: str = "value"
    operators: tuple[str, ...] = ()
    registers: tuple[str, ...] = ()
    nodes: int = 12
    start: tuple[Graph, ...] = ()
    requires: tuple[str, ...] = ()
    minimum: bool = False
    sampling: Sampling = "operator"
    mutations: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    _seen: dict[str, Fingerprint] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("operators", "registers", "start", "requires"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "mutations", MappingProxyType(dict(self.mutations) or dict(WEIGHTS)))
        try:
            check_weights(self.mutations)
            grammar = self.grammar
            wrong = [f"start: {problem}" for graph in self.start for problem in grammar.problems(graph)]
        except UsageError as error:
            raise UsageError(f"search space {self.name!r}: {error}") from error
        unable = sorted(load_language(self.language).uninterpreted & set(self.operators))
        if unable:
            wrong.append(
                f"operators: no interpreter runs {', '.join(unable)}, so that no search can draw them. Remedy: leave them out"
            )
        if not isinstance(self.minimum, bool) or (self.minimum and self.family != "value"):
            wrong.append(
                f"minimum: expected true or false, and true for the family 'value' alone, got {self.minimum!r}"
            )
        if wrong:
            raise UsageError("; ".join(f"search space {self.name!r}: {problem}" for problem in wrong))

    @cached_property
    def grammar(self) -> Grammar:
        """What its graphs are made of."""
        return Grammar(
            self.language, self.family, self.operators, self.registers, self.nodes, self.requires, self.sampling
        )

    @property
    def unit_dimension(self) -> int:
        """0: graphs have no unit cube."""
        return 0

    def features(self) -> frozenset[str]:
        """Return ``graph``."""
        return frozenset({"graph"})

    def graph(self, candidate: Candidate) -> Graph:
        """Return the graph; raise `GraphError` if it is not well formed."""
        return graph_from_json(candidate["graph"], "graph")

    def candidate(self, graph: Graph) -> Candidate:
        """Return the candidate that is ``graph``."""
        return {"graph": graph_to_json(graph)}

    def sample(self, key: int) -> Candidate:
        """Return a random program (or a start, mutated 1 to 3 times) that `screen` does not reject.

        Raises:
            UsageError: None was found.
        """
        for first in range(0, _MOST_DRAWN, _DRAWN_AT_ONCE):
            graphs = [self._drawn(derive(key, "graph", first + i)) for i in range(_DRAWN_AT_ONCE)]
            for graph, found in zip(graphs, self._fingerprints(graphs), strict=True):
                if self._rejected(found) is None:
                    return self.candidate(graph)
        raise UsageError(
            f"search space {self.name!r}: none of {_MOST_DRAWN} random programs has slopes that depend on "
            f"{', '.join(self.requires) or 'anything'}{' and a minimum in Q(s, a)' if self.minimum else ''}. "
            "Remedy: allow more registers or operators, or require less."
        )

    def _drawn(self, key: int) -> Graph:
        if not self.start:
            return random_graph(key, self.grammar)
        rng = generator(derive(key, "start"))
        origin = self.start[int(rng.integers(len(self.start)))]
        return mutate(derive(key, "mutate"), origin, self.grammar, self.mutations, int(rng.integers(1, _FURTHEST + 1)))

    def starts(self) -> tuple[Candidate, ...]:
        """Return the candidates that a search should begin with."""
        return tuple(self.candidate(graph) for graph in self.start)

    def mutate(
        self, key: int, candidate: Candidate, rate: float | None = None, scale: float | None = None
    ) -> Candidate:
        """Return a graph one mutation away, or where there is none a random one: a search does not end for a parent without children.

        ``rate`` and ``scale`` are for numbers.
        """
        try:
            return self.candidate(mutate(key, self.graph(candidate), self.grammar, self.mutations))
        except NoNeighbourError:
            return self.sample(derive(key, "instead"))

    def crossover(self, key: int, a: Candidate, b: Candidate) -> Candidate:
        """Return ``a`` with a part of ``b`` in the place of one of its own."""
        return self.candidate(crossover(key, self.graph(a), self.graph(b), self.grammar))

    def perturb(
        self,
        key: int,
        candidate: Candidate,
        factors: tuple[float, float] = (0.8, 1.2),
        resample_probability: float = 0.25,
    ) -> Candidate:
        """Return a mutant; ``factors`` and ``resample_probability`` are for numbers."""
        return self.mutate(key, candidate)

    def to_unit(self, candidate: Candidate) -> NDArray[np.float64]:
        """Return an empty array: there is no unit cube."""
        return np.zeros(0, np.float64)

    def from_unit(self, unit: NDArray[np.float64]) -> Candidate:
        """Raise UsageError: there is no unit cube."""
        raise UsageError(f"search space {self.name!r}: loss graphs have no unit cube")

    def fingerprint(self, candidate: Candidate) -> str:
        """Return the name of what the loss does to an agent: see `autorl.objectives.graphs.fingerprint`."""
        return self.screen([candidate])[0][0]

    def screen(self, candidates: Sequence[Candidate]) -> list[tuple[str, str | None]]:
        """Return the fingerprint of each candidate, and why it is not worth training (None if it is)."""
        found = self._fingerprints([self.graph(candidate) for candidate in candidates])
        return [(fingerprint.key, self._rejected(fingerprint)) for fingerprint in found]

    def _rejected(self, found: Fingerprint) -> str | None:
        if found.kind != "slope":
            return found.kind
        missing = [name for name in self.requires if name not in found.depends]
        missing += ["minimum"] if self.minimum and not found.minimum else []
        return f"no {missing[0]}" if missing else None

    def _fingerprints(self, graphs: Sequence[Graph]) -> list[Fingerprint]:
        """Return fingerprints, those computed before from memory."""
        names = [structure(graph) for graph in graphs]
        new = {name: graph for name, graph in zip(names, graphs, strict=True) if name not in self._seen}
        known = {name: self._seen[name] for name in names if name in self._seen}
        if new:
            known |= dict(zip(new, self._computed(list(new.values())), strict=True))
            if len(self._seen) > _MOST_REMEMBERED:
                self._seen.clear()
            self._seen.update(known)
        return [known[name] for name in names]

    def _computed(self, graphs: Sequence[Graph]) -> list[Fingerprint]:
        from autorl.objectives.graphs.fingerprint import fingerprints

        return fingerprints(graphs, self.requires, minimum=self.minimum)

    def simplest(self, candidate: Candidate) -> Candidate:
        """Return the shortest graph found that does the same; nothing is trained for it.

        It is of the grammar, but need not be a candidate of the space: programs have a fixed length and beginning.
        """
        from autorl.objectives.graphs.reduction import reduced

        found = reduced(self.graph(candidate), self.grammar.registers, self.grammar.operators)
        return self.candidate(found) if not self.grammar.problems(found) else candidate

    def kin(self, candidate: Candidate) -> str:
        """Return a name that graphs share which differ in the values of their constants alone."""
        graph = self.graph(candidate)
        nodes = tuple(replace(node, constant=1.0) for node in graph.nodes)
        return structure(replace(graph, nodes=nodes))

    def size(self, candidate: Candidate) -> int:
        """Return how long a description of the loss is: its different nodes, all readings of a node but the first, and tuned constants.

        So of two forms with as many nodes the one that needs fewer names of intermediate results is smaller, and ``0.5 x`` is smaller
        than ``0.5021 x``: a constant other than those that new nodes are drawn with (`sampling.CONSTANTS`) has digits to be told.
        """
        form = canonical(self.graph(candidate))
        count = len(form.registers)
        tuned = sum(
            form.table.operator(node.op).has_constant and abs(node.constant) not in _PLAIN for node in form.nodes
        )
        return 1 + tuned + sum(index >= count for node in form.nodes for index in node.inputs)

    def to_json(self, candidate: Candidate) -> dict[str, Any]:
        """Return the candidate: it is data already."""
        return self._written(self.graph(candidate))

    def from_json(self, data: Mapping[str, Any]) -> Candidate:
        """Return the candidate that `to_json` wrote; raise `UsageError` that says what is wrong with it."""
        wrong = self.validate(data)
        if wrong:
            raise UsageError("; ".join(wrong))
        return self._written(self.graph(data))

    def _written(self, graph: Graph) -> dict[str, Any]:
        return {"graph": graph_to_json(graph)}

    def validate(self, candidate: Candidate) -> list[str]:
        """Return what is wrong with the form of a candidate, or why its graph is not of the grammar."""
        if not isinstance(candidate, Mapping) or set(candidate) != {"graph"}:
            return [f"expected a mapping with 'graph' alone, got {candidate!r:.60}"]
        try:
            return [f"graph: {problem}" for problem in self.grammar.problems(self.graph(candidate))]
        except UsageError as error:
            return [str(error)]

    def upper_bounds(self) -> dict[str, float]:
        """Return nothing: there are no numbers."""
        return {}


@dataclass(frozen=True)
class GraphSpace(GrammarSpace):
    """Loss graphs of one grammar: what an agent minimises."""

    @property
    def signature(self) -> AnySignature:
        """What an interpreter must be able to run for all of its graphs."""
        from autorl.objectives.graphs.runners import signature_for

        return signature_for(self.language, self.family, self.grammar.registers, self.grammar.operators, self.nodes)

    def objective(self, candidate: Candidate) -> Mapping[str, Any]:
        """Return the graph as data."""
        graph: Mapping[str, Any] = candidate["graph"]
        return graph


def named_graph(reference: str | Mapping[str, Any], where: str) -> Graph:
    """Return a graph of the catalogue by name, or one written inline; raise `UsageError` naming ``where`` otherwise."""
    if isinstance(reference, Mapping):
        return graph_from_json(reference, where)
    if not isinstance(reference, str):
        raise UsageError(f"{where}: expected the name of a learned objective or a graph, got {reference!r:.60}")
    from autorl.objectives.loader import load_objective

    try:
        return load_objective(reference).graph
    except UnknownNameError as error:
        raise UsageError(f"{where}: {error}") from error
