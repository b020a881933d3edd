"""A teacher as a curriculum of Syllabus. Imports Syllabus; made by `autorl.interop.syllabus.teacher_curriculum`."""

from __future__ import annotations

import warnings
from collections import OrderedDict, deque
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from syllabus.core import Curriculum

from autorl.errors import UsageError
from autorl.interop.syllabus.spaces import coding
from autorl.interop.tutor import Tutor

_WAITING: Final = 10_000
"""Tasks under way whose points are remembered."""
_DEAF: Final = 100
"""Reports of progress without any of an episode after which a teacher of returns is said to hear nothing."""
_RECENT: Final = 100
"""Tasks and scores whose mean is logged."""


_DEAF_WARNING: Final = (
    "teacher {name!r} learns from returns, and was told of no episode yet, only of progress in tasks, as Syllabus's wrapper for Ray does: "
    "it learns nothing. Remedy: signal='progress'"
)


class TeacherCurriculum(Curriculum):
    """Samples what a teacher proposes, and tells it of episodes: the return as its return, Syllabus's progress as its success.

    Args:
        task_space: Syllabus's.
        tutor: The teacher, over `autorl.interop.syllabus.spaces.task_space_of` it.
        signal: What of an episode the teacher takes for its return: ``return`` or ``progress``.
        learn_from_all: Whether also what the agent should not learn from is sampled.
        options: Of Syllabus's ``Curriculum``: random_start_tasks, task_names, record_stats.
    """

    def __init__(
        self,
        task_space: Any,
        tutor: Tutor,
        signal: Literal["return", "progress"],
        learn_from_all: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(task_space, **options)
        self.tutor, self.signal, self.learn_from_all = tutor, signal, learn_from_all
        self._coding = coding(task_space)
        # where a task is a choice, it stands for many points; the teacher is told of the one that it proposed
        self._proposed: OrderedDict[Any, deque[NDArray[np.float32]]] = OrderedDict()
        self._recent: deque[NDArray[np.float32]] = deque(maxlen=_RECENT)
        self._ended: dict[int | None, Any] = {}
        self._unheard = 0

    def sample(self, k: int = 1) -> list[Any]:
        """Return k encoded tasks.

        Raises:
            UsageError: One is not to be learned from, and ``learn_from_all`` is not set.
        """
        if self._should_use_startup_sampling():
            return [*self._startup_sample(k)]
        points, learn = self.tutor.ask(k)
        if not (self.learn_from_all or learn.all()):
            raise only_looked_at(self.tutor.teacher.name)
        tasks = [self._coding.encode(np.asarray(point, float)) for point in points]
        self._recent.extend(points)
        if any(self._coding.counts):
            for task, point in zip(tasks, points, strict=True):
                self._proposed.setdefault(_key(task), deque(maxlen=_WAITING)).append(point)
            while len(self._proposed) > _WAITING:
                self._proposed.popitem(last=False)
        return tasks

    def update_on_episode(
        self, episode_return: float, length: int, task: Any, progress: float | bool, env_id: int | None = None
    ) -> None:
        """Tell the teacher of an episode that ended in the encoded ``task``."""
        super().update_on_episode(episode_return, length, task, progress, env_id=env_id)
        self.completed_tasks += 1
        self._ended[env_id], self._unheard = _key(task), -1
        self._tell(task, episode_return if self.signal == "return" else progress, progress)

    def update_task_progress(self, task: Any, progress: float | bool, env_id: int | None = None) -> None:
        """Tell the teacher of a task that ended before its episode did, whose return nobody knows."""
        super().update_task_progress(task, progress, env_id=env_id)
        # a task that is completed by the last step of an episode is reported once more, by both
        if self._ended.pop(env_id, None) == _key(task):
            return
        known = self.signal == "progress" or "returns" not in self.tutor.needs
        if not known and self._unheard >= 0:
            self._unheard += 1
            if self._unheard == _DEAF:
                warnings.warn(_DEAF_WARNING.format(name=self.tutor.teacher.name), stacklevel=2)
        self._tell(task, progress if known else float("nan"), progress)

    def log_metrics(self, writer: Any, logs: Any, step: int | None = None, log_n_tasks: int = -1) -> list[Any]:
        """Write the mean of each coordinate of the latest tasks, in the place of probabilities, which a teacher need not have."""
        rows = list(logs or [])
        if self.stat_recorder is not None:
            rows += self.stat_recorder.get_metrics(log_n_tasks=log_n_tasks)
        if self._recent:
            means = np.mean(np.stack(self._recent), axis=0)
            rows += [(f"curriculum/mean_task_{i}", float(mean)) for i, mean in enumerate(means)]
        for name, value in rows:
            if hasattr(writer, "add_scalar"):
                writer.add_scalar(name, value, step)
            else:
                writer.log({name: value})
        return rows

    def _tell(self, task: Any, told: float | bool, progress: float | bool) -> None:
        self.tutor.tell(self._point(task), returns=float(told), successes=float(progress))

    def _point(self, task: Any) -> NDArray[Any]:
        """Return where the teacher proposed ``task``; the middle of what it means, where it did not."""
        waiting = self._proposed.get(_key(task)) if any(self._coding.counts) else None
        if waiting is None:
            return self._coding.decode(task)
        point = waiting.popleft()
        if not waiting:
            del self._proposed[_key(task)]
        return point


def only_looked_at(teacher: str) -> UsageError:
    """Return the error of a teacher whose episodes are not all to be learned from."""
    return UsageError(
        f"teacher {teacher!r} plays episodes that the agent must not learn from, which Syllabus cannot tell its agents. Take another "
        "one (plr for robust_plr), or learn_from_all=True, by which the agent learns from these, too"
    )


def _key(task: Any) -> Any:
    """Return something hashable that stands for an encoded task."""
    if isinstance(task, tuple | list):
        return tuple(map(_key, task))
    return task.tobytes() if isinstance(task, np.ndarray) else int(task)
