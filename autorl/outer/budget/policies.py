"""The registry of budget policies, and the one place that makes them: names and settings are checked here."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

from autorl.errors import UnknownNameError
from autorl.outer.budget.protocol import BudgetPolicy
from autorl.outer.protocol import Budget
from autorl.outer.settings import check_names
from autorl.registry import Registry

POLICIES: Registry[type[BudgetPolicy]] = Registry(
    "budget policy",
    {
        "halving": "autorl.outer.budget.successive_halving:SuccessiveHalving",
        "asha": "autorl.outer.budget.asynchronous_halving:AsynchronousHalving",
        "hyperband": "autorl.outer.budget.hyperband:Hyperband",
        "median": "autorl.outer.budget.median_pruning:MedianPruning",
        "wilcoxon": "autorl.outer.budget.wilcoxon_pruning:WilcoxonPruning",
        "race": "autorl.outer.budget.cuts_and_race:CutsAndRace",
    },
)

WHOLE: Final = "whole"
"""The name of no policy: every training is a whole one."""


def make_policy(name: str, budget: Budget, spacing: int, settings: Mapping[str, Any] | None = None) -> BudgetPolicy:
    """Return the policy called ``name`` for a search.

    Args:
        name: A name of `POLICIES`.
        budget: Work granted to the search.
        spacing: Environment steps between two checkpoints.
        settings: Settings of the policy, by name; those left out take the policy's defaults.

    Raises:
        UnknownNameError: No such policy.
        UsageError: An unknown setting, one out of range, or a policy that cannot be had for this budget and spacing.
    """
    if name not in POLICIES:
        raise UnknownNameError("budget policy", name, [*POLICIES, WHOLE])
    given = dict(settings or {})
    check_names(f"budget policy {name!r}", given, policy_settings(name))
    make: Any = POLICIES.load(name).for_budget
    made: BudgetPolicy = make(budget, spacing, **given)
    return made


def policy_settings(name: str) -> dict[str, Any]:
    """Return the settings of the policy called ``name`` with their defaults."""
    parameters = inspect.signature(POLICIES.load(name).for_budget).parameters
    return {key: p.default for key, p in parameters.items() if key not in ("budget", "spacing")}
