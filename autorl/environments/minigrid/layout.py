"""Drawing boards: one call of the random generator for each board, everything else arithmetic on its numbers.

MiniGrid draws a place again until it is free. Drawing among the free places has the same distribution and no loop.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.minigrid import codes


def walled(height: int, width: int) -> np.ndarray:
    """Return an empty room: uint8 [H, W, 3], a wall around it."""
    grid = np.empty((height, width, 3), np.uint8)
    grid[:] = codes.WALL_CELL
    grid[1:-1, 1:-1] = codes.EMPTY_CELL
    return grid


def pick(draw: Array, count: Any) -> Array:
    """Return an int32 below ``count``, all equally likely.

    Args:
        draw: float32, uniform in [0, 1).
        count: At least 1; an int or an int32 array.
    """
    count = jnp.asarray(count, jnp.int32)
    return jnp.minimum((draw * count.astype(jnp.float32)).astype(jnp.int32), count - 1)


def pick_true(draw: Array, mask: Array) -> Array:
    """Return the index (int32) of a true entry of ``mask`` [N], all equally likely; 0 if there is none."""
    before = jnp.cumsum(mask, dtype=jnp.int32)
    return jnp.argmax(before > pick(draw, jnp.maximum(before[-1], 1))).astype(jnp.int32)


def pick_place(draw: Array, mask: Array) -> Array:
    """Return row and column (int32 [2]) of a true entry of ``mask`` [H, W], all equally likely."""
    index = pick_true(draw, mask.reshape(-1))
    return jnp.stack([index // mask.shape[1], index % mask.shape[1]])


def put(grid: Array, row: Any, column: Any, kind: Any, colour: Any, state: Any = 0) -> Array:
    """Return ``grid`` with one cell set."""
    cell = jnp.stack([jnp.asarray(part).astype(jnp.uint8) for part in (kind, colour, state)])
    return grid.at[row, column].set(cell)


def rooms_of(size: int, rows: int, columns: int) -> np.ndarray:
    """Return ``rows`` x ``columns`` empty rooms of ``size`` x ``size`` (walls included, shared by neighbours), no doors."""
    step = size - 1
    grid = walled(rows * step + 1, columns * step + 1)
    grid[::step] = codes.WALL_CELL
    grid[:, ::step] = codes.WALL_CELL
    return grid


def place_agent(draw: Array, grid: Array, region: np.ndarray) -> tuple[Array, Array]:
    """Return place and direction of an agent that does not face an object, all equally likely.

    Args:
        draw: float32, uniform in [0, 1).
        grid: uint8 [H, W, 3].
        region: bool [H, W], known when traced: where it may stand, if the cell is empty. Not on the border.
    """
    cells = np.argwhere(region).astype(np.int32)
    starts = np.repeat(cells, 4, axis=0)
    directions = np.tile(np.arange(4, dtype=np.int32), len(cells))
    fronts = starts + codes.DIRECTIONS[directions]
    kinds = grid[..., 0]
    front = kinds[fronts[:, 0], fronts[:, 1]]
    free = (kinds[starts[:, 0], starts[:, 1]] == codes.EMPTY) & ((front == codes.EMPTY) | (front == codes.WALL))
    chosen = pick_true(draw, free)
    return jnp.asarray(starts)[chosen], jnp.asarray(directions)[chosen]
