"""Many tasks, one number: what agents come to on average, in the middle, and in the worst of the tasks that they are evaluated on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

WORST = 0.1
"""Share of the tasks that the conditional value at risk is the mean of."""
STATISTICS = ("mean", "iqm", "cvar")
"""Over the tasks of one training."""
Array = NDArray[np.float64]


def iqm(values: ArrayLike) -> float:
    """Return the mean of the middle half of ``values`` [N] (Agarwal et al., 2021): a quarter, rounded down, is cut from each end."""
    from scipy.stats import trim_mean  # half a second: not before somebody asks for it

    return float(trim_mean(np.asarray(values, np.float64), 0.25))


def cvar(values: Array, share: float = WORST) -> float:
    """Return the mean of the worst ``share`` of ``values`` [N] (rounded up), the conditional value at risk."""
    worst = np.sort(np.asarray(values, np.float64))[: max(1, math.ceil(share * len(values)))]
    return float(worst.mean())


def cvar_ranked_apart(one: Array, other: Array, share: float = WORST) -> float:
    """Return the conditional value at risk from two independent halves of the attempts at N tasks, [N] each.

    The worst ``share`` of the tasks by one half is scored on the other half, both ways, and averaged. Were they scored on the attempts that
    they were chosen by, it would count bad luck as difficulty: agents that do equally well in all tasks would have tasks in which they do
    worse. So Rutherford et al. (2024, sampling for learnability) rank levels by evaluations of one seed and score them anew with another.
    What is estimated is the mean success in the tasks that come out worst in half the attempts: with few attempts these are not yet all of
    the truly worst, so it is rather too high than too low. Tasks that tie for the last places share them evenly, whatever their order.
    """
    weights = [_worst(half, max(1, math.ceil(share * len(one)))) for half in (one, other)]
    return float((weights[0] @ other + weights[1] @ one) / 2.0)


def _worst(values: Array, count: int) -> Array:
    """Return the weights, of sum 1, by which the mean of the ``count`` lowest of ``values`` [N] is taken: equal ones have equal weights."""
    last = np.partition(values, count - 1)[count - 1]
    below, ties = values < last, values == last
    weights: Array = (below + ties * (count - below.sum()) / ties.sum()) / count
    return weights


def over_tasks(statistic: str, means: Sequence[float], halves: Sequence[Sequence[float]]) -> float:
    """Return ``statistic``, one of `STATISTICS`, of what an agent came to in N tasks.

    Args:
        statistic: Its name.
        means: Over all attempts at a task, [N].
        halves: Over each half of them, [2, N]; empty where there was one attempt, and then the worst tasks are scored on what chose them.
    """
    values = np.asarray(means, np.float64)
    if not np.isfinite(values).all():
        return math.nan  # an order of what is not finite means nothing
    if statistic == "mean":
        return float(values.mean())
    if statistic == "iqm":
        return iqm(values)
    if not len(halves):
        return cvar(values)
    one, other = (np.asarray(half, np.float64) for half in halves)
    return cvar_ranked_apart(one, other)
