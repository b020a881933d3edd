"""Asynchronous successive halving: promote whoever is among the best so far, and never wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from autorl.outer.budget.protocol import (
    BudgetPolicy,
    Order,
    Run,
    best,
    checked_eta,
    checked_rungs,
    geometric_rungs,
)
from autorl.outer.protocol import Budget


class AsynchronousHalving(BudgetPolicy):
    """From the highest rung down: a trial among the best 1 / eta of those with a score there is promoted; if none, a new one starts.

    It is never done: whoever runs it stops when the budget is spent.
    """

    name: ClassVar[str] = "asha"
    reference: ClassVar[str] = "Li et al., 2020, A System for Massively Parallel Hyperparameter Tuning"

    def __init__(self, rungs: Sequence[int], eta: int = 3) -> None:
        """Prepare.

        Args:
            rungs: Environment steps from the start, ascending.
            eta: One trial in ``eta`` is promoted.

        Raises:
            UsageError: A value out of range.
        """
        self.rungs = checked_rungs(self.name, rungs)
        self.eta = checked_eta(self.name, eta)

    @classmethod
    def for_budget(cls, budget: Budget, spacing: int) -> Self:
        """Return it with eta 3, the first rung as low as the checkpoints allow."""
        return cls(geometric_rungs(budget.env_steps, 3, spacing))

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
