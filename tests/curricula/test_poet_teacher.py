"""POET for one student: it climbs a ladder, only what fits joins, the most novel of it, and the oldest leave."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from autorl.curricula.tasks import TaskSpace
from autorl.curricula.teachers import make_teacher
from autorl.errors import UsageError

REACH = 0.3


def score(skill: float, x: Any) -> Any:
    """1 for what is mastered, falling to 0 over the reach above it."""
    return np.clip(1 - (x - skill) / REACH, 0.0, 1.0)


def settings(one: Any, **values: Any) -> Any:
    return one.teacher.parameters({"children": 4, "active": 4, "archive": 16, "visits": 2, "most_edits": 3, **values})


def test_it_climbs_a_ladder_whose_top_teaches_nothing(pupil: Any) -> None:
    """A task teaches if the student scores in it at all. The first is at the bottom; the last ones are out of reach for long."""
    one = pupil("poet")
    params = settings(one, first=[0.0, 0.5], every=16, memory=0.3)
    state, skill, seen = one.init(0, params), 0.0, []
    for step in range(900):
        proposal = one.propose(state, step, params)
        x = one.unit(proposal.tasks)[:, 0]
        returns = score(skill, x)
        for own in x[proposal.train & (returns > 0)]:
            skill = max(skill, min(own, skill + 0.01))
        seen.append(skill)
        state = one.update(state, proposal.tasks, params=params, returns=returns)
    assert skill > 0.9, "from where the top is 0 at first"
    assert seen[20] < 0.4, "step by step"
    assert int(state.joined) > 8


def test_only_children_that_are_neither_too_hard_nor_too_easy_join(pupil: Any) -> None:
    one = pupil("poet")
    params = settings(one, reproduce_at=0.3, least=0.25, most=0.6, every=0, edits=3)
    state = one.init(0, params)
    tried = []
    for step in range(150):
        proposal = one.propose(state, step, params)
        x = one.unit(proposal.tasks)[:, 0]
        tried += x[~proposal.train].tolist()
        state = one.update(state, proposal.tasks, params=params, returns=x)
    joined = np.asarray(state.archive)[1 : int(state.joined), 0]
    assert len(joined) > 5
    assert ((joined >= 0.25 - 1e-5) & (joined <= 0.6 + 1e-5)).all()
    assert max(tried) > 0.6


def test_the_most_novel_that_fits_joins_and_the_oldest_leaves(pupil: Any) -> None:
    one = pupil("poet")
    params = settings(one, every=10_000)
    state = one.init(0, params)
    near, hard, known = [0.5, 0.6], [0.0, 0.0], [0.5, 0.5]
    for turn, far in enumerate(([0.9, 0.9], [0.1, 0.9], [0.9, 0.1], [0.1, 0.1], [0.7, 0.05])):
        children, none = np.array([far, near, hard, known], np.float32), np.zeros(4, np.int32)
        waited = np.array([0, 0, 0, 2], np.int32)  # for what is known nobody waits
        state = state._replace(
            points=children, visits=waited, begun=none, sums=none.astype(np.float32), trying=np.bool_(True)
        )
        returns = np.repeat([0.5, 0.5, 0.0], 2)
        once = one.update(
            state, one.tasks(np.repeat(children[:3], 2, axis=0))[:-1], params=params, returns=returns[:-1]
        )
        assert int(once.joined) == turn + 1, "one child lacks an episode"
        state = one.update(once, one.tasks(children[2:3]), params=params, returns=[0.0])
        assert int(state.joined) == turn + 2
        np.testing.assert_allclose(np.asarray(state.archive)[turn + 1], far, atol=1e-5)
        assert not bool(state.trying)
    tasks = np.asarray(state.tasks)
    assert not (np.abs(tasks - 0.5) < 1e-5).all(axis=1).any(), "the first left"
    assert len(np.unique(tasks.round(4), axis=0)) == 4
    assert np.asarray(state.archive)[0].tolist() == [0.5, 0.5], "what left is still known"
    assert float(np.asarray(state.scores).max()) == pytest.approx(0.5)


def test_without_a_mastered_task_nothing_is_tried(pupil: Any) -> None:
    one = pupil("poet")
    params = settings(one, every=0, first=[0.2, 0.7])
    state = one.init(0, params)
    for step in range(20):
        proposal = one.propose(state, step, params)
        assert proposal.train.all()
        np.testing.assert_allclose(one.unit(proposal.tasks), [[0.2, 0.7]] * 8, atol=1e-5)
        state = one.update(state, proposal.tasks, params=params, returns=np.full(8, 0.5))
    assert not bool(state.trying)


def test_of_levels_the_first_is_drawn() -> None:
    space = TaskSpace(
        (0.0,) * 3, (1.0,) * 3, sampler=lambda key: jax.random.bernoulli(key, 0.5, (3,)).astype("float32")
    )
    teacher = make_teacher("poet", space)
    state = teacher.init(jax.random.key(1), teacher.parameters())
    assert set(np.asarray(state.tasks)[0].tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"least": 0.9, "most": 0.2}, "least: expected less than most"),
        ({"edits": 30}, "edits: expected at most most_edits = 20"),
        ({"admitted": 9}, "admitted: expected at most children and active, 8"),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_teacher("poet", TaskSpace.unit(2)).parameters(values)
