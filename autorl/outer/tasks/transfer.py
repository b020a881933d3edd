"""How the score of a policy falls with the distance of a task from the one it was trained on: a linear model, and what it tells.

The model of SD-MBTL (2026): the score on task y of a policy trained on x is a constant plus, for each coordinate, one slope times x - y
where that is negative and another where it is positive.
"""

from __future__ import annotations

import numpy as np

from autorl.outer.tasks.protocol import Floats


def sides(sources: Floats, targets: Floats) -> Floats:
    """Return the differences of ``sources`` [k, d] and ``targets`` [m, d], float [k, m, 2 d]: negative parts, then positive ones."""
    difference = sources[:, None] - targets[None]
    return np.concatenate([np.minimum(difference, 0.0), np.maximum(difference, 0.0)], axis=-1)


def slopes(tasks: Floats, chosen: list[int], rows: Floats) -> Floats:
    """Return the least-squares slopes, float [2 d], of ``rows`` [k, N] of the policies trained on the ``chosen``."""
    differences = sides(tasks[chosen], tasks).reshape(-1, 2 * tasks.shape[1])
    table = np.concatenate([np.ones((len(differences), 1)), differences], axis=1)
    # by the normal equations, as published: with few policies they are singular, and the pseudo-inverse picks the shortest solution
    found: Floats = np.linalg.pinv(table.T @ table) @ (table.T @ rows.ravel())
    return found[1:]


def losses(tasks: Floats, slopes: Floats) -> Floats:
    """Return what transfer from each task to each costs, float [N, N]."""
    d, cost = tasks.shape[1], np.zeros((len(tasks), len(tasks)))
    for along, lower, upper in zip(tasks.T, slopes[:d], slopes[d:], strict=True):
        # coordinate by coordinate, and each pair of its values once: the table of `sides` of all pairs would take most of the time
        values, place = np.unique(along, return_inverse=True)
        difference = values[:, None] - values
        cost -= (np.where(difference < 0, lower, upper) * difference)[place][:, place]
    return cost


def is_mountain(tasks: Floats, chosen: list[int], rows: Floats) -> bool:
    """Return whether scores look like equal mountains, one about each task that was trained on.

    That is: how well a policy does on its own task varies less than how it does elsewhere (no task is better to train on as such),
    and in more than half of the coordinates the score falls on both sides. Both after subtracting what all policies score on a task.
    """
    centred = rows - rows.mean(axis=0)
    own = centred[np.arange(len(chosen)), chosen]
    alike = float(own.std()) < float(centred.std(axis=1).mean())
    rising = slopes(tasks, chosen, centred) > 0
    d = tasks.shape[1]
    return alike and float((rising[:d] ^ rising[d:]).mean()) > 0.5
