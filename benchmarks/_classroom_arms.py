"""Two ways of Meta-ACL's classroom beside the teachers: a curriculum handed on (AGAIN), and tasks planned on copies of the student (RHEA).

Both test the student, which the teachers do not. A test is an episode in each cell that teaches nothing, and it is on the ledger: what
tests and copies take is not there for the student.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from numpy.typing import NDArray

from autorl.curricula.classroom import Expert, nearest_expert
from autorl.curricula.classroom_toy import UNLOCKS
from autorl.outer.tasks.rolling_horizon import RollingHorizon

Ints = NDArray[np.int64]
FIT_RATE = 250
"""Of ALP-GMM as published; an expert is what it fitted."""
CLASSROOM_SEED = 4
"""Of those who were taught before: other draws than those of the students who are compared."""


class Lesson(Protocol):
    """Some students who are being taught side by side, see ``classroom.Lesson``."""

    state: Any

    def play(self, last: int) -> None:
        """Go on to that episode."""

    def set(self, values: list[dict[str, Any]]) -> None:
        """Give each student's teacher its parameters."""

    @property
    def skills(self) -> NDArray[Any]:
        """What each student can do, by task."""


class Elders(NamedTuple):
    """Those who were taught by ALP-GMM before.

    Attributes:
        experts: Their curricula.
        vectors: float [S, cells^2], what they could do after the pretraining.
        scores: float [S], what they could do at the end, summed over tasks.
    """

    experts: tuple[Expert, ...]
    vectors: NDArray[Any]
    scores: NDArray[Any]

    @classmethod
    def of(cls, lessons: Sequence[Lesson], sizes: Sequence[int], pretrain: int, episodes: int) -> Elders:
        """Teach them: ``sizes`` of each of the ``lessons`` count, the others fill up a program."""
        experts: list[Expert] = []
        vectors: list[NDArray[Any]] = []
        scores: list[float] = []
        for lesson, size in zip(lessons, sizes, strict=True):
            fits = []
            for last in sorted({*range(FIT_RATE, episodes + 1, FIT_RATE), pretrain, episodes}):
                lesson.play(last)
                if last == pretrain:
                    vectors += list(lesson.skills[:size])
                if last % FIT_RATE == 0:
                    fits.append(jax.tree.map(np.asarray, lesson.state[0].mixture))
            scores += list(lesson.skills.sum(axis=1)[:size])
            points, returns = (np.asarray(part) for part in lesson.state[2:])
            for i in range(size):
                own = [jax.tree.map(lambda leaf, i=i: leaf[i], fit) for fit in fits]
                experts.append(Expert.of(own, points[i], returns[i], stages=len(fits)))
        return cls(tuple(experts), np.array(vectors), np.array(scores))


def handed_on(lesson: Lesson, elders: Elders, values: dict[str, Any], episodes: int) -> None:
    """Teach the students of ``lesson`` as AGAIN does: ALP-GMM, a test, then the curriculum of the elder who is most like the student."""
    lesson.play(values["pretrain"])
    tested = lesson.skills
    chosen = [elders.experts[nearest_expert(one, elders.vectors, elders.scores)] for one in tested]
    lesson.set([{**values, **expert.parameters()} for expert in chosen])
    lesson.play(episodes - tested.shape[1])


def room(episodes: int) -> dict[str, Any]:
    """Return an expert with room for the stages of others, which AGAIN has before it knows one."""
    stages, components = episodes // FIT_RATE, 10
    shapes = {"means": (2,), "roots": (2, 2), "progress": ()}
    empty = {name: np.zeros((stages, components, *shape), np.float32) for name, shape in shapes.items()}
    return {**empty, "thresholds": np.zeros(stages, np.float32), "stages": stages, "max_components": components}


class Pupil(NamedTuple):
    """A student of the classroom and the episodes taken by it and its copies.

    Attributes:
        first: The cell that is always unlocked.
        competence: int [cells, cells].
        spent: Episodes on the ledger.
    """

    first: tuple[int, int]
    competence: Ints
    spent: int = 0

    def lesson(self, cell: int, length: int) -> Pupil:
        """Return the pupil after ``length`` episodes in a cell (`autorl.curricula.classroom_toy.episode`, many at once)."""
        side = len(self.competence)
        row, column = divmod(cell, side)
        beside = [(row - 1, column), (row, column - 1), (row + 1, column), (row, column + 1)]
        opened = any(self.competence[i, j] >= UNLOCKS for i, j in beside if 0 <= i < side and 0 <= j < side)
        after = self.competence
        if opened or (row, column) == self.first:
            after = after.copy()
            after[row, column] = min(100, after[row, column] + length)
        return self._replace(competence=after, spent=self.spent + length)

    @property
    def mastered(self) -> float:
        """The per cent of cells that are mastered."""
        return 100.0 * float((self.competence > UNLOCKS).mean())


def planned(pupil: Pupil, values: dict[str, Any], episodes: int, seed: int) -> Pupil:
    """Return the pupil after a curriculum by rolling-horizon evolution: cells are tasks, a lesson is some episodes in one.

    A plan is judged by a copy: after each of its lessons the copy is tested, and scores its mean return over all cells. Planning ends
    where the next commitment would cost more than is left; what is left goes to the committed plan's last cell.

    Args:
        pupil: Who learns.
        values: ``lesson``, the episodes of one; ``free``, whether what copies take is not counted; the rest are
            `RollingHorizon`'s settings.
        episodes: On the ledger at the end, at most.
        seed: Of the evolution.
    """
    settings = {name: value for name, value in values.items() if name not in ("lesson", "free")}
    length, free = values["lesson"], values.get("free", False)
    method = RollingHorizon(pupil.competence.size, **settings, seed=seed)
    judging = method.population * method.horizon * (length + pupil.competence.size)
    state = method.init()
    while pupil.spent + length + (0 if free else judging * method.generations) <= episodes:
        before = len(state.committed)
        while len(state.committed) == before:
            state = method.tell(state, [_scores(pupil, plan, length) for plan in state.population])
            pupil = pupil._replace(spent=pupil.spent + (0 if free else judging))
        pupil = pupil.lesson(state.committed[-1], length)
    return pupil.lesson(state.committed[-1], episodes - pupil.spent) if state.committed else pupil


def _scores(pupil: Pupil, plan: Sequence[int], length: int) -> list[float]:
    found = []
    for cell in plan:
        pupil = pupil.lesson(cell, length)
        found.append(float(pupil.competence.mean()) / 100)
    return found
