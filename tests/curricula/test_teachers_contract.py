"""What every teacher owes its caller. A teacher added to the registry is covered at once."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.curricula.protocol import CHANNELS, Feedback, Teacher, choose
from autorl.curricula.tasks import TaskSpace
from autorl.curricula.teachers import TEACHERS, make_teacher
from autorl.curricula.trials import MOST_LOST
from autorl.errors import UnknownNameError, UsageError

LOW, HIGH = (-2.0, 10.0), (-1.0, 30.0)
COMPILED_SLOWLY = {"alp_gmm", "riac", "plr", "goal_gan", "again"}
OPEN_LOOP = {"uniform", "sequence", "schedule", "generator"}
every_teacher = pytest.mark.parametrize("name", list(TEACHERS))
every_learner = pytest.mark.parametrize("name", [name for name in TEACHERS if name not in OPEN_LOOP])
Pupils = Callable[[str], Any]


def returns_of(tasks: np.ndarray, step: int) -> np.ndarray:
    """Returns that rise with time in the upper half of the first dimension."""
    return np.where(tasks[:, 0] > -1.5, min(step / 60, 1.0), 0.1)


def lesson(one: Any, state: Any, first: int, last: int) -> tuple[Any, list[Any]]:
    proposals = []
    for step in range(first, last):
        proposals.append(one.propose(state, step))
        tasks = proposals[-1].tasks
        state = one.update(
            state, tasks, returns=returns_of(tasks, step), values=np.zeros(len(tasks)), mean_values=np.zeros(len(tasks))
        )
    return state, proposals


def assert_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


@every_teacher
def test_a_teacher_says_what_it_is(name: str) -> None:
    kind = TEACHERS.load(name)
    assert issubclass(kind, Teacher)
    assert kind.name == name
    assert any(character.isdigit() for character in kind.reference), "a reference names author and year"
    teacher = make_teacher(name, TaskSpace.unit(2))
    assert teacher.needs(teacher.parameters()) <= CHANNELS
    for field in dataclasses.fields(kind.Parameters):
        assert field.metadata["help"].endswith("."), field.name
        default, low, high = field.default, field.metadata.get("low"), field.metadata.get("high")
        if isinstance(default, int | float) and not isinstance(default, bool):
            assert low is not None or name == "adr", f"{field.name} has no range"
            assert low is None or low <= default, field.name
            assert high is None or default <= high, field.name


@pytest.mark.parametrize(
    "name",
    # those that quick tests compile are traced there
    [name if name in COMPILED_SLOWLY else pytest.param(name, marks=pytest.mark.slow) for name in TEACHERS],
)
def test_every_traced_parameter_is_data_and_any_batch_and_dimension_traces(name: str) -> None:
    teacher = make_teacher(name, TaskSpace.unit(3))
    params = jax.tree.map(lambda x: np.stack([x, x]), teacher.parameters())
    keys = jax.random.split(jax.random.key(0), 2)

    def cycle(params: Any, key: jax.Array) -> Any:
        state = teacher.init(key, params)
        proposal = teacher.propose(params, state, key, 3)
        feedback = Feedback(*[jnp.zeros(3)] * len(Feedback._fields))
        return state, proposal, teacher.update(params, state, proposal.tasks, feedback)

    before, proposal, after = jax.eval_shape(jax.vmap(cycle), params, keys)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), before) == jax.tree.map(lambda x: (x.shape, x.dtype), after)
    assert (proposal.tasks.shape, proposal.train.shape) == ((2, 3, 3), (2, 3))
    assert (proposal.tasks.dtype, proposal.train.dtype) == (jnp.float32, jnp.bool_)


@every_teacher
def test_a_lesson_keeps_to_the_box_and_repeats_and_resumes(name: str, pupil: Pupils) -> None:
    one = pupil(name)
    half, early = lesson(one, one.init(3), 0, 20)
    tasks = np.concatenate([proposal.tasks for proposal in early])
    assert tasks.shape == (160, 2)
    assert (tasks >= LOW).all()
    assert (tasks <= HIGH).all()
    if name not in {"sequence", "adr", "spdl", "poet"}:
        assert (tasks[:40].std(axis=0) > 0.1 * (np.array(HIGH) - LOW)).all(), "each dimension on its own scale"
    again, _ = lesson(one, one.init(3), 0, 20)
    assert_same(one.arrays(half), one.arrays(again))
    if name != "sequence":
        assert not np.array_equal(one.propose(half, 1).tasks, one.propose(half, 2).tasks)
    file = io.BytesIO()
    np.savez(file, **one.arrays(half))
    file.seek(0)
    with np.load(file, allow_pickle=False) as saved:
        restored = one.teacher.from_arrays(one.params, dict(saved))
    straight, resumed = (lesson(one, start, 20, 30) for start in (half, restored))
    assert_same(one.arrays(straight[0]), one.arrays(resumed[0]))
    for a, b in zip(straight[1], resumed[1], strict=True):
        np.testing.assert_array_equal(a.tasks, b.tasks)


@every_learner
def test_episodes_without_a_return_teach_nothing(name: str, pupil: Pupils) -> None:
    one, bad = pupil(name), np.nan
    clean, _ = lesson(one, one.init(3), 0, 12)
    tasks = one.propose(clean, 5).tasks[:6]
    returns = np.array([0.3, bad, 0.1, np.inf, 0.2, 0.3])
    kept = np.isfinite(returns)
    mixed = one.update(clean, tasks, returns=returns)
    assert_same(one.arrays(mixed), one.arrays(one.update(clean, tasks[kept], returns=returns[kept])))
    assert_same(one.arrays(one.update(clean, tasks, returns=np.full(6, bad))), one.arrays(clean))


@pytest.mark.parametrize("name", sorted(OPEN_LOOP))
def test_what_hears_nothing_goes_on_whatever_it_is_told(name: str, pupil: Pupils) -> None:
    one = pupil(name)
    clean, _ = lesson(one, one.init(3), 0, 12)
    told = one.update(
        clean, one.propose(clean, 5).tasks[:6], returns=np.array([0.3, np.nan, 0.1, np.inf, -np.inf, 0.3])
    )
    assert all(np.isfinite(array).all() for array in one.arrays(told).values())
    tasks = one.propose(told, 6).tasks
    assert np.isfinite(tasks).all()
    assert (tasks >= LOW).all()
    assert (tasks <= HIGH).all()


SMALLEST = {
    "sfl": {"candidates": 2, "kept": 1, "visits": 2},
    "goal_gan": {"goals": 2, "rollouts": 2, "room": 2},
    "dynamic_tasks": {"candidates": 2, "taken": 2, "visits": 2, "tried": 1.0},
    "poet": {"children": 2, "visits": 2, "tried": 1.0, "reproduce_at": 0.0, "every": 0},
}


@pytest.mark.parametrize("name", [name for name in TEACHERS if TEACHERS.load(name).hears_starts])
def test_episodes_that_began_and_ended_without_a_return_are_played_again(name: str) -> None:
    teacher, none = make_teacher(name, TaskSpace.unit(1)), np.full(4, np.nan, np.float32)
    params, key = teacher.parameters(SMALLEST[name]), jax.random.key(0)

    @jax.jit
    def play(state: Any, seed: Any) -> Any:
        tasks = teacher.propose(params, state, jax.random.fold_in(key, seed), 4).tasks
        return tasks, teacher.begun(params, state, tasks, jnp.ones(4, jnp.bool_))

    @jax.jit
    def told(state: Any, tasks: Any, returns: Any, ended: Any) -> Any:
        return teacher.update(params, state, tasks, Feedback(*[returns] * len(Feedback._fields)), ended)

    def begun(state: Any) -> int:
        return int(getattr(state, "trials", state).begun.sum())

    tasks, under_way = play(teacher.init(key, params), 0)
    assert begun(under_way) == 4
    same = told(under_way, tasks, none, np.zeros(4, bool))
    assert_same(teacher.to_arrays(same), teacher.to_arrays(under_way))
    state = told(under_way, tasks, np.array([np.nan, 1.0, 1.0, np.inf], np.float32), np.ones(4, bool))
    assert begun(state) == 2
    tasks, under_way = play(state, 1)
    assert begun(under_way) >= 4, "those two again"
    assert begun(told(under_way, tasks, np.ones(4, np.float32), np.ones(4, bool))) == 0, "so that all are judged"
    state, first = under_way, np.asarray(getattr(under_way, "trials", under_way).points)
    for turn in range(2, 2 * MOST_LOST + 4):
        state = told(state, tasks, none, np.ones(4, bool))
        tasks, state = play(state, turn)
    assert not np.isin(getattr(state, "trials", state).points, first).all(), (
        "tasks that never tell anything are given up"
    )


@every_teacher
def test_constant_returns_and_repeated_tasks_are_survived(name: str, pupil: Pupils) -> None:
    one = pupil(name)
    for value in (0.0, 1.0, -1e6):
        state = one.init(3)
        for _ in range(3):
            state = one.update(state, np.full((48, 2), one.tasks([0.25, 0.25])), returns=np.full(48, value))
        assert np.isfinite(one.propose(state, 1).tasks).all()


@every_teacher
def test_wrong_input_is_refused(name: str) -> None:
    teacher = make_teacher(name, TaskSpace.unit(3))
    params = teacher.parameters()
    state = jax.eval_shape(teacher.init, jax.random.key(0), params)
    with pytest.raises(UsageError, match="at least 1 task"):
        teacher.propose(params, state, jax.random.key(0), 0)
    with pytest.raises(UsageError, match=r"tasks: expected shape \[n, 3\], got \[4, 2\]"):
        teacher.update(params, state, np.zeros((4, 2)), Feedback(np.zeros(4)))
    for channel in teacher.needs(params):
        full = Feedback(*[np.zeros(4)] * len(Feedback._fields))
        with pytest.raises(UsageError, match=rf"'{channel}': expected shape \[4\], got \[3\]"):
            teacher.update(params, state, np.zeros((4, 3)), full._replace(**{channel: np.zeros(3)}))
        with pytest.raises(UsageError, match=f"it needs '{channel}', which was not measured"):
            teacher.update(params, state, np.zeros((4, 3)), full._replace(**{channel: None}))


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("alp_gmm", {"fit_rat": 30}, "unknown hyperparameter 'fit_rat'.*Did you mean 'fit_rate'"),
        ("alp_gmm", {"fit_rate": 12.5}, "fit_rate: expected a whole number, got 12.5"),
        ("alp_gmm", {"fit_rate": True}, "fit_rate: expected a number, got True"),
        ("alp_gmm", {"fit_rate": 500}, "fit_rate: expected at most window = 250, got 500"),
        ("covar_gmm", {"fit_rate": 10, "max_components": 20}, "fit_rate: expected at least max_components = 20"),
        ("covar_gmm", {"random_ratio": 1.5}, r"teacher 'covar_gmm': random_ratio: expected a value in \[0.0, 1.0\]"),
        ("covar_gmm", {"random_ratio": float("nan")}, "random_ratio"),
        ("arms", {"again": 0.7}, "again: expected at most 1 - uniform"),
        ("plr", {"score": "luck"}, "unknown level score 'luck'"),
        ("accel", {"edits": 30}, "edits: expected at most most_edits = 20"),
        ("sfl", {"kept": 300}, "kept: expected at most candidates = 250"),
        ("adr", {"narrow": 0.9}, "narrow: expected less than widen"),
        ("adr", {"centre": [0.5, 0.5, 0.5]}, r"centre: expected one number or shape \[2\]"),
        ("schedule", {"means": [[0.1, 0.2], [0.3, 1.4], [0, 0]]}, r"means: expected a value in \[0.0, 1.0\]"),
        ("goal_gan", {"least": 0.8}, "least: expected at most most"),
        ("learning_progress", {"bins": 2000}, "2000 along each of 2 dimensions are more than 1,000,000 cells"),
    ],
)
def test_wrong_parameters_are_refused(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_teacher(name, TaskSpace.unit(2)).parameters(values)


def test_one_number_stands_for_all_entries_of_an_array() -> None:
    teacher = make_teacher("schedule", TaskSpace.unit(2))
    assert teacher.parameters({"knots": 4}).means.shape == (4, 2)
    np.testing.assert_allclose(teacher.parameters({"means": [0.1, 0.2]}).means, [[0.1, 0.2]] * 3, rtol=1e-6)


def test_an_unknown_teacher_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'alp_gmm'"):
        make_teacher("alp_gm", TaskSpace.unit(2))


@pytest.mark.parametrize(
    ("low", "high"),
    [((), ()), ((0.0,), (1.0, 2.0)), ((1.0,), (1.0,)), ((0.0,), (float("inf"),)), ((1000.0,), (1001.0,))],
)
def test_a_task_space_that_is_no_box_is_refused(low: tuple[float, ...], high: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="task space"):
        TaskSpace(low, high)


def test_arrays_of_another_state_are_refused() -> None:
    teacher = make_teacher("adr", TaskSpace.unit(2))
    params = teacher.parameters()
    arrays = teacher.to_arrays(teacher.init(jax.random.key(0), params))
    with pytest.raises(UsageError, match="'high' is missing"):
        teacher.from_arrays(params, {"low": arrays["low"]})
    with pytest.raises(UsageError, match=r"'low': expected float32 \[2\], got float32 \[3\]"):
        teacher.from_arrays(params, {**arrays, "low": np.zeros(3, np.float32)})
    with pytest.raises(UsageError, match="unknown 'middle'"):
        teacher.from_arrays(params, {**arrays, "middle": np.zeros(2)})


def test_choices_are_in_proportion_and_uniform_if_nothing_is_better() -> None:
    for weights, shares in (([0.0, 1.0, 3.0, 0.0], [0, 0.25, 0.75, 0]), ([0.0] * 4, [0.25] * 4)):
        drawn = choose(jax.random.key(0), jnp.array(weights), 8000)
        np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 8000, shares, atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adr", "learning_progress", "arms"])
def test_a_population_with_parameters_of_its_own_is_one_program(name: str) -> None:
    """Vmapped over candidates and scanned over updates, each member does what it does alone under lax.map."""
    teacher = make_teacher(name, TaskSpace.unit(2))
    traced = {"adr": "step", "learning_progress": "rate", "arms": "exploration"}[name]
    small = {"arms": {"capacity": 32}}.get(name, {})
    candidates = [teacher.parameters({**small, traced: value}) for value in (0.05, 0.3, 0.8)]
    params = jax.tree.map(lambda *leaves: np.stack(leaves), *candidates)
    keys = jax.random.split(jax.random.key(0), 3)

    def lessons(params: Any, key: jax.Array) -> jax.Array:
        def step(state: Any, number: jax.Array) -> tuple[Any, jax.Array]:
            tasks = teacher.propose(params, state, jax.random.fold_in(key, number), 4).tasks
            returns = jnp.round(tasks[:, 0] * number) / 32
            return teacher.update(params, state, tasks, Feedback(returns, returns)), tasks

        return jax.lax.scan(step, teacher.init(key, params), jnp.arange(30))[1]

    together = np.asarray(jax.jit(jax.vmap(lessons))(params, keys))
    mapped = np.asarray(jax.jit(lambda p, k: jax.lax.map(lambda lane: lessons(*lane), (p, k)))(params, keys))
    # sums may be taken in another order: what follows from a rounded last bit is no error, but it is rare
    assert (np.abs(together - mapped).max(axis=-1) < 1e-4).mean() > 0.95
    assert not np.allclose(mapped[0], mapped[2])
