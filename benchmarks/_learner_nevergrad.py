"""Nevergrad's NGOpt as a search method of studies: a peer, installed for benchmarks alone (extra ``benchmarks``)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from autorl.errors import MissingDependencyError
from autorl.keys import derive
from autorl.outer.full_trainings import FullTrainings, History
from autorl.outer.protocol import Budget, Candidate, Proposal, finite_scores
from autorl.spaces import FEATURES, Fixed, Space
from autorl.spaces.flat import flatten, nested_candidate


class NGOpt(FullTrainings):
    """Nevergrad's optimizer that chooses an optimizer, from the space and the number of trainings.

    One trial after the other, as on the landscapes. Its generator and the results told determine what it asks for, so each proposal
    replays all that went before it. It searches the unit cube, as there, and knows no conditions.
    """

    name: ClassVar[str] = "ngopt"
    reference: ClassVar[str] = "Meunier et al., 2022, Black-Box Optimization Revisited"
    searches: ClassVar[frozenset[str]] = FEATURES - {"arrays", "graph"}
    draws: ClassVar[bool] = False

    def __init__(self, space: Space, budget: Budget, seed: int) -> None:
        """Prepare a search.

        Args:
            space: What may be proposed.
            budget: Work granted to the search.
            seed: The study's seed for the search.
        """
        super().__init__(space, budget, seed, batch=1)
        self._flat = flatten(space)
        self._searched = [name for name, d in self._flat.dimensions.items() if not isinstance(d, Fixed)]

    def _propose(self, history: History, number: int, pending: Sequence[Proposal]) -> tuple[Candidate, str]:
        del number, pending  # one at a time
        told = sorted(history.results, key=lambda result: result.proposal.number)
        optimizer = self._optimizer()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SciPy's COBYLA, about a trust region that nevergrad chose
            for end in range(1, len(told) + 1):
                # a failure's score is what it was when it was told; nevergrad minimises
                optimizer.tell(optimizer.ask(), -finite_scores(told[:end])[-1])
            asked = optimizer.ask().value
        unit = dict(zip(self._searched, asked.tolist(), strict=True))
        flat = self._flat.build(lambda name: self._flat.dimensions[name].from_unit(unit.get(name, 0.5)))
        return nested_candidate(self.space, flat), "model"

    def _optimizer(self) -> Any:
        try:
            import nevergrad
        except ImportError as error:
            remedy = "pip install -c constraints.txt '.[benchmarks]'"
            raise MissingDependencyError(f"search method {self.name!r} needs nevergrad. Remedy: {remedy}.") from error
        cube: Any = nevergrad.p.Array(init=np.full(len(self._searched), 0.5), lower=0.0, upper=1.0)
        cube.random_state = np.random.RandomState(derive(self.seed, self.name) % 2**32)
        return nevergrad.optimizers.NGOpt(parametrization=cube, budget=self.budget.trainings, num_workers=1)
