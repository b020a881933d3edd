"""Sobol points: random search that leaves no gaps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from autorl.errors import IncompatibleError
from autorl.keys import derive, generator
from autorl.outer.full_trainings import BLOCK, FullTrainings, History
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

        self._points = cache(self._block)

    def _propose(self, history: History, number: int, pending: Sequence[Proposal]) -> tuple[Candidate, str]:
        block, place = divmod(number, BLOCK)
        return self.space.from_unit(self._points(block)[place]), "sobol"

    def _block(self, block: int) -> NDArray[np.float64]:
        """Return points [BLOCK, D] of the unit cube: numbers ``block * BLOCK`` and on of the sequence."""
        from scipy.stats import qmc

        # the scrambling is a function of the seed: the same sequence in every ask
        sequence = qmc.Sobol(self.space.unit_dimension, scramble=True, rng=generator(derive(self.seed, "sobol")))
        if block:
            sequence.fast_forward(block * BLOCK)
        points: NDArray[np.float64] = sequence.random(BLOCK)
        return points
