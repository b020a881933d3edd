"""XLand-MiniGrid behind the protocol: its own steps, MiniGrid's codes and actions, and no automatic reset."""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from minigrid_solver import BOX, DONE, DOOR, LOCKED, TOGGLE, Planner, decode, solve

from autorl.environments.minigrid.names import FROM_XMINIGRID, XMINIGRID_EXCLUDED, XMINIGRID_NAMES
from autorl.environments.registry import check_environment_id, make_environment
from autorl.environments.tasks import make_task
from autorl.environments.xminigrid_adapter import _ACTIONS, _CELLS
from autorl.errors import MissingDependencyError, UsageError

# nearly all the time goes into compiling programs that run once
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

QUICK = ("DoorKey-5x5",)
LIMITS = {
    "Empty-5x5": 100,
    "EmptyRandom-6x6": 144,
    "DoorKey-8x8": 640,
    "FourRooms": 100,
    "Unlock": 288,
    "UnlockPickUp": 288,
}
LIMITS |= {"BlockedUnlockPickUp": 576, "LockedRoom": 190, "Playground": 512, "MemoryS8": 320}


def marked(names: tuple[str, ...]) -> list:
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


def test_the_names_are_those_of_the_library() -> None:
    import xminigrid

    theirs = {id.removeprefix("MiniGrid-") for id in xminigrid.registered_environments() if id.startswith("MiniGrid-")}
    assert theirs == set(XMINIGRID_NAMES) | set(XMINIGRID_EXCLUDED)
    assert set(FROM_XMINIGRID.values()) <= set(XMINIGRID_NAMES)
    with pytest.raises(UsageError, match="81,920 steps"):
        check_environment_id("xminigrid:MemoryS128")
    for name, limit in LIMITS.items():
        assert make_environment(f"xminigrid:{name}").max_episode_steps == limit


def test_without_the_library_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "xminigrid" else find(name))
    with pytest.raises(MissingDependencyError, match=r"'minigrid:Empty-5x5' needs .*pip install 'autorl\[minigrid\]'"):
        make_environment("minigrid:Empty-5x5")
    assert make_environment("minigrid:LavaGapS5").max_episode_steps == 100  # the others do not need it


def test_codes_follow_the_librarys_names() -> None:
    from xminigrid.core.constants import Colors, Tiles

    tiles = {"FLOOR": (1, 0), "WALL": (2, 0), "BALL": (6, 0), "SQUARE": (7, 0), "GOAL": (8, 0), "KEY": (5, 0)}
    tiles |= {
        "DOOR_LOCKED": (4, 2),
        "DOOR_CLOSED": (4, 1),
        "DOOR_OPEN": (4, 0),
        "PYRAMID": (7, 1),
        "HEX": (7, 2),
        "STAR": (7, 3),
    }
    for name, (kind, state) in tiles.items():
        for index, colour in enumerate(("RED", "GREEN", "BLUE", "PURPLE", "YELLOW", "GREY")):
            wanted = [kind, 0 if name == "FLOOR" else index, state]
            assert _CELLS[getattr(Tiles(), name), getattr(Colors(), colour)].tolist() == wanted
    assert len({tuple(cell) for row in _CELLS[2:, 1:7] for cell in row}) == 11 * 6  # none is lost


