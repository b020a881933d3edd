"""The search space of Co-Reyes et al. (2021): their starts, random programs and mutation, to compare other searches with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from autorl.errors import UsageError
from autorl.keys import derive, generator
from autorl.objectives.graphs.graph import Graph, GraphError
from autorl.objectives.graphs.programs_coreyes import (
    PAPER,
    RELEASED,
    Quirks,
    is_valid,
    mutate_program,
    random_program,
    start_called,
)
from autorl.objectives.graphs.space import Candidate, GraphSpace
from autorl.objectives.graphs.starts_coreyes import FAMILY, LANGUAGE, STARTS, Start

Naming = Literal["slope", "value_sum"]


@dataclass(frozen=True)
class ProgramSpace(GraphSpace):
    """Programs of a fixed length after a fixed beginning; candidates are graphs, as those of `GraphSpace`.

    Attributes:
        program: Name of a start (see `autorl.objectives.graphs.starts_coreyes`); it decides operators, registers and length.
        quirks: Which departures of the released code from the paper to repeat (see `autorl.objectives.graphs.programs_coreyes`).
        naming: How candidates are told apart: ``slope``, or ``value_sum`` as the released code does; then none is rejected untrained.
        weighted: Whether programs end with a loss weight, which mutates too.

    Raises:
        UsageError: An unknown start, naming, or a field that the start decides.
    """

    program: str = "pre_graph_8_scratch"
    quirks: Quirks = PAPER
    naming: Naming = "slope"
    weighted: bool = False

    def __post_init__(self) -> None:
        if self.naming not in get_args(Naming):
            raise UsageError(
                f"search space {self.name!r}: naming: expected {' or '.join(get_args(Naming))}, got {self.naming!r}"
            )
        if self.operators or self.registers or self.start or self.mutations:
            raise UsageError(
                f"search space {self.name!r}: operators, registers, start and mutations are decided by program "
                f"{self.program!r}. Remedy: leave them out, or write a space of 'graphs'"
            )
        begun = start_called(self.program)
        loss = ("loss",) if self.weighted else ()
        # what it begins with may hold operators that are not drawn
        given = tuple(node.op for node in begun.nodes)
        decided = {
            "language": LANGUAGE,
            "family": FAMILY,
            "operators": tuple(dict.fromkeys((*begun.operators, *given, *loss))),
            "nodes": len(begun.nodes) + begun.free + len(loss),
        }
        for name, value in decided.items():
            object.__setattr__(self, name, value)
        super().__post_init__()

    @property
    def begun(self) -> Start:
        """What its programs begin with."""
        return STARTS[self.program]

    def _drawn(self, key: int) -> Graph:
        return random_program(generator(derive(key, "program")), self.begun, self.quirks, self.weighted)

    def sample(self, key: int) -> Candidate:
        """Return a random program: where slopes name programs one that `screen` does not reject, else whichever is drawn."""
        return super().sample(key) if self.naming == "slope" else self.candidate(self._drawn(derive(key, "graph", 0)))

    def mutate(
        self, key: int, candidate: Candidate, rate: float | None = None, scale: float | None = None
    ) -> Candidate:
        """Return a program in which one node is another; ``rate`` and ``scale`` are for numbers."""
        rng = generator(derive(key, "mutate program"))
        return self.candidate(mutate_program(rng, self.graph(candidate), self.begun, self.quirks))

    def crossover(self, key: int, a: Candidate, b: Candidate) -> Candidate:
        """Return a mutant of ``a``: the paper's search has no crossover, and programs keep their beginning."""
        return self.mutate(key, a)

    def screen(self, candidates: Sequence[Candidate]) -> list[tuple[str, str | None]]:
        """Return the name of each candidate, and why it is not worth training (None if it is)."""
        if self.naming == "slope":
            return super().screen(candidates)
        from autorl.objectives.graphs.fingerprint_coreyes import value_sum

        return [(value_sum(self.graph(candidate)), None) for candidate in candidates]

    def validate(self, candidate: Candidate) -> list[str]:
        """Return what is wrong with the form of a candidate, or why its graph is no program of this space."""
        wrong = super().validate(candidate)
        if wrong:
            return wrong
        try:
            graph = self.graph(candidate)
        except GraphError as error:
            return [str(error)]
        begun = self.begun
        if not is_valid(graph):
            wrong.append("graph: no path leads from q_param to the loss")
        if len(graph.nodes) != self.nodes:
            wrong.append(f"graph: expected {self.nodes} nodes, got {len(graph.nodes)}")
        if graph.nodes[: begun.frozen] != begun.nodes[: begun.frozen]:
            wrong.append(f"graph: expected the {begun.frozen} frozen nodes of {begun.name} at its front")
        return wrong


def quirks_named(names: str | Sequence[str], where: str) -> Quirks:
    """Return the quirks of a file: ``paper``, ``released``, or a list of their names; raise `UsageError` naming ``where``."""
    known = [field.name for field in fields(Quirks)]
    if isinstance(names, str) and names in ("paper", "released"):
        return PAPER if names == "paper" else RELEASED
    if isinstance(names, str | Mapping) or not all(isinstance(name, str) and name in known for name in names):
        raise UsageError(f"{where}: expected 'paper', 'released' or a list of {', '.join(known)}, got {names!r:.60}")
    return Quirks(**dict.fromkeys(names, True))


@dataclass(frozen=True)
class ProgramsForm:
    """``{name, source, programs: {program, quirks, naming, weighted, requires}}`` in a search-space file; all may be left out."""

    def resolve(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the same: it refers to nothing."""
        return data

    def parse(self, data: Mapping[str, Any], name: str) -> ProgramSpace:
        """Return the space; raise `UsageError` naming the field, its value and the remedy."""
        prefix = f"search space {name!r}: "
        given, known = data["programs"] or {}, ("program", "quirks", "naming", "weighted", "requires")
        outer = [key for key in data if key not in ("name", "source", "programs")]
        if not isinstance(given, Mapping) or outer:
            raise UsageError(f"{prefix}expected name, source and a mapping 'programs', got {outer or given!r}")
        unknown = [key for key in given if key not in known]
        if unknown:
            raise UsageError(f"{prefix}programs: unknown field {unknown[0]!r}; known are {', '.join(known)}")
        if not isinstance(given.get("program", ""), str) or not isinstance(given.get("weighted", False), bool):
            raise UsageError(f"{prefix}programs: expected a name as program and true or false as weighted, got {given}")
        requires = given.get("requires", ())
        if isinstance(requires, str | Mapping) or not all(isinstance(entry, str) for entry in requires):
            raise UsageError(f"{prefix}requires: expected a list of registers, got {requires!r}")
        quirks = quirks_named(given.get("quirks", "paper"), f"{prefix}quirks")
        values = {**given, "quirks": quirks, "requires": tuple(requires)}
        return ProgramSpace(name, source=str(data.get("source") or ""), **values)


PROGRAMS = ProgramsForm()
