"""Unlock, UnlockPickup, BlockedUnlockPickup: two rooms, a locked door between them, its key in the agent's room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.minigrid import codes
from autorl.environments.minigrid.grid import Board, MiniGrid, board
from autorl.environments.minigrid.layout import pick, pick_place, place_agent, put, rooms_of

_SIZE = 6
_HEIGHT, _WIDTH, _WALL = _SIZE, 2 * _SIZE - 1, _SIZE - 1
_ROWS, _COLUMNS = np.indices((_HEIGHT, _WIDTH))
_LEFT_ROOM = (_ROWS > 0) & (_ROWS < _HEIGHT - 1) & (_COLUMNS > 0) & (_COLUMNS < _WALL)
_RIGHT_ROOM = (_ROWS > 0) & (_ROWS < _HEIGHT - 1) & (_COLUMNS > _WALL) & (_COLUMNS < _WIDTH - 1)
# MiniGrid keeps objects away from where it puts the agent at first, row 3 and column 8, before it moves it to the left room
_BOX_PLACES = _RIGHT_ROOM & (abs(_ROWS - 3) + abs(_COLUMNS - 8) >= 2)


@dataclass(frozen=True)
class Unlock(MiniGrid):
    """Open the door (``door``), or pick up the box behind it (``box``), where a ball may block the door (``blocked_box``).

    8 x 36 steps, 16 x 36 if the door is blocked. Colours are uniform; key and door have the same.
    """

    kind: Literal["door", "box", "blocked_box"]

    @property
    def shape(self) -> tuple[int, int]:
        """6 rows, 11 columns."""
        return _HEIGHT, _WIDTH

    @property
    def max_episode_steps(self) -> int:
        """288, or 576 if the door is blocked."""
        return (16 if self.kind == "blocked_box" else 8) * _SIZE**2

    def _board(self, key: Array) -> Board:
        draws = jax.random.uniform(key, (7,))
        grid = jnp.asarray(rooms_of(_SIZE, 1, 2))
        row, colour = 1 + pick(draws[0], _SIZE - 2), pick(draws[1], codes.COLOURS)
        grid = put(grid, row, _WALL, codes.DOOR, colour, codes.LOCKED)
        if self.kind != "door":
            place = pick_place(draws[2], jnp.asarray(_BOX_PLACES))
            grid = put(grid, place[0], place[1], codes.BOX, pick(draws[3], codes.COLOURS))
        if self.kind == "blocked_box":
            grid = put(grid, row, _WALL - 1, codes.BALL, pick(draws[4], codes.COLOURS))
        place = pick_place(draws[5], (grid[..., 0] == codes.EMPTY) & _LEFT_ROOM)
        grid = put(grid, place[0], place[1], codes.KEY, colour)
        start, facing = place_agent(draws[6], grid, _LEFT_ROOM)
        return board(grid, start, facing)

    def _solved(self, reached: Board, action: Array, front: Array) -> Array:
        if self.kind == "door":
            door = reached.grid[1:-1, _WALL]
            return (action == codes.TOGGLE) & jnp.any((door[:, 0] == codes.DOOR) & (door[:, 2] == codes.OPEN))
        return (action == codes.PICKUP) & (reached.carrying[0] == codes.BOX)
