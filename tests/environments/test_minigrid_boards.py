"""MiniGrid boards: distributed as MiniGrid's own generators draw them, by its rules, and every one can be solved."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from minigrid_features import features
from minigrid_solver import BALL, BOX, CLOSED, DONE, DOOR, EMPTY, GOAL, KEY, LAVA, LOCKED, WALL, decode, solve

from autorl.environments.minigrid.names import MINIGRID_NAMES
from autorl.environments.registry import make_environment

# nearly all the time goes into compiling programs that run once
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

QUICK = ("DoorKey-6x6", "LavaCrossingS9N3", "KeyCorridorS3R2", "UnlockPickup", "MultiRoom-N2-S4")
"""One of each generator; the others are slow together because each compiles its own."""


def marked(names: tuple[str, ...]) -> list:
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


@functools.cache
def reference() -> dict[str, np.ndarray]:
    """What Farama's MiniGrid 3.2.0 does, recorded by minigrid_record.py."""
    with np.load(Path(__file__).with_name("minigrid_reference.npz"), allow_pickle=False) as found:
        return dict(found)


def recorded_names() -> tuple[str, ...]:
    return tuple(key.removesuffix("/mean") for key in reference() if key.endswith("/mean"))


@functools.cache
def observations(name: str, count: int) -> np.ndarray:
    environment = make_environment(f"minigrid:{name}")
    keys = jax.random.split(jax.random.key(7), count)
    reset = quick_jit(jax.vmap(lambda key: environment.reset(key, environment.default_task())[0]))
    return np.asarray(reset(keys))


@pytest.mark.parametrize("name", marked(recorded_names()))
def test_boards_are_distributed_as_minigrids(name: str) -> None:
    """All 106 features, mean and spread, within 5 standard errors of 10,000 boards of MiniGrid's."""
    count = 2000 if name in QUICK else 5000
    mean, std, theirs = (reference()[f"{name}/{key}"].astype(float) for key in ("mean", "std", "count"))
    found = np.array([features(*decode(board)) for board in observations(name, count)])
    error = np.sqrt(found.var(axis=0) / count + std**2 / theirs)
    np.testing.assert_array_less(abs(found.mean(axis=0) - mean), 5 * error + 1e-4)
    # a feature's own fourth moment gives the error of its spread
    fourth = ((found - found.mean(axis=0)) ** 4).mean(axis=0)
    error = np.sqrt(np.maximum(fourth - found.var(axis=0) ** 2, 0) * (1 / count + 1 / theirs))
    np.testing.assert_array_less(abs(found.var(axis=0) - std**2), 5 * error + 1e-2 * std**2 + 1e-4)


@pytest.mark.parametrize("name", recorded_names())
def test_sizes_limits_and_actions_are_minigrids(name: str) -> None:
    environment = make_environment(f"minigrid:{name}")
    assert environment.max_episode_steps == reference()[f"{name}/limit"]
    assert environment.action_space.n == (3 if name.startswith("Dynamic") else 7)
    if f"{name}/grid" in reference():
        assert environment.observation_shape == reference()[f"{name}/grid"].shape[1:]


def reach(grid: np.ndarray, start: tuple[int, int], blocked: tuple[int, ...]) -> set[tuple[int, int]]:
    """Return the cells reached from ``start`` without entering the ``blocked`` kinds."""
    seen, stack = {start}, [start]
    while stack:
        row, column = stack.pop()
        for cell in ((row, column + 1), (row, column - 1), (row + 1, column), (row - 1, column)):
            if cell not in seen and grid[cell][0] not in blocked:
                seen.add(cell)
                stack.append(cell)
    return seen


def cells(grid: np.ndarray, kind: int) -> list[tuple[int, int]]:
    return [(int(row), int(column)) for row, column in np.argwhere(grid[..., 0] == kind)]


def test_crossing_rivers_have_one_opening_each() -> None:
    for board in observations("LavaCrossingS9N3", 2000)[:200]:
        grid, place, direction = decode(board)
        assert (place, direction) == ((1, 1), 0)
        lava = grid[..., 0] == LAVA
        inside = lava[1:-1, 1:-1]
        rivers = [line for line in (2, 4, 6) for lines in (lava[1:-1, line], lava[line, 1:-1]) if lines.sum() >= 5]
        assert len(rivers) == 3
        across = sum(lava[1:-1, line].sum() >= 5 for line in (2, 4, 6))
        # 7 cells a river, less what crossing rivers share, less one opening each
        assert inside.sum() == 7 * 3 - across * (3 - across) - 3
        assert cells(grid, GOAL) == [(7, 7)]
        assert (7, 7) in reach(grid, place, (WALL, LAVA))


