"""What an agent sees that looks ahead: the square of cells in front of it, turned so that ahead is up."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.minigrid import codes


def observe_ahead(grid: Array, position: Array, direction: Array, size: int) -> Array:
    """Return MiniGrid's partial view, through walls, with the agent at the middle of the bottom row.

    Args:
        grid: uint8 [H, W, 3] of codes, without the agent. What lies outside is wall.
        position: int32 [2], row and column of the agent.
        direction: int32 scalar.
        size: Side of the square, odd.

    Returns:
        float32 [size, size, 3] within [0, 1], on the scale of `codes.observe`; the agent's direction is the state of its cell.
    """
    ahead = jnp.asarray(codes.DIRECTIONS)[direction]
    right = jnp.asarray(codes.DIRECTIONS)[(direction + 1) % 4]
    rows, columns = np.indices((size, size), np.int32)
    places = position + (size - 1 - rows)[..., None] * ahead + (columns - size // 2)[..., None] * right
    limits = np.array(grid.shape[:2], np.int32)
    inside = jnp.all((places >= 0) & (places < limits), axis=-1)
    near = jnp.clip(places, 0, limits - 1)
    seen = grid[near[..., 0], near[..., 1]]
    seen = jnp.where(inside[..., None], seen, jnp.asarray(codes.WALL_CELL, jnp.uint8))
    return codes.observe(seen, jnp.asarray((size - 1, size // 2), jnp.int32), direction)
