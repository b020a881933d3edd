"""A curriculum handed on: what an expert is, who gets which, and how a student goes through one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from autorl.curricula.again import densities
from autorl.curricula.classroom import ENDLESS, Expert, nearest_expert
from autorl.curricula.mixtures import Mixture
from autorl.curricula.tasks import TaskSpace
from autorl.curricula.teachers import make_teacher
from autorl.errors import UsageError

Pupils = Callable[[str], Any]


def fit(*gaussians: tuple[float, float]) -> Mixture:
    """A fit of ALP-GMM in two dimensions: (place on the diagonal, progress) of Gaussians that are .02 wide."""
    empty, made = Mixture.empty(3, 3), len(gaussians)
    means = np.zeros((3, 3), np.float32)
    for i, (place, progress) in enumerate(gaussians):
        means[i] = (place, place, progress)
    covariances = np.tile(np.diag(np.float32([0.0004, 0.0004, 0.01])), (3, 1, 1))
    return empty._replace(means=jnp.asarray(means), covariances=jnp.asarray(covariances), exists=jnp.arange(3) < made)


def expert() -> Expert:
    """Two stages: about (.2, .2) until the mean return there is .5, then about (.8, .8)."""
    fits = [fit((0.2, 0.5), (0.6, 0.1)), fit((0.5, 0.05)), fit((0.8, 0.4))]
    points = np.full((30, 2), 0.2)
    returns = np.concatenate([np.zeros(10), np.full(10, 0.5), np.full(10, 0.7)])
    return Expert.of(fits, points, returns, stages=3)


def test_an_expert_keeps_what_had_progress_and_how_well_its_student_did_with_it() -> None:
    made = expert()
    assert made.progress.tolist() == [pytest.approx([0.5, 0, 0]), pytest.approx([0.4, 0, 0]), [0, 0, 0]]
    assert made.means[:2, 0] == pytest.approx(np.array([[0.2, 0.2], [0.8, 0.8]]))
    assert made.roots[0, 0] == pytest.approx(0.02 * np.eye(2), abs=1e-6)
    assert made.thresholds[0] == pytest.approx(0.5), "of the tasks after the first fit"
    assert made.thresholds[1] == pytest.approx(ENDLESS), "nothing was played after the last one"


def test_a_threshold_counts_the_tasks_of_kept_gaussians_alone() -> None:
    points = np.concatenate([np.full((4, 2), 0.9), np.full((2, 2), 0.2), np.full((2, 2), 0.9)])
    made = Expert.of([fit((0.2, 0.5)), fit((0.8, 0.5))], points, np.array([0, 0, 0, 0, 0.3, 0.5, 1, 1.0]), stages=2)
    assert made.thresholds[0] == pytest.approx(0.4)


def test_the_best_of_those_most_alike_hands_on_their_curriculum() -> None:
    vectors = np.array([[0.0, 1.0], [0.0, 0.9], [1.0, 0.0], [0.1, 0.8]])
    scores = np.array([10.0, 30.0, 99.0, 20.0])
    assert nearest_expert([0.0, 1.0], vectors, scores, k=1) == 0
    assert nearest_expert([0.0, 1.0], vectors, scores, k=3) == 1
    assert nearest_expert([0.0, 1.0], vectors, scores, k=9) == 2


def test_densities_by_hand() -> None:
    one = densities(jnp.array([[0.5, 0.5], [0.6, 0.5]]), jnp.array([[0.5, 0.5]]), 0.1 * jnp.eye(2)[None])
    peak = 1 / (2 * np.pi * 0.01)
    assert one[0] == pytest.approx(np.array([peak, peak * np.exp(-0.5)]), rel=1e-5)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(UsageError, match="0 fits"):
        Expert.of([], np.zeros((3, 2)), np.zeros(3), 2)
    with pytest.raises(UsageError, match="k from 1"):
        nearest_expert([0.0], [[1.0]], [1.0], k=0)
    teacher = make_teacher("again", TaskSpace.unit(2))
    gap = expert()
    with pytest.raises(UsageError, match="must come first"):
        teacher.parameters(gap._replace(progress=gap.progress[::-1]).parameters())


@pytest.mark.slow
def test_the_student_goes_through_the_stages_of_the_expert(pupil: Pupils) -> None:
    one = pupil("again")
    params = one.teacher.parameters(
        {**{"pretrain": 48, "queue": 4, "later_random": 0.1}, **SMALL_FIT, **expert().parameters()}
    )
    rng, state = np.random.default_rng(0), one.init(1, params)

    def share(place: float) -> float:
        near = [
            np.abs(one.unit(one.propose(state, seed, params).tasks) - place).max(axis=1) < 0.1 for seed in range(20)
        ]
        return float(np.mean(near))

    assert share(0.2) < 0.2, "ALP-GMM alone"
    points = rng.random((48, 2))
    state = one.update(state, one.tasks(points), params, returns=np.zeros(48))  # no progress anywhere
    assert share(0.2) > 0.8
    here = one.tasks(np.full((8, 2), 0.2))
    state = one.update(state, here, params, returns=np.full(8, 0.4))
    assert int(state.stage) == 0, "not yet as good as the expert's student"
    state = one.update(state, one.tasks(np.full((8, 2), 0.5)), params, returns=np.ones(8))
    assert int(state.stage) == 0, "tasks that are not the expert's do not count"
    state = one.update(state, here, params, returns=np.full(8, 0.6))
    assert int(state.stage) == 1
    assert share(0.8) > 0.6
    state = one.update(state, one.tasks(np.full((8, 2), 0.8)), params, returns=np.ones(8))
    assert int(state.stage) == 1, "the last stage stays"


SMALL_FIT = {"fit_rate": 40, "window": 48, "history": 512}


def test_room_is_for_what_is_given() -> None:
    levels = make_teacher("again", TaskSpace.unit(84))
    assert levels.parameters().roots.shape == (1, 10, 84, 84), "no expert: no room for eighty stages of one"
    with pytest.raises(UsageError, match=r"stages: 80 of 10 .* 5644800 numbers .* Remedy: no more stages"):
        levels.parameters({"stages": 80})
