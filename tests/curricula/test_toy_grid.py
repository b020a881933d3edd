"""The toy grid's rules, by hand."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.curricula.toy_grid import ToyGrid
from autorl.errors import UsageError

KEY = jax.random.key(0)


@partial(jax.jit, static_argnums=0)
def play(grid: ToyGrid, state: jax.Array, tasks: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    return grid.play(state, tasks, key)


def centre(*cell: int, cells: int = 10) -> list[float]:
    return [(index + 0.5) / cells for index in cell]


def visit(grid: ToyGrid, state: jax.Array, task: list[float], times: int) -> tuple[jax.Array, np.ndarray]:
    """Visit in batches of 25 and 1, so that two programs serve every test."""
    returns = []
    while times:
        n = 25 if times >= 25 else 1
        state, some = play(grid, state, jnp.tile(jnp.asarray(task), (n, 1)), KEY)
        returns.append(some)
        times -= n
    return state, np.concatenate(returns)


def test_only_the_cell_at_the_origin_can_be_learned_at_first() -> None:
    grid = ToyGrid()
    state, returns = visit(grid, grid.init(), centre(0, 0), 3)
    np.testing.assert_allclose(returns, [0.01, 0.02, 0.03], rtol=1e-6)
    for cell in [(0, 1), (1, 0), (1, 1), (9, 9)]:
        assert visit(grid, state, centre(*cell), 200)[1].max() == 0


def test_a_cell_unlocks_its_three_successors_at_75_and_no_others() -> None:
    grid = ToyGrid()
    below, _ = visit(grid, grid.init(), centre(0, 0), 74)
    assert visit(grid, below, centre(1, 1), 1)[1] == 0
    state, _ = visit(grid, below, centre(0, 0), 1)
    for cell in [(0, 1), (1, 0), (1, 1)]:
        assert visit(grid, state, centre(*cell), 1)[1] == np.float32(0.01)
    for cell in [(0, 2), (2, 0), (2, 1), (2, 2)]:
        assert visit(grid, state, centre(*cell), 1)[1] == 0


def test_a_cell_never_unlocks_those_before_it() -> None:
    grid = ToyGrid()
    state = grid.init().at[11].set(80)  # cell (1, 1)
    for cell in [(0, 1), (1, 0)]:
        assert visit(grid, state, centre(*cell), 1)[1] == 0
    assert visit(grid, state, centre(1, 2), 1)[1] == np.float32(0.01)


def test_mastered_needs_76_and_competence_ends_at_100() -> None:
    grid = ToyGrid()
    state, _ = visit(grid, grid.init(), centre(0, 0), 75)
    assert grid.mastered(state) == 0
    state, _ = visit(grid, state, centre(0, 0), 1)
    assert grid.mastered(state) == 1.0  # one of 100 cells
    state, returns = visit(grid, state, centre(0, 0), 50)
    assert returns[-1] == 1.0
    assert state.max() == 100


@pytest.mark.parametrize("dimensions", [1, 3])
def test_76_episodes_a_cell_master_everything(dimensions: int) -> None:
    grid = ToyGrid(dimensions, cells=4)
    order = [centre(*index, cells=4) for index in np.ndindex(*(4,) * dimensions)]
    tasks = jnp.repeat(jnp.asarray(order), 76, axis=0)
    state, _ = play(grid, grid.init(), tasks.at[-1].set(0.0), KEY)
    assert grid.mastered(state) < 100.0
    state, _ = play(grid, grid.init(), tasks, KEY)
    assert grid.mastered(state) == 100.0


def test_cells_of_tasks_on_edges() -> None:
    tasks = jnp.array([[0.0, 0.0], [0.1, 0.0], [0.05, 0.3], [1.0, 1.0], [0.999, 0.0]])
    np.testing.assert_array_equal(ToyGrid().cell_of(tasks), [0, 10, 3, 99, 90])


def test_irrelevant_dimensions_change_nothing() -> None:
    tasks = jax.random.uniform(KEY, (3000, 4)) * 0.3
    plain, padded = ToyGrid(), ToyGrid(irrelevant=2)
    assert padded.space.dimensions == 4
    np.testing.assert_array_equal(
        play(plain, plain.init(), tasks[:, :2], KEY)[1], play(padded, padded.init(), tasks, KEY)[1]
    )


def test_noise_is_on_returns_only_and_follows_the_key() -> None:
    plain, noisy = ToyGrid(), ToyGrid(noise=0.05)
    tasks = jnp.tile(jnp.asarray(centre(0, 0)), (100, 1))
    clean_state, clean = play(plain, plain.init(), tasks, KEY)
    state, returns = play(noisy, noisy.init(), tasks, KEY)
    np.testing.assert_array_equal(state, clean_state)
    assert 0.035 < (returns - clean)[20:80].std() < 0.065
    assert (returns >= 0).all()
    assert (returns <= 1).all()
    np.testing.assert_array_equal(returns, play(noisy, noisy.init(), tasks, KEY)[1])
    assert not np.array_equal(returns, play(noisy, noisy.init(), tasks, jax.random.key(1))[1])


def test_a_student_that_forgets_loses_what_it_does_not_visit() -> None:
    grid = ToyGrid(forgetting=0.1)
    start = grid.init().at[jnp.array([0, 50])].set(100)
    state, _ = play(grid, start, jnp.tile(jnp.asarray(centre(0, 0)), (300, 1)), KEY)
    assert state[0] == 100
    assert 55 < state[50] < 85  # 30 of 100 lost on average
    assert state[-1] == 100


@pytest.mark.parametrize(
    "settings", [{"dimensions": 0}, {"irrelevant": -1}, {"cells": 0}, {"noise": -0.1}, {"forgetting": 1.5}]
)
def test_wrong_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"toy grid: {next(iter(settings))}"):
        ToyGrid(**settings)  # type: ignore[arg-type]


def test_tasks_of_another_dimension_are_refused() -> None:
    with pytest.raises(UsageError, match=r"expected shape \[..., 2\]"):
        ToyGrid().cell_of(jnp.zeros((4, 3)))
