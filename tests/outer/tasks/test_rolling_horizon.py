"""Evolved sequences of tasks, for a student who must take them in order: the toy grid with one dimension."""

from __future__ import annotations

import numpy as np
import pytest

from autorl.errors import UsageError
from autorl.outer.tasks.rolling_horizon import Horizon, RollingHorizon

CELLS = 6


def lesson(skills: int, task: int) -> int:
    """A lesson in the next task teaches it; any other teaches nothing."""
    return skills + (task == skills)


def scores(state: Horizon) -> list[list[float]]:
    start = 0
    for task in state.committed:
        start = lesson(start, task)
    table = []
    for plan in state.population:
        skills, row = start, []
        for task in plan:
            skills = lesson(skills, task)
            row.append(float(skills))
        table.append(row)
    return table


def play(method: RollingHorizon, commitments: int) -> Horizon:
    state = method.init()
    while len(state.committed) < commitments:
        state = method.tell(state, scores(state))
    return state


def learned(committed: tuple[int, ...]) -> int:
    skills = 0
    for task in committed:
        skills = lesson(skills, task)
    return skills


def test_the_only_order_that_teaches_all_is_found() -> None:
    method = RollingHorizon(CELLS, horizon=3, population=12, generations=6, seed=1)
    state = play(method, CELLS)
    assert state.committed == tuple(range(CELLS))
    assert state.lessons == CELLS * 6 * 12 * 3, "the cost of judging is counted"
    at_random = np.random.default_rng(0).integers(CELLS, size=(200, CELLS))
    assert np.mean([learned(tuple(order)) for order in at_random]) < 2


def test_the_better_sequence_is_committed_and_its_rest_goes_on() -> None:
    method = RollingHorizon(4, horizon=2, population=2, generations=1, discount=0.5)
    state = method.init()
    after = method.tell(state, [[0.0, 3.0], [1.0, 0.0]])
    assert after.committed == (state.population[0][0],), "0 + .5 x 3 is more than 1"
    assert after.population[0][0] == state.population[0][1]
    later = RollingHorizon(4, horizon=2, population=2, generations=1, discount=0.2)
    assert later.tell(state, [[0.0, 3.0], [1.0, 0.0]]).committed == (state.population[1][0],)


def test_the_best_of_earlier_generations_is_not_lost() -> None:
    method = RollingHorizon(50, horizon=2, population=3, generations=2, mutation=1.0)
    state = method.init()
    told = method.tell(state, [[0.0, 0.0], [5.0, 5.0], [1.0, 1.0]])
    assert told.population[0] == state.population[1]
    assert method.tell(told, np.zeros((3, 2))).committed == (state.population[1][0],)


def test_failures_rank_last_and_are_survived() -> None:
    method = RollingHorizon(4, horizon=2, population=2, generations=1)
    state = method.init()
    assert method.tell(state, [[np.nan, 9.0], [0.0, 0.0]]).committed == (state.population[1][0],)
    assert len(method.tell(state, np.full((2, 2), np.nan)).committed) == 1


def test_the_fold_is_pure_and_depends_on_the_seed() -> None:
    method = RollingHorizon(CELLS, seed=3)
    state = method.init()
    assert method.tell(state, scores(state)) == method.tell(state, scores(state))
    assert state == method.init()
    assert RollingHorizon(CELLS, seed=4).init() != state


def test_wrong_input_is_refused() -> None:
    with pytest.raises(UsageError, match="population: expected at least 2"):
        RollingHorizon(4, population=1)
    with pytest.raises(UsageError, match="discount"):
        RollingHorizon(4, discount=1.5)
    method = RollingHorizon(4)
    with pytest.raises(UsageError, match=r"\[8, 3\]"):
        method.tell(method.init(), np.zeros((8, 2)))
