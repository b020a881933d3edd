"""The constants of one loss graph as a space of numbers, so that any search method can tune what a search of graphs found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autorl.errors import UsageError
from autorl.objectives.graphs.cells import trimmed
from autorl.objectives.graphs.files import graph_from_json, graph_to_json
from autorl.objectives.graphs.graph import Graph, differentiable
from autorl.objectives.graphs.language import LIMIT, load_language
from autorl.registry import load_attribute

if TYPE_CHECKING:
    from autorl.objectives.graphs.runners import AnySignature

Candidate = Mapping[str, Any]


@dataclass(frozen=True)
class ConstantsSpace:
    """A constant ``c`` may be anything of its sign from ``|c| / span`` to ``|c| * span``, on a logarithmic scale; 0 from -1 to 1.

    Candidates are ``{"graph": {...}}``, as those of `autorl.objectives.graphs.space.GraphSpace`.

    Attributes:
        name: What people call it.
        given: The graph; nodes that its loss does not depend on are dropped.
        span: Above 1.
        source: Author, year.

    Raises:
        UsageError: A graph without constants or without a slope, or a span that makes no sense.
    """

    name: str
    given: Graph
    span: float = 10.0
    source: str = ""

    def __post_init__(self) -> None:
        prefix = f"search space {self.name!r}: "
        object.__setattr__(self, "given", trimmed(self.given))
        if isinstance(self.span, bool) or not isinstance(self.span, int | float) or not 1 < self.span < 1e6:
            raise UsageError(f"{prefix}span: expected a number above 1 and below 1e6, got {self.span!r}")
        if not differentiable(self.given):
            raise UsageError(f"{prefix}graph: the loss reads no register through which an agent could learn")
        if not self.places:
            raise UsageError(f"{prefix}graph: no operator in it has a constant. Remedy: put one in with 'scale'.")
        largest = max(abs(self.given.nodes[i].constant) for i in self.places)
        if largest * self.span > LIMIT:
            most = math.floor(100.0 * LIMIT / largest) / 100.0
            remedy = f"a span of at most {most:g}" if most > 1.0 else "a loss with smaller constants"
            raise UsageError(
                f"{prefix}span: a constant of {largest:g} times {self.span:g} is above {LIMIT:g}, the largest there is. Remedy: {remedy}."
            )

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Positions of the nodes with a constant."""
        table = self.given.table
        return tuple(i for i, node in enumerate(self.given.nodes) if table.operator(node.op).has_constant)

    @cached_property
    def numbers(self) -> Any:
        """The same as a space of hyperparameters ``c<position>``, of the constants' sizes."""
        make: Any = load_attribute("autorl.spaces.hyperparameters:HyperparameterSpace")
        number: Any = load_attribute("autorl.spaces.dimensions:Float")
        sizes = {i: abs(self.given.nodes[i].constant) for i in self.places}
        dimensions = {
            f"c{i}": number(size / self.span, size * self.span, "log") if size else number(-1.0, 1.0)
            for i, size in sizes.items()
        }
        return make(self.name, dimensions)

    @property
    def family(self) -> str:
        """Register family of the graph."""
        return self.given.family

    @property
    def signature(self) -> AnySignature | None:
        """What an interpreter must be able to run; None for a graph with operators that none runs."""
        from autorl.objectives.graphs.runners import covering

        return (
            None
            if load_language(self.given.language).uninterpreted & {n.op for n in self.given.nodes}
            else covering([self.given])
        )

    @property
    def unit_dimension(self) -> int:
        """Number of constants."""
        return len(self.places)

    def features(self) -> frozenset[str]:
        """Return ``float``."""
        return frozenset({"float"})

    def objective(self, candidate: Candidate) -> Mapping[str, Any]:
        """Return the graph as data."""
        graph: Mapping[str, Any] = candidate["graph"]
        return graph

    def put(self, values: Mapping[str, float]) -> Candidate:
        """Return the candidate with constants of the sizes ``values``, a candidate of `numbers`."""
        nodes = list(self.given.nodes)
        for i in self.places:
            sign = -1.0 if nodes[i].constant < 0 else 1.0
            nodes[i] = replace(nodes[i], constant=sign * float(values[f"c{i}"]))
        return {"graph": graph_to_json(replace(self.given, nodes=tuple(nodes)))}

    def taken(self, candidate: Candidate) -> dict[str, float]:
        """Return the sizes of a candidate's constants, a candidate of `numbers`."""
        nodes = graph_from_json(candidate["graph"], "graph").nodes
        given = self.given.nodes
        return {f"c{i}": nodes[i].constant * (-1.0 if given[i].constant < 0 else 1.0) for i in self.places}

    def starts(self) -> tuple[Candidate, ...]:
        """Return the graph as given."""
        return ({"graph": graph_to_json(self.given)},)

    def sample(self, key: int) -> Candidate:
        """Return the graph with all constants drawn."""
        return self.put(self.numbers.sample(key))

    def mutate(
        self, key: int, candidate: Candidate, rate: float | None = None, scale: float | None = None
    ) -> Candidate:
        """Return a copy with at least one constant changed."""
        return self.put(self.numbers.mutate(key, self.taken(candidate), rate, scale))

    def crossover(self, key: int, a: Candidate, b: Candidate) -> Candidate:
        """Return the graph with each constant from ``a`` or ``b``."""
        return self.put(self.numbers.crossover(key, self.taken(a), self.taken(b)))

    def perturb(
        self,
        key: int,
        candidate: Candidate,
        factors: tuple[float, float] = (0.8, 1.2),
        resample_probability: float = 0.25,
    ) -> Candidate:
        """Return the constants explored as in population-based training (Jaderberg et al., 2017)."""
        return self.put(self.numbers.perturb(key, self.taken(candidate), factors, resample_probability))

    def to_unit(self, candidate: Candidate) -> NDArray[np.float64]:
        """Return the constants as a point of the unit cube, float64 [unit_dimension]."""
        point: NDArray[np.float64] = self.numbers.to_unit(self.taken(candidate))
        return point

    def from_unit(self, unit: NDArray[np.float64]) -> Candidate:
        """Return the graph whose constants are at a point of the unit cube."""
        return self.put(self.numbers.from_unit(unit))

    def fingerprint(self, candidate: Candidate) -> str:
        """Return 16 hexadecimal digits that depend on the constants."""
        name: str = self.numbers.fingerprint(self.taken(candidate))
        return name

    def to_json(self, candidate: Candidate) -> dict[str, Any]:
        """Return the candidate: it is data already."""
        return dict(self.put(self.taken(candidate)))

    def from_json(self, data: Mapping[str, Any]) -> Candidate:
        """Return the candidate that `to_json` wrote; raise `UsageError` that says what is wrong with it."""
        wrong = self.validate(data)
        if wrong:
            raise UsageError("; ".join(wrong))
        return self.put(self.taken(data))

    def validate(self, candidate: Candidate) -> list[str]:
        """Return every problem of a candidate: another graph than the given one, or a constant out of its range."""
        if not isinstance(candidate, Mapping) or set(candidate) != {"graph"}:
            return [f"expected a mapping with 'graph' alone, got {candidate!r:.60}"]
        try:
            graph = graph_from_json(candidate["graph"], "graph")
        except UsageError as error:
            return [str(error)]
        if _bare(graph, self.places) != _bare(self.given, self.places):
            return [f"graph: not the one whose constants space {self.name!r} tunes"]
        wrong: list[str] = self.numbers.validate(self.taken(candidate))
        return wrong

    def upper_bounds(self) -> dict[str, float]:
        """Return nothing: constants allocate nothing."""
        return {}


def _bare(graph: Graph, places: tuple[int, ...]) -> Graph:
    nodes = tuple(replace(n, constant=1.0) if i in places else n for i, n in enumerate(graph.nodes))
    return replace(graph, nodes=nodes)
