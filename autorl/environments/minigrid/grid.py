"""What all MiniGrid environments share: the state, the seven actions, the reward, the time limit.

Semantics are those of MiniGrid (Chevalier-Boisvert et al., 2023), version 3.2; a test replays its own steps.

The task of every environment is ``reward_scale`` (1; the reward-scale variants of Co-Reyes et al., 2021, are 10 to 10000) and
``time_penalty`` (0.9): solving it after t of T steps pays ``reward_scale * (1 - time_penalty * t / T)``. The time limit T is no
part of the task: it bounds evaluations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.minigrid import codes
from autorl.environments.protocol import Discrete, Step, Task
from autorl.environments.tasks import override_task


class Board(NamedTuple):
    """State of an episode.

    Attributes:
        grid: uint8 [H, W, 3]; object, colour and state of each cell, without the agent.
        position: int32 [2]; row and column of the agent.
        direction: int32 scalar; 0 right, 1 down, 2 left, 3 up.
        carrying: uint8 [2]; object and colour in the agent's hands, 0 and 0 if they are empty. Not observed, as in MiniGrid.
        time: int32 scalar; steps since the reset.
    """

    grid: Array
    position: Array
    direction: Array
    carrying: Array
    time: Array


def board(grid: Array, position: Any, direction: Any) -> Board:
    """Return the state at the start of an episode: empty hands, time 0."""
    return Board(
        grid=grid,
        position=jnp.asarray(position, jnp.int32),
        direction=jnp.asarray(direction, jnp.int32),
        carrying=jnp.zeros(2, jnp.uint8),
        time=jnp.zeros((), jnp.int32),
    )


def in_front(state: Board) -> tuple[Array, Array]:
    """Return the place in front of the agent, int32 [2], and the cell there, uint8 [3]."""
    place = state.position + jnp.asarray(codes.DIRECTIONS)[state.direction]
    return place, state.grid[place[0], place[1]]


def act(state: Board, action: Array) -> tuple[Board, Array]:
    """Do ``action``; time moves on by one.

    Returns:
        The state reached, and the cell in front of the agent before it moved or changed it, uint8 [3].
    """
    place, front = in_front(state)
    kind, colour, condition = front[0], front[1], front[2]
    held = state.carrying[0] != 0
    is_door = kind == codes.DOOR
    passable = (kind == codes.EMPTY) | (kind == codes.GOAL) | (kind == codes.LAVA) | (kind == codes.FLOOR)
    enters = (action == codes.FORWARD) & (passable | (is_door & (condition == codes.OPEN)))
    portable = (kind == codes.KEY) | (kind == codes.BALL) | (kind == codes.BOX)
    picks = (action == codes.PICKUP) & portable & ~held
    drops = (action == codes.DROP) & (kind == codes.EMPTY) & held
    toggles = action == codes.TOGGLE
    empties = picks | (toggles & (kind == codes.BOX))  # a box opens and is gone: none here has contents

    fits = (state.carrying[0] == codes.KEY) & (state.carrying[1] == colour)
    turned = jnp.where(condition == codes.OPEN, jnp.uint8(codes.CLOSED), jnp.uint8(codes.OPEN))
    works = toggles & is_door & ((condition != codes.LOCKED) | fits)
    after = front.at[2].set(jnp.where(works, turned, condition))
    after = jnp.where(empties, jnp.asarray(codes.EMPTY_CELL, jnp.uint8), after)
    after = jnp.where(drops, jnp.append(state.carrying, jnp.uint8(0)), after)

    turn = jnp.where(action == codes.LEFT, 3, 0) + jnp.where(action == codes.RIGHT, 1, 0)
    reached = Board(
        grid=state.grid.at[place[0], place[1]].set(after),
        position=jnp.where(enters, place, state.position),
        direction=(state.direction + turn.astype(jnp.int32)) % 4,
        carrying=jnp.where(picks, front[:2], jnp.where(drops, jnp.uint8(0), state.carrying)),
        time=state.time + 1,
    )
    return reached, front


@dataclass(frozen=True)
class MiniGrid:
    """A MiniGrid environment. Each kind of board derives from it; those that end elsewhere than on a goal override `_solved`.

    Attributes:
        name: Public id.
    """

    name: str

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the board."""
        raise NotImplementedError

    @property
    def max_episode_steps(self) -> int:
        """The time limit."""
        raise NotImplementedError

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """[H, W, 3]."""
        return (*self.shape, 3)

    @property
    def action_space(self) -> Discrete:
        """Turn left, turn right, forward, pick up, drop, toggle, done (which does nothing)."""
        return Discrete(7)

    def default_task(self) -> dict[str, np.ndarray]:
        """Return ``reward_scale`` 1 and ``time_penalty`` 0.9."""
        return default_task()

    def task_from(self, overrides: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the default task with ``overrides``.

        Raises:
            UsageError: Listing unknown names (did you mean) and wrong values.
        """
        return task_from(self.name, self.default_task(), self.max_episode_steps, overrides)

    def reset(self, key: Array, task: Task) -> tuple[Array, Any]:
        """Return (observation, state) of a new board."""
        del task
        state = self._board(key)
        return codes.observe(state.grid, state.position, state.direction), state

    def step(self, key: Array, state: Any, action: Array, task: Task) -> Step:
        """Advance by one action."""
        del key
        reached, front = act(state, action)
        walked = action == codes.FORWARD
        solved = self._solved(reached, action, front)
        burnt = walked & (front[0] == codes.LAVA)
        reward = jnp.where(solved, reward_at(reached.time, self.max_episode_steps, task), 0.0)
        observation = codes.observe(reached.grid, reached.position, reached.direction)
        return ending(observation, reached, reward, solved | burnt, reached.time >= self.max_episode_steps)

    def _board(self, key: Array) -> Board:
        raise NotImplementedError

    def _solved(self, reached: Board, action: Array, front: Array) -> Array:
        """Return whether the step solved the task; ``front`` is the cell that was in front of the agent before it."""
        del reached
        return (action == codes.FORWARD) & (front[0] == codes.GOAL)


def default_task() -> dict[str, np.ndarray]:
    """Return the task that all these environments share."""
    return {"reward_scale": np.asarray(1.0, np.float32), "time_penalty": np.asarray(0.9, np.float32)}


def task_from(name: str, default: Task, limit: int, overrides: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return ``default`` with ``overrides``; a time limit is refused with the reason."""
    fixed = dict.fromkeys(("max_steps", "max_episode_steps"), f"the time limit is fixed at {limit} steps")
    return override_task(name, default, overrides, fixed)


def reward_at(time: Array, limit: int, task: Task) -> Array:
    """Return the reward for solving the task at ``time``, float32 scalar."""
    scale, penalty = (jnp.asarray(task[entry], jnp.float32) for entry in ("reward_scale", "time_penalty"))
    return scale * (1.0 - penalty * (time.astype(jnp.float32) / limit))


def ending(observation: Array, state: Any, reward: Array, terminated: Array, late: Array) -> Step:
    """Return the step; what terminates is not truncated."""
    return Step(observation, state, reward.astype(jnp.float32), terminated, late & ~terminated, {})
