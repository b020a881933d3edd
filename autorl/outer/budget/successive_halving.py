"""Successive halving: train many a little, keep the best part, train those longer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count as numbers
from itertools import islice, pairwise
from typing import ClassVar, Self

from autorl.errors import UsageError
from autorl.outer.budget.protocol import (
    BudgetPolicy,
    Order,
    Run,
    best,
    checked_count,
    checked_eta,
    checked_rungs,
    geometric_rungs,
)
from autorl.outer.protocol import Budget


class SuccessiveHalving(BudgetPolicy):
    """All trials train to the first rung; once all are there, the best 1 / eta of them (rounded down) train to the next.

    A trial that ended before a rung is not kept there, nor one that ended at it: whom an earlier study stopped there leaves its place to
    the next. At least one trial is kept.
    """

    name: ClassVar[str] = "halving"
    reference: ClassVar[str] = (
        "Jamieson and Talwalkar, 2016, Non-stochastic Best Arm Identification and Hyperparameter Optimization"
    )

    def __init__(
        self,
        rungs: Sequence[int],
        trials: int,
        eta: int = 2,
        first: int = 0,
        last: int = 1,
        without: Collection[int] = (),
    ) -> None:
        """Prepare a bracket.

        Args:
            rungs: Environment steps from the start, ascending.
            trials: Trials that start.
            eta: One trial in ``eta`` is kept.
            first: Number of the first trial: others belong to someone else.
            last: Checkpoints up to the rung whose mean is a trial's score there.
            without: Numbers that are passed over.

        Raises:
            UsageError: A value out of range.
        """
        self.rungs = checked_rungs(self.name, rungs)
        self.eta = checked_eta(self.name, eta)
        trials = checked_count(self.name, "trials", trials)
        self.first, self.last = first, checked_count(self.name, "last", last)
        self.sizes = tuple(max(1, trials // eta**k) for k in range(len(rungs)))
        """Trials that train to each rung, if none ends early."""
        self.without = frozenset(without)

    @classmethod
    def for_budget(cls, budget: Budget, spacing: int, *, eta: int = 2) -> Self:
        """Return halving with as many trials as the budget pays."""
        rungs = geometric_rungs(budget.env_steps, checked_eta(cls.name, eta), spacing)
        return cls(rungs, affordable(rungs, budget.trainings * budget.env_steps, eta), eta)

    @cached_property
    def members(self) -> tuple[int, ...]:
        """Numbers of the trials."""
        return tuple(islice((n for n in numbers(self.first) if n not in self.without), self.sizes[0]))

    @property
    def starts(self) -> int:
        """Trials that it starts."""
        return self.sizes[0]

    @property
    def env_steps(self) -> int:
        """Environment steps that it takes in all, if no trial ends early."""
        steps = [b - a for a, b in pairwise((0, *self.rungs))]
        return sum(size * step for size, step in zip(self.sizes, steps, strict=True))

    def orders(self, runs: Sequence[Run], count: int) -> tuple[Order, ...]:
        """Return the starts that are missing, then the promotions from the last rung that all have reached."""
        known = {run.trial: run for run in runs if run.seed == 0}
        made = [Order(trial, self.rungs[0]) for trial in self.members if self._due(known.get(trial))]
        for target, members, _ in self._cuts(known):
            made += [Order(t, target) for t in members if known[t].env_steps < target and not known[t].ended]
        return tuple(made[:count])

    def stops(self, runs: Sequence[Run]) -> tuple[int, ...]:
        """Return those that were not kept at a rung that all have reached."""
        known = {run.trial: run for run in runs if run.seed == 0}
        return tuple(t for _, _, cut in self._cuts(known) for t in cut if not known[t].ended)

    def _due(self, run: Run | None) -> bool:
        """Return whether a trial is still to be sent to the first rung."""
        return run is None or (run.env_steps < self.rungs[0] and not run.ended)

    def _cuts(self, known: Mapping[int, Run]) -> Iterator[tuple[int, list[int], list[int]]]:
        """Yield, for each cut that can be made, the rung to train to, the trials kept, best first, and the others."""
        members: Sequence[int] = self.members
        for (rung, target), size in zip(pairwise(self.rungs), self.sizes[1:], strict=True):
            group = [known[trial] for trial in members if trial in known]
            if len(group) < len(members) or any(run.score(rung) is None and not run.ended for run in group):
                return
            able = [run for run in group if run.env_steps > rung or not run.ended]
            kept = best(able, rung, self.last)[:size]
            yield target, kept, [trial for trial in members if trial not in kept]
            members = kept


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
