"""Dynamic tasks take what the filter lets through, and nothing else; the control policy is one that acts at random."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from corridor import CORRIDOR, POINTS
from unequal import UNEQUAL, taught

from autorl.curricula.control import control
from autorl.curricula.course import make_course
from autorl.environments.task_points import task_points
from autorl.errors import UsageError


def play(one: Any, scores: Any, controls: Any, rounds: int = 60) -> tuple[Any, list[Any]]:
    """Return the state after some rounds, and what was proposed in the last of them."""
    state, proposals = one.init(0), []
    for step in range(rounds):
        proposals.append(one.propose(state, step))
        tasks = proposals[-1].tasks
        x = one.unit(tasks)[:, 0]
        state = one.update(state, tasks, returns=scores(x), control_returns=controls(x))
    return state, proposals[rounds // 2 :]


def learned(one: Any, proposals: list[Any]) -> np.ndarray:
    return np.concatenate([one.unit(p.tasks)[p.train, 0] for p in proposals])


def test_tasks_neither_solved_nor_hopeless_are_learned_from(pupil: Any) -> None:
    one = pupil("dynamic_tasks")
    state, late = play(one, lambda x: np.select([x < 0.3, x < 0.7], [1.0, 0.5], 0.0), np.zeros_like)
    x = learned(one, late)
    assert len(x) > 100
    assert ((x >= 0.3) & (x < 0.7)).all(), "below they are solved, above no better than chance"
    tried = np.concatenate([one.unit(p.tasks)[~p.train, 0] for p in late])
    assert tried.min() < 0.3
    assert tried.max() > 0.7
    assert 0.15 < len(tried) / (len(tried) + len(x)) < 0.35
    assert int(state.accepted) > 8


def test_tasks_in_which_chance_does_well_are_left_out(pupil: Any) -> None:
    one = pupil("dynamic_tasks")
    half = lambda x: np.full_like(x, 0.5)  # noqa: E731
    base = one.params
    one.params = one.teacher.parameters({"candidates": 4, "taken": 8, "visits": 2, "control": 0.2})
    try:
        _, late = play(one, half, lambda x: np.where(x > 0.4, 0.3, 0.0))
    finally:
        one.params = base
    x = learned(one, late)
    assert len(x) > 100
    assert (x <= 0.4).all()


def test_until_a_task_is_taken_all_are_learned_from(pupil: Any) -> None:
    one = pupil("dynamic_tasks")
    state, late = play(one, np.zeros_like, np.zeros_like, rounds=20)
    assert int(state.accepted) == 0
    assert learned(one, late).std() > 0.2


@pytest.mark.slow
def test_the_control_policy_acts_at_random_in_every_task() -> None:
    course = make_course({"name": "dynamic_tasks"}, CORRIDOR, POINTS, (-20.0, 0.0))
    known, (tasks, episodes) = course.control, (64, 4)
    assert known is control(CORRIDOR, POINTS, CORRIDOR.default_task(), tasks, episodes), "worked out once"
    assert known.points.shape == (tasks, 1)
    assert known.points.std() > 0.25
    # twelve steps on in a row happen in one walk of some hundred: the rest pay twenty tolls
    lost = known.points[:, 0] * 20
    assert np.median(np.abs(known.returns + lost)) < 0.05
    assert (known.returns + lost > 0.5 / episodes).mean() < 0.1
    at = np.array([[0.2], [0.9]], np.float32)
    np.testing.assert_allclose(known.at(at), -20 * at[:, 0], atol=0.5)
    assert make_course({"name": "uniform"}, CORRIDOR, POINTS, None).control is None


def test_a_pool_smaller_than_a_round_is_refused() -> None:
    with pytest.raises(UsageError, match="taken: expected at least candidates = 16, got 4"):
        make_course({"name": "dynamic_tasks", "parameters": {"taken": 4}}, CORRIDOR, POINTS, None)


def test_a_task_is_judged_by_episodes_that_began_not_by_those_that_ended_first() -> None:
    """Of eight episodes at most half are solved in 5.6 % of the tasks: so many are taken. Most of the first eight to end are failures."""
    visits = 8
    parameters = {
        **{"visits": visits, "most_solved": 0.5, "least_better": 0.0, "control": 2.0, "margin": 0.0, "tried": 0.9},
        **{"candidates": 2, "control_tasks": 1, "control_episodes": 1},
    }
    choice = {"name": "dynamic_tasks", "parameters": parameters}
    states, ended = taught(make_course(choice, UNEQUAL, task_points(UNEQUAL), None), 1200)
    judged = (int(ended.sum()) - int(states.visits[-1].sum())) / visits
    assert judged > 250, "else chance decides"
    assert int(states.accepted[-1]) / judged < 0.1, "three standard errors above 5.6 %"
    assert (np.asarray(states.visits) <= np.asarray(states.begun)).all()
    assert np.asarray(states.begun).max() <= visits
