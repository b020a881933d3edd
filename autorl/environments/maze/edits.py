"""Small changes of a level that keep it valid: the mutations of ACCEL (Parker-Holder et al., 2022), as minimax has them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.environments.minigrid.layout import pick, pick_place
from autorl.environments.protocol import Task

_NOTHING, _TOGGLE_WALL, _MOVE_GOAL = range(3)


def toggle_wall(level: Task, draw: Array) -> dict[str, Array]:
    """Return ``level`` with one cell, not start nor goal, turned from wall to free or from free to wall.

    Args:
        level: A valid level.
        draw: float32, uniform in [0, 1).
    """
    walls = jnp.asarray(level["walls"])
    place = pick_place(draw, jnp.ones_like(walls) & ~_taken(level))
    return {**level, "walls": walls.at[place[0], place[1]].set(~walls[place[0], place[1]])}


def move_goal(level: Task, draw: Array) -> dict[str, Array]:
    """Return ``level`` with the goal in another free cell; the same if there is none.

    Args:
        level: A valid level.
        draw: float32, uniform in [0, 1).
    """
    free = ~jnp.asarray(level["walls"]) & ~_taken(level)
    goal = jnp.where(jnp.any(free), pick_place(draw, free), jnp.asarray(level["goal"]))
    return {**level, "goal": goal}


def edit_level(key: Array, level: Task, edits: int | Array, *, most: int) -> dict[str, Array]:
    """Return ``level`` after random edits: each does nothing, toggles a wall, or moves the goal, a third of the time each.

    A valid level stays valid; one that is solvable need not stay so (`autorl.environments.maze.paths.is_solvable`).

    Args:
        key: Random key.
        level: A valid level.
        edits: How many; may be traced.
        most: The greatest number of edits; static.
    """
    start = {name: jnp.asarray(value) for name, value in level.items()}
    draws = jax.random.uniform(key, (most, 2))

    def edit(level: dict[str, Array], inputs: tuple[Array, Array]) -> tuple[dict[str, Array], None]:
        number, draw = inputs
        kind = jnp.where(number < edits, pick(draw[0], 3), _NOTHING)
        toggled, moved = toggle_wall(level, draw[1]), move_goal(level, draw[1])
        return {
            **level,
            "walls": jnp.where(kind == _TOGGLE_WALL, toggled["walls"], level["walls"]),
            "goal": jnp.where(kind == _MOVE_GOAL, moved["goal"], level["goal"]),
        }, None

    return lax.scan(edit, start, (jnp.arange(most, dtype=jnp.int32), draws))[0]


def _taken(level: Task) -> Array:
    """Return bool [n, n], true at start and goal."""
    taken = jnp.zeros(jnp.shape(level["walls"]), jnp.bool_)
    for name in ("start", "goal"):
        taken = taken.at[level[name][0], level[name][1]].set(True)
    return taken
