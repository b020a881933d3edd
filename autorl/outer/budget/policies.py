"""The registry of budget policies, and the one place that makes them."""

from __future__ import annotations

from autorl.outer.budget.protocol import BudgetPolicy
from autorl.outer.protocol import Budget
from autorl.registry import Registry

POLICIES: Registry[type[BudgetPolicy]] = Registry(
    "budget policy",
    {
        "halving": "autorl.outer.budget.successive_halving:SuccessiveHalving",
        "asha": "autorl.outer.budget.asynchronous_halving:AsynchronousHalving",
        "hyperband": "autorl.outer.budget.hyperband:Hyperband",
        "median": "autorl.outer.budget.median_pruning:MedianPruning",
        "race": "autorl.outer.budget.cuts_and_race:CutsAndRace",
    },
)


def make_policy(name: str, budget: Budget, spacing: int) -> BudgetPolicy:
    """Return the policy called ``name`` with its defaults for a search.

    Args:
        name: A name of `POLICIES`.
        budget: Work granted to the search.
        spacing: Environment steps between two checkpoints.

    Raises:
        UnknownNameError: No such policy.
        UsageError: The policy cannot be had for this budget and spacing.
    """
    return POLICIES.load(name).for_budget(budget, spacing)
