"""Sobol points: random search that leaves no gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from autorl.errors import IncompatibleError
from autorl.keys import derive, generator
from autorl.outer.full_trainings import FullTrainings, History
from autorl.outer.protocol import Budget, Candidate, Proposal
from autorl.spaces import FEATURES, Space


class Sobol(FullTrainings):
    """Candidate ``number`` is point ``number`` of one scrambled Sobol sequence over the unit cube.

    Coordinates of inactive conditional dimensions are drawn and dropped.
    """

    name: ClassVar[str] = "sobol"
    reference: ClassVar[str] = "Sobol', 1967; scrambling: Owen, 1998, Scrambling Sobol' and Niederreiter-Xing Points"
    searches: ClassVar[frozenset[str]] = FEATURES - {"arrays", "graph"}
    draws: ClassVar[bool] = False

    def __init__(self, space: Space, budget: Budget, seed: int, *, batch: int = 8) -> None:
        """Prepare a search.

        Args:
            space: What may be proposed.
            budget: Work granted to the search.
            seed: The study's seed for the search.
            batch: Trials that may be asked for at once.

        Raises:
            UsageError: A setting out of range.
            IncompatibleError: More dimensions than there are Sobol sequences.
        """
        from scipy.stats import qmc  # half a second: not before a study asks for it

        super().__init__(space, budget, seed, batch)
        if space.unit_dimension > qmc.Sobol.MAXDIM:
            raise IncompatibleError(
                f"search method 'sobol': {space.unit_dimension} dimensions, at most {qmc.Sobol.MAXDIM} are possible"
            )

    def _propose(self, history: History, number: int, pending: Sequence[Proposal]) -> tuple[Candidate, str]:
        from scipy.stats import qmc

        # the scrambling is a function of the seed: the same sequence in every ask
        sequence = qmc.Sobol(self.space.unit_dimension, scramble=True, rng=generator(derive(self.seed, "sobol")))
        if number:
            sequence.fast_forward(number)
        return self.space.from_unit(sequence.random(1)[0]), "sample"
