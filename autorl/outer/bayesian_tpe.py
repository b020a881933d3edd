"""The tree-structured Parzen estimator: models where good and bad candidates lie, and proposes where the ratio is best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from autorl.outer.bayesian import OptunaModel, Row
from autorl.outer.full_trainings import FullTrainings, History
from autorl.outer.protocol import Budget, Candidate, Proposal, Result
from autorl.outer.settings import whole_number
from autorl.spaces import FEATURES, Space


class TPE(FullTrainings):
    """Optuna's multivariate TPE; conditional dimensions are modelled in groups that are active together.

    The first ``n_startup_trials`` trials are random search's, and so is each later one that is asked for before half of them have been
    told. Failed trials are shown with a score below all others, pending ones count as bad (constant liar).
    """

    name: ClassVar[str] = "tpe"
    reference: ClassVar[str] = (
        "Bergstra et al., 2011, Algorithms for Hyper-Parameter Optimization; multivariate: Falkner et al., 2018, BOHB"
    )
    searches: ClassVar[frozenset[str]] = FEATURES - {"arrays", "graph"}

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        batch: int = 8,
        n_startup_trials: int = 10,
        n_ei_candidates: int = 24,
        prior_fraction: float = 1.0,
        drawn_fraction: float = 0.0,
    ) -> None:
        """Prepare a search.

        Args:
            space: What may be proposed.
            budget: Work granted to the search.
            seed: The study's seed for the search.
            batch: Trials that may be asked for at once.
            n_startup_trials: Random trials before the first that the model proposes.
            n_ei_candidates: Points drawn from the model of good candidates, of which the best is proposed.
            prior_fraction: Share of the drawn trials that a prior draws, if there is one.
            drawn_fraction: Share of the trials after the first that are drawn all the same (a third in BOHB).

        Raises:
            UsageError: A setting out of range.
        """
        super().__init__(space, budget, seed, batch, prior_fraction=prior_fraction, drawn_fraction=drawn_fraction)
        self.n_startup_trials = whole_number(self.name, "n_startup_trials", n_startup_trials, 1)
        self.n_ei_candidates = whole_number(self.name, "n_ei_candidates", n_ei_candidates, 1)
        self._model = OptunaModel(space, seed, self.name)

    def _row(self, result: Result) -> Row:
        return self._model.row(result.proposal.candidate)

    def _propose(self, history: History, number: int, pending: Sequence[Proposal]) -> tuple[Candidate, str]:
        told = len(history.results)
        if number < self.n_startup_trials or 2 * told < self.n_startup_trials:
            return self._drawn(number)
        if self._still_drawn(number):
            return self._drawn(number)
        return self._model.propose(history, range(told), number, pending, self._sampler), "model"

    def _sampler(self, seed: int) -> Any:
        from optuna.samplers import TPESampler

        return TPESampler(
            n_startup_trials=1,
            n_ei_candidates=self.n_ei_candidates,
            multivariate=True,
            group="conditional" in self.space.features(),
            constant_liar=True,
            seed=seed,
        )
