"""Checks between the sections of a specification that need nothing but the specification."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from autorl.studies.problems import Path, shown

if TYPE_CHECKING:
    from autorl.studies.models import (
        Baselines,
        Budget,
        EnvironmentChoice,
        EnvironmentSettings,
        Evaluation,
        Hurdle,
        LearnerChoice,
        ScheduleEntry,
        Search,
        Specification,
        TeacherChoice,
    )


class Finding(NamedTuple):
    """A problem that has not found its line yet. ``path`` is that of the data, every shorthand written out."""

    path: Path
    message: str
    value: Any = None
    at_key: bool = False
    """Whether it stands at the key rather than at the value."""

    @classmethod
    def refused(cls, path: Path, expected: str, value: Any, remedy: str = "") -> Finding:
        """Return the finding that ``value`` is not what was expected; ``remedy`` is a sentence without its full stop."""
        return cls(path, f"{expected}, got {shown(value)}{'. ' * bool(remedy)}{remedy}", value)


@dataclass(frozen=True)
class Sections:
    """The sections of a specification, so far as they could be read; ``broken`` names those that could not.

    ``search.space`` in ``broken``: the search could be read but for its space, and has the name of none.
    """

    environments: tuple[EnvironmentChoice, ...]
    learner: LearnerChoice | None
    search: Search | None
    schedule: tuple[ScheduleEntry, ...] | None
    budget: Budget
    evaluation: Evaluation
    seed: int = 0
    hurdle: Hurdle | None = None
    teacher: TeacherChoice | None = None
    baselines: Baselines | None = None
    broken: Set[str] = frozenset()

    @classmethod
    def of(cls, specification: Specification) -> Sections:
        """Return the sections of a whole specification."""
        return cls(
            specification.environments,
            specification.learner,
            specification.search,
            specification.schedule,
            specification.budget,
            specification.evaluation,
            specification.seeds.study,
            specification.hurdle,
            specification.teacher,
            specification.baselines,
        )

    def intact(self, *names: str) -> bool:
        """Return whether all of the sections ``names`` could be read."""
        return not self.broken & set(names)


class Places(Protocol):
    """The part of sections that says where agents act, and how they are scored."""

    @property
    def evaluation(self) -> Evaluation:
        """How agents are scored."""

    @property
    def environments(self) -> Sequence[EnvironmentSettings]:
        """In their order."""

    def intact(self, *names: str) -> bool:
        """Return whether all of the sections ``names`` could be read."""


def inconsistencies(sections: Sections) -> list[Finding]:
    """Return every contradiction between sections; those that need a section that could not be read are left out."""
    return [
        *_agents(sections),
        *score_ranges(sections),
        *_budget(sections),
        *_schedule(sections),
        *_roles(sections),
        *_hurdle(sections),
        *_statistic(sections),
    ]


def _agents(s: Sections) -> Iterator[Finding]:
    if not s.intact("environment", "learner"):
        return
    if s.learner is not None and not s.environments:
        yield Finding(("environment",), "missing; the learner needs one, such as gymnax:CartPole-v1")
    if s.environments and s.learner is None:
        yield Finding(("learner",), "missing; the environment needs one, such as ppo or dqn")
    if not s.environments and s.learner is None and s.search is None and s.intact("search"):
        yield Finding(("environment",), "missing; an experiment needs an environment and a learner, or a search")


def score_ranges(s: Places) -> Iterator[Finding]:
    """Yield the environments without a range, where there are several."""
    if len(s.environments) < 2 or not s.intact("environment", "evaluation") or s.evaluation.measure == "success":
        return
    for i, choice in enumerate(s.environments):
        if choice.score_range is None:
            message = f"score_range is missing for {choice.id}; with several environments each needs"
            message += " the returns [low, high] that count as 0 and 1"
            yield Finding(("environment", i, "score_range"), message)


def _budget(s: Sections) -> Iterator[Finding]:
    if not s.intact("budget"):
        return
    given = s.budget.model_fields_set
    if s.learner is not None and "env_steps" not in given:
        yield Finding(("budget", "env_steps"), "missing; environment steps of one whole training, such as 100_000")
    if s.search is not None and "trainings" not in given:
        yield Finding(("budget", "trainings"), "missing; how many whole trainings the search may spend, such as 32")
    if s.search is None and s.intact("search") and s.budget.trainings != 1:
        message = "expected 1, as there is no search to spend more"
        yield Finding.refused(("budget", "trainings"), message, s.budget.trainings, "Add 'search' or leave it out")
    crowded = "env_steps" in given and s.evaluation.points > s.budget.env_steps
    if s.learner is not None and s.intact("evaluation") and crowded:
        message = f"expected at most as many as budget.env_steps ({s.budget.env_steps})"
        yield Finding.refused(("evaluation", "points"), message, s.evaluation.points)


def _statistic(s: Sections) -> Iterator[Finding]:
    """Yield that agents are scored on one task somewhere, where the score is a statistic over tasks, or is of success in them."""
    plain = {"tasks": "mean", "measure": "return"}
    field = next((name for name, value in plain.items() if getattr(s.evaluation, name) != value), None)
    if field is None or not s.intact("environment", "evaluation"):
        return
    for choice in s.environments:
        if choice.tasks is None or not (choice.tasks.held_out or choice.tasks.grid or choice.tasks.named):
            message = f"expected {plain[field]}, as agents are scored on one task in {choice.id!r}"
            remedy = "Give it some: tasks: {held_out: 100}, {grid: 10} or {named: [...]}"
            yield Finding.refused(("evaluation", field), message, getattr(s.evaluation, field), remedy)
            return


def _roles(s: Sections) -> Iterator[Finding]:
    if not s.environments or not s.intact("environment"):
        return
    roles = [choice.role for choice in s.environments]
    if "train" not in roles:
        yield Finding(
            ("environment", 0, "role"), "expected at least one environment to train in (role: train)", roles[0]
        )
    for i, role in enumerate(roles):
        if s.search is None and s.intact("search") and role != "train":
            message = "expected train, as there is no search that would keep away from it"
            yield Finding.refused(("environment", i, "role"), message, role)


def _hurdle(s: Sections) -> Iterator[Finding]:
    if s.hurdle is None or not s.intact("hurdle", "environment", "budget"):
        return
    if s.search is None and s.intact("search"):
        yield Finding(("hurdle",), "a hurdle stands in a search. Remove it, or add 'search'", at_key=True)
    train = [choice for choice in s.environments if choice.role == "train"]
    most = s.hurdle.environments
    if most is not None and most > len(train):
        message = f"expected at most as many as there are training environments ({len(train)})"
        yield Finding.refused(("hurdle", "environments"), message, most)
    longest = max((choice.env_steps or s.budget.env_steps for choice in train), default=s.budget.env_steps)
    stop = s.hurdle.env_steps
    if stop is not None and stop >= longest:
        message = f"expected less than a whole training ({longest} env steps)"
        yield Finding.refused(("hurdle", "env_steps"), message, stop)
    if stop is None and most == len(train):
        message = (
            "expected fewer than all training environments, or hurdle.env_steps beside it; else nothing comes after it"
        )
        yield Finding(("hurdle", "environments"), message, most)


def _schedule(s: Sections) -> Iterator[Finding]:
    if s.schedule is None or not s.intact("schedule"):
        return
    if s.search is not None:
        message = "a schedule is replayed, not searched. Remove 'search' or 'schedule'"
        yield Finding(("schedule",), message, at_key=True)
    if s.learner is None and s.intact("learner"):
        yield Finding(("schedule",), "a schedule needs a learner. Add 'learner'", at_key=True)
    if not s.schedule:
        yield Finding.refused(("schedule",), "expected at least one entry {until, hyperparameters}", [])
        return
    for i, (before, after) in enumerate(pairwise(s.schedule), start=1):
        if after.until <= before.until:
            message = f"expected more than the entry before it ({before.until})"
            yield Finding.refused(("schedule", i, "until"), message, after.until)
    last, end = s.schedule[-1].until, s.budget.env_steps
    if s.intact("budget") and "env_steps" in s.budget.model_fields_set and last != end:
        message = f"expected the last entry to end with the budget, at budget.env_steps ({end})"
        yield Finding.refused(("schedule", len(s.schedule) - 1, "until"), message, last)
