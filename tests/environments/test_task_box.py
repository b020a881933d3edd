"""Declared task spaces: boxes of named dimensions, what they refuse, and tasks that show in the observation."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.check import check_environment
from autorl.environments.protocol import Reached, ResumableEnvironment
from autorl.environments.registry import make_environment
from autorl.environments.task_box import TaskBox, TaskDimension, task_space
from autorl.environments.tasks import make_task
from autorl.environments.visible_task import with_visible_task
from autorl.errors import UsageError

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

BOX = TaskBox(
    (
        TaskDimension("length", 0.1, 10.0, 1.0, least=0.0, log=True),
        TaskDimension("count", 1, 5, 2, whole=True),
        TaskDimension("second_weight", -1.0, 1.0, 0.0, least=-2.0, greatest=2.0, entry="weights", index=(1,)),
    )
)
TASK = {"length": np.float32(1), "count": np.int32(2), "weights": np.zeros(3, np.float32), "other": np.bool_(True)}


def test_points_become_tasks_and_come_back() -> None:
    task = quick_jit(BOX.task)(TASK, np.array([3.0, 3.6, -0.5]))
    assert {name: value.tolist() for name, value in task.items()} == {
        "length": 3.0,
        "count": 4,
        "weights": [0.0, -0.5, 0.0],
        "other": True,
    }
    assert {name: value.dtype for name, value in task.items()} == {n: np.asarray(v).dtype for n, v in TASK.items()}
    assert BOX.point(task).tolist() == [3.0, 4.0, -0.5]
    assert BOX.point(TASK).tolist() == list(BOX.default)


def test_unit_cube_is_even_in_the_scale_of_each_dimension() -> None:
    middle = quick_jit(BOX.from_unit)(np.array([[0.5, 0.5, 0.5], [0, 0, 0], [1, 1, 1]]))
    np.testing.assert_allclose(middle, [[1.0, 3.0, 0.0], BOX.low, BOX.high], rtol=1e-6)
    np.testing.assert_allclose(quick_jit(BOX.to_unit)(middle)[0], 0.5, rtol=1e-5)
    drawn = np.asarray(quick_jit(lambda key: jax.vmap(BOX.sample)(jax.random.split(key, 4000)))(jax.random.key(0)))
    assert (drawn[:, 0] < 1).mean() == pytest.approx(0.5, abs=0.05)  # half below the middle ratio
    assert (drawn.min(axis=0) >= np.float32(BOX.low)).all()
    assert (drawn.max(axis=0) <= np.float32(BOX.high)).all()


def test_some_dimensions_with_other_ranges() -> None:
    some = BOX.only({"second_weight": None, "length": (0.5, 2.0)})
    assert (some.names, some.low, some.high) == (("second_weight", "length"), (-1.0, 0.5), (1.0, 2.0))
    assert BOX.only(["count"]).names == ("count",)
    with pytest.raises(UsageError, match=r"unknown task dimension 'lenght'. Did you mean 'length'"):
        BOX.only(["lenght"])
    with pytest.raises(UsageError, match=r"'second_weight': expected low -3.0, high 1.0 .* within \[-2.0, 2.0\]"):
        BOX.only({"second_weight": (-3.0, 1.0)})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"low": 1.0, "high": 1.0}, "finite low < high"),
        ({"low": 0.0, "high": math.inf}, "finite low < high"),
        ({"low": -1.0, "high": 1.0, "log": True}, "a log scale needs low > 0"),
        ({"low": 0.0, "high": 1.0, "default": 3.0, "greatest": 2.0}, "default 3.0 within"),
    ],
)
def test_dimensions_that_are_none(settings: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TaskDimension("x", **{"default": 0.0, **settings})


def test_a_box_needs_names() -> None:
    for dimensions in ((), (BOX.dimensions[0],) * 2):
        with pytest.raises(UsageError, match="at least one dimension and no name twice"):
            TaskBox(dimensions)


def test_values_beyond_the_limits_are_refused() -> None:
    environment = make_environment("point_mass:gate-3d")
    assert (
        float(make_task(environment, {"friction": 7.5, "gate_width": 0})["friction"]) == 7.5
    )  # never proposed, but legal
    with pytest.raises(UsageError) as caught:
        make_task(environment, {"friction": -1.0, "gate_width": -0.5, "gravity": 3.0})
    for message in (
        "friction: expected a number from 0 to inf, got -1",
        "gate_width: expected a number from 0 to inf, got -0.5",
        "unknown task parameter 'gravity'",
    ):
        assert message in str(caught.value)
    limits = TaskBox((TaskDimension("mass", 0.01, 1.0, 0.1, least=0.01, greatest=1.0),))
    assert limits.problems({"mass": np.float32(0.01)}) == []  # a limit itself is legal, though no float32
    assert limits.problems({"mass": np.float32(1.01)}) == ["mass: expected a number from 0.01 to 1, got 1.01"]


def test_environments_without_a_task_space_say_so() -> None:
    assert task_space(make_environment("point_mass:gate-2d")).names == ("gate_position", "gate_width")
    with pytest.raises(UsageError, match="'probe:two_step' declares no task space"):
        task_space(make_environment("probe:two_step"))


def test_a_visible_task_stands_behind_the_observation() -> None:
    hidden = make_environment("point_mass:gate-3d")
    visible, some = make_environment("point_mass:gate-3d-visible"), with_visible_task(hidden, ["friction"], "some")
    assert check_environment(some, "some") is some
    task = make_task(visible, {"gate_position": 1.5, "friction": 0.25})
    key, action = jax.random.key(2), jnp.array([3.0, -4.0])
    observation, state = quick_jit(visible.reset)(key, task)
    assert observation.tolist() == [0, 0, 3, 0, 1.5, 2.0, 0.25]
    seen, alone, little = quick_jit(lambda *at: tuple(e.step(*at) for e in (visible, hidden, some)))(
        key, state, action, task
    )
    np.testing.assert_array_equal(seen.observation, [*alone.observation, 1.5, 2.0, 0.25])
    np.testing.assert_array_equal(little.observation, [*alone.observation, 0.25])
    assert isinstance(visible, ResumableEnvironment)
    again, fits = visible.resumed(Reached(seen.observation, seen.state), make_task(visible, {"gate_position": -1.0}))
    np.testing.assert_array_equal(again.observation, [*alone.observation, -1.0, 2.0, 2.0])
    assert (bool(fits), again.state is seen.state) == (True, True)
    assert (seen.reward, task_space(some).names) == (alone.reward, task_space(hidden).names)
    with pytest.raises(UsageError, match="unknown task dimension 'friktion'"):
        with_visible_task(hidden, ["friktion"])
    with pytest.raises(UsageError, match=r"declares no task space"):
        with_visible_task(make_environment("maze:9x9"))
