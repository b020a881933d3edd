"""The bandit over tasks: when a task is played again, when it is dropped, and how much of the grid that masters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autorl.curricula.arms import CAPACITY, PARENTS, WINDOW, Arms, ArmsState
from autorl.curricula.protocol import Feedback, TaskSpace
from autorl.curricula.toy_grid import ToyGrid
from autorl.keys import derive

SPACE = TaskSpace.unit(1)


def told(returns: dict[float, list[float]], state: ArmsState | None = None) -> ArmsState:
    teacher = Arms(SPACE)
    state = state or teacher.init(0)
    for task, values in returns.items():
        state = teacher.update(state, np.full((len(values), 1), task), Feedback(values))
    return state


def experienced() -> ArmsState:
    """Return a state that knows that returns have no noise."""
    return told({0.9: [step / 100 for step in range(30)]})


def mastered(grid: ToyGrid, episodes: int, batch: int = 1) -> float:
    teacher: Any = Arms(grid.space)
    state, student = teacher.init(0), grid.init()
    for step in range(0, episodes, batch):
        tasks = teacher.propose(state, derive(1, step), batch).tasks
        student, returns = grid.play(student, tasks[None], derive(2, step))
        state = teacher.update(state, tasks, Feedback(returns[0]))
    return float(grid.mastered(student)[0])


def test_a_task_whose_return_rises_is_kept_and_one_that_is_flat_is_dropped_after_two_visits() -> None:
    state = told({0.1: [0.2, 0.21], 0.2: [0.3, 0.3], 0.3: [0.5, 0.4]}, experienced())
    np.testing.assert_allclose(state.points[:, 0], [0.9, 0.1])
    assert state.rising.all()
    assert state.pace == pytest.approx(0.01)
    np.testing.assert_allclose(state.parents[:, 0], [0.9, 0.1])


def test_a_task_that_no_longer_rises_is_dropped_and_remembered() -> None:
    state = told({0.9: [0.29]}, experienced())
    assert len(state.points) == 0
    np.testing.assert_allclose(state.parents[:, 0], [0.9])


def test_rising_tasks_are_played_for_nearly_all_episodes_once_there_are_enough() -> None:
    teacher = Arms(SPACE)
    state = told({0.1: [0.0, 0.01], 0.2: [0.0, 0.01]}, experienced())
    tasks = teacher.propose(state, 1, 400).tasks
    assert np.isclose(tasks, [0.1, 0.2, 0.9]).any(axis=1).mean() > 0.9
    assert {0.1, 0.2, 0.9} <= set(np.round(tasks[:, 0], 9)), "tasks that are as good share a batch"


def test_the_noise_of_returns_is_measured_about_their_trend() -> None:
    rng = np.random.default_rng(0)
    rise = np.arange(2000) * 0.05
    state = told({0.5: list(rise + rng.normal(0, 0.1, 2000))})
    assert (state.squares / state.weight) ** 0.5 == pytest.approx(0.1, rel=0.15)
    assert state.pace == pytest.approx(0.05, rel=0.1)


def test_noise_alone_seldom_counts_as_rising_and_a_slope_within_it_does() -> None:
    rng = np.random.default_rng(0)
    start = told({0.9: list(np.arange(200) * 0.01 + rng.normal(0, 0.05, 200))})
    flat = sum(told({0.1: list(rng.normal(0.5, 0.05, WINDOW))}, start).parents[-1, 0] == 0.1 for _ in range(50))
    slope = np.arange(WINDOW) * 0.01
    steep = sum(told({0.1: list(slope + rng.normal(0, 0.05, WINDOW))}, start).parents[-1, 0] == 0.1 for _ in range(50))
    assert flat <= 15
    assert steep >= 25
    assert steep > 2 * flat


def test_nothing_depends_on_the_scale_of_returns() -> None:
    teacher = Arms(TaskSpace.unit(2))
    seen = []
    for scale, offset in ((1.0, 0.0), (1024.0, -4096.0)):
        grid, state = ToyGrid(cells=4), teacher.init(0)
        student, tasks = grid.init(), []
        for step in range(400):
            tasks.append(teacher.propose(state, derive(1, step), 1).tasks)
            student, returns = grid.play(student, tasks[-1][None], 0)
            # eighths of a power of two are exact at either scale
            state = teacher.update(state, tasks[-1], Feedback(np.round(returns[0] * 100) / 128 * scale + offset))
        seen.append(np.concatenate(tasks))
    np.testing.assert_array_equal(seen[0], seen[1])


def test_the_state_stays_small() -> None:
    teacher, rng = Arms(SPACE), np.random.default_rng(0)
    state = teacher.update(teacher.init(0), rng.random((CAPACITY + 100, 1)), Feedback(rng.random(CAPACITY + 100)))
    assert len(state.points) == CAPACITY
    for step in range(PARENTS + 50):
        state = told({step / 1000: [0.0, 0.01, 0.02, 0.03, 0.03]}, state)
    assert len(state.parents) <= PARENTS


@pytest.mark.parametrize(
    ("grid", "episodes", "batch", "least"),
    [
        (ToyGrid(cells=4), 3200, 1, 95),  # 1,216 are the least that can do it; the ratio is that of the benchmark
        (ToyGrid(cells=4), 3200, 8, 90),
        (ToyGrid(cells=4, irrelevant=3), 3200, 1, 95),
        (ToyGrid(cells=4, noise=0.05), 4000, 1, 60),
    ],
)
def test_most_of_a_small_grid_is_mastered(grid: ToyGrid, episodes: int, batch: int, least: float) -> None:
    assert mastered(grid, episodes, batch) >= least
