"""Each teacher where the right answer is known, and the parts that it is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autorl.curricula.mixtures import fit_mixture
from autorl.curricula.nearest import TAIL, History
from autorl.curricula.protocol import Feedback, TaskSpace, choose
from autorl.curricula.riac import Riac
from autorl.curricula.teachers import TEACHERS, make_teacher
from autorl.keys import derive, generator

LEARNERS = [name for name in TEACHERS if name != "uniform"]


def share_where_returns_rise(name: str, episodes: int = 1500) -> float:
    """Return the share of the later tasks in the quarter of [0, 1]^2 where each episode raises the return; elsewhere it is flat."""
    teacher: Any = make_teacher(name, TaskSpace.unit(2))
    state, skill, late = teacher.init(1), 0.0, []
    for step in range(episodes):
        tasks = teacher.propose(state, derive(2, step), 1).tasks
        inside = bool((tasks < 0.5).all())
        skill = min(1.0, skill + inside / 1200)
        state = teacher.update(state, tasks, Feedback([skill if inside else 0.4]))
        if step >= episodes // 2:
            late.append(inside)
    return float(np.mean(late))


@pytest.mark.parametrize("name", LEARNERS)
def test_proposals_gather_where_returns_rise(name: str) -> None:
    assert share_where_returns_rise(name) > 0.5  # a quarter, if it were blind


def test_uniform_proposals_stay_uniform() -> None:
    assert share_where_returns_rise("uniform") == pytest.approx(0.25, abs=0.05)


def test_alp_gmm_follows_falling_returns_and_covar_gmm_does_not() -> None:
    shares = {}
    for name in ("alp_gmm", "covar_gmm"):
        teacher: Any = make_teacher(name, TaskSpace.unit(1))
        state, rng = teacher.init(1), np.random.default_rng(0)
        for step in range(750):
            task = rng.random((1, 1))
            state = teacher.update(state, task, Feedback([1 - step / 750 if task[0, 0] < 0.5 else 0.5]))
        shares[name] = float((teacher.propose(state, 3, 1000).tasks < 0.5).mean())
    assert shares["alp_gmm"] > 0.8
    assert shares["covar_gmm"] < 0.6


@pytest.mark.parametrize("name", ["alp_gmm", "covar_gmm"])
def test_mixtures_are_fitted_every_250_episodes(name: str) -> None:
    teacher: Any = make_teacher(name, TaskSpace.unit(2))
    rng = np.random.default_rng(0)
    state = teacher.update(teacher.init(1), rng.random((249, 2)), Feedback(rng.random(249)))
    assert len(state.mixture.weights) == 0
    state = teacher.update(state, rng.random((1, 2)), Feedback([0.5]))
    assert 2 <= len(state.mixture.weights) <= 10
    assert len(state.window) == 0


def test_learning_progress_is_that_of_the_nearest_earlier_task() -> None:
    teacher: Any = make_teacher("alp_gmm", TaskSpace.unit(1))
    tasks = np.array([[0.0], [0.1], [0.2], [0.3], [0.4], [0.5], [0.31], [0.9], [0.88]])
    state = teacher.update(teacher.init(1), tasks, Feedback([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.9, 0.1, 0.4]))
    np.testing.assert_allclose(state.window[:, 1], [0, 0, 0, 0, 0, 0, 0.6, 0.4, 0.3])


def test_history_finds_the_nearest_of_all_episodes() -> None:
    rng = np.random.default_rng(0)
    points, returns = rng.random((3 * TAIL + 50, 3)), rng.random(3 * TAIL + 50)
    history = History.empty(3)
    for point, value in zip(points, returns, strict=True):
        history = history.append(point, float(value))
    assert len(history) == len(points)
    assert len(history.indexed.returns) == 3 * TAIL
    for query in rng.random((100, 3)):
        assert history.nearest_return(query) == returns[((points - query) ** 2).sum(axis=1).argmin()]


def test_a_mixture_finds_clusters_that_are_far_apart() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]])
    points = np.concatenate([centre + rng.normal(0, [0.02, 0.04], (100, 2)) for centre in centres])
    mixture = fit_mixture(points, [3], generator(0))
    order = np.argsort(mixture.means @ [1, 10])
    expected = np.argsort(centres @ [1, 10])
    np.testing.assert_allclose(mixture.means[order], centres[expected], atol=0.015)
    np.testing.assert_allclose(mixture.weights, 1 / 3, atol=1e-6)
    np.testing.assert_allclose(mixture.covariances, np.broadcast_to(np.diag([0.0004, 0.0016]), (3, 2, 2)), atol=0.0006)


def test_one_gaussian_is_the_sample_mean_and_covariance() -> None:
    points = np.random.default_rng(0).random((200, 3)) * [1, 2, 3]
    mixture = fit_mixture(points, [1], generator(0))
    np.testing.assert_allclose(mixture.means[0], points.mean(axis=0))
    np.testing.assert_allclose(
        mixture.covariances[0], np.cov(points.T, bias=True) + 1e-6 * np.eye(3), rtol=1e-6, atol=1e-9
    )


def test_akaike_chooses_as_many_gaussians_as_there_are_clusters() -> None:
    rng = np.random.default_rng(1)
    points = np.concatenate([centre + rng.normal(0, 0.01, (80, 2)) for centre in rng.random((4, 2)) * 10])
    assert len(fit_mixture(points, range(2, 6), generator(0)).weights) in (4, 5)


def test_a_mixture_draws_what_it_describes() -> None:
    points = np.random.default_rng(0).multivariate_normal([0.3, 0.6], [[0.02, 0.01], [0.01, 0.03]], 400)
    mixture = fit_mixture(points, [1], generator(0))
    drawn = mixture.draw(generator(1), np.ones(1), 20_000)
    np.testing.assert_allclose(np.cov(drawn.T), mixture.covariances[0], atol=0.001)
    np.testing.assert_allclose(drawn.mean(axis=0), mixture.means[0], atol=0.005)


def test_riac_cuts_a_full_region_into_halves_that_keep_its_episodes() -> None:
    teacher, rng = Riac(TaskSpace.unit(2)), np.random.default_rng(0)
    tasks = rng.random((201, 2))
    returns = np.where(tasks[:, 0] > 0.5, np.arange(201) / 201, 0.2)
    whole = teacher.update(teacher.init(1), tasks[:200], Feedback(returns[:200]))
    assert len(whole.regions) == 1
    root, lower, upper = teacher.update(whole, tasks[200:], Feedback(returns[200:])).regions
    assert len(lower.returns) + len(upper.returns) == 201
    assert root.child == 1
    assert root.dimension == 0, "progress differs along the first dimension"
    assert lower.high[0] == upper.low[0] == pytest.approx(0.5, abs=0.1)
    assert (lower.points[:, 0] <= lower.high[0]).all()
    assert (upper.points[:, 0] > upper.low[0]).all()
    assert upper.progress > lower.progress


def test_riac_progress_is_the_difference_of_the_halves_of_a_window() -> None:
    teacher = Riac(TaskSpace.unit(1), region_size=4)
    state = teacher.update(teacher.init(1), [[0.5]] * 4, Feedback([0.1, 0.3, 0.6, 0.8]))
    assert state.regions[0].progress == pytest.approx(0.5)


def test_riac_forgets_the_oldest_where_no_cut_is_allowed() -> None:
    teacher = Riac(TaskSpace.unit(1))
    state = teacher.update(teacher.init(1), [[0.5]] * 201, Feedback(np.arange(201.0)))
    assert len(state.regions) == 1
    assert state.regions[0].returns[0] == 50


def test_choices_are_in_proportion_and_uniform_if_nothing_is_better() -> None:
    counts = np.bincount(choose(generator(0), [0.0, 1.0, 3.0, 0.0], 8000), minlength=4)
    np.testing.assert_allclose(counts / 8000, [0, 0.25, 0.75, 0], atol=0.02)
    counts = np.bincount(choose(generator(0), np.zeros(4), 8000), minlength=4)
    np.testing.assert_allclose(counts / 8000, 0.25, atol=0.02)
