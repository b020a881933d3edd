"""Bayesian optimisation with a Gaussian process: the fewest trials on small numeric spaces, at seconds of thought a trial."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from autorl.errors import MissingDependencyError
from autorl.outer.bayesian import OptunaModel, Row
from autorl.outer.full_trainings import FullTrainings, History
from autorl.outer.protocol import Budget, Candidate, Proposal, Result, finite_scores
from autorl.outer.settings import whole_number
from autorl.spaces import FEATURES, Space

MOST_VALUES = 16
"""Whole numbers with more values are searched as real ones and rounded: trying each value in turn takes seconds a trial."""


class GaussianProcess(FullTrainings):
    """Optuna's Gaussian process sampler: Matern 5/2 kernel, noise estimated, expected improvement given what is pending.

    A Gaussian process knows no conditions: it sees the flat space, inactive dimensions at the middle of their range. The first
    ``n_startup_trials`` trials are random search's, and so is each later one asked for before half of them have been told.
    The cost of a fit grows with the cube of the results, so of more than ``max_observations`` it is shown the best half and the
    latest half. One torch thread is used. Needs torch.
    """

    name: ClassVar[str] = "gp"
    reference: ClassVar[str] = (
        "Snoek et al., 2012, Practical Bayesian Optimization of Machine Learning Algorithms; "
        "acquisition: Ament et al., 2023, Unexpected Improvements to Expected Improvement"
    )
    searches: ClassVar[frozenset[str]] = FEATURES - {"arrays", "graph"}

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        batch: int = 4,
        n_startup_trials: int = 10,
        max_observations: int = 250,
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
            max_observations: Results that the model is shown, at least 2.
            prior_fraction: Share of the drawn trials that a prior draws, if there is one.
            drawn_fraction: Share of the trials after the first that are drawn all the same (a third in BOHB).

        Raises:
            MissingDependencyError: torch is not installed.
            UsageError: A setting out of range.
        """
        if importlib.util.find_spec("torch") is None:
            raise MissingDependencyError(
                "search method 'gp' needs torch. Remedy: pip install 'autorl[torch]', or choose method tpe."
            )
        super().__init__(space, budget, seed, batch, prior_fraction=prior_fraction, drawn_fraction=drawn_fraction)
        self.n_startup_trials = whole_number(self.name, "n_startup_trials", n_startup_trials, 1)
        self.max_observations = whole_number(self.name, "max_observations", max_observations, 2)
        self._model = OptunaModel(space, seed, self.name, impute=True, relax=MOST_VALUES)

    def _row(self, result: Result) -> Row:
        return self._model.row(result.proposal.candidate)

    def _propose(self, history: History, number: int, pending: Sequence[Proposal]) -> tuple[Candidate, str]:
        if number < self.n_startup_trials or 2 * len(history.results) < self.n_startup_trials:
            return self._drawn(number)
        if self._still_drawn(number):
            return self._drawn(number)
        with _one_torch_thread():
            return self._model.propose(history, self._shown(history), number, pending, self._sampler), "model"

    def _shown(self, history: History) -> Sequence[int]:
        """Return the indices of the results to fit: all, or the best and the latest."""
        results = history.results
        if len(results) <= self.max_observations:
            return range(len(results))
        scores, half = finite_scores(results), self.max_observations // 2
        best = sorted(range(len(results)), key=lambda i: (-scores[i], results[i].proposal.number))[:half]
        rest = set(range(len(results))).difference(best)
        latest = sorted(rest, key=lambda i: -results[i].proposal.number)[: self.max_observations - half]
        return [*best, *latest]

    def _sampler(self, seed: int) -> Any:
        from optuna.samplers import GPSampler

        return GPSampler(seed=seed, n_startup_trials=1, deterministic_objective=False, warn_independent_sampling=False)


@contextlib.contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Let torch compute by one thread within: of matrices as small as these, several only wait for each other, long on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
