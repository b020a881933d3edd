"""From the teacher in a candidate to what learners run: its parameters as data, itself as the structure of the program.

In a trial's plan a teacher is plain data, ``{"name": "spdl", "parameters": {...}}``, so that it can be recorded and compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.curricula.control import Control, control
from autorl.curricula.protocol import Feedback, Proposal, Teacher
from autorl.curricula.tasks import TaskSpace
from autorl.curricula.teachers import make_teacher
from autorl.environments.check import reports_success
from autorl.environments.protocol import Environment, Task
from autorl.environments.task_points import BoxPoints, Generated, TaskPoints
from autorl.errors import UsageError


@dataclass(frozen=True)
class TaughtCourse:
    """A teacher in the tasks of an environment (`autorl.inner.course.Course`).

    Returns are told as scores: 0 and 1 at the ends of the environment's score range, themselves where it has none. Values are told on the
    same scale, and value losses in units of the range.

    Attributes:
        parameters: The teacher's, a pytree.
        low: float32 scalar; the return that counts as 0.
        width: float32 scalar; from there to the return that counts as 1.
        teacher: The teacher, over [0, 1]^D.
        points: What points mean.
        reports: Whether the environment reports successes. If not, the score of an episode within [0, 1] is its success.
        control: What a random policy gets, if the teacher is to know; data.
    """

    parameters: Any
    low: Any
    width: Any
    teacher: Teacher[Any]
    points: TaskPoints
    reports: bool
    control: Control | None = None

    @property
    def dimensions(self) -> int:
        """Numbers of a task."""
        return self.points.dimensions

    @property
    def features(self) -> int:
        """Features of a task."""
        return len(self.points.features)

    @property
    def env_steps_before(self) -> int:
        """Env steps taken for it before the training: those of the control policy."""
        return 0 if self.control is None else int(self.control.env_steps)

    @property
    def hears(self) -> frozenset[str]:
        """The channels that the teacher needs."""
        return self.teacher.needs(self.parameters)

    @property
    def of_levels(self) -> bool:
        """Whether tasks are levels that can be drawn."""
        return hasattr(self.points, "text")

    def init(self, key: Array) -> Any:
        """Return the teacher's first state."""
        return self.teacher.init(key, self.parameters)

    def propose(self, state: Any, key: Array, n: int) -> tuple[Array, Array]:
        """Return n points and whether to learn from each."""
        proposal: Proposal = self.teacher.propose(self.parameters, state, key, n)
        return proposal.tasks, proposal.train

    @property
    def hears_starts(self) -> bool:
        """Whether `begun` is to be called."""
        return self.teacher.hears_starts

    def begun(self, state: Any, points: Array, which: Array) -> Any:
        """Return the state after episodes at those of ``points`` [n, D] began that ``which`` [n] says."""
        return self.teacher.begun(self.parameters, state, points, which)

    def update(self, state: Any, points: Array, episodes: Mapping[str, Array]) -> Any:
        """Return the state after n episodes; ``ended`` [n] says which rows are some, all where it is not there."""
        scores = (episodes["returns"] - self.low) / self.width
        successes, rival = episodes["successes"], episodes.get("antagonist_returns")
        feedback = Feedback(
            returns=scores,
            successes=successes if self.reports else jnp.clip(scores, 0.0, 1.0),
            antagonist_returns=None if rival is None else (rival - self.low) / self.width,
            values=(episodes["values"] - self.low) / self.width,
            mean_values=(episodes["mean_values"] - self.low) / self.width,
            positive_value_losses=episodes["positive_value_losses"] / self.width,
            absolute_value_losses=episodes["absolute_value_losses"] / self.width,
        )
        if self.control is not None:
            feedback = feedback._replace(control_returns=(self.control.at(points) - self.low) / self.width)
        return self.teacher.update(
            self.parameters, state, points, feedback, episodes.get("ended"), episodes.get("more", False)
        )

    def task(self, default: Task, point: Array) -> Task:
        """Return ``default`` with what the teacher sets."""
        return self.points.task(default, point)

    def described(self, points: Array) -> Array:
        """Return the features of ``points`` [n, D]."""
        return jax.vmap(self.points.described)(points)


jax.tree_util.register_dataclass(
    TaughtCourse, data_fields=["parameters", "low", "width", "control"], meta_fields=["teacher", "points", "reports"]
)


def teacher_for(name: str, points: TaskPoints) -> Teacher[Any]:
    """Return the teacher called ``name`` over the tasks that ``points`` writes; raise `UnknownNameError` if there is none."""
    d = points.dimensions
    if isinstance(points, BoxPoints):
        return make_teacher(name, TaskSpace.unit(d))
    made = (
        {"generator": points.generate, "generator_settings": len(points.settings)}
        if isinstance(points, Generated)
        else {}
    )
    return make_teacher(name, TaskSpace((0.0,) * d, (1.0,) * d, points.sample, points.edit, **made))  # type: ignore[arg-type]


def make_course(
    choice: Mapping[str, Any],
    environment: Environment,
    points: TaskPoints,
    score_range: tuple[float, float] | None,
    default: Task | None = None,
) -> TaughtCourse:
    """Return the course that ``choice`` (``{name, parameters}``) names, in ``environment``, of whose task ``default`` says the rest.

    Raises:
        UsageError: No such teacher, wrong parameters, or a need of successes where there are none.
    """
    teacher = teacher_for(choice["name"], points)
    parameters = teacher.parameters(choice.get("parameters") or {})
    low, high = score_range or (0.0, 1.0)
    reports = reports_success(environment)
    if "successes" in teacher.needs(parameters) and not reports and score_range is None:
        raise UsageError(
            f"teacher {choice['name']!r} needs successes, which {environment.name!r} does not report; give the environment a "
            "score_range, whose ends then count as 0 and 1"
        )
    known = None
    if "control_returns" in teacher.needs(parameters):
        task = environment.default_task() if default is None else default
        known = control(environment, points, task, parameters.control_tasks, parameters.control_episodes)
    return TaughtCourse(parameters, np.float32(low), np.float32(high - low), teacher, points, reports, known)
