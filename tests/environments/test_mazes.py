"""Mazes: shortest paths against networkx, the view against a picture turned by hand, edits, generators, the literature's levels."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import networkx
import numpy as np
import pytest

from autorl.environments.maze.edits import edit_level
from autorl.environments.maze.level import is_valid, level_from_text, random_level, text_of
from autorl.environments.maze.levels import NAMED_LEVELS, named_level
from autorl.environments.maze.paths import UNREACHABLE, fewest_actions, is_solvable, shortest_path, solvable_level
from autorl.environments.minigrid import codes
from autorl.environments.minigrid.view import observe_ahead
from autorl.environments.registry import make_environment
from autorl.environments.tasks import make_task
from autorl.errors import UnknownNameError, UsageError

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
Level = Mapping[str, Any]
ACTIONS = {"SixteenRooms": 26, "SixteenRooms2": 28, "Labyrinth": 113, "LabyrinthFlipped": 113, "Labyrinth2": 113}
ACTIONS |= {"StandardMaze": 54, "StandardMaze2": 73, "StandardMaze3": 54}  # counted by networkx
SIZE, LEVELS = 7, 150


@pytest.fixture(scope="module")
def drawn() -> tuple[Level, dict[str, np.ndarray]]:
    """Random levels of 7 x 7 with 0 to 24 walls, stacked; and what `paths` says of them."""

    @quick_jit
    def draw(keys: jax.Array, walls: jax.Array) -> Any:
        levels = jax.vmap(random_level, in_axes=(0, None, 0))(keys, SIZE, walls)
        found = {name: jax.vmap(f)(levels) for name, f in (("moves", shortest_path), ("actions", fewest_actions))}
        return levels, found | {"solvable": jax.vmap(is_solvable)(levels), "valid": jax.vmap(is_valid)(levels)}

    return jax.device_get(draw(jax.random.split(jax.random.key(0), LEVELS), np.arange(LEVELS) % 25))


def one_of(levels: Level, i: int) -> Level:
    return {name: value[i] for name, value in levels.items()}


def moves(level: Level) -> networkx.DiGraph:
    """What an agent can do: from (row, column, direction) to those that it reaches by one action."""
    graph, free = networkx.DiGraph(), {tuple(map(int, cell)) for cell in np.argwhere(~level["walls"])}
    for row, column in free:
        for direction, (down, right) in enumerate([(0, 1), (1, 0), (0, -1), (-1, 0)]):
            here = (row, column, direction)
            graph.add_edge(here, (row, column, (direction - 1) % 4), action=codes.LEFT)
            graph.add_edge(here, (row, column, (direction + 1) % 4), action=codes.RIGHT)
            if (row + down, column + right) in free:
                graph.add_edge(here, (row + down, column + right, direction), action=codes.FORWARD)
    return graph


def best_plan(level: Level) -> list[int] | None:
    """Return the fewest actions to the goal, by networkx; None if there is no way."""
    graph, goal = moves(level), tuple(map(int, level["goal"]))
    start = (*map(int, level["start"]), int(level["direction"]))
    lengths, paths = networkx.single_source_dijkstra(graph, start)
    ends = [(lengths[end], end) for end in lengths if end[:2] == goal]
    if not ends:
        return None
    path = paths[min(ends)[1]]
    return [graph.edges[edge]["action"] for edge in itertools.pairwise(path)]


def test_paths_are_the_shortest(drawn: Any) -> None:
    levels, found = drawn
    unsolvable = 0
    for i in range(LEVELS):
        level = one_of(levels, i)
        plan = best_plan(level)
        unsolvable += plan is None
        assert found["solvable"][i] == (plan is not None)
        assert found["actions"][i] == (UNREACHABLE if plan is None else len(plan))
        grid = networkx.grid_2d_graph(SIZE, SIZE)
        grid.remove_nodes_from([tuple(map(int, cell)) for cell in np.argwhere(level["walls"])])
        ends = [tuple(map(int, level[name])) for name in ("start", "goal")]
        connected = networkx.has_path(grid, *ends)
        assert found["moves"][i] == (networkx.shortest_path_length(grid, *ends) if connected else UNREACHABLE)
    assert 5 < unsolvable < LEVELS / 2


def test_random_levels(drawn: Any) -> None:
    levels, found = drawn
    assert found["valid"].all()
    assert (levels["walls"].sum(axis=(1, 2)) == np.arange(LEVELS) % 25).all()
    assert set(levels["direction"].tolist()) == {0, 1, 2, 3}


@pytest.mark.slow
def test_random_levels_are_even_and_solvable_ones_solvable() -> None:
    many = quick_jit(lambda keys: jax.vmap(lambda key: random_level(key, 4, 3))(keys))(
        jax.random.split(jax.random.key(1), 4000)
    )
    for name in ("start", "goal"):
        cells = np.bincount(np.asarray(many[name]) @ np.array([4, 1]), minlength=16)
        assert (abs(cells - 250) < 80).all()  # five standard deviations
    assert (abs(np.asarray(many["walls"]).mean(axis=0) - 3 / 16) < 0.04).all()
    full = quick_jit(lambda key: random_level(key, 3, 100))(jax.random.key(0))
    assert int(full["walls"].sum()) == 7  # two cells stay free
    solvable = quick_jit(lambda keys: jax.vmap(lambda key: solvable_level(key, 5, 12))(keys))(
        jax.random.split(jax.random.key(2), 40)
    )
    assert all(best_plan(one_of(jax.device_get(solvable), i)) is not None for i in range(40))


def test_edits_keep_levels_valid_and_change_one_thing_each(drawn: Any) -> None:
    levels, _ = drawn

    @quick_jit
    def edit(levels: Any, keys: jax.Array, edits: jax.Array) -> Any:
        edited = jax.vmap(lambda key, level: edit_level(key, level, edits, most=20))(keys, levels)
        return edited, jax.vmap(is_valid)(edited)

    keys = jax.random.split(jax.random.key(5), LEVELS)
    for count in (0, 1, 20):
        edited, valid = jax.device_get(edit(levels, keys, count))
        assert valid.all()
        toggled = (edited["walls"] != levels["walls"]).sum(axis=(1, 2))
        moved = (edited["goal"] != levels["goal"]).any(axis=1)
        assert (edited["start"] == levels["start"]).all()
        assert (edited["direction"] == levels["direction"]).all()
        assert (toggled <= count).all()
        if count == 0:
            assert not moved.any()
        if count == 1:  # a third each: nothing, a wall, the goal
            assert not (moved & (toggled > 0)).any()
            assert [abs(x.mean() - 1 / 3) < 0.16 for x in (moved, toggled > 0)] == [True, True]
            gained = edited["walls"].sum() - levels["walls"].sum()
            assert abs(gained) < toggled.sum()  # walls come and go
    crowded = level_from_text(">G#\n###\n###")
    stuck = quick_jit(lambda keys: jax.vmap(lambda key: edit_level(key, crowded, 1, most=1))(keys))(keys)
    assert (np.asarray(stuck["goal"]) == crowded["goal"]).all()  # there is nowhere to go


def test_the_view_is_the_board_turned() -> None:
    """As in JaxUED: cut the square ahead out of the board, walls beyond its edge, and turn it so that ahead is up."""
    level, rng, size = named_level("StandardMaze"), np.random.default_rng(0), 5
    grid = np.full((13, 13, 3), codes.EMPTY_CELL, np.uint8)
    grid[level["walls"]] = codes.WALL_CELL
    grid[tuple(level["goal"])] = codes.GOAL_CELL
    view = quick_jit(observe_ahead, static_argnums=3)
    padded = np.full((13 + 8, 13 + 8, 3), codes.WALL_CELL, np.uint8)
    padded[4:-4, 4:-4] = grid
    for _ in range(60):
        (row, column), direction = rng.integers(0, 13, 2), int(rng.integers(4))
        top, left = {0: (2, 4), 1: (4, 2), 2: (2, 0), 3: (0, 2)}[direction]
        cut = padded[row + top : row + top + 5, column + left : column + left + 5]
        expected = np.rot90(cut, direction + 1).astype(np.float32)
        expected[4, 2] = (codes.AGENT, codes.RED, direction)
        seen = view(grid, np.array([row, column], np.int32), np.int32(direction), size)
        np.testing.assert_allclose(seen * np.array([10, 5, 3]), expected, atol=1e-5)


@pytest.fixture(scope="module")
def play() -> Any:
    environment = make_environment("maze:13x13-full")

    @quick_jit
    def run(task: Any, plan: jax.Array) -> Any:
        def one(state: Any, action: jax.Array) -> Any:
            step = environment.step(jax.random.key(0), state, action, task)
            return step.state, (step.reward, step.terminated, step.truncated, step.observation)

        observation, state = environment.reset(jax.random.key(0), task)
        return observation, jax.lax.scan(one, state, plan)[1]

    return run


@pytest.mark.parametrize("name", NAMED_LEVELS)
def test_levels_of_the_literature_are_solved_in_the_fewest_actions(name: str, play: Any) -> None:
    task = make_task(make_environment("maze:13x13-full"), {"level": name})
    plan = best_plan(task)
    assert plan is not None
    assert text_of(task) == NAMED_LEVELS[name].strip()
    assert len(plan) == ACTIONS[name]
    padded = np.array(plan + [codes.FORWARD] * (260 - len(plan)), np.int32)
    _, (reward, terminated, _, _) = jax.device_get(play(task, padded))
    assert np.flatnonzero(reward)[0] == np.flatnonzero(terminated)[0] == len(plan) - 1
    assert reward[len(plan) - 1] == pytest.approx(1 - 0.9 * len(plan) / 250)


def test_walls_stop_and_time_runs_out(play: Any) -> None:
    task = make_task(make_environment("maze:13x13"), {"level": "Labyrinth2"})  # looks at a wall
    first, (reward, terminated, truncated, seen) = jax.device_get(play(task, np.full(260, codes.FORWARD, np.int32)))
    assert not reward.any()
    assert not terminated.any()
    assert np.flatnonzero(truncated)[0] == 249
    np.testing.assert_array_equal(seen[100], first)
    assert first.shape == (15, 15, 3)
    assert first[1, 1].tolist() == [1.0, 0.0, 0.0]  # the agent, looking right
    np.testing.assert_allclose(first[1, 2] * [10, 5, 3], codes.WALL_CELL)
    np.testing.assert_allclose(first[7, 7] * [10, 5, 3], codes.GOAL_CELL)
    np.testing.assert_allclose(first[[0, -1], :, 0] * 10, codes.WALL)  # the wall around it


def test_tasks_from_names_drawings_and_entries() -> None:
    environment = make_environment("maze:9x9")
    text = "\n".join(["v........", *["........."] * 7, "........G"])
    task = make_task(environment, {"level": text, "direction": 3})
    assert (task["goal"].tolist(), int(task["direction"])) == ([8, 8], 3)
    assert make_task(environment, {"goal": [0, 5]})["goal"].tolist() == [0, 5]
    assert bool(environment.is_valid(quick_jit(environment.sample_task)(jax.random.key(0))))
    assert environment.random_walls == 12
    assert int(make_environment("maze:13x13").random_walls) == 25


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"level": "Labyrinth"}, r"'maze:9x9': level: expected 9 x 9 cells, got 13; use the environment of that size"),
        ({"level": "Labirinth"}, "unknown level 'Labirinth'. Did you mean 'Labyrinth'"),
        ({"level": 3}, "level: expected a name or a drawing, got 3"),
        ({"level": "..\nG"}, "expected n lines of n characters, got 2 lines of lengths .1, 2."),
        ({"level": ">G.\nG..\n..x"}, r"got 2 goals, 1 agents and other characters \['x'\]"),
        ({"goal": [1, 1]}, r"start \[1, 1\] and goal \[1, 1\] must be two free cells within 0 to 8"),
        ({"start": [9, 0]}, r"start \[9, 0\] and goal"),
        ({"direction": 4}, "direction 4 one of 0 to 3"),
        ({"wals": [1]}, "unknown task parameter 'wals'. Did you mean 'walls'"),
    ],
)
def test_levels_that_are_none(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises((UsageError, UnknownNameError), match=message):
        make_task(make_environment("maze:9x9"), overrides)


def test_levels_are_points_and_every_point_is_a_level_that_can_be_played():
    maze = make_environment("maze:13x13")
    points = maze.task_points
    for name in ("Labyrinth", "SixteenRooms2"):
        level = named_level(name)
        again = points.task(None, points.point(level))
        assert all(np.array_equal(again[part], level[part]) for part in level)
    anywhere = jax.random.uniform(jax.random.key(0), (200, points.dimensions))
    anywhere = anywhere.at[:50, -2].set(anywhere[:50, -3])  # start and goal in one cell
    assert bool(jnp.all(jax.vmap(lambda point: is_valid(points.task(None, point)))(anywhere)))
    point = points.sample(jax.random.key(1))
    assert int(points.task(None, point)["walls"].sum()) == maze.random_walls
    walls, distance = points.described(points.point(named_level("Labyrinth")))
    assert (round(float(walls) * 169 / 2), round(float(distance) * 24)) == (
        int(named_level("Labyrinth")["walls"].sum()),
        12,
    )
    edited = jax.vmap(points.edit, (0, None))(jax.random.split(jax.random.key(2), 100), point)
    assert bool(jnp.all(jax.vmap(lambda one: is_valid(points.task(None, one)))(edited)))
    assert 40 < int(jnp.sum(jnp.any(edited != point, axis=1))) < 90, "two edits of three change something"
