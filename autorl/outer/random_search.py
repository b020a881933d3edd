"""Random search: every candidate drawn independently. The baseline of every study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from autorl.outer.full_trainings import FullTrainings, History
from autorl.outer.protocol import Budget, Candidate, Proposal, Result
from autorl.spaces import FEATURES, Space


class RandomSearch(FullTrainings):
    """Candidate ``number`` is a function of the seed and ``number`` alone."""

    name: ClassVar[str] = "random"
    reference: ClassVar[str] = "Bergstra and Bengio, 2012, Random Search for Hyper-Parameter Optimization"
    searches: ClassVar[frozenset[str]] = FEATURES

    def __init__(self, space: Space, budget: Budget, seed: int, *, batch: int = 8, prior_fraction: float = 1.0) -> None:
        """Prepare a search.

        Args:
            space: What may be proposed.
            budget: Work granted to the search.
            seed: The study's seed for the search.
            batch: Trials that may be asked for at once.
            prior_fraction: Share of the trials that a prior draws, if there is one.

        Raises:
            UsageError: A setting out of range.
        """
        super().__init__(space, budget, seed, batch, prior_fraction=prior_fraction)

    def _row(self, result: Result) -> str | None:
        """Return what a graph does; nothing of other candidates, hardly two of which are alike."""
        return self.space.fingerprint(result.proposal.candidate) if "graph" in self.space.features() else None

    def statistics(self, state: History) -> dict[str, float]:
        """Return, for graphs, what `autorl.outer.regularized_evolution.RegularizedEvolution.statistics` does: how many were trained again.

        Draws are independent: no behaviour that is known is passed over, and all trainings of one have the same seeds.
        """
        known = [row for row in state.rows if row is not None]
        if not known:
            return {}
        made, different = float(len(known)), float(len(set(known)))
        passed_over = {"rejected": 0.0, "duplicates": 0.0, "drifted": 0.0, "rejection_rate": 0.0}
        return {"made": made, "trained": made, "repeated": made - different, "fingerprints": different, **passed_over}

    def _propose(self, history: History, number: int, pending: Sequence[Proposal]) -> tuple[Candidate, str]:
        return self._drawn(number)
