"""Syllabus: its task spaces as ours, our teachers as its curricula. With Syllabus's own classes where it is installed."""

import sys
import types

import foreign
import jax
import numpy as np
import pytest

from autorl.environments.registry import make_environment
from autorl.environments.task_box import task_space
from autorl.errors import MissingDependencyError, UnknownNameError, UsageError
from autorl.interop import syllabus
from autorl.interop.syllabus.spaces import coding

ARMS = {"capacity": 64}


@pytest.fixture
def package(monkeypatch):
    """Syllabus, or a stand-in for it."""
    if foreign.installed("syllabus.core") is None:
        modules = {"syllabus": {}, "syllabus.core": {"Curriculum": foreign.Curriculum}}
        modules["syllabus.task_space"] = {"BoxTaskSpace": foreign.Space}
        foreign.put(monkeypatch, modules, ["autorl.interop.syllabus.curriculum"])


SPACES = {
    "box": (lambda: foreign.box([0.0, -2.0], [1.0, 2.0]), (0, 0), [0.25, 1.0], np.array([0.25, 1.0])),
    "matrix": (
        lambda: foreign.box([[0.0], [1.0]], [[1.0], [3.0]], np.float64), (0, 0), [0.5, 2.0], np.array([[0.5], [2.0]])
    ),
    "discrete": (lambda: foreign.discrete(5), (5,), [3.7], 3),
    "multi": (lambda: foreign.multi_discrete([3, 4]), (3, 4), [0.1, 3.9], (0, 3)),
    "flat": (lambda: foreign.multi_discrete([3, 4], flatten=True), (3, 4), [2.0, 1.0], 9),
    "tuple": (
        lambda: foreign.together(foreign.discrete(5), foreign.box([0.0], [1.0])), (5, 0), [5.0, 0.5], (4, np.array([0.5]))
    ),
    "flat tuple": (
        lambda: foreign.together(foreign.discrete(5), foreign.multi_discrete([3, 4]), flatten=True), (5, 3, 4),
        [1.0, 2.0, 3.0], 12 + 8 + 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(SPACES))
def test_points_are_tasks_and_back(name):
    make, counts, point, task = SPACES[name]
    space = make()
    written = coding(space)
    assert written.counts == counts
    encoded = written.encode(np.asarray(point))
    jax.tree.map(np.testing.assert_array_equal, encoded, task)
    back = written.decode(encoded)
    # a choice goes back to its middle
    expected = [np.floor(min(x, n - 1)) + 0.5 if n else x for x, n in zip(point, counts, strict=True)]
    np.testing.assert_allclose(back, expected)
    if hasattr(space, "decode"):  # Syllabus's own
        jax.tree.map(np.testing.assert_array_equal, space.encode(space.decode(encoded)), encoded)
    ours = syllabus.task_space_of(space)
    assert (ours.low, ours.high) == tuple(zip(*written.sides, strict=True))
    drawn = np.asarray(ours.from_unit(ours.draw(jax.random.key(0), 200)))
    for i, count in enumerate(counts):
        if count:
            assert set(drawn[:, i]) == {j + 0.5 for j in range(count)}
        else:
            assert len(set(drawn[:, i])) > 150


def test_an_edit_of_a_choice_is_any_other():
    ours = syllabus.task_space_of(foreign.discrete(4))
    edits = jax.vmap(lambda key: ours.edit(key, np.array([0.375], np.float32), np.int32(1), 1))
    assert set(np.asarray(edits(jax.random.split(jax.random.key(1), 32)))[:, 0]) == {0.125, 0.625, 0.875}
    mixed = syllabus.task_space_of(foreign.together(foreign.discrete(4), foreign.box([0.0], [1.0])))
    point = np.array([0.375, 0.5], np.float32)
    after = np.asarray(mixed.edit(jax.random.key(3), point, np.int32(40), 40))
    assert after[0] in (0.125, 0.375, 0.625, 0.875)
    assert after[1] != 0.5


def test_a_task_space_as_what_an_environment_declares():
    space = foreign.together(foreign.discrete(5), foreign.box([0.1], [1.0]))
    box = syllabus.task_box_of(space, ["kind", "length"], default=[0, 0.5], log=["length"])
    kind, length = box.dimensions
    assert (kind.low, kind.high, kind.whole, kind.default) == (0.0, 4.0, True, 0.0)
    assert (round(length.low, 6), length.high, length.log, length.default) == (0.1, 1.0, True, 0.5)
    assert syllabus.task_box_of(foreign.discrete(5), ["kind"]).default == (2.0,)
    for arguments, words in (
        ((["a"],), "expected 2 names"),
        ((["a", "b"], [1]), "as many defaults"),
        ((["a", "b"], None, ["c"]), "log: \\['c'\\] are not among the names"),
        ((["a", "b"], [7, 0.5]), "within"),
    ):
        with pytest.raises(UsageError, match=words):
            syllabus.task_box_of(space, *arguments)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (foreign.Space(foreign.SPACES.Box(-np.inf, np.inf, (1,))), "expected finite bounds"),
        (foreign.Space(foreign.SPACES.Box(0, 9, (1,), np.int32)), "whole numbers, which are choices"),
        (foreign.Space(foreign.SPACES.Discrete(3), tasks=[]), "at least one task"),
        (foreign.Space(foreign.SPACES.Text(3)), "got Space of Text"),
        (types.SimpleNamespace(task_spaces=[foreign.Space(foreign.SPACES.Box(0, 1, (1,)))], flatten=True), "has no index"),
        (3, "got int of NoneType"),
    ],
)  # fmt: skip
def test_spaces_that_are_none(space, words):
    with pytest.raises(UsageError, match=f"task space: .*{words}"):
        syllabus.task_space_of(space)


