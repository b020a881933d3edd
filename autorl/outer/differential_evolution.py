"""Differential evolution: proposes what a population's own differences point to. With the policy ``hyperband`` it is DEHB's proposer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from autorl.keys import derive, generator
from autorl.outer.full_trainings import FullTrainings, History
from autorl.outer.protocol import Budget, Candidate, Proposal, Result, finite_scores
from autorl.outer.settings import number as checked_number
from autorl.outer.settings import whole_number
from autorl.spaces import FEATURES, Space


class DifferentialEvolution(FullTrainings):
    """Asynchronous rand/1/bin in the unit cube.

    The first ``population_size`` trials are drawn, one a member. Each later one challenges the member whose turn it is: its coordinates
    are, each with probability ``crossover_rate`` and one for certain, those of a mutant ``a + mutation_factor * (b - c)`` of three other
    members, and the member's own else; those of the mutant that leave the cube are drawn afresh, as DEHB does. A challenger that scores
    at least as much takes the member's place. Who is in the population is replayed from the results, in the order of their numbers.

    DEHB keeps one population a budget; here there is one, and the budget policy says at which budget its members are compared.
    """

    name: ClassVar[str] = "de"
    reference: ClassVar[str] = (
        "Storn and Price, 1997, Differential Evolution; in DEHB: Awad et al., 2021, DEHB: Evolutionary Hyperband for Scalable, "
        "Robust and Efficient Hyperparameter Optimization"
    )
    searches: ClassVar[frozenset[str]] = FEATURES - {"arrays", "graph"}

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        batch: int = 8,
        population_size: int = 10,
        mutation_factor: float = 0.5,
        crossover_rate: float = 0.5,
    ) -> None:
        """Prepare a search. Mutation factor and crossover rate are DEHB's.

        Args:
            space: What may be proposed.
            budget: Work granted to the search.
            seed: The study's seed for the search.
            batch: Trials that may be asked for at once.
            population_size: Members, at least 4.
            mutation_factor: Scale of a difference, above 0 and at most 2.
            crossover_rate: Probability with which a coordinate is the mutant's, from 0 to 1.

        Raises:
            UsageError: A setting out of range.
        """
        super().__init__(space, budget, seed, batch)
        self.population_size = whole_number(self.name, "population_size", population_size, 4)
        self.mutation_factor = checked_number(self.name, "mutation_factor", mutation_factor, 0.0, 2.0, above=True)
        self.crossover_rate = checked_number(self.name, "crossover_rate", crossover_rate, 0.0, 1.0)

    def _row(self, result: Result) -> NDArray[np.float64]:
        return self.space.to_unit(result.proposal.candidate)

    def _propose(self, history: History, number: int, pending: Sequence[Proposal]) -> tuple[Candidate, str]:
        if number < self.population_size:
            return self._drawn(number)
        members = self._population(history)
        target = number % self.population_size
        others = [place for place in members if place != target]
        if len(others) < 3:  # too few have been told
            return self._drawn(number)
        rng = generator(derive(self.seed, self.name, number))
        a, b, c = (members[others[int(i)]] for i in rng.choice(len(others), 3, replace=False))
        mutant = a + self.mutation_factor * (b - c)
        afresh = rng.random(mutant.shape)
        mutant = np.where((mutant < 0.0) | (mutant > 1.0), afresh, mutant)
        own = members.get(target, a)
        crossed = rng.random(mutant.shape) < self.crossover_rate
        crossed[int(rng.integers(mutant.size))] = True
        return self.space.from_unit(np.where(crossed, mutant, own)), "mutate"

    def _population(self, history: History) -> dict[int, NDArray[np.float64]]:
        """Return the members told so far: their places and their points, float64 [unit_dimension]."""
        scores = finite_scores(history.results)
        holders: dict[int, int] = {}
        for i in sorted(range(len(scores)), key=lambda i: history.results[i].proposal.number):
            place = history.results[i].proposal.number % self.population_size
            if place not in holders or scores[i] >= scores[holders[place]]:
                holders[place] = i
        return {place: history.rows[i] for place, i in sorted(holders.items())}