def test_key_corridor_is_connected_and_the_ball_locked_in() -> None:
    for board in observations("KeyCorridorS3R2", 2000)[:200]:
        grid, place, _ = decode(board)
        doors = grid[grid[..., 0] == DOOR]
        assert (doors[:, 2] == LOCKED).sum() == 1
        assert set(doors[:, 2]) == {CLOSED, LOCKED}
        (key,), (ball,) = cells(grid, KEY), cells(grid, BALL)
        (locked,) = [cell for cell in cells(grid, DOOR) if grid[cell][2] == LOCKED]
        assert grid[key][1] == grid[locked][1]
        assert (key[1], ball[1], locked[1], place[1]) == (1, 5, 4, 3)
        rooms = {(row, column) for row in (1, 3) for column in (1, 3, 5)}
        assert rooms <= reach(grid, place, (WALL,))
        barred = grid.copy()
        barred[locked] = (WALL, 5, 0)
        assert rooms - reach(barred, place, (WALL,)) == {ball}


def test_multi_room_is_a_chain() -> None:
    for board in observations("MultiRoom-N2-S4", 2000)[:200]:
        grid, place, _ = decode(board)
        (goal,), (door,) = cells(grid, GOAL), cells(grid, DOOR)
        assert grid[door][2] == CLOSED
        mine, all_rooms = reach(grid, place, (WALL, DOOR)), reach(grid, place, (WALL,))
        assert len(mine) == 4
        assert goal in all_rooms - mine
        assert len(all_rooms) == 4 + 4 + 1


def test_multi_room_doors_change_colour() -> None:
    colours = set()
    for board in observations("MultiRoom-N4-S5", 60):
        grid, place, _ = decode(board)
        doors = cells(grid, DOOR)
        assert len(doors) == 3
        order, shut = [], grid.copy()
        while len(order) < 3:  # open the doors from the agent on
            near = reach(shut, place, (WALL, DOOR))
            (door,) = [d for d in doors if d not in order and any((d[0] + r, d[1] + c) in near for r, c in AROUND)]
            order.append(door)
            shut[door] = (EMPTY, 0, 0)
        chain = [int(grid[door][1]) for door in order]
        assert all(a != b for a, b in itertools.pairwise(chain))
        colours |= set(chain)
    assert colours == set(range(6))


AROUND = ((0, 1), (1, 0), (0, -1), (-1, 0))


def target_of(name: str, grid: np.ndarray) -> tuple[int, int] | None:
    kind = BALL if name.startswith("KeyCorridor") else BOX if "Pickup" in name else None
    return None if kind is None else cells(grid, kind)[0]


SOLVED = tuple(name for name in MINIGRID_NAMES if not name.startswith("Dynamic"))


@pytest.mark.parametrize("name", marked(SOLVED))
def test_every_board_can_be_solved(name: str) -> None:
    """A planner that sees the observation alone solves each board; nothing is paid before, and the time is counted."""
    environment, task = (
        make_environment(f"minigrid:{name}"),
        {"reward_scale": np.float32(10), "time_penalty": np.float32(0.9)},
    )
    boards = 48
    plans = []
    for observation in observations(name, 2000 if name in QUICK else 60)[:boards]:
        grid, place, direction = decode(observation)
        plans.append(solve(grid, place, direction, target_of(name, grid)))
    keys = jax.random.split(jax.random.key(7), 2000 if name in QUICK else 60)[:boards]
    length = max(map(len, plans))
    assert length <= environment.max_episode_steps
    actions = jnp.asarray([plan + [DONE] * (length - len(plan)) for plan in plans], jnp.int32)

    @quick_jit
    @jax.vmap
    def play(key: jax.Array, actions: jax.Array) -> tuple[jax.Array, jax.Array]:
        def one(state, action):
            step = environment.step(key, state, action, task)
            return step.state, (step.reward, step.terminated)

        return jax.lax.scan(one, environment.reset(key, task)[1], actions)[1]

    rewards, ended = (np.asarray(x) for x in play(keys, actions))
    for plan, reward, end in zip(plans, rewards, ended, strict=True):
        last = len(plan) - 1
        assert np.flatnonzero(reward)[0] == np.flatnonzero(end)[0] == last
        np.testing.assert_allclose(reward[last], 10 * (1 - 0.9 * (last + 1) / environment.max_episode_steps), rtol=1e-5)
