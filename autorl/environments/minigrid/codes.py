"""MiniGrid's codes for what a cell holds, and the observation made of them.

A cell is three small numbers: object, colour, state (of a door: open, closed, locked). The observation is the whole
board with the agent's direction as the state of its cell, each channel divided by its largest code: the wrapper "v3" of
"Evolving Reinforcement Learning Algorithms" (Co-Reyes et al., 2021). Rows come first here, columns in MiniGrid's arrays.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

UNSEEN, EMPTY, WALL, FLOOR, DOOR, KEY, BALL, BOX, GOAL, LAVA, AGENT = range(11)
"""Objects."""
RED, GREEN, BLUE, PURPLE, YELLOW, GREY = range(6)
"""Colours."""
COLOURS = 6
OPEN, CLOSED, LOCKED = range(3)
"""States of a door."""

LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE, DONE = range(7)
"""Actions; ``DONE`` does nothing."""

EMPTY_CELL = (EMPTY, RED, 0)
WALL_CELL = (WALL, GREY, 0)
GOAL_CELL = (GOAL, GREEN, 0)
LAVA_CELL = (LAVA, RED, 0)
BLUE_BALL_CELL = (BALL, BLUE, 0)

DIRECTIONS = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)], np.int32)
"""[4, 2] (row, column) of a step forward: right, down, left, up."""

_LARGEST = np.array([AGENT, GREY, 3], np.float32)


def observe(grid: Array, position: Array, direction: Array) -> Array:
    """Return what the agent sees: everything.

    Args:
        grid: uint8 [H, W, 3] of codes, without the agent.
        position: int32 [2], row and column of the agent.
        direction: int32 scalar.

    Returns:
        float32 [H, W, 3] within [0, 1].
    """
    agent = jnp.stack([jnp.uint8(AGENT), jnp.uint8(RED), direction.astype(jnp.uint8)])
    return grid.at[position[0], position[1]].set(agent).astype(jnp.float32) / _LARGEST
