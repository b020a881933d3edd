"""The contract of methods that choose training tasks: a pure fold over rows of the transfer matrix.

There are N tasks. Training a policy on one of them and trying it on all gives a row: its score on each. Afterwards every task is served by
the best policy there is for it, so what counts is the mean over tasks of the greatest score so far (`generalisation`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from autorl.errors import UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trained:
    """What was trained so far. Methods add to it what they learned.

    Attributes:
        chosen: Numbers of the tasks that were trained on, oldest first.
        rows: float [k, N]; row i is the score of the i-th policy on each task.
    """

    chosen: tuple[int, ...]
    rows: Floats

    @property
    def best(self) -> Floats:
        """The greatest score so far on each task, float [N]."""
        best: Floats = self.rows.max(axis=0)
        return best

    def grown(self, task: int, row: Floats) -> Self:
        """Return this with one more policy."""
        return replace(self, chosen=(*self.chosen, task), rows=np.concatenate([self.rows, row[None]]))


class TaskSelection(ABC):
    """One way to choose training tasks. Instances are immutable.

    Attributes:
        tasks: float [N, d], the tasks, in coordinates of about the same scale (numbers of a grid's cells, say).
        seed: Decides all that is drawn.
    """

    name: ClassVar[str]
    """Its name in `autorl.outer.tasks.methods.TASK_METHODS`."""
    chooses: ClassVar[str]
    """What it chooses and by what, in one sentence for people."""
    reference: ClassVar[str]
    """Authors, year and title."""

    def __init__(self, tasks: Sequence[Sequence[float]] | Floats, seed: int) -> None:
        """Prepare a search.

        Raises:
            UsageError: Tasks that are not a table of different points.
        """
        table = np.asarray(tasks, np.float64)
        if table.ndim != 2 or 0 in table.shape or not np.isfinite(table).all():
            raise UsageError(f"tasks: expected a table of finite numbers, [N, d], got shape {list(table.shape)}.")
        if len(np.unique(table, axis=0)) < len(table):
            raise UsageError("tasks: two of them are the same. Remedy: leave out the repeated ones.")
        self.tasks, self.seed = table, seed

    def init(self) -> Trained:
        """Return the state before the first training."""
        return Trained((), np.empty((0, len(self.tasks))))

    def ask(self, state: Trained) -> int:
        """Return the number of the task to train on next. Pure.

        Raises:
            UsageError: Every task has been trained on.
        """
        if len(set(state.chosen)) >= len(self.tasks):
            raise UsageError(f"task selection {self.name!r}: all {len(self.tasks)} tasks have been trained on.")
        return self._ask(state)

    def tell(self, state: Trained, task: int, row: Sequence[float] | Floats) -> Trained:
        """Return the state after a policy trained on ``task`` scored ``row``, float [N], on each task. Pure.

        Raises:
            UsageError: No such task, or a row that is not N finite scores.
        """
        scores = np.asarray(row, np.float64)
        if not 0 <= task < len(self.tasks):
            raise UsageError(f"task: expected 0 to {len(self.tasks) - 1}, got {task!r}.")
        if scores.shape != (len(self.tasks),) or not np.isfinite(scores).all():
            raise UsageError(
                f"row: expected {len(self.tasks)} finite scores, one for each task. Remedy: give a training that failed the worst score."
            )
        return self._learn(state.grown(task, scores))

    @abstractmethod
    def _ask(self, state: Trained) -> int:
        """Return a task that has not been trained on."""

    def _learn(self, state: Trained) -> Trained:
        """Return the state with what the newest row teaches."""
        return state


def generalisation(state: Trained) -> float:
    """Return the mean over tasks of the greatest score so far."""
    return float(state.best.mean())


def first_left(order: NDArray[np.intp], chosen: Sequence[int]) -> int:
    """Return the first task in ``order`` that is not among the ``chosen``."""
    done = set(chosen)
    return next(int(task) for task in order if int(task) not in done)
