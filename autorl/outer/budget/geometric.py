"""What asynchronous halving and Hyperband share: rungs that lie ``eta`` times apart, and one trial in ``eta`` that goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from autorl.outer.budget.protocol import BudgetPolicy, checked_eta, checked_rungs, geometric_rungs
from autorl.outer.protocol import Budget


class GeometricPolicy(BudgetPolicy):
    """A policy of ``rungs`` and ``eta``. It is never done: whoever runs it stops when the budget is spent."""

    def __init__(self, rungs: Sequence[int], eta: int = 3) -> None:
        """Prepare.

        Args:
            rungs: Environment steps from the start, ascending: each about ``eta`` times the one before.
            eta: One trial in ``eta`` goes on.

        Raises:
            UsageError: A value out of range.
        """
        self.rungs = checked_rungs(self.name, rungs)
        self.eta = checked_eta(self.name, eta)

    @classmethod
    def for_budget(cls, budget: Budget, spacing: int, *, eta: int = 3) -> Self:
        """Return it with the first rung as low as the checkpoints allow."""
        return cls(geometric_rungs(budget.env_steps, checked_eta(cls.name, eta), spacing), eta)
