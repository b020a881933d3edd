"""A search method under a budget policy: the method proposes, the policy says who trains how far, the budget ends both.

Pure functions of the runs so far, so that a study's record is all that is needed to go on. Whoever runs it, an engine that trains
agents or a benchmark that looks scores up, carries out what is `due`, and tells the method what `told` returns of the trials open.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from autorl.outer.budget.protocol import BudgetPolicy, Order, Run
from autorl.outer.protocol import Proposal, SearchMethod, Status

WIDTH = 32
"""Orders carried out together, at most, unless somebody says otherwise. It decides a search, and so is no function of the machine."""


class Due(NamedTuple):
    """What can be carried out now, and the proposals for the orders that start a trial, in their order."""

    orders: tuple[Order, ...]
    proposals: tuple[Proposal, ...]


def most_trials(policy: BudgetPolicy, trainings: int, checkpoints: int) -> int:
    """Return how many trials may start under a policy if ``trainings`` of so many ``checkpoints`` are granted: what a method plans for."""
    return policy.starts or trainings * checkpoints


@dataclass(frozen=True)
class Joined:
    """A method and a policy.

    Attributes:
        method: Proposes candidates. None of its trials continues from a parent.
        policy: Orders trainings.
        granted: Environment steps granted in all, in the unit of the policy's rungs.
    """

    method: SearchMethod[Any]
    policy: BudgetPolicy
    granted: int

    def due(self, state: Any, runs: Sequence[Run], pending: Collection[Proposal], count: int) -> Due:
        """Return what to do next; it is over when there is no order.

        Args:
            state: Of the method.
            runs: All so far, none of them waiting.
            pending: Proposals that the method has not been told about.
            count: Orders, at most.
        """
        known = {(run.trial, run.seed): run.env_steps for run in runs}
        left = self.granted - sum(known.values())
        orders: list[Order] = []
        fresh: list[Proposal] = []
        for order in self.policy.orders(runs, count):
            cost = order.env_steps - known.get((order.trial, order.seed), 0)
            if cost > left:
                break
            if order.seed == 0 and (order.trial, 0) not in known:
                # where only the end says what a trial is worth, none is begun that would keep others from it
                if self.policy.comparable_at is None and left < self._promised(runs, orders) + self.policy.rungs[-1]:
                    break
                waiting = [*pending, *fresh]
                if self.method.available(state, waiting) < 1:
                    break
                fresh += self.method.ask(state, 1, waiting)
            left -= cost
            orders.append(order)
        return Due(tuple(orders), tuple(fresh))

    def _promised(self, runs: Sequence[Run], orders: Sequence[Order]) -> int:
        """Return what it takes, beyond ``orders``, to train all that is under way to the end."""
        reached = {run.trial: run.env_steps for run in runs if run.seed == 0 and not run.ended}
        reached |= {order.trial: order.env_steps for order in orders if order.seed == 0}
        return sum(self.policy.rungs[-1] - steps for steps in reached.values())

    def told(self, run: Run, rung: int, failed: Status | None = None) -> tuple[Status, float | None] | None:
        """Return status and score that the method is told of a trial, from its first run; None: nothing yet.

        It is told the score at the rung where all trials can be compared. What was stopped before counts as pruned.

        Args:
            run: The trial's run on its first seed.
            rung: What the policy calls `comparable`. If that changes, the method is to be told of all trials anew.
            failed: How it failed, if it did.
        """
        score = run.score(rung)
        if score is not None:
            return Status.COMPLETED, score
        if failed is not None:
            return failed, None
        return (Status.PRUNED, run.scores[-1][1]) if run.ended else None
