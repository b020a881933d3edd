"""The toy grid's rules, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from autorl.curricula.toy_grid import GridState, ToyGrid
from autorl.errors import UsageError


def centre(*cell: int, cells: int = 10) -> list[float]:
    return [(index + 0.5) / cells for index in cell]


def visit(grid: ToyGrid, state: GridState, task: list[float], times: int) -> tuple[GridState, np.ndarray]:
    after, returns = grid.play(state, np.tile(task, (1, times, 1)), 0)
    return after, returns[0]


def test_only_the_cell_at_the_origin_can_be_learned_at_first() -> None:
    grid = ToyGrid()
    state, returns = visit(grid, grid.init(), centre(0, 0), 3)
    np.testing.assert_allclose(returns, [0.01, 0.02, 0.03])
    for cell in [(0, 1), (1, 0), (1, 1), (9, 9)]:
        assert visit(grid, state, centre(*cell), 200)[1].max() == 0


def test_a_cell_unlocks_its_three_successors_at_75_and_no_others() -> None:
    grid = ToyGrid()
    below, _ = visit(grid, grid.init(), centre(0, 0), 74)
    assert visit(grid, below, centre(1, 1), 1)[1] == 0
    state, _ = visit(grid, below, centre(0, 0), 1)
    for cell in [(0, 1), (1, 0), (1, 1)]:
        assert visit(grid, state, centre(*cell), 1)[1] == 0.01
    for cell in [(0, 2), (2, 0), (2, 1), (2, 2)]:
        assert visit(grid, state, centre(*cell), 1)[1] == 0


def test_a_cell_never_unlocks_those_before_it() -> None:
    grid = ToyGrid()
    competence = grid.init().competence.copy()
    competence[0, 11] = 80  # cell (1, 1)
    state = GridState(competence)
    for cell in [(0, 1), (1, 0)]:
        assert visit(grid, state, centre(*cell), 1)[1] == 0
    assert visit(grid, state, centre(1, 2), 1)[1] == 0.01


def test_mastered_needs_76_and_competence_ends_at_100() -> None:
    grid = ToyGrid()
    state, _ = visit(grid, grid.init(), centre(0, 0), 75)
    assert grid.mastered(state) == 0
    state, _ = visit(grid, state, centre(0, 0), 1)
    assert grid.mastered(state) == 1.0  # one of 100 cells
    state, returns = visit(grid, state, centre(0, 0), 50)
    assert returns[-1] == 1.0
    assert state.competence.max() == 100


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_76_episodes_a_cell_master_everything(dimensions: int) -> None:
    grid = ToyGrid(dimensions, cells=4)
    order = [centre(*index, cells=4) for index in np.ndindex(*(4,) * dimensions)]
    tasks = np.repeat(order, 76, axis=0)[None]
    state, _ = grid.play(grid.init(), tasks, 0)
    assert grid.mastered(state) == 100.0
    short, _ = grid.play(grid.init(), tasks[:, :-1], 0)
    assert grid.mastered(short) < 100.0


def test_cells_of_tasks_on_edges() -> None:
    grid = ToyGrid()
    tasks = np.array([[0.0, 0.0], [0.1, 0.0], [0.05, 0.3], [1.0, 1.0], [0.999, 0.0]])
    np.testing.assert_array_equal(grid.cell_of(tasks), [0, 10, 3, 99, 90])


def test_irrelevant_dimensions_change_nothing() -> None:
    rng = np.random.default_rng(0)
    tasks = rng.random((1, 3000, 4)) * 0.3
    plain, padded = ToyGrid(), ToyGrid(irrelevant=2)
    assert padded.space.dimensions == 4
    np.testing.assert_array_equal(
        plain.play(plain.init(), tasks[..., :2], 0)[1], padded.play(padded.init(), tasks, 0)[1]
    )


def test_students_do_not_disturb_each_other_and_states_are_not_changed() -> None:
    grid = ToyGrid(cells=3)
    tasks = np.random.default_rng(0).random((5, 2000, 2))
    start = grid.init(5)
    together, returns = grid.play(start, tasks, 0)
    assert start.competence[:, :9].sum() == 0
    for i in range(5):
        alone, own = grid.play(grid.init(), tasks[i : i + 1], 0)
        np.testing.assert_array_equal(alone.competence[0], together.competence[i])
        np.testing.assert_array_equal(own[0], returns[i])


def test_noise_is_on_returns_only_and_follows_the_key() -> None:
    plain, noisy = ToyGrid(), ToyGrid(noise=0.05)
    tasks = np.tile(centre(0, 0), (1, 100, 1))
    clean_state, clean = plain.play(plain.init(), tasks, 1)
    state, returns = noisy.play(noisy.init(), tasks, 1)
    np.testing.assert_array_equal(state.competence, clean_state.competence)
    assert 0.035 < (returns - clean)[0, 20:80].std() < 0.065
    assert (returns >= 0).all()
    assert (returns <= 1).all()
    np.testing.assert_array_equal(returns, noisy.play(noisy.init(), tasks, 1)[1])
    assert not np.array_equal(returns, noisy.play(noisy.init(), tasks, 2)[1])


def test_a_student_that_forgets_loses_what_it_does_not_visit() -> None:
    grid = ToyGrid(forgetting=0.1)
    competence = grid.init().competence.copy()
    competence[0, [0, 50]] = 100
    state, _ = visit(grid, GridState(competence), centre(0, 0), 300)
    assert state.competence[0, 0] == 100
    assert 55 < state.competence[0, 50] < 85  # 30 of 100 lost on average
    assert state.competence[0, -1] == 100


@pytest.mark.parametrize(
    "settings", [{"dimensions": 0}, {"irrelevant": -1}, {"cells": 0}, {"noise": -0.1}, {"forgetting": 1.5}]
)
def test_wrong_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"toy grid: {next(iter(settings))}"):
        ToyGrid(**settings)  # type: ignore[arg-type]


def test_tasks_outside_the_box_are_refused() -> None:
    with pytest.raises(UsageError, match=r"expected points of \[0, 1\]\^2"):
        ToyGrid().cell_of(np.array([[0.5, 1.1]]))
