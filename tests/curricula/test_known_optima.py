"""Each teacher that follows progress, where the right answer is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Pupils = Callable[[str], Any]


def share_where_returns_rise(one: Any, batches: int = 120) -> float:
    """Return the share of the later tasks in the quarter of the box where each episode raises the return; elsewhere it is flat."""
    state, skill, late = one.init(1), 0.0, []
    for step in range(batches):
        tasks = one.propose(state, step).tasks
        inside = (one.unit(tasks) < 0.5).all(axis=1)
        returns = np.where(inside, np.minimum(skill + np.cumsum(inside) / 800, 1.0), 0.4)
        skill = min(1.0, skill + inside.sum() / 800)
        state = one.update(state, tasks, returns=returns)
        if step >= batches // 2:
            late.append(inside.mean())
    return float(np.mean(late))


@pytest.mark.parametrize("name", ["alp_gmm", "covar_gmm", "riac", "arms"])
def test_proposals_gather_where_returns_rise(name: str, pupil: Pupils) -> None:
    assert share_where_returns_rise(pupil(name)) > 0.45  # a quarter, if it were blind


def test_uniform_proposals_stay_uniform(pupil: Pupils) -> None:
    assert share_where_returns_rise(pupil("uniform")) == pytest.approx(0.25, abs=0.06)


@pytest.mark.slow
def test_alp_gmm_follows_falling_returns_and_covar_gmm_does_not(pupil: Pupils) -> None:
    shares = {}
    for name in ("alp_gmm", "covar_gmm"):
        one, rng = pupil(name), np.random.default_rng(0)
        state, found = one.init(1), []
        for step in range(60):
            points = rng.random((8, 2))
            state = one.update(state, one.tasks(points), returns=np.where(points[:, 0] < 0.5, 1 - step / 60, 0.5))
            if step > 20:
                found.append((one.unit(one.propose(state, step).tasks)[:, 0] < 0.5).mean())
        shares[name] = np.mean(found)
    assert shares["alp_gmm"] > 0.65
    assert shares["covar_gmm"] < 0.55


@pytest.mark.parametrize("name", ["alp_gmm", "covar_gmm"])
def test_mixtures_are_fitted_every_40_episodes_and_at_another_rate_by_the_same_program(
    name: str, pupil: Pupils
) -> None:
    one, rng = pupil(name), np.random.default_rng(0)
    points, returns = rng.random((48, 2)), rng.random(48)
    state = one.update(one.init(1), one.tasks(points[:39]), returns=returns[:39])
    assert not state.mixture.exists.any()
    state = one.update(state, one.tasks(points[39:40]), returns=returns[39:40])
    assert 2 <= state.mixture.exists.sum() <= 3
    assert state.fitted == 40
    later = one.teacher.parameters({"fit_rate": 48, "window": 48, "max_components": 3, **_history(name)})
    state = one.update(one.init(1), one.tasks(points[:40]), later, returns=returns[:40])
    assert not state.mixture.exists.any()
    assert one.update(state, one.tasks(points[40:]), later, returns=returns[40:]).mixture.exists.any()


def _history(name: str) -> dict[str, int]:
    return {"history": 512} if name == "alp_gmm" else {}


def test_learning_progress_is_that_of_the_nearest_earlier_task(pupil: Pupils) -> None:
    one = pupil("alp_gmm")
    x = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.31, 0.9, 0.88])
    returns = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.9, 0.1, 0.4]
    state = one.update(one.init(1), one.tasks(np.stack([x, np.full(9, 0.5)], axis=1)), returns=returns)
    np.testing.assert_allclose(state.window[-9:, -1], [0, 0, 0, 0, 0, 0, 0.6, 0.4, 0.3], atol=1e-6)


@pytest.mark.slow
def test_covar_gmm_measures_time_in_windows(pupil: Pupils) -> None:
    teacher = pupil("covar_gmm").teacher
    window = np.array([[0.1, 0.2, 0.7], [0.3, 0.4, 0.8]], np.float32)
    columns = teacher._columns(window, np.array([-0.5, 0.0]))
    np.testing.assert_allclose(columns, [[0.1, 0.2, -0.5, 0.7], [0.3, 0.4, 0.0, 0.8]], rtol=1e-6)


@pytest.mark.slow
def test_riac_cuts_a_full_region_into_halves_that_keep_its_episodes(pupil: Pupils) -> None:
    one, rng = pupil("riac"), np.random.default_rng(0)
    points = rng.random((21, 2))
    returns = np.where(points[:, 0] > 0.5, np.arange(21) / 21, 0.2)
    whole = one.update(one.init(1), one.tasks(points[:20]), returns=returns[:20])
    assert whole.used == 1
    state = one.update(whole, one.tasks(points[20:]), returns=returns[20:])
    assert state.used == 3
    assert state.child[0] == 1
    axis, cut = int(state.axis[0]), float(state.high[1, int(state.axis[0])])
    assert state.held[1] + state.held[2] == 21
    assert state.low[2, axis] == cut
    below = points[:, axis] <= cut
    for node, inside in ((1, below), (2, ~below)):
        held = slice(21 - int(state.held[node]), None)
        np.testing.assert_allclose(state.points[node][held], points[inside], atol=1e-5)
        np.testing.assert_allclose(state.returns[node][held], returns[inside], atol=1e-6)
    assert state.progress[1] != state.progress[2]


@pytest.mark.slow
def test_riac_progress_is_the_difference_of_the_halves_of_a_window(pupil: Pupils) -> None:
    one = pupil("riac")
    state = one.update(one.init(1), one.tasks([[0.5, 0.5]] * 5), returns=[7.0, 0.1, 0.3, 0.6, 0.8])
    assert state.progress[0] == pytest.approx(0.5)


@pytest.mark.slow
def test_riac_forgets_the_oldest_where_no_cut_is_allowed(pupil: Pupils) -> None:
    one = pupil("riac")
    state = one.update(one.init(1), one.tasks([[0.5, 0.5]] * 21), returns=np.arange(21.0))
    assert state.used == 1
    assert state.held[0] == 16
    assert state.returns[0][-16] == 5


@pytest.mark.slow
def test_riac_never_uses_more_room_than_it_has(pupil: Pupils) -> None:
    one, rng = pupil("riac"), np.random.default_rng(0)
    state = one.init(1)
    for _ in range(20):
        points = rng.random((80, 2))
        state = one.update(state, one.tasks(points), returns=rng.random(80))
    assert state.used <= 31
    leaves = (np.arange(31) < state.used) & (np.asarray(state.child) == 0)
    sides = np.asarray(state.high - state.low)[leaves]
    assert sides.prod(axis=1).sum() == pytest.approx(1.0, abs=1e-4), "the leaves tile the box"
    assert sides.min() >= 1 / 15 - 1e-6


def test_learning_progress_teacher_plays_cells_that_change_and_not_those_that_do_not(pupil: Pupils) -> None:
    one, rng = pupil("learning_progress"), np.random.default_rng(0)
    state = one.init(1)
    for step in range(60):
        points = rng.random((8, 2))
        rising, mastered = points[:, 0] < 0.25, points[:, 0] > 0.75
        successes = np.where(rising, rng.random(8) < max(0, step - 40) / 20, mastered)
        state = one.update(state, one.tasks(points), successes=successes, returns=successes)
    drawn = np.concatenate([one.unit(one.propose(state, step).tasks) for step in range(100)])
    shares = np.histogram(drawn[:, 0], 4, (0, 1))[0] / len(drawn)
    assert shares[0] > 0.4
    assert shares[0] > 2 * shares[3], "what is mastered teaches nothing"
    np.testing.assert_allclose(shares[1:3], 0.0625, atol=0.03)  # only the uniform quarter: there was never a success