@pytest.mark.parametrize(
    ("name", "task"),
    [("discrete", 5), ("discrete", True), ("multi", (0, 4)), ("multi", 1), ("box", [0.1]), ("tuple", (1,))],
)
def test_tasks_that_are_none(name, task):
    with pytest.raises(UsageError, match=r"^task .*: expected"):
        coding(SPACES[name][0]()).decode(task)


def play(curriculum, episodes, skill):
    """Play: the student learns in choice 2 alone. Return the tasks."""
    played = []
    for _ in range(episodes):
        (task,) = curriculum.sample()
        if task == 2:
            skill[0] = min(skill[0] + 1, 400)
        score = skill[0] / 400 if task == 2 else 0.0
        curriculum.update_on_episode(10 * score, 7, task, score, env_id=0)
        played.append(task)
    return played


def test_a_teacher_finds_the_choice_where_something_is_learned(package):
    def make():
        return syllabus.teacher_curriculum(foreign.discrete(6), "arms", ARMS, score_range=(0.0, 10.0), seed=3)

    curriculum, skill = make(), [0]
    first = play(curriculum, 150, skill)
    kept, at = curriculum.tutor.to_arrays(), list(skill)
    second = play(curriculum, 150, skill)
    assert set(first) == set(range(6))
    assert second.count(2) > 75, "uniform tasks would be 25"
    assert not curriculum._proposed, "every episode was told of where it was proposed"
    again = make()
    again.tutor.restore(kept)
    assert play(again, 150, at) == second, "a curriculum that is restored goes on as before"
    with pytest.raises(UsageError, match="expected a whole number 'asked'"):
        again.tutor.restore({})


def test_levels_of_choices_are_met_again(package):
    plr = syllabus.teacher_curriculum(
        foreign.discrete(6), "plr", {"score": "progress", "capacity": 16, "fill": 0.2}, signal="progress"
    )
    for step in range(60):
        (task,) = plr.sample()
        plr.update_on_episode(0.0, 1, task, float(task == 2) * (step % 2))
    assert int(plr.tutor.state.buffer.size) == 6


def test_what_syllabus_tells_is_what_the_teacher_hears(package, monkeypatch):
    curriculum = syllabus.teacher_curriculum(foreign.box([0.0], [2.0]), "uniform", score_range=(0.0, 10.0))
    heard = []
    monkeypatch.setattr(curriculum.tutor, "tell", lambda tasks, **told: heard.append((tasks, told)))
    tasks = curriculum.sample(3)
    assert [(task.shape, task.dtype) for task in tasks] == [((1,), np.float32)] * 3
    assert len({float(task[0]) for task in tasks}) == 3
    curriculum.update_on_episode(5.0, 20, tasks[0], 0.25, env_id=1)
    curriculum.update_task_progress(tasks[1], True)
    curriculum.signal = "progress"
    curriculum.update_on_episode(5.0, 20, tasks[2], 0.25)
    np.testing.assert_array_equal(heard[0][0], tasks[0])
    # of a task that ends before its episode, nobody knows the return; uniform needs none
    assert [told for _, told in heard] == [
        {"returns": 5.0, "successes": 0.25}, {"returns": 1.0, "successes": 1.0}, {"returns": 0.25, "successes": 0.25}
    ]  # fmt: skip
    monkeypatch.setattr(type(curriculum.tutor), "needs", frozenset({"returns"}))
    curriculum.signal = "return"
    curriculum.update_task_progress(tasks[1], 1.0)
    assert np.isnan(heard[3][1]["returns"])
    assert curriculum.completed_tasks == 4


def test_a_task_that_an_episode_ended_in_is_not_told_twice(package, monkeypatch):
    curriculum = syllabus.teacher_curriculum(foreign.discrete(3), "uniform", signal="progress")
    heard = []
    monkeypatch.setattr(curriculum.tutor, "tell", lambda tasks, **told: heard.append(told["returns"]))
    (task,) = curriculum.sample(1)
    curriculum.update_on_episode(5.0, 20, task, 0.25, env_id=1)
    curriculum.update_task_progress(task, 0.5, env_id=2)
    curriculum.update_task_progress(task, 0.25, env_id=1)
    assert heard == [0.25, 0.5], "of the two reports of one end, the first; that of another environment too"
    curriculum.update_task_progress(task, 0.75, env_id=1)
    assert heard[2:] == [0.75], "what was played after it"


