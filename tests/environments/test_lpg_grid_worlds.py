"""LPG's grid worlds: one step by hand, chances, where objects come back, and the distributions of tasks."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
import pytest

from autorl.environments.gridworld.distributions import DISTRIBUTIONS
from autorl.environments.gridworld.lpg import GridState
from autorl.environments.protocol import Reached
from autorl.environments.registry import LPG_NAMES, environment_names, make_environment
from autorl.environments.tasks import make_task
from autorl.errors import UsageError

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
UP, DOWN, LEFT, RIGHT, STAY = range(5)


def test_every_distribution_is_registered() -> None:
    assert set(LPG_NAMES) == set(DISTRIBUTIONS)
    assert {f"lpg:{name}" for name in DISTRIBUTIONS} <= set(environment_names())


@pytest.fixture(scope="module")
def small() -> Any:
    """A tabular world of 3 kinds on a board of 6 x 6, its step and its reset."""
    environment = make_environment("lpg:small")
    return environment, quick_jit(environment.step), quick_jit(environment.reset)


def world(environment: Any, **entries: Any) -> Any:
    """Return a world of 4 x 4 with one wall at (1, 1): objects at (0, 1), (2, 2) and (3, 3), start at (0, 0)."""
    walls = np.zeros((6, 6), bool)
    walls[1, 1] = True
    task = {"size": 4, "walls": walls.tolist(), "start": [0, 0], "objects": 3, "places": [[0, 1], [2, 2], [3, 3]]}
    chances = {"rewards": [0.5, -1.0, 2.0], "terminate": [0, 0, 1], "respawn": [0, 1, 0], "max_steps": 20}
    return make_task(environment, task | chances | entries)


def walk(small: Any, task: Any, *actions: int) -> list[Any]:
    _, step, reset = small
    _, state = reset(jax.random.key(0), task)
    steps = []
    for time, action in enumerate(actions):
        steps.append(jax.device_get(step(jax.random.key(time), state, np.int32(action), task)))
        state = steps[-1].state
    return steps


def test_a_walk_by_hand(small: Any) -> None:
    task = world(small[0])
    steps = walk(small, task, UP, RIGHT, DOWN, STAY, RIGHT, DOWN, DOWN, STAY, RIGHT, DOWN)
    assert [tuple(s.state.position.tolist()) for s in steps] == [
        (0, 0),  # the edge
        (0, 1),
        (0, 1),  # the wall
        (0, 1),
        (0, 2),
        (1, 2),
        (2, 2),
        (2, 2),
        (2, 3),
        (3, 3),
    ]
    # the first object is gone for good; the second is back one step after it was collected, and collected again
    assert [float(s.reward) for s in steps] == [0, 0.5, 0, 0, 0, 0, -1, 0, 0, 2]
    assert [s.state.present.tolist() for s in steps[6:9]] == [
        [False, False, True],
        [False, True, True],
        [False, True, True],
    ]
    assert [bool(s.terminated) for s in steps] == [False] * 9 + [True]
    assert not any(s.truncated for s in steps)
    for s in steps:
        present = s.state.present @ np.array([1, 2, 4])
        cell = s.state.position @ np.array([6, 1]) + 36 * present
        assert np.flatnonzero(s.observation[:-1]).tolist() == [cell]
        assert s.observation[-1] == pytest.approx(0.001 * s.state.time)


def test_unused_objects_and_the_time_limit(small: Any) -> None:
    task = world(small[0], objects=1, max_steps=3, respawn=[1, 1, 1])
    steps = walk(small, task, RIGHT, STAY, STAY)
    assert [s.state.present.tolist() for s in steps] == [[False] * 3, [True, False, False], [False] * 3]
    assert [float(s.reward) for s in steps] == [0.5, 0, 0.5]
    assert [bool(s.truncated) for s in steps] == [False, False, True]


@pytest.mark.slow
def test_chances(small: Any) -> None:
    environment, _, _ = small
    task = world(environment, terminate=[0.3, 0, 0], respawn=[0, 0.2, 0])
    _, state = environment.reset(jax.random.key(0), task)
    state = state._replace(present=np.array([True, False, True]))
    many = quick_jit(jax.vmap(lambda key: environment.step(key, state, np.int32(RIGHT), task)))
    steps = many(jax.random.split(jax.random.key(1), 4000))
    assert float(steps.terminated.mean()) == pytest.approx(0.3, abs=0.03)
    assert float(steps.state.present[:, 1].mean()) == pytest.approx(0.2, abs=0.03)
    assert np.corrcoef(steps.terminated, steps.state.present[:, 1])[0, 1] == pytest.approx(0, abs=0.06)


@pytest.mark.slow
def test_objects_come_back_anywhere_that_is_free() -> None:
    environment = make_environment("lpg:rand_small")
    task = make_task(environment, {"respawn": [1.0, 1.0]})
    walls = {(1, 2), (3, 4)}
    assert {tuple(cell) for cell in np.argwhere(task["walls"]).tolist()} == walls
    _, state = environment.reset(jax.random.key(0), task)
    state = state._replace(present=np.array([True, True, False, False]))
    many = quick_jit(jax.vmap(lambda key: environment.step(key, state, np.int32(STAY), task)))
    steps = jax.device_get(many(jax.random.split(jax.random.key(1), 1500)))
    new = steps.state.places[:, 2:]
    assert steps.state.present.all()
    assert (steps.state.places[:, :2] == state.places[:2]).all()
    taken = walls | {tuple(cell) for cell in np.asarray(state.places).tolist()} | {tuple(state.position.tolist())}
    reached = {tuple(cell) for cell in new.reshape(-1, 2).tolist()}
    assert reached == {(i, j) for i in range(7) for j in range(7)} - taken
    assert (new[:, 0] != new[:, 1]).any(axis=1).all()
    starts = quick_jit(jax.vmap(lambda key: environment.reset(key, task)[1].places))(
        jax.random.split(jax.random.key(2), 50)
    )
    assert len({str(places) for places in np.asarray(starts).tolist()}) == 50
    seen = steps.observation[0, :-1].reshape(3, 7, 7)  # the agent, then a board for each kind
    assert np.argwhere(seen[0]).tolist() == [state.position.tolist()]
    for kind in (0, 1):
        there = sorted(steps.state.places[0][np.array(environment.distribution.kinds) == kind].tolist())
        assert np.argwhere(seen[1 + kind]).tolist() == there


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "all", "longer"])
def test_tasks_are_drawn_from_the_distribution(name: str) -> None:
    environment = make_environment(f"lpg:{name}")
    of = environment.distribution

    @quick_jit
    @jax.vmap
    def draw(key: jax.Array) -> Any:
        task = environment.sample_task(key)
        return task, environment.is_valid(task)

    tasks, valid = jax.device_get(draw(jax.random.split(jax.random.key(0), 1500)))
    assert valid.all()
    assert bool(environment.is_valid(environment.default_task()))
    for entry, bounds in (("size", of.sizes), ("objects", of.objects)):
        assert set(tasks[entry].tolist()) == set(range(bounds[0], bounds[1] + 1))
    if name == "longer":
        assert (tasks["walls"] == of.wall_mask).all()
        assert of.wall_mask.sum() == 7
        assert np.unique(tasks["rewards"], axis=0).tolist() == [[1.0, -1.0]]
        return
    low, high = of.steps
    assert low <= tasks["max_steps"].min() < 1.2 * low
    assert 0.9 * high < tasks["max_steps"].max() <= high
    assert np.median(np.log(tasks["max_steps"])) == pytest.approx(np.log(low * high) / 2, abs=0.12)
    assert (tasks["walls"].sum(axis=(1, 2)) == of.walls).all()
    assert 0 <= tasks["rewards"][:, 0].min() < 0.01
    assert tasks["rewards"][:, 1].min() < -0.98
    assert tasks["rewards"].max() <= 1
    for entry, bounds in (("terminate", (0.01, 1.0)), ("respawn", (0.001, 0.1))):
        assert (tasks[entry] >= bounds[0] * 0.999).all()
        assert (tasks[entry] <= bounds[1] * 1.001).all()
        assert np.median(tasks[entry]) == pytest.approx(np.sqrt(bounds[0] * bounds[1]), rel=0.15)


def test_what_was_reached_is_gone_on_from_only_where_all_objects_could_lie() -> None:
    environment = make_environment("lpg:rand_dense")
    default = environment.default_task()
    resumed = jax.jit(environment.resumed)

    def fits(places: list[list[int]], present: list[bool], **changed: Any) -> bool:
        state = GridState(np.array([1, 1]), np.array(places), np.array(present), np.int32(3))
        after, possible = resumed(Reached(np.zeros(environment.observation_shape), state), {**default, **changed})
        used = np.arange(4) < changed.get("objects", 4)
        assert (np.asarray(after.state.present) == np.array(present) & used).all()
        return bool(possible)

    inside, outside = [[0, 0], [0, 1], [2, 2], [2, 0]], [[0, 0], [0, 1], [2, 2], [7, 9]]
    three, wall = {"size": np.int32(3)}, np.zeros((11, 11), np.bool_)
    wall[2, 2] = True
    assert fits(inside, [True] * 4, **three)
    assert not fits(outside, [True] * 4, **three), "one lies beyond the edge"
    assert fits(outside, [True] * 4)
    assert fits(outside, [True, True, True, False], **three), "it is gone, and comes back anywhere"
    assert fits(outside, [True] * 4, objects=np.int32(3), **three), "there is no such object"
    assert not fits(inside, [True] * 4, walls=wall)


def test_objects_that_keep_their_places_are_gone_on_from_only_there(small: Any) -> None:
    environment, task = small[0], small[0].default_task()
    _, state = environment.reset(jax.random.key(0), task)
    reached = Reached(np.zeros(environment.observation_shape), state)
    resumed = jax.jit(environment.resumed)
    assert bool(resumed(reached, task)[1])
    assert not bool(resumed(reached, {**task, "places": task["places"][::-1]})[1])


def test_tasks_that_are_none(small: Any) -> None:
    environment = small[0]
    for entries, message in (
        ({"start": [1, 1]}, "must be different cells without walls, with rows and columns from 0 to 3"),
        ({"places": [[0, 1], [0, 1], [3, 3]]}, "must be different cells"),
        ({"places": [[0, 1], [4, 0], [3, 3]]}, "rows and columns from 0 to 3"),
        ({"terminate": [0, 0, 1.5]}, "terminate_2: expected a number from 0 to 1, got 1.5"),
        ({"size": 9}, "size: expected a number from 1 to 6, got 9"),
        ({"rewards": [1.0]}, r"rewards: expected numbers of shape \(3,\)"),
    ):
        with pytest.raises(UsageError, match=message):
            world(environment, **entries)
    fewer = world(environment, objects=1, places=[[0, 1], [0, 1], [9, 9]])
    assert bool(environment.is_valid(fewer))  # what is left out may lie anywhere
