"""Nearest neighbours in a history that grows: a k-d tree over most of it, a plain scan over the newest episodes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from autorl.curricula.protocol import Floats

TAIL = 500
"""Newest episodes that are scanned rather than indexed, at the least; a long history has more (a 32nd of it)."""


@dataclass(frozen=True)
class Indexed:
    """Episodes under a k-d tree, which is built when it is first asked for.

    Attributes:
        points: float64 [m, D].
        returns: float64 [m].
    """

    points: Floats
    returns: Floats

    @cached_property
    def tree(self) -> Any:
        """The tree over ``points``."""
        from scipy.spatial import cKDTree

        return cKDTree(self.points)


@dataclass(frozen=True)
class History:
    """Every episode so far.

    Attributes:
        indexed: The older ones.
        points: float64 [t, D], the newest ones.
        returns: float64 [t].
    """

    indexed: Indexed
    points: Floats
    returns: Floats

    @classmethod
    def empty(cls, dimensions: int) -> History:
        """Return the history of no episode."""
        none = np.zeros((0, dimensions))
        return cls(Indexed(none, np.zeros(0)), none, np.zeros(0))

    def __len__(self) -> int:
        return len(self.indexed.returns) + len(self.returns)

    def nearest_return(self, point: Floats) -> float:
        """Return the return of the episode nearest to ``point`` [D]; there must be one."""
        least, found = np.inf, 0.0
        if len(self.indexed.returns):
            distance, index = self.indexed.tree.query(point)
            least, found = float(distance) ** 2, float(self.indexed.returns[index])
        if len(self.returns):
            offsets = self.points - point
            distances = np.einsum("td,td->t", offsets, offsets)
            index = int(distances.argmin())
            if distances[index] < least:
                found = float(self.returns[index])
        return found

    def append(self, point: Floats, value: float) -> History:
        """Return the history with one more episode."""
        points, returns = np.concatenate([self.points, point[None]]), np.append(self.returns, value)
        if len(returns) < max(TAIL, len(self) // 32):
            return History(self.indexed, points, returns)
        older = Indexed(np.concatenate([self.indexed.points, points]), np.concatenate([self.indexed.returns, returns]))
        return History(older, points[:0], returns[:0])
