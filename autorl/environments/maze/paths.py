"""Shortest paths in mazes, exact: is a level solvable, in how few actions, for how much at best."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.environments.maze.level import random_level
from autorl.environments.minigrid import codes
from autorl.environments.protocol import Task

UNREACHABLE = 1 << 20
"""Distance where there is no path."""


def distances(walls: Array, goal: Array) -> Array:
    """Return the number of moves from each cell to ``goal`` (breadth first), int32 [n, n]; `UNREACHABLE` from walls too.

    Args:
        walls: bool [n, n].
        goal: int32 [2].
    """

    def closer(found: Array) -> Array:
        around = jnp.stack([_beyond(found, row, column) for row, column in codes.DIRECTIONS])
        return jnp.min(around, axis=0) + 1

    return _settled(closer, _seeds(walls, goal), walls)


def shortest_path(level: Task) -> Array:
    """Return the number of moves from start to goal, int32 scalar; `UNREACHABLE` if there is no path."""
    found = distances(jnp.asarray(level["walls"]), jnp.asarray(level["goal"]))
    return found[level["start"][0], level["start"][1]]


def is_solvable(level: Task) -> Array:
    """Return whether a path leads from start to goal, bool scalar. Exact."""
    return shortest_path(level) < UNREACHABLE


def fewest_actions(level: Task) -> Array:
    """Return the least number of actions (turns and moves) to the goal, int32 scalar; `UNREACHABLE` if there is no path."""
    walls, goal = jnp.asarray(level["walls"]), jnp.asarray(level["goal"])

    def closer(found: Array) -> Array:
        turned = jnp.minimum(jnp.roll(found, 1, axis=0), jnp.roll(found, -1, axis=0))
        moved = jnp.stack([_beyond(found[d], row, column) for d, (row, column) in enumerate(codes.DIRECTIONS)])
        return jnp.minimum(turned, moved) + 1

    found = _settled(closer, jnp.stack([_seeds(walls, goal)] * 4), walls)
    return found[level["direction"], level["start"][0], level["start"][1]]


def solvable_level(key: Array, size: int, walls: int | Array) -> dict[str, Array]:
    """Return a `random_level` that is solvable: draws until one is."""

    def draw(tries: Array) -> dict[str, Array]:
        return random_level(jax.random.fold_in(key, tries), size, walls)

    tries = lax.while_loop(lambda tries: ~is_solvable(draw(tries)), lambda tries: tries + 1, jnp.zeros((), jnp.int32))
    return draw(tries)


def _seeds(walls: Array, goal: Array) -> Array:
    return jnp.full(walls.shape, UNREACHABLE, jnp.int32).at[goal[0], goal[1]].set(0)


def _settled(closer: Callable[[Array], Array], seeds: Array, walls: Array) -> Array:
    """Return distances once no cell has a shorter way over its neighbours; each round reaches one move further."""

    def further(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        found, _ = carry
        after = jnp.where(walls, UNREACHABLE, jnp.minimum(found, closer(found)))
        return after, jnp.any(after < found)

    found, _ = lax.while_loop(lambda carry: carry[1], further, (seeds, jnp.ones((), jnp.bool_)))
    return found


def _beyond(found: Array, row: int, column: int) -> Array:
    """Return for each cell of [n, n] what ``found`` says of the cell a (row, column) step further."""
    padded = jnp.pad(found, 1, constant_values=UNREACHABLE)
    height, width = found.shape
    return padded[1 + row : 1 + row + height, 1 + column : 1 + column + width]
