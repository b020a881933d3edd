"""LavaGap and Crossing: from the top left to the goal at the bottom right, through gaps in lava or in walls."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.minigrid import codes
from autorl.environments.minigrid.grid import Board, MiniGrid, board
from autorl.environments.minigrid.layout import pick, walled

_START, _FACING = (1, 1), 0


@dataclass(frozen=True)
class _Corner(MiniGrid):
    """A square room, the goal in its bottom right corner, 4 size^2 steps."""

    size: int

    @property
    def shape(self) -> tuple[int, int]:
        """Square."""
        return self.size, self.size

    @property
    def max_episode_steps(self) -> int:
        """Four steps for each cell."""
        return 4 * self.size**2

    def _filled(self, obstacle: Array, cell: tuple[int, int, int]) -> Board:
        """Return the board with ``cell`` where ``obstacle`` (bool [H, W]) is true."""
        room = walled(self.size, self.size)
        room[-2, -2] = codes.GOAL_CELL
        grid = jnp.where(obstacle[..., None], jnp.asarray(cell, jnp.uint8), jnp.asarray(room))
        return board(grid, _START, _FACING)


@dataclass(frozen=True)
class LavaGap(_Corner):
    """A strip of lava from top to bottom with one gap. Column and gap are uniform."""

    def _board(self, key: Array) -> Board:
        draws = jax.random.uniform(key, (2,))
        column, gap = 2 + pick(draws[0], self.size - 4), 1 + pick(draws[1], self.size - 2)
        rows, columns = np.indices(self.shape, np.int32)
        inside = (rows > 0) & (rows < self.size - 1)
        return self._filled(jnp.asarray(inside) & (columns == column) & (rows != gap), codes.LAVA_CELL)


@dataclass(frozen=True)
class Crossing(_Corner):
    """Rivers across the room, of lava or of wall, each with one opening, so that one path leads to the goal.

    ``rivers`` are drawn among the even columns and rows. Then a path is drawn: a random order in which they are
    crossed; each is opened at a random cell between the rivers next to the path.
    """

    rivers: int
    lava: bool

    def _board(self, key: Array) -> Board:
        lines = np.arange(2, self.size - 2, 2, dtype=np.int32)
        draws = jax.random.uniform(key, (2 * len(lines) + 2 * self.rivers,))
        ranks = jnp.argsort(jnp.argsort(draws[: 2 * len(lines)]))
        upright, level = jnp.split(ranks < self.rivers, 2)  # bool [lines]: which columns and which rows are rivers
        rows, columns = np.indices(self.shape, np.int32)
        inside = (rows > 0) & (rows < self.size - 1) & (columns > 0) & (columns < self.size - 1)
        flooded = jnp.zeros(self.size, jnp.bool_)
        river = flooded.at[lines].set(upright)[None, :] | flooded.at[lines].set(level)[:, None]
        obstacle = jnp.asarray(inside) & river & ~self._openings(draws[2 * len(lines) :], lines, upright, level)
        return self._filled(obstacle, codes.LAVA_CELL if self.lava else codes.WALL_CELL)

    def _openings(self, draws: Array, lines: np.ndarray, upright: Array, level: Array) -> Array:
        """Return bool [H, W], true at one opening for each river."""
        opened = jnp.zeros(self.shape, jnp.bool_)
        left, top = (
            jnp.zeros((), jnp.int32),
            jnp.zeros((), jnp.int32),
        )  # the rivers crossed last: the path is beyond them
        for crossing in range(self.rivers):
            right = jnp.min(jnp.where(upright & (lines > left), lines, self.size - 1))
            bottom = jnp.min(jnp.where(level & (lines > top), lines, self.size - 1))
            across, down = (jnp.sum(which & (lines > at)) for which, at in ((upright, left), (level, top)))
            # a shuffled path takes each next river with a chance equal to its kind's share of what is left
            goes_across = pick(draws[2 * crossing], across + down) < across
            place = draws[2 * crossing + 1]
            row = jnp.where(goes_across, top + 1 + pick(place, bottom - top - 1), bottom)
            column = jnp.where(goes_across, right, left + 1 + pick(place, right - left - 1))
            opened = opened.at[row, column].set(True)
            left, top = jnp.where(goes_across, right, left), jnp.where(goes_across, top, bottom)
        return opened
