"""Many starts, gentle cuts, then a race over seeds: successive halving that pays for its winner's curse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar, Self

from autorl.errors import UsageError
from autorl.outer.budget.first_cut import PILOT, tells
from autorl.outer.budget.over_seeds import shrunk_means, whole_scores
from autorl.outer.budget.protocol import BudgetPolicy, Order, Run, checked_count, checked_eta
from autorl.outer.budget.successive_halving import SuccessiveHalving, affordable
from autorl.outer.protocol import Budget

CUTS = (20, 40, 60, 80)
"""Where trials are compared, in per cent of the steps."""
SEEDS = 5
"""Seeds that a trial can have."""
LAST = 3
"""Checkpoints whose mean is the score of a run: single evaluations are noisy."""
HALVING_SHARE = 0.8
"""Share of the work that is spent on cutting; the rest is the race's."""


class CutsAndRace(BudgetPolicy):
    """Two phases; a run is scored by the mean of its ``last`` checkpoints, the winner by its mean over seeds, shrunk.

    1. Successive halving over ``rungs``: one trial in ``eta`` is kept at each. The first `PILOT` trials say where to begin: they
       train to the first rung, and if it tells nothing of them (`autorl.outer.budget.first_cut`), to the next, and so on. The halving
       begins at the first rung that tells something, with as many trials as the same work pays; if none does, trainings are whole.
       Where that work is less than `PILOT` whole trainings, it begins at the first rung.
    2. The best of those that trained to the end are trained on further seeds, round by round, half of them in each round but never
       fewer than two, as long as work and seeds are left. A single one has nobody to race: then the rest is not spent (small budgets).

    Measured with ``benchmarks/landscapes.py --method random --policy race`` on ARLBench's landscapes (Becktepe et al., 2024), random
    search with three seeds in brackets: 0.777, 95 % interval [0.761, 0.794], at 32 trainings (0.589);
    0.855 [0.845, 0.865] at 96 (0.721); 40 repeats. Without the pilots 0.763 and 0.852.
    """

    name: ClassVar[str] = "race"
    reference: ClassVar[str] = (
        "cuts: Jamieson and Talwalkar, 2016, Non-stochastic Best Arm Identification; "
        "race: Karnin et al., 2013, Almost Optimal Exploration in Multi-Armed Bandits; "
        "shrinkage: Lindley and Smith, 1972, Bayes Estimates for the Linear Model"
    )

    def __init__(
        self, rungs: Sequence[int], trials: int, env_steps: int, seeds: int = SEEDS, last: int = LAST, eta: int = 2
    ) -> None:
        """Prepare.

        Args:
            rungs: Environment steps from the start, ascending.
            trials: Trials that start, if the first rung tells something of them.
            env_steps: Environment steps granted to both phases.
            seeds: Seeds of a trial, the first one included.
            last: Checkpoints whose mean is the score of a run.
            eta: One trial in ``eta`` is kept at a cut.

        Raises:
            UsageError: A value out of range, or the first phase alone takes more than is granted.
        """
        self.last = checked_count(self.name, "last", last)
        self.halving = SuccessiveHalving(rungs, trials, checked_eta(self.name, eta), last=last)
        """The one that begins at the first rung."""
        self.halvings = _later(self.halving)
        """It, and those that begin at later rungs."""
        self.rungs = self.halving.rungs
        self.env_steps = env_steps
        self.seeds = checked_count(self.name, "seeds", seeds)
        if self.halving.env_steps > env_steps:
            raise UsageError(
                f"budget policy {self.name!r}: {trials} trials take {self.halving.env_steps} environment steps, {env_steps} "
                "are granted. Remedy: fewer trials."
            )

    @classmethod
    def for_budget(
        cls,
        budget: Budget,
        spacing: int,
        *,
        seeds: int = SEEDS,
        last: int = LAST,
        cuts: Sequence[int] = CUTS,
        eta: int = 2,
    ) -> Self:
        """Return it with ``cuts`` in per cent of the steps and as many trials as `HALVING_SHARE` of the budget pays."""
        rungs = [*_places(cls.name, cuts, budget.env_steps, spacing), budget.env_steps]
        granted = budget.trainings * budget.env_steps
        trials = affordable(rungs, max(rungs[-1], int(HALVING_SHARE * granted)), checked_eta(cls.name, eta))
        return cls(rungs, trials, granted, seeds, last, eta)

    @property
    def starts(self) -> int:
        """Trials that it starts, at most."""
        return self.halving.starts

    @property
    def finishers(self) -> int:
        """Trials that train to the end, if none ends early and the halving begins at the first rung: those that race."""
        return self.halving.sizes[-1]

    @property
    def pilots(self) -> int:
        """Trials that say where the first cut is; 0 where nobody is asked."""
        return PILOT if len(self.halvings) > 1 else 0

    def comparable(self, runs: Sequence[Run]) -> int:
        """Return the rung at which the halving begins; while the pilots have not said which that is, or are not there, the first."""
        halving, begun = self._begun(runs)
        rung, pilots = halving.rungs[0], [run for run in runs if run.seed == 0 and run.trial < PILOT]
        there = all(run.ended or run.score(rung) is not None for run in pilots)
        return rung if begun and there else self.rungs[0]

    def stops(self, runs: Sequence[Run]) -> tuple[int, ...]:
        """Return those that the halving has not kept."""
        halving, begun = self._begun(runs)
        return halving.stops(runs) if begun else ()

    def orders(self, runs: Sequence[Run], count: int) -> tuple[Order, ...]:
        """Return those of the pilots, then those of the halving; when it is over, those of the race's next round."""
        halving, begun = self._begun(runs)
        if not begun:
            return tuple(order for order in halving.orders(runs, halving.starts) if order.trial < PILOT)[:count]
        made = halving.orders(runs, count)
        if made or any(run.waiting and run.seed == 0 for run in runs):
            return made
        return self._race(runs)[:count]

    def _begun(self, runs: Sequence[Run]) -> tuple[SuccessiveHalving, bool]:
        """Return the halving that begins at the first rung that tells something, or may, and whether it has begun."""
        pilots = [run for run in runs if run.seed == 0 and run.trial < PILOT]
        for place in range(len(self.halvings) - 1):
            rung = self.rungs[place]
            scores = [run.score(rung, self.last) for run in pilots]
            if len(pilots) < PILOT or any(s is None and not r.ended for s, r in zip(scores, pilots, strict=True)):
                return self._halving(place, runs), False
            if tells(scores):
                return self._halving(place, runs), True
        return self._halving(len(self.halvings) - 1, runs), True

    def _halving(self, place: int, runs: Sequence[Run]) -> SuccessiveHalving:
        """Return the halving from that rung on; trials that ended before a later one, as in an earlier study, make room for others."""
        planned, rung = self.halvings[place], self.rungs[place]
        lost = [run for run in runs if run.seed == 0 and run.ended and run.score(rung) is None] if place else []
        if not lost:
            return planned
        left = self.halving.env_steps - sum(run.env_steps for run in lost)
        return _without(planned.rungs, left, planned.eta, planned.last, frozenset(run.trial for run in lost))

    def _race(self, runs: Sequence[Run]) -> tuple[Order, ...]:
        """Return what is missing in the round of the race that is under way.

        Its rounds are replayed from the start: round r decides, by the runs of the first r seeds, who trains on seed r.
        """
        by_seed: dict[int, dict[int, Run]] = defaultdict(dict)
        for run in runs:
            by_seed[run.seed][run.trial] = run
        means = self._scores(runs, 1)
        whole = self.rungs[-1]
        left = (self.env_steps - sum(run.env_steps for run in by_seed[0].values())) // whole
        fields = self._fields(len(means), left)
        field_trials = list(means)
        for seed, field in enumerate(fields, 1):
            shrunk = shrunk_means(means)
            # who was left behind stays behind, though shrinkage may rank it higher now: nobody trains on a seed before the ones before it
            field_trials = sorted(field_trials, key=lambda t: (-shrunk[t], t))[:field]
            missing = [trial for trial in field_trials if trial not in by_seed[seed]]
            if missing or any(by_seed[seed][trial].waiting for trial in field_trials):
                return tuple(Order(trial, whole, seed) for trial in missing)
            means = self._scores(runs, seed + 1)
        return ()

    def _fields(self, finalists: int, left: int) -> list[int]:
        """Return how many trials train in each round of the race: the largest start whose halvings down to two are paid."""
        rounds = self.seeds - 1
        for start in range(min(finalists, left), 1, -1):
            fields = [max(2, start >> r) for r in range(rounds)]
            least = fields[: fields.index(2) + 1] if 2 in fields else fields
            if sum(least) <= left:
                while sum(fields) > left:
                    fields.pop()
                return fields
        return []

    def _scores(self, runs: Sequence[Run], seeds: int) -> dict[int, list[float]]:
        """Return the scores of the whole trainings on the first ``seeds`` seeds, by trial."""
        return whole_scores(runs, self.rungs[-1], seeds, self.last)

    def merits(self, runs: Sequence[Run], last: int = 1) -> dict[int, float]:
        """Return the means over seeds, shrunk, of the trials trained to the end; where there is none, what the halving says.

        A run is scored by this policy's own ``last`` checkpoints.
        """
        scores = self._scores(runs, self.seeds)
        return shrunk_means(scores) if scores else self.halving.merits(runs, self.last)

    def winner(self, runs: Sequence[Run]) -> int:
        """Return the trial with the best mean over its seeds, shrunk, of those trained to the end.

        Raises:
            ValueError: No trial reached a rung.
        """
        scores = self._scores(runs, self.seeds)
        if not scores:
            return self.halving.winner(runs)
        shrunk = shrunk_means(scores)
        return min(shrunk, key=lambda t: (-shrunk[t], -len(scores[t]), t))


