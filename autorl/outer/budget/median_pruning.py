"""The median stopping rule: a training that is worse than the middle of the finished ones were is ended."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median
from typing import ClassVar, Self

from autorl.outer.budget.protocol import BudgetPolicy, Order, Run, checked_count, checked_rungs, geometric_rungs
from autorl.outer.protocol import Budget


class MedianPruning(BudgetPolicy):
    """A trial is stopped at a rung if its best score so far is below the median of the finished trials' mean scores up to there.

    The first ``startup`` trials train to the end before others start: without them nothing could be stopped. It is never done: whoever
    runs it stops when the budget is spent, and starts a trial only where what is under way can be paid to its end (`Joined.due`).
    """

    name: ClassVar[str] = "median"
    reference: ClassVar[str] = (
        "Golovin et al., 2017, Google Vizier: A Service for Black-Box Optimization, section 3.2.2"
    )

    def __init__(self, rungs: Sequence[int], startup: int = 4) -> None:
        """Prepare.

        Args:
            rungs: Environment steps from the start, ascending, where trials may be stopped; the last is the end.
            startup: Finished trials before the first that is stopped.

        Raises:
            UsageError: A value out of range.
        """
        self.rungs = checked_rungs(self.name, rungs)
        self.startup = checked_count(self.name, "startup", startup)

    @classmethod
    def for_budget(cls, budget: Budget, spacing: int, *, startup: int = 4) -> Self:
        """Return it with a rung at every checkpoint."""
        geometric_rungs(budget.env_steps, 2, spacing)  # checks the spacing
        return cls(range(spacing, budget.env_steps + 1, spacing), startup)

    @property
    def comparable_at(self) -> None:
        """Nowhere before the end."""
        return None

    def stops(self, runs: Sequence[Run]) -> tuple[int, ...]:
        """Return the unfinished trials, at a rung, that are below the median."""
        finished = [run for run in runs if run.scores and run.scores[-1][0] >= self.rungs[-1]]
        if len(finished) < self.startup:
            return ()
        idle = (run for run in runs if run.scores and not run.waiting and not run.ended)
        return tuple(run.trial for run in idle if run.env_steps < self.rungs[-1] and self._worse(run, finished))

    def _worse(self, run: Run, finished: Sequence[Run]) -> bool:
        now = run.scores[-1][0]
        means = [fmean(score for steps, score in other.scores if steps <= now) for other in finished]
        return max(score for _, score in run.scores) < median(means)

    def orders(self, runs: Sequence[Run], count: int) -> tuple[Order, ...]:
        """Return at most ``count`` orders: to the next rung for all that were not stopped, then new trials."""
        finished = sum(bool(run.scores) and run.scores[-1][0] >= self.rungs[-1] for run in runs)
        if finished < self.startup:
            count = min(count, self.startup - finished)
        idle = (run for run in runs if not run.waiting and not run.ended and run.env_steps < self.rungs[-1])
        made = [Order(run.trial, next(r for r in self.rungs if r > run.env_steps)) for run in idle]
        start = max((run.trial for run in runs), default=-1) + 1
        made += [Order(start + i, self.rungs[0]) for i in range(max(0, count - len(made)))]
        return tuple(made[:count])
