"""MiniGrid steps: MiniGrid's own episodes played again, wandering obstacles, rewards, tasks and time limits."""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_minigrid_boards import quick_jit, reference

from autorl.environments.minigrid import codes
from autorl.environments.minigrid.grid import board
from autorl.environments.minigrid.layout import walled
from autorl.environments.minigrid.obstacles import ObstacleBoard
from autorl.environments.protocol import Discrete
from autorl.environments.registry import make_environment
from autorl.environments.tasks import make_task
from autorl.errors import UsageError


@functools.cache
def stepper(name: str) -> Any:
    """Return the environment's step, compiled: (state, action, task) -> Step."""
    environment = make_environment(f"minigrid:{name}")
    key = jax.random.key(0)
    return quick_jit(lambda state, action, task: environment.step(key, state, jnp.int32(action), task))


REPLAYED = sorted(key.removesuffix("/actions") for key in reference() if key.endswith("/actions"))


@functools.cache
def first_state(name: str) -> Any:
    environment = make_environment(f"minigrid:{name}")
    return quick_jit(lambda key: environment.reset(key, environment.default_task()))(jax.random.key(0))


def state_of(name: str, grid: np.ndarray, place: np.ndarray, direction: np.ndarray) -> Any:
    """Return the state of our environment of that name for a board of MiniGrid's."""
    if name not in ("DoorKey-6x6", "FourRooms"):
        return board(jnp.asarray(grid), place, direction)
    from autorl.environments.xminigrid_adapter import XState

    tile = {1: 1, 2: 2, 5: 7, 8: 6}  # empty, wall, key, goal
    doors = {codes.LOCKED: 8, codes.CLOSED: 9, codes.OPEN: 10}
    theirs = np.zeros((*grid.shape[:2], 2), np.uint8)
    for cell in np.ndindex(*grid.shape[:2]):
        kind, colour, condition = (int(x) for x in grid[cell])
        theirs[cell] = (doors[condition] if kind == codes.DOOR else tile[kind], 7 if kind == 1 else colour + 1)
    _, state = first_state(name)
    assert isinstance(state, XState)
    place, direction = jnp.asarray(place, jnp.int32), (jnp.asarray(direction, jnp.int32) + 1) % 4
    return state._replace(grid=jnp.asarray(theirs), position=place, direction=direction)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n == "FourRooms" else n for n in REPLAYED])
