"""Nearest neighbours among the newest episodes: a ring of fixed room, searched block by block as far as it is filled."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

BLOCK = 512
"""Episodes compared at once; the ring's room is rounded up to whole blocks. Measured: the quickest on a CPU."""


class History(NamedTuple):
    """The newest episodes. When the ring is full, the oldest make room.

    Attributes:
        points: float32 [D, C], a column for each episode; 0 where none is yet.
        returns: float32 [C].
        total: int32, episodes so far, those forgotten included.
    """

    points: Array
    returns: Array
    total: Array

    @classmethod
    def empty(cls, room: int, dimensions: int) -> History:
        """Return the history of no episode, for at least ``room`` of them."""
        room = -(-room // BLOCK) * BLOCK
        return cls(jnp.zeros((dimensions, room)), jnp.zeros(room), jnp.int32(0))

    def told(self, points: Array, returns: Array, valid: Array) -> tuple[History, Array]:
        """Return the history after n episodes in their order, and the return of the nearest before each, float32 [n].

        Those not ``valid`` [n] are left out. The nearest of nothing has the return 0.
        """

        def turn(history: History, episode: tuple[Array, Array, Array]) -> tuple[History, Array]:
            point, value, known = episode
            nearest = history.nearest_return(point)
            # a place beyond the end is not written
            place = jnp.where(known, history.total % len(history.returns), len(history.returns))
            grown = History(
                history.points.at[:, place].set(point, mode="drop"),
                history.returns.at[place].set(value, mode="drop"),
                history.total + known,
            )
            return grown, nearest

        return jax.lax.scan(turn, self, (points, returns, valid))

    def nearest_return(self, point: Array) -> Array:
        """Return the return of the episode nearest to ``point`` [D], 0 if there is none."""
        filled = jnp.minimum(self.total, len(self.returns))

        places = jnp.arange(BLOCK)

        def search(block: Array, found: tuple[Array, Array]) -> tuple[Array, Array]:
            # each place of a block keeps its own best: a search within every block would take ten times as long
            start = block * BLOCK
            near = jax.lax.dynamic_slice_in_dim(self.points, start, BLOCK, axis=1)
            offsets = ((near - point[:, None]) ** 2).sum(axis=0)
            distances = jnp.where(start + places < filled, offsets, jnp.inf)
            closer = distances < found[0]
            return jnp.where(closer, distances, found[0]), jnp.where(closer, start + places, found[1])

        blocks = (filled + BLOCK - 1) // BLOCK
        distances, index = jax.lax.fori_loop(0, blocks, search, (jnp.full(BLOCK, jnp.inf), places))
        return jnp.where(filled > 0, self.returns[index[jnp.argmin(distances)]], 0.0)
