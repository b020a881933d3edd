"""What a study's tasks are for the trainings: those that its teacher proposes, and those that agents are examined on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from autorl.curricula.course import TaughtCourse
from autorl.curricula.courses import any_course
from autorl.curricula.starts.course import StartsCourse
from autorl.engine.lanes import Outcome
from autorl.environments.protocol import Environment, Task
from autorl.environments.task_points import TaskPoints, grid_points, has_tasks, held_out_points, task_points, tasks_at
from autorl.environments.tasks import make_task
from autorl.inner.evaluation import TaskSet
from autorl.studies.specification import EnvironmentChoice
from autorl.studies.trial import Json


@dataclass(frozen=True)
class CourseMaker:
    """Makes the courses of one environment of a study.

    Attributes:
        environment: Where.
        ranges: What varies, see `autorl.environments.task_points.task_points`.
        score_range: Returns that count as 0 and 1, if the study says so.
        task: What does not vary; the environment's own if None.
    """

    environment: Environment
    ranges: Mapping[str, Any] | None
    score_range: tuple[float, float] | None
    task: Task | None = None

    @classmethod
    def of(cls, choice: EnvironmentChoice, environment: Environment) -> CourseMaker:
        """Return the maker for an environment of a specification."""
        ranges = None if choice.tasks is None else choice.tasks.vary
        return cls(environment, ranges, choice.score_range, make_task(environment, choice.task))

    @cached_property
    def points(self) -> TaskPoints:
        """How tasks are written. One object: programs are compared by it."""
        return task_points(self.environment, self.ranges)

    def course(self, teacher: Mapping[str, Any]) -> TaughtCourse | StartsCourse:
        """Return the course of ``teacher``, ``{"name": ..., "parameters": {...}}``; raise `UsageError` as `any_course` does."""
        points = self.points if has_tasks(self.environment) else None
        return any_course(teacher, self.environment, points, self.score_range, self.task)


def exam(choice: EnvironmentChoice, environment: Environment, task: Task) -> Task | TaskSet:
    """Return what agents are evaluated on: held-out tasks (host arrays), the same in all phases of a study, or else ``task``."""
    chosen = choice.tasks
    if chosen is None or not (chosen.held_out or chosen.grid or chosen.named):
        return task
    if chosen.named:
        named = [make_task(environment, {**choice.task, **_entries(one)}) for one in chosen.named]
        return TaskSet(jax.tree.map(lambda *leaves: np.stack([np.asarray(x) for x in leaves]), *named))
    points = task_points(environment, chosen.vary)
    if chosen.grid:
        return TaskSet(tasks_at(points, task, grid_points(points, chosen.grid)))
    assert chosen.held_out is not None
    return TaskSet(tasks_at(points, task, held_out_points(points, chosen.held_out, chosen.seed)))


def lesson_of(outcome: Outcome, environment: int, seed: int) -> Json:
    """Return what the record keeps of one training: its held-out tasks, and its diary."""
    diary = outcome.diary
    named = {} if outcome.features is None else {"features": [list(one) for one in outcome.features]}
    return {
        **named,
        "environment": environment,
        "seed": seed,
        "tasks": list(outcome.tasks),
        "successes": list(outcome.successes),
        "diary": None if diary is None else {name: np.asarray(x).tolist() for name, x in diary._asdict().items()},
    }


def _entries(reference: str | Mapping[str, Any]) -> Mapping[str, Any]:
    return {"level": reference} if isinstance(reference, str) else reference