@lru_cache(maxsize=64)
def _without(rungs: tuple[int, ...], env_steps: int, eta: int, last: int, without: frozenset[int]) -> SuccessiveHalving:
    """Return the halving that ``env_steps`` pay for, of the trials that are not ``without``; of one, if they do not pay for that."""
    trials = affordable(rungs, max(env_steps, rungs[-1]), eta)
    return SuccessiveHalving(rungs, trials, eta, last=last, without=without)


def _later(first: SuccessiveHalving) -> tuple[SuccessiveHalving, ...]:
    """Return ``first`` and the halvings that begin at later rungs, for the same work; only ``first`` where it pays for too few."""
    if first.env_steps < PILOT * first.rungs[-1]:
        return (first,)
    tails = [first.rungs[i:] for i in range(1, len(first.rungs))]
    sizes = [affordable(rungs, first.env_steps, first.eta) for rungs in tails]
    return first, *(SuccessiveHalving(r, n, first.eta, last=first.last) for r, n in zip(tails, sizes, strict=True))


def _places(policy: str, cuts: object, env_steps: int, spacing: int) -> list[int]:
    """Return where ``cuts`` are, in environment steps; raise `UsageError` where they make no sense or lie between two checkpoints."""
    if not isinstance(cuts, list | tuple) or not cuts:
        raise UsageError(f"budget policy {policy!r}: cuts: expected a list of per cents of the steps, got {cuts!r}.")
    whole = all(isinstance(cut, int) and not isinstance(cut, bool) and 0 < cut < 100 for cut in cuts)
    if not whole or any(a >= b for a, b in pairwise(cuts)):
        raise UsageError(
            f"budget policy {policy!r}: cuts: expected ascending whole numbers between 0 and 100, got {list(cuts)!r}."
        )
    for cut in cuts:
        if env_steps * cut % (100 * spacing):
            raise UsageError(
                f"budget policy {policy!r}: cuts: of {env_steps / spacing:g} checkpoints none is at {cut} % of the steps. "
                "Remedy: other cuts, or a number of checkpoints that has one there, such as a multiple of ten."
            )
    return [env_steps * cut // 100 for cut in cuts]
