"""Where a study's agents learn, and which teachers can teach them there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autorl.errors import UsageError

if TYPE_CHECKING:
    from autorl.curricula.course import TaughtCourse
    from autorl.curricula.starts.course import StartsCourse
    from autorl.environments.task_points import TaskPoints
    from autorl.studies.models import EnvironmentChoice


@dataclass(frozen=True)
class Classroom:
    """An environment of a study, and the learner in it.

    Attributes:
        environment: Itself.
        choice: Its section.
        points: How its tasks are written; None where they do not vary.
        tells: What the learner tells a teacher.
        algorithm: The learner's name.
        env_steps: Of a whole training there; None while they are not known.
    """

    environment: Any
    choice: EnvironmentChoice
    points: TaskPoints | None
    tells: Set[str]
    algorithm: str
    env_steps: int | None

    def course(self, teacher: Mapping[str, Any]) -> TaughtCourse | StartsCourse:
        """Return the course of ``teacher`` (``{name, parameters}``), made as a training makes it.

        Raises:
            UsageError: As `autorl.curricula.courses.any_course`, or it leaves no env step of a training to the agent.
        """
        from autorl.curricula.courses import agent_steps, any_course
        from autorl.environments.tasks import make_task
        from autorl.studies.kept_policy import guide_of

        default = make_task(self.environment, self.choice.task)
        course = any_course(teacher, self.environment, self.points, self.choice.score_range, default, guide_of)
        if self.env_steps is not None:
            agent_steps(course, self.env_steps)
        return course

    def unheard(self, course: TaughtCourse | StartsCourse) -> list[str]:
        """Return what the teacher of ``course`` needs to be told and is not, by learner or course."""
        return sorted(course.teacher.needs(course.parameters) - self.tells - {"control_returns"})

    def unmet(self, course: TaughtCourse | StartsCourse, name: str) -> str | None:
        """Return why the learner cannot learn from ``course``, of the teacher ``name``, and who could teach it; None if it can."""
        missing = self.unheard(course)
        if not missing:
            return None
        message = f"teacher {name!r} needs {', '.join(missing)}, which {self.algorithm} cannot tell it"
        message += "; paired_ppo, two agents in lockstep, can" if missing == ["antagonist_returns"] else ""
        return f"{message}. With their own parameters, these fit: {', '.join(self.fitting())}"

    def fitting(self) -> Iterator[str]:
        """Yield the teachers that can teach here with their own parameters."""
        from autorl.curricula.teachers import ALL_TEACHERS

        for name in ALL_TEACHERS:
            try:
                if not self.unheard(self.course({"name": name, "parameters": {}})):
                    yield name
            except UsageError:  # it needs parameters that have no default, other tasks, or a larger budget
                continue
