"""Hyperband: successive halving with several first rungs in turn, since nobody knows how early a score can be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count as counting
from itertools import takewhile
from typing import ClassVar

from autorl.outer.budget.geometric import GeometricPolicy
from autorl.outer.budget.protocol import Order, Run
from autorl.outer.budget.successive_halving import SuccessiveHalving


class Hyperband(GeometricPolicy):
    """Brackets of successive halving, from the one that starts at the first rung to the one that cuts nothing, again and again.

    With s + 1 rungs left of s_max + 1, a bracket starts ceil((s_max + 1) / (s + 1) * eta**s) trials (algorithm 1 of the paper). It
    is never done: whoever runs it stops when the budget is spent.
    """

    name: ClassVar[str] = "hyperband"
    reference: ClassVar[str] = (
        "Li et al., 2018, Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization"
    )

    def brackets(self) -> Iterator[SuccessiveHalving]:
        """Yield the brackets, without end; each has its own range of trial numbers."""
        first, most = 0, len(self.rungs) - 1
        for bracket in counting():
            s = most - bracket % (most + 1)
            trials = -(-(most + 1) * self.eta**s // (s + 1))
            yield SuccessiveHalving(self.rungs[most - s :], trials, self.eta, first)
            first += trials

    def stops(self, runs: Sequence[Run]) -> tuple[int, ...]:
        """Return those that the brackets under way have not kept."""
        known = {run.trial for run in runs}
        begun = takewhile(lambda bracket: bracket.first in known, self.brackets())
        return tuple(trial for bracket in begun for trial in bracket.stops(runs))

    def orders(self, runs: Sequence[Run], count: int) -> tuple[Order, ...]:
        """Return ``count`` orders: those of the first bracket, then, while it waits or when it is done, of the next ones."""
        made: list[Order] = []
        for bracket in self.brackets():
            if len(made) >= count:
                break
            made += bracket.orders(runs, count - len(made))
        return tuple(made)
