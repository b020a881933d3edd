"""Tasks that are tried several times each, a fixed number of them in a round: what teachers judge success rates by."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from autorl.curricula.tasks import find, first_alike


class Trials(NamedTuple):
    """A round. The first ``used`` places are filled.

    Attributes:
        points: float32 [C, D], the tasks.
        sums: float32 [C], of what their episodes came to.
        visits: int32 [C].
        used: int32, places filled.
    """

    points: Array
    sums: Array
    visits: Array
    used: Array

    @classmethod
    def empty(cls, capacity: int, dimensions: int) -> Trials:
        """Return a round before its first episode."""
        none = jnp.zeros(capacity)
        return cls(jnp.zeros((capacity, dimensions)), none, none.astype(jnp.int32), jnp.int32(0))

    @property
    def means(self) -> Array:
        """What the episodes of each task came to on average, float32 [C]; 0 for those without any."""
        return self.sums / jnp.maximum(self.visits, 1)

    def over(self, visits: Array) -> Array:
        """Return whether the round is full and each of its tasks had ``visits``, a bool scalar."""
        return jnp.all(self.visits >= visits)

    def told(self, points: Array, values: Array, valid: Array) -> Trials:
        """Return the round after n episodes; a task that is not yet in it takes a free place, and none if there is none."""
        filled = jnp.arange(len(self.visits)) < self.used
        place, known = find(points, self.points, filled)
        first = first_alike(points, valid)
        new = valid & ~known & (first == jnp.arange(len(points)))
        fresh = self.used + jnp.cumsum(new) - 1
        # beyond the last place nothing is written
        place = jnp.where(valid, jnp.where(known, place, fresh[first]), len(self.visits))
        return Trials(
            self.points.at[jnp.where(new, place, len(self.visits))].set(points, mode="drop"),
            self.sums.at[place].add(values, mode="drop"),
            self.visits.at[place].add(1, mode="drop"),
            jnp.minimum(self.used + new.sum(dtype=jnp.int32), len(self.visits)),
        )

    def next(self, visits: Array, fresh: Array) -> tuple[Array, Array]:
        """Return what to play next: tasks short of ``visits`` first, then new ones, as often each.

        Args:
            visits: Episodes that each task is to have.
            fresh: float32 [n, D], new tasks to take as many of as are needed.

        Returns:
            The tasks, float32 [n, D], and whether each belongs to the round, bool [n]: False where it has no room for more.
        """
        turn = jnp.arange(len(fresh))
        filled = jnp.arange(len(self.visits)) < self.used
        short = jnp.cumsum(jnp.where(filled, jnp.maximum(visits - self.visits, 0), 0))
        owed = short[-1]
        pending = self.points[jnp.searchsorted(short, turn, side="right")]
        number = jnp.maximum(turn - owed, 0) // visits
        tasks = jnp.where((turn < owed)[:, None], pending, fresh[number])
        return tasks, (turn < owed) | (self.used + number < len(self.visits))
