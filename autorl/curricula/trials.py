"""Tasks that are tried several times each, a fixed number of them in a round: what teachers judge success rates by."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from autorl.curricula.tasks import find, first_alike

MOST_LOST = 8
"""Episodes of a task that may end without telling anything, and others be played for them; from then on each counts as one that failed."""


class Trials(NamedTuple):
    """A round. The first ``used`` places are filled.

    Where it is told which episodes begin, a task is judged by the first ones that are begun in it, when all of them have ended, and tasks
    are those that were begun first: the first episodes to end are the short ones, which are mostly failures or mostly successes.

    Attributes:
        points: float32 [C, D], the tasks.
        sums: float32 [C], of what their episodes came to.
        visits: int32 [C], those that ended.
        begun: int32 [C], those that began, as far as that was told.
        lost: int32 [C], those that began and told nothing.
        used: int32, places filled.
        heard: bool, whether it was ever told what began.
    """

    points: Array
    sums: Array
    visits: Array
    begun: Array
    lost: Array
    used: Array
    heard: Array

    @classmethod
    def empty(cls, capacity: int, dimensions: int) -> Trials:
        """Return a round before its first episode."""
        none, sums = jnp.zeros(capacity, jnp.int32), jnp.zeros(capacity)
        return cls(jnp.zeros((capacity, dimensions)), sums, none, none, none, jnp.int32(0), jnp.bool_(False))

    @property
    def again(self) -> Trials:
        """The next round, before its first episode."""
        return Trials.empty(*self.points.shape)._replace(heard=self.heard)

    @property
    def means(self) -> Array:
        """What the episodes of each task came to on average, float32 [C]; 0 for those without any."""
        return self.sums / jnp.maximum(self.visits, 1)

    def over(self, visits: Array) -> Array:
        """Return whether the round is full and each of its tasks had ``visits``, a bool scalar."""
        return jnp.all((self.visits >= visits) & (self.visits >= self.begun))

    def started(self, points: Array, which: Array) -> Trials:
        """Return the round after those of n episodes began that ``which`` [n] says; tasks take places as in `told`."""
        place, after = self._placed(points, which)
        return after._replace(begun=after.begun.at[place].add(1, mode="drop"), heard=jnp.bool_(True))

    def told_nothing(self, points: Array, which: Array) -> Trials:
        """Return the round after those of n episodes that ``which`` [n] says ended without telling anything: others are played for them,
        until there were `MOST_LOST`.
        """
        place, known = find(points, self.points, jnp.arange(len(self.visits)) < self.used)
        place = jnp.where(which & known, place, len(self.visits))
        begun, visits, lost = without(self.begun, self.visits, self.lost, place)
        return self._replace(begun=begun, visits=visits, lost=lost)

    def told(self, points: Array, values: Array, valid: Array) -> Trials:
        """Return the round after n episodes ended.

        A task that is not yet in it takes a free place, and none if there is none; where it is told what begins, only then.
        """
        known = find(points, self.points, jnp.arange(len(self.visits)) < self.used)[1]
        place, after = self._placed(points, valid & (known | ~self.heard))
        return after._replace(
            sums=after.sums.at[place].add(values, mode="drop"), visits=after.visits.at[place].add(1, mode="drop")
        )

    def _placed(self, points: Array, valid: Array) -> tuple[Array, Trials]:
        """Return the places of the ``valid`` of n tasks, int32 [n] (C or more for the others), and the round with the new ones in it."""
        filled = jnp.arange(len(self.visits)) < self.used
        place, known = find(points, self.points, filled)
        first = first_alike(points, valid)
        new = valid & ~known & (first == jnp.arange(len(points)))
        fresh = self.used + jnp.cumsum(new) - 1
        # beyond the last place nothing is written
        place = jnp.where(valid, jnp.where(known, place, fresh[first]), len(self.visits))
        return place, self._replace(
            points=self.points.at[jnp.where(new, place, len(self.visits))].set(points, mode="drop"),
            used=jnp.minimum(self.used + new.sum(dtype=jnp.int32), len(self.visits)),
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
        short = jnp.cumsum(jnp.where(filled, jnp.maximum(visits - jnp.maximum(self.visits, self.begun), 0), 0))
        owed = short[-1]
        pending = self.points[jnp.searchsorted(short, turn, side="right")]
        number = jnp.maximum(turn - owed, 0) // visits
        tasks = jnp.where((turn < owed)[:, None], pending, fresh[number])
        return tasks, (turn < owed) | (self.used + number < len(self.visits))


def turns(begun: Array, visits: Array, wanted: Array, tried: Array) -> tuple[Array, Array]:
    """Return which of n proposals try a task, bool [n], and which task each tries, int32 [n].

    Those with the most episodes first, each as often as it lacks some.

    Args:
        begun: int32 [K], episodes of each task on trial that began, as far as that was told.
        visits: int32 [K], those that ended.
        wanted: Episodes that each is to have.
        tried: bool [n], proposals that are to try tasks; those beyond what is lacking do not.
    """
    counted = jnp.maximum(begun, visits)
    order = jnp.argsort(-counted, stable=True)
    lacking = jnp.cumsum(jnp.maximum(wanted - counted, 0)[order])
    number = jnp.cumsum(tried) - 1
    place = jnp.minimum(jnp.searchsorted(lacking, number, side="right"), len(visits) - 1)
    return tried & (number < lacking[-1]), order[place]


def without(begun: Array, visits: Array, lost: Array, place: Array) -> tuple[Array, Array, Array]:
    """Return ``begun``, ``visits`` and ``lost``, int32 [C] each, after episodes of the tasks at ``place`` [n] (C: of none) told nothing.

    They count as not begun, but where more than `MOST_LOST` were lost as visits that came to nothing: else a task that never tells
    anything would be waited for for ever.
    """
    more = jnp.zeros_like(lost).at[place].add(1, mode="drop")
    # no more than are under way: nothing else was said to have begun
    more = jnp.minimum(more, jnp.maximum(begun - visits, 0))
    lost = lost + more
    hopeless = lost > MOST_LOST
    return jnp.where(hopeless, begun, begun - more), jnp.where(hopeless, visits + more, visits), lost
