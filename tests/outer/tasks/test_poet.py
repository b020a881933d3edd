"""POET where everything is known: a ladder of tasks, of which an agent learns one only from just below it."""

from __future__ import annotations

import numpy as np
import pytest

from autorl.errors import UsageError
from autorl.outer.tasks.poet import Children, Pairs, Poet

REACH = 0.12


def score(skill: float, task: float) -> float:
    """1 for what is mastered, falling to 0 over the reach above it."""
    return float(np.clip(1 - (task - skill) / REACH, 0.0, 1.0))


def learned(skill: float, task: float) -> float:
    return max(skill, min(task, skill + 0.02)) if task - skill < REACH else skill


def evolve(poet: Poet, rounds: int) -> tuple[Pairs, list[float]]:
    state, skills = poet.init(), [0.0]
    matrix = lambda tasks: np.array([[score(s, t[0]) for t in tasks] for s in skills])  # noqa: E731
    for _ in range(rounds):
        skills = [learned(s, t[0]) for s, t in zip(skills, state.tasks, strict=True)]
        state = poet.trained(state)
        tried = poet.children_of(state, np.diag(matrix(state.tasks)))
        if tried.tasks:
            change = poet.admit(state, tried, matrix(tried.tasks))
            state, skills = change.pairs, [skills[s] for s in change.sources]
        change = poet.transfer(state, matrix(state.tasks))
        state, skills = change.pairs, [skills[s] for s in change.sources]
    return state, skills


SETTINGS = {"first": (0.05,), "reproduce_at": 0.9, "least": 0.2, "most": 0.95, "pairs": 6}


def test_it_climbs_a_ladder_that_training_on_the_top_does_not() -> None:
    skill = 0.0
    for _ in range(300):
        skill = learned(skill, 1.0)
    assert skill == 0.0, "what is out of reach teaches nothing"
    state, skills = evolve(Poet(**SETTINGS), 300)
    assert max(skills) > 0.95
    assert len(state.tasks) == 6
    assert max(t[0] for t in state.tasks) > 0.95
    assert evolve(Poet(**SETTINGS), 300) == (state, skills), "a function of the seed"
    assert evolve(Poet(**SETTINGS, seed=1), 300)[0] != state


def test_children_come_from_pairs_that_do_well_when_they_are_due() -> None:
    poet = Poet(first=(0.5, 0.5), reproduce_at=0.7, least=0.0, most=1.0, reproduce_every=2, mutation=0.05, children=50)
    state = Pairs(((0.5, 0.5), (0.0, 1.0), (0.2, 0.2)), (), rounds=2)
    tried = poet.children_of(state, [0.7, np.nan, 0.9])
    assert set(tried.parents) == {0, 2}
    for task, parent in zip(tried.tasks, tried.parents, strict=True):
        assert np.abs(np.array(task) - state.tasks[parent]).max() <= 0.05
    assert poet.children_of(state, [0.6, 0.6, 0.6]).tasks == ()
    assert poet.children_of(poet.trained(state), [0.9] * 3).tasks == ()
    edge = poet.children_of(state, [0.0, 1.0, 0.0])
    assert all(0 <= x <= 1 for task in edge.tasks for x in task)


def test_of_children_of_the_right_difficulty_the_most_novel_joins_with_the_best_agent() -> None:
    poet = Poet(first=(0.5,), reproduce_at=0.5, least=0.3, most=0.8, pairs=2, neighbours=1)
    state = Pairs(((0.1,), (0.5,)), ((0.1,), (0.5,), (0.9,)))
    tried = Children(((0.6,), (0.7,), (0.88,), (0.3,), (0.0,)), (0, 1, 0, 0, 1))
    # the last is too easy for its parent, the one before too hard; of the rest, 0.7 is the farthest from what there was
    scores = [[0.5, 0.9, 0.5, 0.1, 0.2], [0.4, 0.5, 0.6, 0.9, 0.95]]
    change = poet.admit(state, tried, scores)
    assert change.pairs.tasks == ((0.5,), (0.7,)), "the oldest left"
    assert change.sources == (1, 0)
    assert change.pairs.archive[-1] == (0.7,)
    nobody = poet.admit(state, tried, np.full((2, 5), np.nan))
    assert (nobody.pairs.tasks, nobody.sources) == (state.tasks, (0, 1))


def test_a_task_takes_over_the_agent_that_does_best_in_it() -> None:
    poet = Poet(first=(0.5,), reproduce_at=0.5, least=0.3, most=0.8, transfer_every=2)
    state = Pairs(((0.1,), (0.5,), (0.6,)), (), rounds=2)
    change = poet.transfer(state, [[0.5, 0.9, 0.2], [0.5, 0.3, 0.1], [np.nan, 0.8, np.inf]])
    assert change.sources == (0, 0, 0), "an infinite score is a failure"
    assert change.pairs.moves == 2
    assert poet.transfer(poet.trained(state), np.ones((3, 3))).sources == (0, 1, 2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pairs": 0}, "pairs: expected at least 1"),
        ({"first": (1.5,)}, "first: expected a point"),
        ({"least": 0.9, "most": 0.5}, "least: expected less than most"),
        ({"mutation": 0.0}, "mutation: expected more than 0"),
    ],
)
def test_wrong_settings_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Poet(**{**SETTINGS, **values})
    with pytest.raises(UsageError, match=r"scores: expected shape \[1, 1\]"):
        Poet(**SETTINGS).transfer(Poet(**SETTINGS).init(), [1.0, 2.0])
