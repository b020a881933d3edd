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
from autorl.inner.diary import SAMPLES
from autorl.inner.evaluation import TaskSet
from autorl.studies.kept_policy import guide_of
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
        return any_course(teacher, self.environment, points, self.score_range, self.task, guide_of)


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
    """Return what the record keeps of one training: its held-out tasks, its diary, and levels where tasks are levels.

    ``teacher_env_steps`` are those that the teacher took before the training; ``task_halves`` and ``success_halves`` are ``tasks`` and
    ``successes`` by halves of the attempts. Records of older versions have none of these.
    Where a study's policy guided, the record has ``guide_env_steps`` too: those that trained it, None if they are not known.
    ``levels`` is ``{"played": one list for each interval, "scored": list, "replayed": list}`` of ``{"point": [D], ...}``: some of those
    learned from, drawn at random; and of those that the teacher holds at the end those of the highest scores, and the most replayed.
    """
    diary = outcome.diary
    named = {} if outcome.features is None else {"features": [list(one) for one in outcome.features]}
    counts = () if diary is None else [name for name in diary._fields if name != "levels"]
    return {
        **named,
        "environment": environment,
        "seed": seed,
        "tasks": list(outcome.tasks),
        "successes": list(outcome.successes),
        "task_halves": [list(half) for half in outcome.task_halves],
        "success_halves": [list(half) for half in outcome.success_halves],
        "teacher_env_steps": outcome.teacher_env_steps,
        "diary": None if diary is None else {name: np.asarray(getattr(diary, name)).tolist() for name in counts},
        "levels": _levels(outcome),
    }


def _levels(outcome: Outcome) -> Json | None:
    diary, shelf = outcome.diary, outcome.shelf
    if diary is None or not diary.levels.points.shape[-1]:
        return None
    levels = diary.levels
    played = [
        [
            {"point": _point(levels.points[k, s]), "return": float(levels.returns[k, s])}
            for s in np.flatnonzero(levels.priority[k] > 0)
        ]
        for k in range(len(levels.points))
    ]
    found: Json = {"played": played, "scored": [], "replayed": []}
    held = 0 if shelf is None else int(shelf.size)
    for name, by in (("scored", "scores"), ("replayed", "visits")) if held else ():
        best = np.argsort(-getattr(shelf, by)[:held], kind="stable")[:SAMPLES]
        found[name] = [{"point": _point(shelf.levels[i]), by: float(getattr(shelf, by)[i])} for i in best]
    return found


def _point(values: Any) -> list[float]:
    """Return a point with as many digits as tell levels apart: the record keeps many."""
    return [round(float(x), 4) for x in values]


def _entries(reference: str | Mapping[str, Any]) -> Mapping[str, Any]:
    return {"level": reference} if isinstance(reference, str) else reference