@pytest.mark.parametrize("name", marked(XMINIGRID_NAMES))
def test_steps_are_the_librarys(name: str) -> None:
    """The same boards, the same effects, rewards and ends as the library's own step with its rules, along random actions."""
    import xminigrid

    environment, (theirs, parameters) = make_environment(f"xminigrid:{name}"), xminigrid.make(f"MiniGrid-{name}")
    task, length, lanes = environment.default_task(), min(200, environment.max_episode_steps), 32
    key = jax.random.key(1)
    actions = jax.random.choice(key, jnp.asarray([0, 1, 2, 2, 2, 3, 4, 5]), (length, lanes))
    keys = jax.random.split(key, lanes)

    def ours(state: Any, action: jax.Array) -> Any:
        step = environment.step(key, state, action, task)
        return step.state, (step.state[:4], step.observation, step.reward, step.terminated)

    def library(timestep: Any, action: jax.Array) -> Any:
        after = theirs.step(parameters, timestep, jnp.asarray(_ACTIONS)[action])
        state = after.state
        kept = (state.grid, state.agent.position, state.agent.direction, state.agent.pocket)
        return after, (kept, after.reward, after.discount == 0)

    @quick_jit
    @jax.vmap
    def play(key: jax.Array, actions: jax.Array) -> Any:
        _, start = environment.reset(key, task)
        return jax.lax.scan(ours, start, actions)[1], jax.lax.scan(library, theirs.reset(parameters, key), actions)[1]

    (kept, seen, reward, terminated), (kept_there, reward_there, terminated_there) = jax.device_get(
        play(keys, actions.T)
    )
    for a, b in zip(kept, kept_there, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(reward, reward_there, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(terminated, terminated_there)
    assert seen.min() >= 0
    assert seen.max() <= 1
    assert ((seen[..., 0] == 1).sum(axis=(2, 3)) == 1).all()  # one agent


@pytest.mark.parametrize("name", marked(XMINIGRID_NAMES))
def test_the_goal_that_is_fixed_is_that_of_every_board(name: str) -> None:
    environment: Any = make_environment(f"xminigrid:{name}")
    goals = quick_jit(jax.vmap(lambda key: environment.reset(key, {})[1].goal))(jax.random.split(jax.random.key(0), 64))
    different = np.unique(np.asarray(goals), axis=0)
    assert (environment._goal is None) == (len(different) > 1)
    if environment._goal is not None:
        np.testing.assert_array_equal(different, environment._goal[None])


def target_of(name: str, grid: np.ndarray) -> tuple[int, int] | None:
    if "PickUp" not in name:
        return None
    (door,) = np.argwhere(grid[..., 0] == DOOR)
    kinds = np.argwhere(np.isin(grid[..., 0], (6, BOX)))
    (target,) = [cell for cell in kinds if cell[1] > door[1]]
    return int(target[0]), int(target[1])


def plan(name: str, observation: np.ndarray) -> list[int]:
    grid, place, direction = decode(observation)
    if name.startswith("Memory"):
        column = int(np.argwhere(grid[1, :, 0] > 4)[0][0])
        row = 2 if grid[2, 1, 0] == grid[1, column, 0] else 4
        planner = Planner(grid, place, direction)
        planner.go_to((row, column))
        return planner.actions
    assert (grid[..., 0] == DOOR).sum() == 0 or LOCKED in grid[grid[..., 0] == DOOR][:, 2]
    return solve(grid, place, direction, target_of(name, grid))


SOLVED = tuple(name for name in XMINIGRID_NAMES if name != "Playground")  # it pays nothing


@pytest.mark.parametrize("name", marked(SOLVED))
def test_boards_can_be_solved_from_the_observation(name: str) -> None:
    environment = make_environment(f"xminigrid:{name}")
    task = make_task(environment, {"reward_scale": 100, "time_penalty": 0.5})
    keys = jax.random.split(jax.random.key(2), 24)
    observations = np.asarray(quick_jit(jax.vmap(lambda key: environment.reset(key, task)[0]))(keys))
    if name == "BlockedUnlockPickUp":  # where the block stands on the key, nothing solves the board
        with_key = (observations[..., 0] == np.float32(0.5)).any(axis=(1, 2))
        assert 0.8 <= with_key.mean() < 1
        keys, observations = keys[with_key], observations[with_key]
    plans = [plan(name, observation) for observation in observations]
    length = max(map(len, plans))
    actions = jnp.asarray([steps + [DONE] * (length - len(steps)) for steps in plans], jnp.int32)

    @quick_jit
    @jax.vmap
    def play(key: jax.Array, actions: jax.Array) -> Any:
        def one(state: Any, action: jax.Array) -> Any:
            step = environment.step(key, state, action, task)
            return step.state, (step.reward, step.terminated)

        return jax.lax.scan(one, environment.reset(key, task)[1], actions)[1]

    rewards, ended = (np.asarray(x) for x in play(keys, actions))
    for steps, reward, end in zip(plans, rewards, ended, strict=True):
        last = len(steps) - 1
        assert np.flatnonzero(reward)[0] == np.flatnonzero(end)[0] == last
        np.testing.assert_allclose(
            reward[last], 100 * (1 - 0.5 * (last + 1) / environment.max_episode_steps), rtol=1e-5
        )


def test_done_passes_the_time_and_nothing_else() -> None:
    environment = make_environment("xminigrid:DoorKey-5x5")
    task = environment.default_task()
    observation, state = quick_jit(environment.reset)(jax.random.key(0), task)
    act = quick_jit(lambda state, action: environment.step(jax.random.key(0), state, action, task))
    step = act(state, jnp.int32(DONE))
    np.testing.assert_array_equal(step.observation, observation)
    assert int(step.state.time) == 1
    late = state._replace(time=jnp.int32(249))
    for action in (DONE, TOGGLE):
        step = act(late, jnp.int32(action))
        assert (bool(step.terminated), bool(step.truncated), int(step.state.time)) == (False, True, 250)
