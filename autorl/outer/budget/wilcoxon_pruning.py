"""Pruning over seeds: a trial gets further seeds until a signed-rank test says that it is behind the best one on the same seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import ClassVar, Self

from autorl.errors import UsageError
from autorl.outer.budget.over_seeds import shrunk_means, whole_scores
from autorl.outer.budget.protocol import BudgetPolicy, Order, Run, checked_count, checked_rungs
from autorl.outer.protocol import Budget

SEEDS = 5
"""Seeds of a trial that is never stopped."""
P_THRESHOLD = 0.2
"""With it, a trial that is behind on each of its first three seeds (p = 1/8) can be stopped. At 0.1, as in Optuna, none is before its
fourth, and of five seeds next to nothing would be saved."""
ABREAST = 8
"""Trials whose seeds are trained side by side."""


class WilcoxonPruning(BudgetPolicy):
    """Every training is a whole one; what is cut is the number of seeds of a trial.

    `ABREAST` trials at once train on one seed after another. A trial gets no further seed once a one-sided Wilcoxon signed-rank test on
    the seeds that it has rejects, at ``p_threshold``, that it is as good as the incumbent: of the trials with as many seeds, the one
    with the best mean on these. The next trial starts in its place. (If another trial becomes the incumbent, the test is made anew, and
    the trial may go on.) It is never done: whoever runs it stops when the budget is spent. The winner has the best mean over its seeds,
    shrunk towards the mean of all (`autorl.outer.budget.over_seeds`), so that one lucky seed does not win.
    """

    name: ClassVar[str] = "wilcoxon"
    reference: ClassVar[str] = (
        "Wilcoxon, 1945, Individual Comparisons by Ranking Methods; "
        "as a pruner: Akiba et al., 2019, Optuna (its WilcoxonPruner)"
    )

    def __init__(
        self,
        env_steps: int,
        seeds: int = SEEDS,
        p_threshold: float = P_THRESHOLD,
        abreast: int = ABREAST,
        trials: int | None = None,
    ) -> None:
        """Prepare.

        Args:
            env_steps: Environment steps of a training.
            seeds: Seeds of a trial, at most.
            p_threshold: Below this probability a trial gets no further seed, in (0, 1].
            abreast: Trials whose seeds are trained side by side.
            trials: Trials that start, at most; None: any number.

        Raises:
            UsageError: A value out of range.
        """
        self.rungs = checked_rungs(self.name, (env_steps,))
        self.seeds = checked_count(self.name, "seeds", seeds)
        probability = (
            isinstance(p_threshold, int | float) and not isinstance(p_threshold, bool) and 0 < p_threshold <= 1
        )
        if not probability:
            raise UsageError(
                f"budget policy {self.name!r}: p_threshold: expected a number above 0 and at most 1, got {p_threshold!r}."
            )
        self.p_threshold = float(p_threshold)
        self.abreast = checked_count(self.name, "abreast", abreast)
        self.trials = trials

    @classmethod
    def for_budget(
        cls,
        budget: Budget,
        spacing: int,
        *,
        seeds: int = SEEDS,
        p_threshold: float = P_THRESHOLD,
        abreast: int = ABREAST,
    ) -> Self:
        """Return it for trainings as long as the budget's."""
        return cls(budget.env_steps, seeds, p_threshold, abreast, budget.trainings)

    @property
    def starts(self) -> int | None:
        """Trials that it starts, at most: one for each training that the budget grants, if all fail at once."""
        return self.trials

    @property
    def comparable_at(self) -> None:
        """Nowhere before the end."""
        return None

    def orders(self, runs: Sequence[Run], count: int) -> tuple[Order, ...]:
        """Return at most ``count`` orders: the next seed of all that are not behind, then new trials in the places that are free."""
        seeds: dict[int, list[Run]] = defaultdict(list)
        for run in sorted(runs, key=lambda run: (run.trial, run.seed)):
            seeds[run.trial].append(run)
        scores = whole_scores([run for run in runs if not run.waiting], self.rungs[-1], self.seeds)
        waiting = [trial for trial, own in seeds.items() if any(run.waiting for run in own)]
        idle = [trial for trial in seeds if trial not in waiting and not seeds[trial][0].ended]
        going = [trial for trial in idle if len(seeds[trial]) < self.seeds and not self._behind(trial, scores)]
        made = [Order(trial, self.rungs[-1], len(seeds[trial])) for trial in going]
        start = max(seeds, default=-1) + 1
        room = self.abreast - len(waiting) - len(going)
        free = max(0, room if self.trials is None else min(room, self.trials - start))
        return (*made, *(Order(start + i, self.rungs[-1]) for i in range(free)))[:count]

    def _behind(self, trial: int, scores: Mapping[int, Sequence[float]]) -> bool:
        """Return whether the test rejects that a trial is as good as the incumbent on the seeds that it has."""
        own = scores[trial]
        rivals = {t: tuple(values[: len(own)]) for t, values in scores.items() if len(values) >= len(own)}
        incumbent = min(rivals, key=lambda t: (-sum(rivals[t]), t))
        if sum(own) >= sum(rivals[incumbent]):
            return False
        return _probability(tuple(own), rivals[incumbent]) < self.p_threshold

    def merits(self, runs: Sequence[Run], last: int = 1) -> dict[int, float]:
        """Return the means over seeds, shrunk, of the trials that have a whole training; a run is worth its ``last`` checkpoints' mean."""
        scores = whole_scores([run for run in runs if not run.waiting], self.rungs[-1], self.seeds, last)
        return shrunk_means(scores) if scores else {}


@lru_cache(maxsize=4096)
def _probability(scores: tuple[float, ...], incumbent: tuple[float, ...]) -> float:
    """Return how likely scores at least as low beside the incumbent's are, if both were alike; ties are split between the signs."""
    from scipy.stats import wilcoxon  # half a second: not before a search asks for it

    differences = [a - b for a, b in zip(scores, incumbent, strict=True)]
    return float(wilcoxon(differences, alternative="less", zero_method="zsplit").pvalue)
