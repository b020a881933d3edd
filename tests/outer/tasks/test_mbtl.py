"""Choosing training tasks: the model by itself, and on transfer matrices whose best choices are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from autorl.errors import UnknownNameError, UsageError
from autorl.outer.tasks.gaussian_process import GaussianProcess
from autorl.outer.tasks.methods import TASK_METHODS
from autorl.outer.tasks.protocol import TaskSelection, Trained, generalisation
from autorl.outer.tasks.transfer import is_mountain, losses, sides, slopes

GRID = np.stack(np.meshgrid(np.arange(5), np.arange(5), indexing="ij"), axis=-1).reshape(-1, 2).astype(float)
L1 = np.abs(GRID[:, None] - GRID[None]).sum(axis=-1)


def play(method: TaskSelection, matrix: np.ndarray, policies: int) -> Trained:
    state = method.init()
    for _ in range(policies):
        task = method.ask(state)
        assert method.ask(state) == task
        state = method.tell(state, task, matrix[task])
    return state


def make(name: str, tasks: np.ndarray = GRID, seed: int = 0) -> TaskSelection:
    return TASK_METHODS.load(name)(tasks, seed)


def test_the_likelihood_and_its_slope_agree_with_scipy() -> None:
    rng = np.random.default_rng(0)
    points, values, raw = rng.random((12, 3)) * 3, rng.random(12), rng.normal(size=4)
    process = GaussianProcess(raw)
    squares = ((points[:, None] - points[None]) ** 2).sum(axis=-1)
    loss, slope = process._loss(squares, values)
    covariance = process.scale * np.exp(-squares / 2 / process.length**2) + process.noise * np.eye(12)
    law = multivariate_normal(np.full(12, process.mean), covariance)
    assert loss == pytest.approx(-law.logpdf(values) / 12)
    for i, unit in enumerate(1e-5 * np.eye(4)):
        up, down = (GaussianProcess(raw + sign * unit)._loss(squares, values)[0] for sign in (1, -1))
        assert slope[i] == pytest.approx((up - down) / 2e-5, rel=1e-4)


def test_a_fitted_process_predicts_a_smooth_function() -> None:
    points = np.linspace(0, 6, 12)[:, None]
    process = GaussianProcess().fitted(points, np.sin(points[:, 0]))
    at = np.array([[1.3], [4.1], [60.0]])
    means, deviations = process.predict(points, np.sin(points[:, 0]), at)
    assert means[:2] == pytest.approx(np.sin(at[:2, 0]), abs=0.05)
    assert deviations[2] > 5 * deviations[:2].max(), "far away nothing is known"
    assert means[2] == pytest.approx(process.mean, abs=1e-6)


def test_slopes_are_recovered_and_losses_are_their_sums() -> None:
    true = np.array([-1.0, 2.0, 3.0, -0.5])
    chosen = [0, 7, 24, 13]
    rows = 5.0 + sides(GRID[chosen], GRID) @ true
    assert slopes(GRID, chosen, rows) == pytest.approx(true)
    assert losses(GRID, true) == pytest.approx(-(sides(GRID, GRID) @ true))


@pytest.mark.parametrize(
    ("matrix", "mountain"),
    [
        (-L1, True),
        (-L1 + 2 * GRID.sum(axis=1), True),  # what all policies score on a task says nothing about training tasks
        (-L1 + 4 * GRID.sum(axis=1)[:, None], False),
        (sides(GRID, GRID) @ np.array([1.0, 1.0, 1.0, 1.0]), False),
    ],
    ids=["equal mountains", "easy targets", "a better source", "one slope"],
)
def test_mountains_are_told_from_other_landscapes(matrix: np.ndarray, mountain: bool) -> None:
    chosen = [12, 3, 20, 8, 16, 23]
    noise = np.random.default_rng(0).normal(0, 0.2, (6, 25))
    assert is_mountain(GRID, chosen, matrix[chosen] + noise) == mountain


@pytest.mark.parametrize("name", ["m_mbtl", "mgp_mbtl"])
def test_clusters_spread_over_a_line_as_they_should(name: str) -> None:
    line = np.arange(9.0)[:, None]
    state = play(make(name, line), -np.abs(line - line.T), 3)
    assert state.chosen[0] == 4
    assert set(state.chosen) == {1, 4, 7}, "the three medians of nine points"


@pytest.mark.parametrize("name", ["gp_mbtl", "mgp_mbtl"])
def test_the_best_source_is_found_where_there_is_one(name: str) -> None:
    matrix = 0.5 - 0.02 * L1 + 0.08 * GRID.sum(axis=1)[:, None]  # the last corner serves all best
    state = play(make(name), matrix, 8)
    assert 24 in state.chosen
    assert generalisation(state) == pytest.approx(matrix[24].mean())
    assert GRID[list(state.chosen[-2:])].sum(axis=1).min() >= 6, "once the slope is seen, its upper end is looked at"


def test_mountain_and_process_change_places_with_what_is_seen() -> None:
    method = make("mgp_mbtl")
    flat = play(method, 0.5 - 0.05 * L1, 8)
    steep = play(method, 0.5 - 0.02 * L1 + 0.08 * GRID.sum(axis=1)[:, None], 8)
    assert flat.mountain
    assert not steep.mountain
    assert flat.chosen[:6] == steep.chosen[:6], "structure is looked for from the sixth policy on"
    assert flat.chosen == play(make("m_mbtl"), 0.5 - 0.05 * L1, 8).chosen


@pytest.mark.parametrize("name", list(TASK_METHODS))
def test_choices_are_a_pure_function_of_seed_and_rows(name: str) -> None:
    matrix = np.random.default_rng(1).random((25, 25))
    first, again = play(make(name), matrix, 9), play(make(name), matrix, 9)
    assert first.chosen == again.chosen
    assert len(set(first.chosen)) == 9
    method = make(name)
    before = method.init()
    method.tell(before, 3, matrix[3])
    assert before.chosen == ()


def test_random_goes_through_all_tasks_and_then_stops() -> None:
    method, matrix = make("random"), np.zeros((25, 25))
    state = play(method, matrix, 25)
    assert sorted(state.chosen) == list(range(25))
    assert make("random", seed=1).ask(method.init()) != method.ask(method.init())
    with pytest.raises(UsageError, match="all 25 tasks"):
        method.ask(state)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(UsageError, match="two of them are the same"):
        make("gp_mbtl", np.zeros((2, 2)))
    with pytest.raises(UsageError, match=r"\[N, d\]"):
        make("gp_mbtl", np.zeros(3))
    method = make("gp_mbtl")
    with pytest.raises(UsageError, match="25 finite scores"):
        method.tell(method.init(), 0, np.full(25, np.nan))
    with pytest.raises(UsageError, match="0 to 24"):
        method.tell(method.init(), 25, np.zeros(25))
    with pytest.raises(UnknownNameError):
        TASK_METHODS.load("mbtl")