def test_a_teacher_of_returns_that_hears_of_no_episode_is_pointed_at(package):
    curriculum = syllabus.teacher_curriculum(foreign.discrete(3), "arms", ARMS)
    *tasks, last = curriculum.sample(100)
    for task in tasks:
        curriculum.update_task_progress(task, 1.0)
    with pytest.warns(UserWarning, match=r"'arms' learns from returns, .* no episode .* Remedy: signal='progress'"):
        curriculum.update_task_progress(last, 1.0)
    other = syllabus.teacher_curriculum(foreign.discrete(3), "arms", ARMS)
    other.update_on_episode(1.0, 1, other.sample(1)[0], 1.0, env_id=0)
    for task in other.sample(100):
        other.update_task_progress(task, 1.0)


def test_random_tasks_come_first_where_they_are_asked_for(package):
    curriculum = syllabus.teacher_curriculum(foreign.discrete(3), "sequence", random_start_tasks=2)
    assert len(curriculum.sample(4)) == 4
    assert curriculum.tutor.to_arrays()["asked"] == 0
    for task in (0, 1):
        curriculum.update_on_episode(0.0, 1, task, 0.0)
    curriculum.sample()
    assert curriculum.tutor.to_arrays()["asked"] == 1


def test_what_is_logged(package):
    curriculum = syllabus.teacher_curriculum(foreign.box([0.0, 4.0], [0.5, 8.0]), "uniform")
    curriculum.sample(50)
    lines = []
    writer = types.SimpleNamespace(add_scalar=lambda *line: lines.append(line))
    logs = curriculum.log_metrics(writer, [("own", 1.0)], step=9, log_n_tasks=2)
    assert [name for name, _ in logs] == ["own", "curriculum/mean_task_0", "curriculum/mean_task_1"]
    assert lines[0] == ("own", 1.0, 9)
    assert lines[1][1] == pytest.approx(0.25, abs=0.1)
    wandb = types.SimpleNamespace(log=lines.append)
    curriculum.log_metrics(wandb, None)
    assert set(lines[-1]) == {"curriculum/mean_task_1"}


@pytest.mark.parametrize(
    ("teacher", "arguments", "words"),
    [
        ("space", {}, "teacher 'space' needs 'values', which Syllabus does not tell: only returns, successes"),
        (
            "robust_plr",
            {"parameters": {"score": "progress"}},
            "teacher 'robust_plr' plays episodes that the agent must not",
        ),
        ("sfl", {"parameters": {"candidates": 4, "kept": 2}}, "teacher 'sfl' plays episodes that the agent must not"),
        ("uniform", {"score_range": (1.0, 1.0)}, "score_range: expected finite"),
        ("uniform", {"signal": "reward"}, "signal: expected 'return' or 'progress', got 'reward'"),
        ("arms", {"parameters": {"capacities": 3}}, "capacities"),
    ],
)
def test_what_cannot_be_a_curriculum(package, teacher, arguments, words):
    with pytest.raises(UsageError) as raised:
        syllabus.teacher_curriculum(foreign.discrete(3), teacher, **arguments)
    assert words in str(raised.value)


def test_learning_from_all_must_be_said(package):
    sfl = {"candidates": 4, "kept": 2}
    curriculum = syllabus.teacher_curriculum(foreign.discrete(3), "sfl", sfl, learn_from_all=True)
    assert len(curriculum.sample(2)) == 2
    curriculum.learn_from_all = False
    with pytest.raises(UsageError, match="must not learn from"):
        curriculum.sample(2)
    with pytest.raises(UnknownNameError, match="Did you mean 'uniform'"):
        syllabus.teacher_curriculum(foreign.discrete(3), "uniforms")


def test_a_channel_that_nobody_knows(package):
    tutor = syllabus.teacher_curriculum(foreign.discrete(3), "uniform").tutor
    with pytest.raises(UsageError, match=r"unknown channel 'return'\. Did you mean 'returns'\?"):
        tutor.tell([[0.5]], **{"return": 1.0})


def test_a_box_of_ours_as_a_task_space(package):
    box = task_space(make_environment("contextual:CartPole-v1")).only({"length": (0.1, 1.0), "tau": None})
    space = syllabus.box_task_space(box)
    again = syllabus.task_space_of(space)
    np.testing.assert_allclose(again.low, [0.1, 0.002], rtol=1e-6)
    np.testing.assert_allclose(again.high, [1.0, 0.2], rtol=1e-6)


def test_without_syllabus_there_is_one_error(monkeypatch):
    foreign.put(monkeypatch, {}, ["autorl.interop.syllabus.curriculum"])
    monkeypatch.setitem(sys.modules, "syllabus", None)
    monkeypatch.setitem(sys.modules, "syllabus.core", None)
    with pytest.raises(MissingDependencyError, match=r"Syllabus is not installed .* Remedy: pip install syllabus-rl"):
        syllabus.teacher_curriculum(foreign.discrete(3), "uniform")
