"""DynamicObstacles: reach the goal in the far corner of a room in which balls wander."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.minigrid import codes
from autorl.environments.minigrid.grid import Board, MiniGrid, act, board, ending, in_front, reward_at
from autorl.environments.minigrid.layout import pick, pick_place, pick_true, put, walled
from autorl.environments.protocol import Discrete, Step, Task
from autorl.errors import UsageError

_AROUND = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], indexing="ij"), axis=-1).reshape(9, 2).astype(np.int32)


class ObstacleBoard(NamedTuple):
    """State of an episode.

    Attributes:
        board: The board, with the balls on it.
        obstacles: int32 [K, 2]; row and column of each ball, 0 and 0 for those that the task leaves out.
    """

    board: Board
    obstacles: Array


@dataclass(frozen=True)
class DynamicObstacles(MiniGrid):
    """A square room; three actions (left, right, forward); every ball moves to a random free cell next to it at each step.

    Walking into a ball or a wall costs ``reward_scale`` and ends the episode. As in MiniGrid what counts is where the
    balls are *before* they move; a ball that moves in front of the agent just stops it.

    The task has ``obstacles`` too, how many balls there are: MiniGrid's number, or 0 to `most_obstacles`.
    """

    size: int
    standard_obstacles: int
    random_start: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Square."""
        return self.size, self.size

    @property
    def max_episode_steps(self) -> int:
        """Four steps for each cell."""
        return 4 * self.size**2

    @property
    def action_space(self) -> Discrete:
        """Turn left, turn right, forward."""
        return Discrete(3)

    @property
    def most_obstacles(self) -> int:
        """The largest number of balls (MiniGrid's own bound)."""
        return self.size // 2 + 1

    def default_task(self) -> dict[str, np.ndarray]:
        """Return the common task, and ``obstacles`` (int32)."""
        return {**super().default_task(), "obstacles": np.asarray(self.standard_obstacles, np.int32)}

    def task_from(self, overrides: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the default task with ``overrides``.

        Raises:
            UsageError: Unknown names, wrong values, more obstacles than fit or fewer than none.
        """
        task = super().task_from(overrides)
        if not 0 <= task["obstacles"] <= self.most_obstacles:
            raise UsageError(
                f"environment {self.name!r}: obstacles: expected 0 to {self.most_obstacles}, got {task['obstacles']}"
            )
        return task

    def reset(self, key: Array, task: Task) -> tuple[Array, ObstacleBoard]:
        """Return (observation, state) of a new board."""
        draws = jax.random.uniform(key, (2 + self.most_obstacles,))
        room = walled(self.size, self.size)
        room[-2, -2] = codes.GOAL_CELL
        start, facing = jnp.asarray((1, 1), jnp.int32), jnp.zeros((), jnp.int32)
        if self.random_start:
            start, facing = pick_place(draws[0], jnp.asarray(room[..., 0] == codes.EMPTY)), pick(draws[1], 4)
        grid, places = jnp.asarray(room), []
        for index in range(self.most_obstacles):
            free = (grid[..., 0] == codes.EMPTY).at[start[0], start[1]].set(False)
            place = pick_place(draws[2 + index], free)
            there = jnp.asarray(task["obstacles"]) > index
            grid = jnp.where(there, put(grid, place[0], place[1], *codes.BLUE_BALL_CELL), grid)
            places.append(jnp.where(there, place, 0))
        state = ObstacleBoard(board(grid, start, facing), jnp.stack(places))
        return codes.observe(grid, start, facing), state

    def step(self, key: Array, state: ObstacleBoard, action: Array, task: Task) -> Step:
        """Advance by one action: the balls move, then the agent."""
        _, front = in_front(state.board)
        hit = (action == codes.FORWARD) & (front[0] != codes.EMPTY) & (front[0] != codes.GOAL)
        moved = self._move_obstacles(key, state)
        reached, entered = act(moved.board, action)
        solved = (action == codes.FORWARD) & (entered[0] == codes.GOAL)
        scale = jnp.asarray(task["reward_scale"], jnp.float32)
        reward = jnp.where(solved, reward_at(reached.time, self.max_episode_steps, task), 0.0)
        reward = jnp.where(hit, -scale, reward)
        observation = codes.observe(reached.grid, reached.position, reached.direction)
        late = reached.time >= self.max_episode_steps
        return ending(observation, ObstacleBoard(reached, moved.obstacles), reward, solved | hit, late)

    def _move_obstacles(self, key: Array, state: ObstacleBoard) -> ObstacleBoard:
        """Move one ball after the other to a free cell of the eight around it; one that is shut in stays."""
        draws = jax.random.uniform(key, (self.most_obstacles,))
        empty, ball = (jnp.asarray(cell, jnp.uint8) for cell in (codes.EMPTY_CELL, codes.BLUE_BALL_CELL))
        grid, places = state.board.grid, []
        for index in range(self.most_obstacles):
            place = state.obstacles[index]
            near = place + _AROUND
            taken = jnp.all(near == state.board.position, axis=1)
            free = (grid[near[:, 0], near[:, 1], 0] == codes.EMPTY) & ~taken
            moves = jnp.any(free) & (place[0] > 0)  # balls that are left out stand at row 0, where they stay
            target = jnp.where(moves, near[pick_true(draws[index], free)], place)
            grid = grid.at[place[0], place[1]].set(jnp.where(moves, empty, grid[place[0], place[1]]))
            grid = grid.at[target[0], target[1]].set(jnp.where(moves, ball, grid[target[0], target[1]]))
            places.append(target)
        return ObstacleBoard(state.board._replace(grid=grid), jnp.stack(places))
