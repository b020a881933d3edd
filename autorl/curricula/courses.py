"""Courses of all teachers: of those that set tasks, and of those that set where episodes start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autorl.curricula.course import TaughtCourse, make_course, teacher_for
from autorl.curricula.protocol import Teacher
from autorl.curricula.starts.course import StartsCourse, make_starts_course, starter_for
from autorl.curricula.starts.guide import Guides, guides_of_modules
from autorl.curricula.starts.protocol import Starter
from autorl.curricula.teachers import STARTERS
from autorl.environments.protocol import Environment, Task
from autorl.environments.task_points import TaskPoints, task_points
from autorl.errors import UsageError


def any_teacher(name: str, environment: Environment, points: TaskPoints | None) -> Teacher[Any] | Starter[Any]:
    """Return the teacher called ``name`` in ``environment``.

    Raises:
        UnknownNameError: There is none.
        UsageError: It sets tasks, of which the environment has none (``points`` is None).
    """
    if name in STARTERS:
        return starter_for(name, environment, points)
    return teacher_for(name, task_points(environment) if points is None else points)


def any_course(
    choice: Mapping[str, Any],
    environment: Environment,
    points: TaskPoints | None,
    score_range: tuple[float, float] | None,
    default: Task | None = None,
    guides: Guides = guides_of_modules,
) -> TaughtCourse | StartsCourse:
    """Return the course that ``choice`` (``{name, parameters}``) names, in ``environment``.

    Args:
        choice: As in a trial's plan.
        environment: Where.
        points: How its tasks are written; None where they do not vary.
        score_range: Returns that count as 0 and 1.
        default: What the points do not say of a task; the environment's own if None.
        guides: Finds the guide that a teacher's parameters name.

    Raises:
        UsageError: As `any_teacher`; wrong parameters, or a need that cannot be met there.
    """
    course: TaughtCourse | StartsCourse
    if choice["name"] in STARTERS:
        course = make_starts_course(choice, environment, points, score_range, default, guides)
    else:
        known = task_points(environment) if points is None else points
        course = make_course(choice, environment, known, score_range, default)
    if score_range is None:
        _check_scale(course.teacher, choice.get("parameters") or {})
    return course


def _check_scale(teacher: Teacher[Any] | Starter[Any], given: Mapping[str, Any]) -> None:
    """Raise `UsageError` where parameters are scores, and nobody says which returns count as 0 and 1."""
    fields = teacher.Parameters.__dataclass_fields__
    shares = [name for name in teacher.scores if fields[name].metadata["high"] is not None]
    unsaid = [name for name in teacher.scores if name not in given or name in shares]
    if not unsaid:
        return
    names = " and ".join(unsaid)
    own = "which are" if shares else "whose defaults are for"
    remedy = "" if shares else f", or give {names} in units of its returns"
    raise UsageError(
        f"teacher {teacher.name!r} compares returns with {names}, {own} scores from 0 to 1; give the environment a score_range, whose ends "
        f"then count as 0 and 1{remedy}"
    )


def agent_steps(course: TaughtCourse | StartsCourse, horizon: int) -> int:
    """Return the env steps that a training of ``horizon`` leaves to the agent: all but those taken for the teacher before it.

    Raises:
        UsageError: None is left.
    """
    before = course.env_steps_before
    if before >= horizon:
        raise UsageError(
            f"teacher {course.teacher.name!r}: it takes {before} env steps before the training, which are part of its budget of {horizon}. "
            f"Remedy: a larger budget.env_steps, or fewer {parameters_of_steps(course)} of the teacher."
        )
    return horizon - before


def parameters_of_steps(course: TaughtCourse | StartsCourse) -> str:
    """Return which parameters of the teacher say how many env steps are taken before the training."""
    return "trajectories" if isinstance(course, StartsCourse) else "control_tasks or control_episodes"
