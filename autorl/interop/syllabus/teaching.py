"""The doors to teachers in Syllabus, behind which Syllabus is imported."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from autorl.curricula.teachers import make_teacher
from autorl.environments.task_box import TaskBox
from autorl.errors import MissingDependencyError, UsageError
from autorl.interop.syllabus.spaces import task_space_of
from autorl.interop.tutor import Tutor

_HEARD = frozenset({"returns", "successes"})
"""What Syllabus tells a curriculum of an episode."""


def teacher_curriculum(
    task_space: Any,
    teacher: str = "arms",
    parameters: Mapping[str, Any] | None = None,
    *,
    score_range: tuple[float, float] = (0.0, 1.0),
    signal: Literal["return", "progress"] = "return",
    seed: int = 0,
    learn_from_all: bool = False,
    **options: Any,
) -> Any:
    """Return a ``Curriculum`` of Syllabus that asks a teacher of ours, for `make_multiprocessing_curriculum` or one's own loop.

    Start its processes by "spawn", or before this is called: JAX, in which the teacher runs, does not survive a fork.

    Args:
        task_space: A ``BoxTaskSpace``, ``DiscreteTaskSpace``, ``MultiDiscreteTaskSpace`` or ``TupleTaskSpace`` of Syllabus.
        teacher: Its name.
        parameters: Its parameters, where they differ from the defaults.
        score_range: Returns (or progress) that count as 0 and 1.
        signal: What of an episode the teacher takes for its return; its success is always the progress.
        seed: Of the teacher.
        learn_from_all: Take teachers, too, that play episodes which the agent should not learn from.
        options: Of Syllabus's ``Curriculum``: random_start_tasks, task_names, record_stats.

    Raises:
        MissingDependencyError: Syllabus is not installed.
        UsageError: A space that is none of these; an unknown teacher or parameter, a wrong range or signal; a teacher that needs what
            Syllabus does not tell, or that must not be learned from always.
    """
    if signal not in ("return", "progress"):
        raise UsageError(f"signal: expected 'return' or 'progress', got {signal!r}")
    module = _syllabus()
    made = make_teacher(teacher, task_space_of(task_space))
    tutor = Tutor(made, parameters, score_range=score_range, seed=seed, told=_HEARD, where="Syllabus")
    if tutor.looks and not learn_from_all:
        raise module.only_looked_at(teacher)
    return module.TeacherCurriculum(task_space, tutor, signal, learn_from_all, **options)


def box_task_space(box: TaskBox) -> Any:
    """Return a ``BoxTaskSpace`` of Syllabus over the ranges of ``box``, such as `autorl.environments.task_box.task_space` returns.

    Raises:
        MissingDependencyError: Syllabus is not installed.
    """
    _syllabus()
    from gymnasium.spaces import Box
    from syllabus.task_space import BoxTaskSpace

    return BoxTaskSpace(Box(np.asarray(box.low, np.float32), np.asarray(box.high, np.float32)))


def _syllabus() -> Any:
    """Return `autorl.interop.syllabus.curriculum`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it imports
            from autorl.interop.syllabus import curriculum
    except ImportError as error:
        raise MissingDependencyError(f"Syllabus is not installed ({error}). Remedy: pip install syllabus-rl") from error
    return curriculum
