"""A level of a maze: what it is made of, as arrays and as text, and random ones.

A level of size n is a dict: ``walls`` bool [n, n] (the walls around it are no part of it), ``start`` and ``goal`` int32 [2] (row and
column), ``direction`` int32 scalar (0 right, 1 down, 2 left, 3 up).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.protocol import Task
from autorl.errors import UsageError

_AGENT = ">v<^"


def is_valid(level: Task) -> Array:
    """Return whether start and goal are apart, on the board and free, and the direction is one. Bool scalar, traceable."""
    walls, start, goal = (jnp.asarray(level[name]) for name in ("walls", "start", "goal"))
    direction = jnp.asarray(level["direction"])
    places = jnp.stack([start, goal])
    on_board = jnp.all((places >= 0) & (places < walls.shape[0]))
    free = ~jnp.any(walls[places[:, 0], places[:, 1]])
    return on_board & free & jnp.any(start != goal) & (direction >= 0) & (direction < 4)


def random_level(key: Array, size: int, walls: int | Array) -> dict[str, Array]:
    """Return a level with ``walls`` walls in different cells, start and goal in two of the others, all equally likely.

    Nobody checks that the goal can be reached, as in the generators of JaxUED and minimax; `solvable_level` does. (JaxUED draws cells
    with replacement, so that its levels have up to ``walls`` walls.)

    Args:
        key: Random key.
        size: Side of the level, n.
        walls: Number of walls, at most n * n - 2; may be traced.
    """
    of_cells, of_direction = jax.random.split(key)
    order = jax.random.permutation(of_cells, size * size)
    count = jnp.clip(jnp.asarray(walls, jnp.int32), 0, size * size - 2)
    rank = jnp.argsort(order).astype(jnp.int32)  # of each cell in the order: the first ones become walls
    places = order[jnp.stack([count, count + 1])].astype(jnp.int32)
    start, goal = jnp.stack([places // size, places % size], axis=-1)
    return {
        "walls": (rank < count).reshape(size, size),
        "start": start,
        "goal": goal,
        "direction": jax.random.randint(of_direction, (), 0, 4, jnp.int32),
    }


def level_from_text(text: str) -> dict[str, np.ndarray]:
    """Return the level drawn by ``text``, as JaxUED draws them: n lines of n characters.

    ``#`` is a wall, ``.`` is free, ``G`` is the goal, and ``>``, ``v``, ``<`` or ``^`` is the agent, looking that way.

    Raises:
        UsageError: Another character, lines that make no square, not exactly one goal or agent.
    """
    lines = text.split()
    if not lines or {len(line) for line in lines} != {len(lines)}:
        lengths = sorted({len(line) for line in lines})
        raise UsageError(f"level: expected n lines of n characters, got {len(lines)} lines of lengths {lengths}")
    cells = np.array([list(line) for line in lines])
    strange = sorted(set("".join(lines)) - set("#.G" + _AGENT))
    goals, agents = np.argwhere(cells == "G"), np.argwhere(np.isin(cells, list(_AGENT)))
    if strange or len(goals) != 1 or len(agents) != 1:
        raise UsageError(
            f"level: expected one goal 'G', one agent ('>', 'v', '<' or '^'), walls '#' and free cells '.'; "
            f"got {len(goals)} goals, {len(agents)} agents and other characters {strange}"
        )
    return {
        "walls": cells == "#",
        "start": agents[0].astype(np.int32),
        "goal": goals[0].astype(np.int32),
        "direction": np.asarray(_AGENT.index(cells[tuple(agents[0])]), np.int32),
    }


def text_of(level: Task) -> str:
    """Return ``level`` as `level_from_text` reads it."""
    walls, start, goal = (np.asarray(level[name]) for name in ("walls", "start", "goal"))
    cells: Any = np.where(walls, "#", ".")
    cells[tuple(goal)] = "G"
    cells[tuple(start)] = _AGENT[int(level["direction"])]
    return "\n".join("".join(row) for row in cells)
