"""Ranking by several objectives at once: non-dominated sorting and crowding distance.

Deb et al., 2002, *A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II*. Objectives are to be maximised here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def dominates(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which point dominates which: nowhere worse and somewhere better; bool [n, n], for ``points`` float [n, objectives]."""
    nowhere_worse = (points[:, None, :] >= points[None, :, :]).all(axis=2)
    somewhere_better = (points[:, None, :] > points[None, :, :]).any(axis=2)
    return np.logical_and(nowhere_worse, somewhere_better)


def fronts(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the front of each point: 0 for those that nothing dominates, 1 for those that only front 0 does, and so on.

    Args:
        points: float [n, objectives], finite, higher is better.
    """
    above = dominates(points)
    dominators = above.sum(axis=0)
    found = np.full(len(points), -1, np.int64)
    front = 0
    while (found < 0).any():
        current = (found < 0) & (dominators == 0)
        found[current] = front
        dominators = dominators - above[current].sum(axis=0)
        front += 1
    return found


def crowding(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the crowding distance of each point of one front: how far apart its neighbours are; infinite at the ends.

    Args:
        points: float [n, objectives], finite. An objective in which all are equal adds nothing. Of points that are equal in an
            objective, the first counts as the lower.
    """
    count, objectives = points.shape
    distance = np.zeros(count, np.float64)
    for j in range(objectives):
        order = np.argsort(points[:, j], kind="stable")
        values = points[order, j]
        span = values[-1] - values[0]
        if span <= 0:
            continue
        distance[order[[0, -1]]] = np.inf
        distance[order[1:-1]] += (values[2:] - values[:-2]) / span
    return distance


def ranking(points: NDArray[np.float64]) -> list[int]:
    """Return the positions of ``points`` float [n, objectives] from best to worst: by front, within it the less crowded first.

    Ties go to the earlier point.
    """
    if len(points) == 0:
        return []
    front = fronts(points)
    distance = np.zeros(len(points), np.float64)
    for one in range(int(front.max()) + 1):
        members = np.flatnonzero(front == one)
        distance[members] = crowding(points[members])
    return [int(i) for i in np.lexsort((np.arange(len(points)), -distance, front))]
