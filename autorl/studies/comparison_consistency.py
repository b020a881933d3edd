"""Checks between the sections of a comparison that need nothing but the comparison."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autorl.studies.consistency import Finding, score_ranges

if TYPE_CHECKING:
    from autorl.studies.comparison_models import Comparison, Tuning
    from autorl.studies.models import EnvironmentSettings, Evaluation, LearnerSettings


@dataclass(frozen=True)
class ComparisonSections:
    """The sections of a comparison, so far as they could be read; ``broken`` names those that could not."""

    objectives: tuple[str, ...]
    environments: tuple[EnvironmentSettings, ...]
    learner: LearnerSettings | None
    env_steps: int | None
    evaluation: Evaluation
    tuning: Tuning | None = None
    broken: Set[str] = frozenset()

    @classmethod
    def of(cls, comparison: Comparison) -> ComparisonSections:
        """Return the sections of a whole comparison."""
        return cls(
            comparison.objectives,
            comparison.environments,
            comparison.learner,
            comparison.env_steps,
            comparison.evaluation,
            comparison.tuning,
        )

    def intact(self, *names: str) -> bool:
        """Return whether all of the sections ``names`` could be read."""
        return not self.broken & set(names)


def contradictions(sections: ComparisonSections) -> list[Finding]:
    """Return every contradiction between sections; those that need a section that could not be read are left out."""
    return [*_each_once(sections), *score_ranges(sections), *_lengths(sections), *_statistic(sections)]


def _statistic(s: ComparisonSections) -> Iterator[Finding]:
    for field, plain in (("tasks", "mean"), ("measure", "return")):
        given = getattr(s.evaluation, field)
        if s.intact("evaluation") and given != plain:
            message = f"expected {plain}, as a comparison scores agents on one task in each environment"
            yield Finding.refused(("evaluation", field), message, given, "Leave it out")


def _each_once(s: ComparisonSections) -> Iterator[Finding]:
    if s.intact("objectives"):
        if not s.objectives:
            yield Finding.refused(("objectives",), "expected at least one objective", [])
        for i, name in enumerate(s.objectives):
            if name in s.objectives[:i]:
                yield Finding.refused(("objectives", i), "expected each objective once", name)
    if not s.intact("environment"):
        return
    if not s.environments:
        yield Finding.refused(("environment",), "expected at least one environment", [])
    tasks = [(choice.id, dict(choice.task)) for choice in s.environments]
    for i, task in enumerate(tasks):
        if task in tasks[:i]:
            yield Finding.refused(("environment", i, "id"), "expected each environment and task once", task[0])


def _lengths(s: ComparisonSections) -> Iterator[Finding]:
    if not s.intact("environment", "env_steps"):
        return
    lengths = [choice.env_steps or s.env_steps for choice in s.environments]
    if None in lengths:
        message = "missing; environment steps of one whole training, such as 100_000, here or in each environment"
        yield Finding(("env_steps",), message)
    shortest = min((steps for steps in lengths if steps is not None), default=None)
    if shortest is not None and s.intact("evaluation") and s.evaluation.points > shortest:
        message = f"expected at most as many as the shortest training has env steps ({shortest})"
        yield Finding.refused(("evaluation", "points"), message, s.evaluation.points)
