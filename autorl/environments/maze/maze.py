"""The maze: find the goal, seeing what lies ahead or everything; the level is the task.

After minimax (Jiang et al., 2023) and JaxUED (Coward et al., 2024), whose mazes are MiniGrid's (Chevalier-Boisvert et al.,
2023): turn left, turn right, forward; the goal pays ``1 - 0.9 t / 250`` at step t and ends the episode; 250 steps. Board, movement and
codes are those of `autorl.environments.minigrid`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.maze.edits import edit_level
from autorl.environments.maze.level import is_valid, level_from_text, random_level
from autorl.environments.maze.levels import named_level
from autorl.environments.maze.points import MazePoints
from autorl.environments.minigrid import codes
from autorl.environments.minigrid.grid import act, board, default_task, ending, reward_at
from autorl.environments.minigrid.view import observe_ahead
from autorl.environments.protocol import Discrete, Step, Task
from autorl.environments.tasks import override_task
from autorl.errors import UsageError

_VIEW = 5


class MazeState(NamedTuple):
    """State of an episode; the level is in the task.

    Attributes:
        position: int32 [2]; row and column of the agent within the level.
        direction: int32 scalar; 0 right, 1 down, 2 left, 3 up.
        time: int32 scalar; steps since the reset.
    """

    position: Array
    direction: Array
    time: Array


@dataclass(frozen=True)
class Maze:
    """A maze of n x n cells and a wall around them. Tasks are levels (`autorl.environments.maze.level`).

    Attributes:
        name: Public id.
        size: Side, n.
        random_walls: Walls of a random level (`sample_task`).
        sees_all: Whether the whole board is observed, [n + 2, n + 2, 3], instead of the 5 x 5 cells ahead, [5, 5, 3].
    """

    name: str
    size: int
    random_walls: int
    sees_all: bool = False

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Object, colour and state of the cells seen; the agent's direction is the state of its own cell."""
        side = self.size + 2 if self.sees_all else _VIEW
        return (side, side, 3)

    @property
    def action_space(self) -> Discrete:
        """Turn left, turn right, forward."""
        return Discrete(3)

    @property
    def max_episode_steps(self) -> int:
        """250."""
        return 250

    def default_task(self) -> dict[str, np.ndarray]:
        """Return the level without walls: from the top left to the bottom right, one cell from the border."""
        return {
            "walls": np.zeros((self.size, self.size), np.bool_),
            "start": np.array((1, 1), np.int32),
            "goal": np.array((self.size - 2, self.size - 2), np.int32),
            "direction": np.asarray(0, np.int32),
        }

    def task_from(self, overrides: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the default level with ``overrides``: entries of it, or ``level``, a name of the literature's or a drawing.

        Raises:
            UsageError: Unknown names (did you mean), wrong values, a level of another size, start or goal in a wall.
        """
        entries = dict(overrides)
        task = self.default_task()
        if (level := entries.pop("level", None)) is not None:
            task = self._level(level)
        task = override_task(self.name, task, entries)
        if not bool(jax.jit(is_valid)(task)):
            raise UsageError(
                f"environment {self.name!r}: start {task['start'].tolist()} and goal {task['goal'].tolist()} must be two free "
                f"cells within 0 to {self.size - 1}, and direction {task['direction']} one of 0 to 3"
            )
        return task

    @property
    def task_points(self) -> MazePoints:
        """Levels as points, for teachers."""
        return MazePoints(self.size, self.random_walls)

    def sample_task(self, key: Array) -> dict[str, Array]:
        """Return a random level with ``random_walls`` walls, solvable or not."""
        return random_level(key, self.size, self.random_walls)

    def mutate_task(self, key: Array, task: Task, edits: int | Array, *, most: int) -> dict[str, Array]:
        """Return ``task`` after ``edits`` random edits (at most ``most``, static)."""
        return edit_level(key, task, edits, most=most)

    def is_valid(self, task: Task) -> Array:
        """Return whether ``task`` is a level that can be played, bool scalar."""
        return is_valid(task)

    def reset(self, key: Array, task: Task) -> tuple[Array, MazeState]:
        """Return (observation, state) at the start of ``task``."""
        del key
        start, direction = (jnp.asarray(task[name], jnp.int32) for name in ("start", "direction"))
        state = MazeState(start, direction, jnp.zeros((), jnp.int32))
        return self._observed(_grid(task), state), state

    def step(self, key: Array, state: MazeState, action: Array, task: Task) -> Step:
        """Advance by one action."""
        del key
        grid = _grid(task)
        before = board(grid, state.position + 1, state.direction)._replace(time=state.time)
        after, front = act(before, action)
        solved = (action == codes.FORWARD) & (front[0] == codes.GOAL)
        reached = MazeState(after.position - 1, after.direction, after.time)
        reward = jnp.where(solved, reward_at(reached.time, self.max_episode_steps, default_task()), 0.0)
        late = reached.time >= self.max_episode_steps
        return ending(self._observed(grid, reached), reached, reward, solved, late)._replace(info={"success": solved})

    def _observed(self, grid: Array, state: MazeState) -> Array:
        if self.sees_all:
            return codes.observe(grid, state.position + 1, state.direction)
        return observe_ahead(grid, state.position + 1, state.direction, _VIEW)

    def _level(self, level: Any) -> dict[str, np.ndarray]:
        """Return the level called or drawn ``level``."""
        if not isinstance(level, str):
            raise UsageError(f"environment {self.name!r}: level: expected a name or a drawing, got {level!r}")
        found = level_from_text(level) if "\n" in level else named_level(level)
        if len(found["walls"]) != self.size:
            raise UsageError(
                f"environment {self.name!r}: level: expected {self.size} x {self.size} cells, got {len(found['walls'])}; "
                f"use the environment of that size"
            )
        return found


def maze_environment(id: str) -> Maze:
    """Return the environment of a public id ``maze:9x9``, ``maze:13x13``, or one with ``-full``."""
    size = int(id.removeprefix("maze:").split("x")[0])
    # JaxUED's 25 walls at 13 x 13, and their density elsewhere
    return Maze(id, size, random_walls=round(25 * size**2 / 13**2), sees_all=id.endswith("-full"))


def _grid(task: Task) -> Array:
    """Return the board, uint8 [n + 2, n + 2, 3]: the level with a wall around it."""
    walls = jnp.pad(jnp.asarray(task["walls"]), 1, constant_values=True)
    rows, columns = np.indices(walls.shape, np.int32)
    goal = jnp.asarray(task["goal"]) + 1
    at_goal = (rows == goal[0]) & (columns == goal[1])
    empty, wall, there = (jnp.asarray(cell, jnp.uint8) for cell in (codes.EMPTY_CELL, codes.WALL_CELL, codes.GOAL_CELL))
    return jnp.where(at_goal[..., None], there, jnp.where(walls[..., None], wall, empty))
