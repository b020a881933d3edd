"""The door to teachers in CARL, behind which CARL is imported."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from autorl.curricula.tasks import TaskSpace
from autorl.curricula.teachers import make_teacher
from autorl.environments.protocol import Environment
from autorl.environments.task_box import TaskBox, task_space
from autorl.errors import MissingDependencyError
from autorl.interop.carl.names import counterpart
from autorl.interop.tutor import Tutor


def teacher_selector(
    environment: str | Environment,
    teacher: str = "arms",
    parameters: Mapping[str, Any] | None = None,
    *,
    vary: TaskBox | Mapping[str, Any] | None = None,
    score_range: tuple[float, float],
    seed: int = 0,
) -> Any:
    """Return a context selector of CARL that asks a teacher: ``CARLCartPole(context_selector=teacher_selector(...))``.

    The teacher is to be told of every episode: by its method ``ended(episode_return)``, or by wrapping the environment in `told`.

    Args:
        environment: ``contextual:NAME``, ours of the same features.
        teacher: Its name.
        parameters: Its parameters, where they differ from the defaults.
        vary: What varies, as in experiments: dimension -> [low, high] or None for its own range; or a box (`box_from_space`). All if None.
        score_range: Returns that count as 0 and 1.
        seed: Of the teacher.

    Raises:
        MissingDependencyError: CARL is not installed.
        UsageError: An environment that CARL does not have, an unknown dimension, teacher or parameter, or a range that is none.
    """
    made, _ = counterpart(environment)
    box = vary if isinstance(vary, TaskBox) else task_space(made)
    box = box if vary is None or isinstance(vary, TaskBox) else box.only(vary)
    module = _selectors()
    tutor = Tutor(make_teacher(teacher, TaskSpace.unit(len(box.names))), parameters, score_range=score_range, seed=seed)
    return module.TeacherSelector(made, box, tutor)


def told(environment: Any) -> Any:
    """Return CARL's ``environment``, made with a `teacher_selector`, such that the teacher is told of every episode.

    Raises:
        MissingDependencyError: CARL is not installed.
        UsageError: It has another selector.
    """
    return _selectors().Told(environment)


def _selectors() -> Any:
    """Return `autorl.interop.carl.selector`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each suite of CARL that is not installed
            from autorl.interop.carl import selector
    except ImportError as error:
        # its requirement gymnasium<1.0 excludes gymnax, which it works with all the same (carl-bench 1.1.1, gymnasium 1.3)
        raise MissingDependencyError(
            f"CARL is not installed ({error}). Remedy: pip install ConfigSpace omegaconf pygame && pip install --no-deps carl-bench"
        ) from error
    return selector
