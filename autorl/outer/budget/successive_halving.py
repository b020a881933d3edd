"""Successive halving: train many a little, keep the best part, train those longer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Self

from autorl.errors import UsageError
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


class SuccessiveHalving(BudgetPolicy):
    """All trials train to the first rung; once all are there, the best 1 / eta of them (rounded down) train to the next.

    A trial that ended before a rung is not kept there. At least one trial is kept.
    """

    name: ClassVar[str] = "halving"
    reference: ClassVar[str] = (
        "Jamieson and Talwalkar, 2016, Non-stochastic Best Arm Identification and Hyperparameter Optimization"
    )

    def __init__(self, rungs: Sequence[int], trials: int, eta: int = 2, first: int = 0, last: int = 1) -> None:
        """Prepare a bracket.

        Args:
            rungs: Environment steps from the start, ascending.
            trials: Trials that start.
            eta: One trial in ``eta`` is kept.
            first: Number of the first trial: others belong to someone else.
            last: Checkpoints up to the rung whose mean is a trial's score there.

        Raises:
            UsageError: A value out of range.
        """
        self.rungs = checked_rungs(self.name, rungs)
        self.eta = checked_eta(self.name, eta)
        if trials < 1 or last < 1:
            raise UsageError(
                f"budget policy {self.name!r}: expected at least one trial and checkpoint, got {trials}, {last}."
            )
        self.first, self.last = first, last
        self.sizes = tuple(max(1, trials // eta**k) for k in range(len(rungs)))
        """Trials that train to each rung, if none ends early."""

    @classmethod
    def for_budget(cls, budget: Budget, spacing: int) -> Self:
        """Return halving with eta 2, and as many trials as the budget pays."""
        rungs = geometric_rungs(budget.env_steps, 2, spacing)
        return cls(rungs, affordable(rungs, budget.trainings * budget.env_steps, 2))

    @property
    def env_steps(self) -> int:
        """Environment steps that it takes in all, if no trial ends early."""
        steps = [b - a for a, b in pairwise((0, *self.rungs))]
        return sum(size * step for size, step in zip(self.sizes, steps, strict=True))

    def orders(self, runs: Sequence[Run], count: int) -> tuple[Order, ...]:
        """Return the starts that are missing, then the promotions from the last rung that all have reached."""
        known = {run.trial: run for run in runs if run.seed == 0}
        members = list(range(self.first, self.first + self.sizes[0]))
        made = [Order(trial, self.rungs[0]) for trial in members if trial not in known]
        for k, rung in enumerate(self.rungs[:-1]):
            group = [known[trial] for trial in members if trial in known]
            if len(group) < len(members) or any(run.score(rung) is None and not run.ended for run in group):
                break
            members = best(group, rung, self.last)[: self.sizes[k + 1]]
            target = self.rungs[k + 1]
            made += [Order(t, target) for t in members if known[t].env_steps < target and not known[t].ended]
        return tuple(made[:count])


def affordable(rungs: Sequence[int], env_steps: int, eta: int) -> int:
    """Return the most trials that successive halving over ``rungs`` can start with ``env_steps`` in all.

    Raises:
        UsageError: Not even one whole training is paid for.
    """
    most = 0
    while SuccessiveHalving(rungs, most + 1, eta).env_steps <= env_steps:
        most += 1
    if most == 0:
        raise UsageError(
            f"budget policy 'halving': {env_steps} environment steps pay for no whole training of {rungs[-1]}. "
            "Remedy: a larger budget."
        )
    return most
