"""Asynchronous successive halving: promote whoever is among the best so far, and never wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from autorl.outer.budget.geometric import GeometricPolicy
from autorl.outer.budget.protocol import Order, Run, best


class AsynchronousHalving(GeometricPolicy):
    """From the highest rung down: a trial among the best 1 / eta of those with a score there is promoted; if none, a new one starts.

    It is never done: whoever runs it stops when the budget is spent.
    """

    name: ClassVar[str] = "asha"
    reference: ClassVar[str] = "Li et al., 2020, A System for Massively Parallel Hyperparameter Tuning"

    def orders(self, runs: Sequence[Run], count: int) -> tuple[Order, ...]:
        """Return ``count`` orders: promotions, as long as there are, then new trials."""
        known = {run.trial: run for run in runs if run.seed == 0}
        made: list[Order] = []
        for k in reversed(range(len(self.rungs) - 1)):
            ranked, target = best(known.values(), self.rungs[k]), self.rungs[k + 1]
            top = ranked[: len(ranked) // self.eta]
            made += [Order(t, target) for t in top if known[t].env_steps < target and not known[t].ended]
        start = max(known, default=-1) + 1
        made += [Order(start + i, self.rungs[0]) for i in range(max(0, count - len(made)))]
        return tuple(made[:count])
