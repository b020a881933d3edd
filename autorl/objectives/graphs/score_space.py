"""Level scores as a search space: which levels a teacher replays. A candidate is a graph of the family ``level``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autorl.errors import UsageError
from autorl.objectives.graphs.files import graph_from_json
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.level_scores import SCORE_GRAPHS, score_graph
from autorl.objectives.graphs.space import Candidate, GrammarSpace
from autorl.objectives.graphs.space_files import GraphsForm


@dataclass(frozen=True)
class ScoreSpace(GrammarSpace):
    """Scores of one grammar, for one teacher.

    Attributes:
        teacher: Name of the teacher whose parameter ``score`` they are.
    """

    family: str = "level"
    teacher: str = "plr"

    def __post_init__(self) -> None:
        if self.family != "level":
            raise UsageError(
                f"search space {self.name!r}: family: scores are of the family 'level', got {self.family!r}"
            )
        super().__post_init__()

    def scored(self, candidate: Candidate) -> Mapping[str, Any]:
        """Return the candidate as the parameter of its teacher, with what one program must be able to run for all candidates."""
        grammar = self.grammar
        able = {"registers": list(grammar.registers), "operators": list(grammar.operators), "nodes": self.nodes}
        return {f"teacher.{self.teacher}.score": {"graph": candidate["graph"], **able}}


@dataclass(frozen=True)
class ScoresForm(GraphsForm):
    """``{name, source, scores: {teacher, registers, operators, nodes, start, requires, sampling, mutations}}`` in a search-space file.

    ``start`` lists scores by their names (`autorl.curricula.scores`), or graphs written out.
    """

    @property
    def field(self) -> str:
        """``scores``."""
        return "scores"

    @property
    def kind(self) -> type[GrammarSpace]:
        """`ScoreSpace`."""
        return ScoreSpace

    def named(self, reference: str | Mapping[str, Any], where: str) -> Graph:
        """Return a named score, or one written out."""
        if isinstance(reference, Mapping):
            return graph_from_json(reference, where)
        if not isinstance(reference, str):
            raise UsageError(f"{where}: expected {', '.join(SCORE_GRAPHS)} or a graph, got {reference!r:.60}")
        try:
            return graph_from_json(score_graph(reference), where)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error


SCORES = ScoresForm()
