"""KeyCorridor: a ball behind a locked door, the key in another room, a corridor between them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.minigrid import codes
from autorl.environments.minigrid.grid import Board, MiniGrid, board
from autorl.environments.minigrid.layout import pick, place_agent, put, rooms_of


class _Edges(NamedTuple):
    """Where a door may be: [E] pairs of neighbouring rooms, numbered row * 3 + column.

    Attributes:
        first: int32 [E]; the room on the left or above.
        second: int32 [E]; the other room.
        corner: int32 [E, 2]; row and column of the first cell of the wall between them.
        upright: bool [E]; the wall is upright (the rooms lie side by side).
    """

    first: np.ndarray
    second: np.ndarray
    corner: np.ndarray
    upright: np.ndarray


@functools.cache
def _edges(size: int, rows: int) -> _Edges:
    """Return the edges: first those to the right of the corridor, by rows; then those to its left; then upright neighbours."""
    step = size - 1
    found = [(r * 3 + 1, r * 3 + 2, (r * step + 1, 2 * step), True) for r in range(rows)]
    found += [(r * 3, r * 3 + 1, (r * step + 1, step), True) for r in range(rows)]
    for column in (0, 2):
        corner = column * step + 1
        found += [(r * 3 + column, r * 3 + 3 + column, ((r + 1) * step, corner), False) for r in range(rows - 1)]
    first, second, corners, upright = zip(*found, strict=True)
    return _Edges(
        np.array(first, np.int32), np.array(second, np.int32), np.array(corners, np.int32), np.array(upright, np.bool_)
    )


@functools.cache
def _corridor(size: int, rows: int) -> np.ndarray:
    """Return uint8 [H, W, 3]: three columns of rooms, those in the middle joined, no doors."""
    step = size - 1
    grid = rooms_of(size, rows, 3)
    grid[1:-1, step + 1 : 2 * step] = codes.EMPTY_CELL
    return grid


@dataclass(frozen=True)
class KeyCorridor(MiniGrid):
    """Three columns of ``rows`` rooms; pick up the ball. 30 room_size^2 steps.

    The ball is in a random room on the right, whose only door is locked; the key in a random room on the left; the
    agent in the middle of the corridor. Then doors are added between random neighbours, in random places and colours,
    never to the locked room, until every room can be reached.
    """

    room_size: int
    rows: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rooms share their walls."""
        return (self.room_size - 1) * self.rows + 1, (self.room_size - 1) * 3 + 1

    @property
    def max_episode_steps(self) -> int:
        """Thirty steps for each cell of a room."""
        return 30 * self.room_size**2

    def _board(self, key: Array) -> Board:
        edges, inside, step = _edges(self.room_size, self.rows), self.room_size - 2, self.room_size - 1
        count = len(edges.first)
        draws = jax.random.uniform(key, (9 + 3 * count,))
        offsets, order, paints = jnp.split(draws[9:], 3)
        along = jnp.where(jnp.asarray(edges.upright)[:, None], jnp.asarray([1, 0]), jnp.asarray([0, 1])).astype(
            jnp.int32
        )
        doors = edges.corner + pick(offsets, inside)[:, None] * along  # int32 [E, 2]

        locked = pick(draws[0], self.rows)  # also the index of the locked door among the edges
        colour = pick(draws[1], codes.COLOURS)
        grid = jnp.asarray(_corridor(self.room_size, self.rows))
        grid = put(grid, doors[locked, 0], doors[locked, 1], codes.DOOR, colour, codes.LOCKED)
        row, column = locked * step + 1 + pick(draws[2], inside), 2 * step + 1 + pick(draws[3], inside)
        grid = put(grid, row, column, codes.BALL, pick(draws[4], codes.COLOURS))
        row, column = pick(draws[5], self.rows) * step + 1 + pick(draws[6], inside), 1 + pick(draws[7], inside)
        grid = put(grid, row, column, codes.KEY, colour)

        start, facing = place_agent(draws[8], grid, self._start_region())  # before the other doors: it may face one
        added = _connections(edges, self.rows, locked, jnp.argsort(order))
        closed = jnp.full(count, codes.CLOSED)
        cells = jnp.stack([jnp.full(count, codes.DOOR), pick(paints, codes.COLOURS), closed], axis=1).astype(jnp.uint8)
        before = grid[doors[:, 0], doors[:, 1]]
        grid = grid.at[doors[:, 0], doors[:, 1]].set(jnp.where(added[:, None], cells, before))
        return board(grid, start, facing)

    def _start_region(self) -> np.ndarray:
        """Return bool [H, W]: the middle room, with the passages to the rooms above and below."""
        step = self.room_size - 1
        region = np.zeros(self.shape, np.bool_)
        top = self.rows // 2 * step
        region[max(top, 1) : min(top + step, self.shape[0] - 2) + 1, step + 1 : 2 * step] = True
        return region

    def _solved(self, reached: Board, action: Array, front: Array) -> Array:
        return (action == codes.PICKUP) & (reached.carrying[0] == codes.BALL)


def _connections(edges: _Edges, rows: int, locked: Array, order: Array) -> Array:
    """Return bool [E]: the doors to add. In a random order, until all rooms are connected, even where a door joins nothing new.

    Args:
        edges: Where doors may be.
        rows: Rows of rooms.
        locked: int32 scalar; the row of the locked room, which gets no other door.
        order: int32 [E]; the order in which they are tried. MiniGrid draws them with replacement and skips repeats: the same.
    """
    forbidden = locked * 3 + 2
    allowed = (edges.first != forbidden) & (edges.second != forbidden)
    corridor = 1
    group = jnp.where(jnp.arange(3 * rows) % 3 == 1, corridor, jnp.arange(3 * rows))
    group = group.at[forbidden].set(corridor)
    first, second = jnp.asarray(edges.first), jnp.asarray(edges.second)
    added = jnp.zeros(len(edges.first), jnp.bool_)
    for turn in range(len(edges.first)):
        edge = order[turn]
        adds = allowed[edge] & ~jnp.all(group == corridor)
        # the corridor's number stays the corridor's: the other side takes it
        one, other = group[first[edge]], group[second[edge]]
        keep, gone = jnp.where(other == corridor, other, one), jnp.where(other == corridor, one, other)
        group = jnp.where(adds & (group == gone), keep, group)
        added = added.at[edge].set(adds)
    return added
