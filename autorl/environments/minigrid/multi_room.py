"""MultiRoom: a chain of rooms joined by closed doors, the goal in the last one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from autorl.environments.minigrid import codes
from autorl.environments.minigrid.grid import Board, MiniGrid, board
from autorl.environments.minigrid.layout import pick

_HEIGHT = _WIDTH = 25
_SMALLEST = 4
_TRIES = 8
_RIGHT, _BOTTOM, _LEFT, _TOP = range(4)


class _Chain(NamedTuple):
    """The rooms placed so far; rows before columns.

    Attributes:
        tops: int32 [N, 2]; top left corners.
        sizes: int32 [N, 2]; heights and widths, walls included.
        doors: int32 [N, 2]; where each is entered.
        wall: int32 scalar; the wall by which the last one is entered.
        placed: int32 scalar; how many there are.
        tries: int32 scalar; how often the next one may still be tried.
        drawn: int32 scalar; how many were drawn.
    """

    tops: Array
    sizes: Array
    doors: Array
    wall: Array
    placed: Array
    tries: Array
    drawn: Array


@dataclass(frozen=True)
class MultiRoom(MiniGrid):
    """``rooms`` rooms of 4 to ``largest_room`` cells (walls included) on a board of 25 x 25; 20 steps for each room.

    MiniGrid's generator: each room is tried 8 times, at a random place of a random other wall of the one before; if
    none fits, all rooms are dropped and the chain starts anew.
    """

    rooms: int
    largest_room: int

    @property
    def shape(self) -> tuple[int, int]:
        """25 x 25."""
        return _HEIGHT, _WIDTH

    @property
    def max_episode_steps(self) -> int:
        """Twenty for each room."""
        return 20 * self.rooms

    def _board(self, key: Array) -> Board:
        key_chain, key_rest = jax.random.split(key)
        chain = self._chain(key_chain)
        draws = jax.random.uniform(key_rest, (5 + self.rooms,))
        rows, columns = np.indices((_HEIGHT, _WIDTH), np.int32)
        wall = jnp.zeros((_HEIGHT, _WIDTH), jnp.bool_)
        for room in range(self.rooms):
            (top, left), (height, width) = chain.tops[room], chain.sizes[room]
            bottom, right = top + height - 1, left + width - 1
            within = (rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)
            wall |= within & ((rows == top) | (rows == bottom) | (columns == left) | (columns == right))
        grid = jnp.where(
            wall[..., None], jnp.asarray(codes.WALL_CELL, jnp.uint8), jnp.asarray(codes.EMPTY_CELL, jnp.uint8)
        )
        colours = [pick(draws[5], codes.COLOURS)]
        for door in range(1, self.rooms - 1):  # never the colour of the door before
            colour = pick(draws[5 + door], codes.COLOURS - 1)
            colours.append(colour + (colour >= colours[-1]).astype(jnp.int32))
        kinds, closed = (jnp.full(self.rooms - 1, code) for code in (codes.DOOR, codes.CLOSED))
        cells = jnp.stack([kinds, jnp.stack(colours), closed], axis=1).astype(jnp.uint8)
        grid = grid.at[chain.doors[1:, 0], chain.doors[1:, 1]].set(cells)
        goal = chain.tops[-1] + 1 + pick(draws[:2], chain.sizes[-1] - 2)
        grid = grid.at[goal[0], goal[1]].set(jnp.asarray(codes.GOAL_CELL, jnp.uint8))
        start = chain.tops[0] + 1 + pick(draws[2:4], chain.sizes[0] - 2)
        return board(grid, start, pick(draws[4], 4))

    def _chain(self, key: Array) -> _Chain:
        """Return a chain of all rooms. One room is tried at each turn of the loop, so that a vmap wastes little."""
        places, zero = jnp.zeros((self.rooms, 2), jnp.int32), jnp.zeros((), jnp.int32)
        start = _Chain(places, places, places, zero, zero, zero, zero)
        return lax.while_loop(lambda chain: chain.placed < self.rooms, lambda chain: self._try_room(key, chain), start)

    def _try_room(self, key: Array, chain: _Chain) -> _Chain:
        draws = jax.random.uniform(jax.random.fold_in(key, chain.drawn), (6,))
        size = _SMALLEST + pick(draws[:2], self.largest_room - _SMALLEST + 1)
        is_first = chain.placed == 0
        door, wall = _exit(draws[2:4], chain)
        corner = pick(draws[2:4], _WIDTH - 2)  # the first room starts where its entrance would be
        door, wall = jnp.where(is_first, corner, door), jnp.where(is_first, _LEFT, wall)
        top = jnp.where(is_first, corner, _top_of(draws[4], door, wall, size))

        inside = jnp.all(top >= 0) & (top[1] + size[1] <= _WIDTH) & (top[0] + size[0] < _HEIGHT)
        apart = jnp.any((top + size < chain.tops) | (chain.tops + chain.sizes <= top), axis=1)
        earlier = jnp.arange(self.rooms) < chain.placed - 1  # the one before shares a wall, and is not compared
        fits = inside & jnp.all(apart | ~earlier)

        tries = jnp.where(fits, _TRIES, chain.tries - 1)
        at = jnp.minimum(chain.placed, self.rooms - 1)

        def add(to: Array, what: Array) -> Array:
            return jnp.where(fits, to.at[at].set(what), to)

        return _Chain(
            tops=add(chain.tops, top),
            sizes=add(chain.sizes, size),
            doors=add(chain.doors, door),
            wall=jnp.where(fits, wall, chain.wall),
            placed=jnp.where(fits, chain.placed + 1, jnp.where(tries <= 0, 0, chain.placed)),
            tries=tries,
            drawn=chain.drawn + 1,
        )


def _exit(draws: Array, chain: _Chain) -> tuple[Array, Array]:
    """Return where the last room is left (int32 [2]) and by which wall the next one is entered there."""
    last = jnp.maximum(chain.placed - 1, 0)
    top, size = chain.tops[last], chain.sizes[last]
    out = pick(draws[0], 3)
    out = out + (out >= chain.wall).astype(jnp.int32)
    along = top + 1 + pick(draws[1], size - 2)
    end = top + size - 1
    row = jnp.where(out == _BOTTOM, end[0], jnp.where(out == _TOP, top[0], along[0]))
    column = jnp.where(out == _RIGHT, end[1], jnp.where(out == _LEFT, top[1], along[1]))
    return jnp.stack([row, column]), (out + 2) % 4


def _top_of(draw: Array, door: Array, wall: Array, size: Array) -> Array:
    """Return the top left corner (int32 [2]) of a room entered by ``wall`` at ``door``."""
    along = door - size + 2 + pick(draw, size - 2)
    row = jnp.where(wall == _BOTTOM, door[0] - size[0] + 1, jnp.where(wall == _TOP, door[0], along[0]))
    column = jnp.where(wall == _RIGHT, door[1] - size[1] + 1, jnp.where(wall == _LEFT, door[1], along[1]))
    return jnp.stack([row, column])
