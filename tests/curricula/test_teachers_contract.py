"""What every teacher owes its caller. A teacher added to the registry is covered at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autorl.curricula.protocol import CHANNELS, Feedback, Proposal, TaskSpace, Teacher
from autorl.curricula.teachers import TEACHERS, make_teacher, teacher_settings
from autorl.errors import UnknownNameError, UsageError
from autorl.keys import derive

SPACE = TaskSpace((-2.0, 10.0, 0.0), (-1.0, 30.0, 0.001))
every_teacher = pytest.mark.parametrize("name", list(TEACHERS))


def returns_of(tasks: np.ndarray, step: int) -> np.ndarray:
    """Returns that rise with time in the upper half of the first dimension."""
    return np.where(tasks[:, 0] > -1.5, np.minimum(step / 500, 1.0), 0.1)


def lesson(teacher: Teacher[Any], state: Any, first: int, last: int, n: int = 4) -> tuple[Any, list[Proposal]]:
    proposals = []
    for step in range(first, last, n):
        proposal = teacher.propose(state, derive(7, step), n)
        state = teacher.update(state, proposal.tasks, Feedback(returns_of(proposal.tasks, step)))
        proposals.append(proposal)
    return state, proposals


def assert_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


@every_teacher
def test_a_teacher_says_what_it_is(name: str) -> None:
    teacher = TEACHERS.load(name)
    assert issubclass(teacher, Teacher)
    assert teacher.name == name
    assert teacher.needs <= CHANNELS
    assert any(character.isdigit() for character in teacher.reference), "a reference names author and year"
    for setting in teacher_settings(name):
        assert f"{setting}:" in (teacher.__doc__ or ""), f"{setting} is not documented"


@every_teacher
@pytest.mark.parametrize("n", [1, 5, 64])
def test_proposals_have_their_shape_and_lie_in_the_box(name: str, n: int) -> None:
    teacher = make_teacher(name, SPACE)
    _, proposals = lesson(teacher, teacher.init(3), 0, 640, n)
    for proposal in proposals:
        assert proposal.tasks.shape == (n, 3)
        assert proposal.tasks.dtype == np.float64
        assert proposal.train.shape == (n,)
        assert (proposal.tasks >= SPACE.low).all()
        assert (proposal.tasks <= SPACE.high).all()
    spread = np.concatenate([p.tasks for p in proposals[: len(proposals) // 4]]).std(axis=0)
    assert (spread > 0.1 * (np.array(SPACE.high) - SPACE.low)).all(), "each dimension is explored on its own scale"


@every_teacher
def test_equal_keys_give_equal_lessons_and_other_keys_others(name: str) -> None:
    teacher = make_teacher(name, SPACE)
    first, second = (lesson(teacher, teacher.init(3), 0, 400) for _ in range(2))
    assert_same(teacher.to_arrays(first[0]), teacher.to_arrays(second[0]))
    for a, b in zip(first[1], second[1], strict=True):
        np.testing.assert_array_equal(a.tasks, b.tasks)
    assert not np.array_equal(teacher.propose(first[0], 1, 8).tasks, teacher.propose(first[0], 2, 8).tasks)


@every_teacher
def test_proposing_and_learning_change_no_state(name: str) -> None:
    teacher = make_teacher(name, SPACE)
    state, _ = lesson(teacher, teacher.init(3), 0, 320)
    before = {key: value.copy() for key, value in teacher.to_arrays(state).items()}
    lesson(teacher, state, 320, 640)
    assert_same(teacher.to_arrays(state), before)


@every_teacher
def test_a_state_that_was_saved_goes_on_as_if_it_had_not_been(name: str) -> None:
    teacher = make_teacher(name, SPACE)
    state, _ = lesson(teacher, teacher.init(3), 0, 560)
    restored = teacher.from_arrays(teacher.to_arrays(state))
    straight, resumed = (lesson(teacher, start, 560, 1200) for start in (state, restored))
    assert_same(teacher.to_arrays(straight[0]), teacher.to_arrays(resumed[0]))
    for a, b in zip(straight[1], resumed[1], strict=True):
        np.testing.assert_array_equal(a.tasks, b.tasks)


@every_teacher
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_episodes_without_a_return_teach_nothing(name: str, bad: float) -> None:
    teacher = make_teacher(name, SPACE)
    clean, _ = lesson(teacher, teacher.init(3), 0, 300)
    tasks = teacher.propose(clean, 5, 6).tasks
    returns = np.array([0.3, bad, 0.1, bad, 0.2, 0.3])
    kept = np.isfinite(returns)
    mixed = teacher.update(clean, tasks, Feedback(returns))
    assert_same(
        teacher.to_arrays(mixed), teacher.to_arrays(teacher.update(clean, tasks[kept], Feedback(returns[kept])))
    )
    only_bad = teacher.update(clean, tasks, Feedback(np.full(6, bad)))
    assert_same(teacher.to_arrays(only_bad), teacher.to_arrays(clean))


@every_teacher
@pytest.mark.parametrize("value", [0.0, 1.0, -1e6])
def test_constant_returns_and_repeated_tasks_are_survived(name: str, value: float) -> None:
    teacher = make_teacher(name, TaskSpace.unit(2))
    state = teacher.init(3)
    for _ in range(12):
        state = teacher.update(state, np.full((50, 2), 0.25), Feedback(np.full(50, value)))
    assert np.isfinite(teacher.propose(state, 1, 100).tasks).all()


@every_teacher
def test_wrong_input_is_refused(name: str) -> None:
    teacher = make_teacher(name, SPACE)
    state = teacher.init(3)
    with pytest.raises(UsageError, match="at least 1 task"):
        teacher.propose(state, 1, 0)
    with pytest.raises(UsageError, match=r"tasks: expected shape \[n, 3\], got \[4, 2\]"):
        teacher.update(state, np.zeros((4, 2)), Feedback(np.zeros(4)))
    if "returns" in teacher.needs:
        with pytest.raises(UsageError, match=r"'returns': expected shape \[4\], got \[3\]"):
            teacher.update(state, np.zeros((4, 3)), Feedback(np.zeros(3)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fit_rat": 3}, "unknown setting 'fit_rat'.*Did you mean 'fit_rate'"),
        ({"fit_rate": 2.5}, "'fit_rate': expected int, got 2.5"),
        ({"fit_rate": True}, "'fit_rate': expected int, got True"),
        ({"fit_rate": 5}, "'fit_rate': expected a number from 10"),
        ({"random_ratio": 1.5}, "'random_ratio': expected a number from 0 to 1, got 1.5"),
        ({"random_ratio": float("nan")}, "'random_ratio'"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_teacher("alp_gmm", SPACE, settings)


def test_an_unknown_teacher_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'alp_gmm'"):
        make_teacher("alp_gm", SPACE)


@pytest.mark.parametrize(("low", "high"), [((), ()), ((0.0,), (1.0, 2.0)), ((1.0,), (1.0,)), ((0.0,), (float("inf"),))])
def test_a_task_space_that_is_no_box_is_refused(low: tuple[float, ...], high: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="task space"):
        TaskSpace(low, high)


def test_arrays_of_another_state_are_refused() -> None:
    teacher = make_teacher("alp_gmm", SPACE)
    with pytest.raises(UsageError, match="'key' is missing"):
        teacher.from_arrays({"low": np.zeros(3)})
    with pytest.raises(UsageError, match="'episodes': expected one number"):
        teacher.from_arrays({**teacher.to_arrays(teacher.init(1)), "episodes": np.zeros(3)})
