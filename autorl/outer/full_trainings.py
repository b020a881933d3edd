"""What random search, Sobol points and Bayesian optimisation share: every trial is one whole training of its own."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Self

from autorl.keys import derive, generator
from autorl.outer.priors import Prior
from autorl.outer.protocol import Budget, Candidate, Proposal, Result, SearchMethod
from autorl.outer.settings import number as checked_number
from autorl.outer.settings import whole_number
from autorl.spaces import HyperparameterSpace, Space

BLOCK = 256
"""Trials whose candidates a prior puts into one order, or Sobol points that are made at once."""


@dataclass(frozen=True)
class History:
    """All results in the order of telling.

    Attributes:
        results: As told.
        rows: What the method made of each result's candidate, kept so that only new results are converted.
    """

    results: tuple[Result, ...] = ()
    rows: tuple[Any, ...] = ()


class FullTrainings(SearchMethod[History]):
    """A method whose trials each train ``budget.env_steps`` from scratch. Subclasses only propose a candidate.

    A proposal depends on the seed, on its number, on the set of results told (not on their order) and on the proposals pending.
    In one ask each proposal sees the earlier ones as pending, so asking for n equals asking n times for one.
    """

    draws: ClassVar[bool] = True
    """Whether it draws candidates at random, at least the first ones: then a prior can draw them instead."""

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        batch: int,
        *,
        prior_fraction: float = 1.0,
        drawn_fraction: float = 0.0,
    ) -> None:
        """Prepare.

        Args:
            space: What may be proposed.
            budget: Work granted to the search.
            seed: The study's seed for the search.
            batch: Trials that may be asked for at once.
            prior_fraction: Share of the drawn candidates that a prior draws, if there is one; the others are drawn uniformly, so that a
                prior that is wrong about a task leaves part of the search alone.
            drawn_fraction: Share of the trials after a model's first that are drawn all the same, as in BOHB (Falkner et al., 2018).

        Raises:
            UsageError: A setting out of range.
        """
        self.prior_fraction = checked_number(self.name, "prior_fraction", prior_fraction, 0.0, 1.0)
        self.drawn_fraction = checked_number(self.name, "drawn_fraction", drawn_fraction, 0.0, 1.0)
        self.space = space
        self.budget = budget
        self.seed = seed
        self.starts: tuple[Candidate, ...] = ()
        self.prior: Prior | None = None
        self.earlier = 0
        self._ordered = cache(self._in_order)
        self.batch = whole_number(self.name, "batch", batch, 1)

    def starting_with(self, starts: Sequence[Candidate]) -> Self:
        """Return this method proposing ``starts`` first, in their order; it learns from them as from its own."""
        return self._with(starts=tuple(starts))

    def guided_by(self, prior: Prior) -> Self:
        """Return this method drawing by ``prior`` wherever it would draw at random."""
        return self._with(prior=prior)

    def after(self, earlier: int) -> Self:
        """Return this method as it goes on with so many trials of an earlier study, numbered from 0: what it starts with comes after them.

        A prior's draws are fresh ones then, as the earlier study may have tried the best of its own; random search goes on where it was.
        """
        return self._with(earlier=earlier)

    def _with(self, **changes: Any) -> Self:
        made = copy.copy(self)
        vars(made).update(changes)
        made._ordered = cache(made._in_order)  # its own: the order depends on what has changed
        return made

    @property
    def _given(self) -> int:
        """Trials before the first that it draws: those of an earlier study, and what it starts with."""
        return self.earlier + len(self.starts)

    def _in_order(self, block: int) -> list[Candidate]:
        """Return the prior's candidates for the trials of a block."""
        assert self.prior is not None
        assert isinstance(self.space, HyperparameterSpace)
        size = min(BLOCK, self.budget.trainings - self._given - block * BLOCK)
        seed = derive(self.seed, "after", self.earlier) if self.earlier else self.seed
        return self.prior.ordered(self.space, derive(seed, "block", block), size)

    def _drawn(self, number: int) -> tuple[Candidate, str]:
        """Return a candidate for trial ``number`` that no result has a part in, and its origin."""
        share = generator(derive(self.seed, "prior's share", number)).random()
        if self.prior is not None and share < self.prior_fraction:
            block, place = divmod(number - self._given, BLOCK)
            return self._ordered(block)[place], "prior"
        return random_candidate(self.space, self.seed, number), "sample"

    def _still_drawn(self, number: int) -> bool:
        """Return whether trial ``number`` is drawn, though a model could propose it: evenly spread ones are."""
        return int((number + 1) * self.drawn_fraction) > int(number * self.drawn_fraction)

    @abstractmethod
    def _propose(self, history: History, number: int, pending: Sequence[Proposal]) -> tuple[Candidate, str]:
        """Return the candidate and origin of trial ``number``. Pure."""

    def _row(self, result: Result) -> Any:
        """Return what to remember of a result's candidate."""
        return None

    def init(self) -> History:
        """Return an empty history."""
        return History()

    def _asked(self, state: History, pending: Sequence[Proposal]) -> int:
        return len(state.results) + len(pending)

    def available(self, state: History, pending: Sequence[Proposal] = ()) -> int:
        """Return the batch less ``pending``, at most what the budget has left."""
        left = self.budget.trainings - self._asked(state, pending)
        return max(0, min(self.batch - len(pending), left))

    def ask(self, state: History, count: int, pending: Sequence[Proposal] = ()) -> list[Proposal]:
        """Return ``count`` proposals; it may be more than the batch, but no more than the budget has left.

        Raises:
            ValueError: ``count`` is negative or more than the budget has left.
        """
        left = max(0, self.budget.trainings - self._asked(state, pending))
        if not 0 <= count <= left:
            raise ValueError(f"count must be between 0 and {left}, got {count}")
        numbers = [r.proposal.number for r in state.results] + [p.number for p in pending]
        first = max(numbers, default=-1) + 1
        made: list[Proposal] = []
        for number in range(first, first + count):
            place = number - self.earlier
            if place < len(self.starts):
                candidate, origin = self.starts[place], "start"
            else:
                candidate, origin = self._propose(state, number, [*pending, *made])
            made.append(Proposal(number, candidate, self.budget.env_steps, origin=origin))
        return made

    def tell(self, state: History, results: Sequence[Result]) -> History:
        """Return the history with ``results`` at its end."""
        return History((*state.results, *results), (*state.rows, *(self._row(r) for r in results)))

    def finished(self, state: History, pending: Sequence[Proposal] = ()) -> bool:
        """Return whether all trainings have been asked for."""
        return self._asked(state, pending) >= self.budget.trainings


def random_candidate(space: Space, seed: int, number: int) -> Candidate:
    """Return random search's candidate ``number``; other methods given the same ``seed`` start from the same ones."""
    return space.sample(derive(seed, "random", number))
