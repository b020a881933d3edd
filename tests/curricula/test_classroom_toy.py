"""The classroom against its published source, retold in plain Python; the optimum that can be derived; the two classrooms."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from autorl.curricula.classroom_toy import (
    CELLS,
    Student,
    first_cube_students,
    in_task_space,
    init,
    mastered,
    play,
    rotated_students,
)

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
EPISODES = 4000


class Source:
    """One student of the source: v1 turned by ``turns`` quarter turns, or v2 with the first cell number ``first``."""

    def __init__(self, cells: int, turns: int = 0, first: int | None = None) -> None:
        self.cells, self.turns = cells, turns
        self.first = None if first is None else (first % cells, first // cells)
        self.competence = np.zeros((cells, cells))

    def episode(self, task: np.ndarray) -> float:
        x, y = np.clip(task, 1e-6, 1 - 1e-6)
        for _ in range(self.turns):
            x, y = 0.5 - (y - 0.5), 0.5 + (x - 0.5)
        i, j = int(x * self.cells), int(y * self.cells)
        if self.first is None:
            learns = (i, j) == (0, 0) or self._opened(
                [(i, max(0, j - 1)), (max(0, i - 1), j), (max(0, i - 1), max(0, j - 1))], i, j
            )
        else:
            last = self.cells - 1
            beside = [(max(0, i - 1), j), (min(last, i + 1), j), (i, max(0, j - 1)), (i, min(last, j + 1))]
            learns = (i, j) == self.first or self._opened(beside, i, j)
        if learns:
            self.competence[i, j] = min(self.competence[i, j] + 1, 100)
        return self.competence[i, j] / 100

    def _opened(self, neighbours: list[tuple[int, int]], i: int, j: int) -> bool:
        return any(self.competence[cell] >= 75 for cell in neighbours if cell != (i, j))


def student(students: Student, number: int) -> Student:
    return jax.tree.map(lambda x: x[number], students)


@pytest.fixture(scope="module")
def run():
    return quick_jit(play)


@pytest.mark.parametrize(("kind", "number"), [*(("turned", k) for k in range(4)), ("first", 5), ("first", 12)])
def test_students_learn_as_in_the_source(kind: str, number: int, run) -> None:
    cells = 4
    who, source = {
        "turned": (rotated_students(), Source(cells, turns=number)),
        "first": (first_cube_students(cells), Source(cells, first=number)),
    }[kind]
    who = student(who, number)
    tasks = np.random.default_rng(number).random((EPISODES, 2)).astype(np.float32)
    tasks[:4] = [(0, 0), (1, 1), (0, 1), (1, 0)]
    competence, returns = jax.device_get(run(who, init(cells), tasks))
    np.testing.assert_allclose(returns, [source.episode(task) for task in tasks], atol=1e-6)
    np.testing.assert_array_equal(competence, source.competence)
    assert 20 < mastered(competence) <= 100
    assert competence.max() == 100


def test_a_perfect_teacher_needs_76_episodes_a_cell() -> None:
    """Cell by cell from the first one: all of the 400 are mastered after 30,400 episodes, and none is before its 76th."""
    order = [(i, j) for i in range(CELLS) for j in range(CELLS)]
    tasks = np.repeat((np.array(order, np.float32) + 0.5) / CELLS, 76, axis=0)

    @quick_jit
    def learn(who: Student, tasks: np.ndarray):
        competence, returns = play(who, init(), tasks)
        return mastered(competence), returns

    corner = student(rotated_students(), 0)
    done, returns = learn(corner, tasks)
    assert float(done) == 100.0
    np.testing.assert_allclose(
        np.asarray(returns).reshape(-1, 76), np.tile(np.arange(1, 77) / 100, (400, 1)), rtol=1e-6
    )
    assert float(learn(corner, np.concatenate([tasks[:-1], tasks[:1]]))[0]) == 99.75
    turned, _ = learn(student(rotated_students(), 1), tasks)
    assert (
        float(turned) == 52.5
    )  # its corner is the end of the first row: each row unlocks one cell more, 1 + ... + 20 of 400


def test_the_two_classrooms() -> None:
    turned, first = rotated_students(), first_cube_students()
    assert turned.first.shape == (4, 2)
    assert len({tuple(cell) for cell in np.asarray(first.first).tolist()}) == 400
    assert np.asarray(first.first)[55].tolist() == [15, 2]  # of the source's example

    @quick_jit
    @functools.partial(jax.vmap, in_axes=(0, 0))
    def one_lesson(who: Student, task: jax.Array):
        competence, _ = play(who, init(), task[None])
        return competence, in_task_space(who, competence)

    corners = np.array([(0.01, 0.01), (0.01, 0.99), (0.99, 0.99), (0.99, 0.01)], np.float32)
    competence, seen = jax.device_get(one_lesson(turned, corners))
    assert (competence[:, 0, 0] == 1).all()  # each learns in its own corner of the task space
    for k, (row, column) in enumerate([(0, 0), (0, 19), (19, 19), (19, 0)]):
        assert seen[k, row, column] == 1
        assert seen[k].sum() == 1
    competence, seen = jax.device_get(one_lesson(first, (np.asarray(first.first, np.float32) + 0.5) / CELLS))
    assert (competence.sum(axis=(1, 2)) == 1).all()
    np.testing.assert_array_equal(competence, seen)