def test_minigrids_own_episodes(name: str) -> None:
    """Board, actions, and at each step what MiniGrid's fully observing wrapper shows, its reward and its end."""
    episodes = {key.removeprefix(f"{name}/"): value for key, value in reference().items() if key.startswith(f"{name}/")}
    environment = make_environment(f"minigrid:{name}")
    assert episodes["rewards"].max() > 0  # the recording reaches what pays
    task = environment.default_task()
    starts = [
        state_of(name, *(episodes[k][i] for k in ("grid", "place", "direction"))) for i in range(len(episodes["grid"]))
    ]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)

    @quick_jit
    @jax.vmap
    def play(state: Any, actions: jax.Array) -> Any:
        def one(state: Any, action: jax.Array) -> Any:
            step = environment.step(jax.random.key(0), state, action, task)
            return step.state, (step.observation, step.reward, step.terminated, step.truncated)

        return jax.lax.scan(one, state, actions)[1]

    played = jax.device_get(play(stacked, jnp.asarray(episodes["actions"], jnp.int32)))
    for index, length in enumerate(episodes["length"].tolist()):
        observation, reward, terminated, truncated = (x[index, :length] for x in played)
        seen = episodes["seen"][index, :length] / np.array([10, 5, 3], np.float32)
        np.testing.assert_allclose(observation, seen, rtol=1e-6)
        np.testing.assert_allclose(reward, episodes["rewards"][index, :length], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(terminated, episodes["terminated"][index, :length])
        assert not truncated[:-1].any()


def room(*cells: tuple[int, int, tuple[int, int, int]], size: int = 5) -> np.ndarray:
    grid = walled(size, size)
    for row, column, cell in cells:
        grid[row, column] = cell
    return grid


def unlock_step(state: Any, *actions: int) -> Any:
    task = make_environment("minigrid:Unlock").default_task()
    for action in actions:
        step = stepper("Unlock")(state, action, task)
        state = step.state
    return step


def test_a_locked_door_needs_its_own_key() -> None:
    door, wrong, right = (codes.DOOR, codes.RED, codes.LOCKED), (codes.KEY, codes.BLUE, 0), (codes.KEY, codes.RED, 0)
    for key, opens in ((wrong, False), (right, True)):
        start = board(jnp.asarray(room((1, 2, key), (2, 1, door))), (1, 1), 0)
        before = unlock_step(start, codes.RIGHT, codes.TOGGLE)
        assert before.state.grid[2, 1].tolist() == list(door)  # empty hands
        after = unlock_step(start, codes.PICKUP, codes.RIGHT, codes.TOGGLE)
        assert after.state.grid[2, 1].tolist() == [*door[:2], codes.OPEN if opens else codes.LOCKED]
        assert after.state.carrying.tolist() == list(key[:2])


def test_hands_hold_one_thing_and_put_it_down_on_empty_cells_alone() -> None:
    ball, box = (codes.BALL, codes.GREEN, 0), (codes.BOX, codes.GREY, 0)
    start = board(jnp.asarray(room((1, 2, ball), (2, 1, box))), (1, 1), 0)
    held = unlock_step(start, codes.PICKUP)
    assert held.state.grid[1, 2].tolist() == list(codes.EMPTY_CELL)
    full = unlock_step(held.state, codes.RIGHT, codes.PICKUP)  # hands are full
    assert full.state.grid[2, 1].tolist() == list(box)
    assert unlock_step(full.state, codes.DROP).state.carrying.tolist() == list(ball[:2])  # the box is there
    down = unlock_step(full.state, codes.LEFT, codes.DROP)
    assert down.state.grid[1, 2].tolist() == list(ball)
    assert down.state.carrying.tolist() == [0, 0]
    assert unlock_step(start, codes.RIGHT, codes.TOGGLE).state.grid[2, 1].tolist() == list(codes.EMPTY_CELL)  # opened


def obstacle_state(*balls: tuple[int, int], place: tuple[int, int] = (1, 1), size: int = 5) -> ObstacleBoard:
    grid = room(*((r, c, codes.BLUE_BALL_CELL) for r, c in balls), (size - 2, size - 2, codes.GOAL_CELL), size=size)
    padded = [*balls, *[(0, 0)] * (size // 2 + 1 - len(balls))]
    return ObstacleBoard(board(jnp.asarray(grid), place, 0), jnp.asarray(padded, jnp.int32))


@functools.cache
def many_stepper() -> Any:
    environment = make_environment("minigrid:Dynamic-Obstacles-5x5")
    task = environment.default_task()
    return quick_jit(jax.vmap(lambda key, state, action: environment.step(key, state, action, task), (0, None, None)))


def many_steps(state: ObstacleBoard, action: int, count: int = 2000) -> Any:
    """Take the same step 2000 times with other keys; return the first ``count``."""
    steps = jax.device_get(many_stepper()(jax.random.split(jax.random.key(3), 2000), state, jnp.int32(action)))
    return jax.tree.map(lambda x: x[:count], steps)


def test_obstacles_move_to_a_random_free_neighbour() -> None:
    step = many_steps(obstacle_state((2, 2)), codes.LEFT)
    to = Counter(tuple(place) for place in step.state.obstacles[:, 0].tolist())
    assert set(to) == {(r, c) for r in (1, 2, 3) for c in (1, 2, 3)} - {(1, 1), (2, 2), (3, 3)}  # agent, itself, goal
    assert max(abs(n - 2000 / 6) for n in to.values()) < 5 * np.sqrt(2000 / 6)
    balls = step.observation[..., 0] == np.float32(0.6)
    assert (balls.sum(axis=(1, 2)) == 1).all()
    assert balls[np.arange(2000), step.state.obstacles[:, 0, 0], step.state.obstacles[:, 0, 1]].all()
    assert (step.state.obstacles[:, 1:] == 0).all()


def test_obstacles_move_one_after_the_other() -> None:
    """The second ball may take the cell that the first one left, never the one that it took."""
    step = many_steps(obstacle_state((1, 3), (2, 3), (2, 2)), codes.LEFT)
    places = step.state.obstacles
    assert all(len({tuple(p) for p in balls}) == 3 for balls in places.tolist())
    assert any(tuple(balls[1]) == (1, 3) for balls in places.tolist())
    assert ((step.observation[..., 0] == np.float32(0.6)).sum(axis=(1, 2)) == 3).all()


def test_walking_into_a_ball_or_a_wall_costs_one() -> None:
    into_ball = many_steps(obstacle_state((1, 2)), codes.FORWARD, 200)
    assert (into_ball.reward == -1).all()
    assert into_ball.terminated.all()
    into_wall = many_steps(obstacle_state(place=(1, 3)), codes.FORWARD, 2)
    assert (into_wall.reward == -1).all()
    assert into_wall.terminated.all()
    moved = many_steps(obstacle_state((1, 3)), codes.FORWARD, 200)  # the cell in front is free; the ball may take it
    blocked = (moved.state.board.position == 1).all(axis=1)
    assert 0 < blocked.sum() < 200
    assert (moved.reward == 0).all()
    assert not moved.terminated.any()
    goal = many_steps(obstacle_state((1, 1), place=(3, 2)), codes.FORWARD, 2)
    np.testing.assert_allclose(goal.reward, 1 - 0.9 / 100, rtol=1e-6)
    assert goal.terminated.all()


@pytest.mark.parametrize(
    "name", ["5x5", pytest.param("Random-6x6", marks=pytest.mark.slow), pytest.param("8x8", marks=pytest.mark.slow)]
)
def test_obstacles_can_be_passed(name: str) -> None:
    """Right, then down, waiting while a ball is in front: most boards are solved in time, and none ends with a collision."""
    environment = make_environment(f"minigrid:Dynamic-Obstacles-{name}")
    task, last = environment.default_task(), environment.shape[0] - 2

    def one(carry: Any, key: jax.Array) -> Any:
        state, over, total = carry
        here = state.board
        wanted = jnp.where(here.position[1] < last, 0, 1)
        front = here.grid[tuple(here.position + jnp.asarray(codes.DIRECTIONS)[here.direction])][0]
        clear = (front == codes.EMPTY) | (front == codes.GOAL)
        faces = here.direction == wanted
        action = jnp.where(faces & clear, codes.FORWARD, jnp.where(faces, codes.LEFT, codes.RIGHT))
        step = environment.step(key, state, action, task)
        total = total + jnp.where(over, 0, step.reward)
        return (step.state, over | step.terminated | step.truncated, total), None

    @quick_jit
    @jax.vmap
    def play(key: jax.Array) -> jax.Array:
        _, state = environment.reset(key, task)
        keys = jax.random.split(key, environment.max_episode_steps)
        return jax.lax.scan(one, (state, jnp.asarray(False), jnp.float32(0)), keys)[0][2]

    returns = np.asarray(play(jax.random.split(jax.random.key(5), 100)))
    assert (returns >= 0).all()
    assert (returns > 0.1).mean() >= 0.95


def test_tasks() -> None:
    environment = make_environment("minigrid:Dynamic-Obstacles-5x5")
    reset = quick_jit(environment.reset)
    for count in (0, 1, 3):
        observation, state = reset(jax.random.key(0), make_task(environment, {"obstacles": count}))
        assert int((observation[..., 0] == np.float32(0.6)).sum()) == count
        assert int((state.obstacles[:, 0] > 0).sum()) == count
    for wrong, message in (
        ({"obstacles": 4}, "obstacles: expected 0 to 3, got 4"),
        ({"obstacles": -1}, "obstacles: expected 0 to 3, got -1"),
        ({"reward_scal": 2}, "Did you mean 'reward_scale'"),
        ({"max_steps": 9}, "the time limit is fixed at 100 steps"),
    ):
        with pytest.raises(UsageError, match=message):
            make_task(environment, wrong)
    state = obstacle_state((1, 2))
    step = stepper("Dynamic-Obstacles-5x5")(state, codes.FORWARD, make_task(environment, {"reward_scale": 1000}))
    assert float(step.reward) == -1000


@pytest.mark.parametrize("name", ["LavaGapS5", pytest.param("Empty-5x5", marks=pytest.mark.slow)])
def test_the_last_step_in_time_is_truncated_and_pays_what_is_left(name: str) -> None:
    environment = make_environment(f"minigrid:{name}")
    assert environment.action_space == Discrete(7)
    task = make_task(environment, {"time_penalty": 0.5})
    for late in (98, 99):
        late_state = first_state(name)[1]._replace(time=jnp.int32(late))
        waiting = stepper(name)(late_state, codes.DONE, task)
        assert (bool(waiting.terminated), bool(waiting.truncated)) == (False, late == 99)
        before_goal = late_state._replace(position=jnp.asarray([3, 2], jnp.int32))
        if name == "LavaGapS5":
            before_goal = before_goal._replace(
                grid=before_goal.grid.at[3, 2].set(jnp.asarray(codes.EMPTY_CELL, jnp.uint8))
            )
        reached = stepper(name)(before_goal, codes.FORWARD, task)
        assert (bool(reached.terminated), bool(reached.truncated)) == (True, False)
        assert float(reached.reward) == pytest.approx(1 - 0.5 * (late + 1) / 100)


def test_lava_ends_without_reward() -> None:
    environment = make_environment("minigrid:LavaGapS5")
    grid = room((1, 2, codes.LAVA_CELL))
    step = environment.step(
        jax.random.key(0), board(jnp.asarray(grid), (1, 1), 0), jnp.int32(2), environment.default_task()
    )
    assert (float(step.reward), bool(step.terminated), bool(step.truncated)) == (0.0, True, False)
    assert step.state.position.tolist() == [1, 2]
    np.testing.assert_allclose(step.observation[1, 2], [1, 0, 0])
