"""The contract of a budget policy: a pure function from the trainings so far to what is to be trained next.

Trials are numbered from 0 in the order of their start; who proposes their candidates is not the policy's affair. A *rung* is a
number of environment steps, counted from the start of a training, at which trials are compared.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Self

from autorl.errors import UsageError
from autorl.outer.protocol import Budget


@dataclass(frozen=True)
class Run:
    """One training of a trial: on one seed, as far as it has come.

    Attributes:
        trial: Its trial.
        env_steps: Environment steps from the start that it was last ordered to reach.
        scores: (environment steps from the start, score) at each checkpoint so far, ascending; higher is better, all finite.
        seed: Position of its seed among the trial's seeds; the first run of every trial has 0.
        ended: It failed, or was stopped: it trains no further. What it scored before that counts.
    """

    trial: int
    env_steps: int
    scores: tuple[tuple[int, float], ...] = ()
    seed: int = 0
    ended: bool = False

    @property
    def waiting(self) -> bool:
        """Whether it is still on its way to ``env_steps``."""
        return not self.ended and (not self.scores or self.scores[-1][0] < self.env_steps)

    def score(self, env_steps: int, last: int = 1) -> float | None:
        """Return the mean of the ``last`` checkpoints (or as many as there are) up to ``env_steps``; None if it did not get there."""
        if not self.scores or self.scores[-1][0] < env_steps:
            return None
        upto = [score for steps, score in self.scores if steps <= env_steps]
        return sum(tail := upto[-last:]) / len(tail) if upto else None


@dataclass(frozen=True)
class Order:
    """Train a trial, on one of its seeds, until ``env_steps`` from the start. A trial not seen before is to be proposed."""

    trial: int
    env_steps: int
    seed: int = 0


class BudgetPolicy(ABC):
    """Decides on the budget of trials. Immutable; nothing is remembered between two calls."""

    name: ClassVar[str]
    reference: ClassVar[str]
    """Author, year and title of the paper."""
    rungs: tuple[int, ...]
    """Where trials are compared, ascending; the last is a whole training."""

    @classmethod
    @abstractmethod
    def for_budget(cls, budget: Budget, spacing: int) -> Self:
        """Return the policy for a search. What a subclass takes beyond these two by name are its settings.

        Args:
            budget: Work granted.
            spacing: Environment steps between two checkpoints; every rung is a multiple of it.

        Raises:
            UsageError: The budget is too small, or a setting out of range.
        """

    @property
    def starts(self) -> int | None:
        """Trials that it starts; None: as many as the budget pays."""
        return None

    @property
    def comparable_at(self) -> int | None:
        """Rung that every trial reaches, where its score says what its candidate is worth; None: only the end says it."""
        return self.rungs[0]

    def comparable(self, runs: Sequence[Run]) -> int:
        """Return the rung at which a method is told of trials, as far as ``runs`` say where that is: see `comparable_at`."""
        return self.comparable_at or self.rungs[-1]

    @abstractmethod
    def orders(self, runs: Sequence[Run], count: int) -> tuple[Order, ...]:
        """Return at most ``count`` orders that can be given now. Empty: wait for the runs that are waiting; if none, it is done."""

    def stops(self, runs: Sequence[Run]) -> tuple[int, ...]:
        """Return the trials whose training is to be ended now, for good. To be asked before `orders`; most policies end none."""
        return ()

    def merits(self, runs: Sequence[Run], last: int = 1) -> dict[int, float]:
        """Return what the trials that got furthest are worth, by number: their scores at the highest rung that any reached.

        Args:
            runs: What was trained.
            last: Checkpoints whose mean is the score of a run, for policies that have no such number of their own.
        """
        return next((found for rung in reversed(self.rungs) if (found := scores_at(runs, rung, last))), {})

    def raced(self, runs: Sequence[Run], last: int = 1) -> dict[int, list[float | None]]:
        """Return the scores of whole trainings on further seeds, by trial; None for one that failed. What is under way is left out.

        The first training of a trial is none of them: by its score it came so far, so that it is flattered.

        Args:
            runs: What was trained.
            last: Checkpoints whose mean is the score of a run.
        """
        found: dict[int, list[float | None]] = {}
        for run in sorted(runs, key=lambda run: (run.trial, run.seed)):
            if run.seed and not run.waiting:
                found.setdefault(run.trial, []).append(run.score(self.rungs[-1], last))
        return found

    def winner(self, runs: Sequence[Run]) -> int:
        """Return the trial with the highest of the `merits`, ties by number.

        Raises:
            ValueError: No trial reached a rung.
        """
        merits = self.merits(runs)
        if not merits:
            raise ValueError("no trial has a score at a rung")
        return min(merits, key=lambda trial: (-merits[trial], trial))


def scores_at(runs: Iterable[Run], rung: int, last: int = 1) -> dict[int, float]:
    """Return the scores at ``rung`` of the trials whose first run has one."""
    return {run.trial: score for run in runs if run.seed == 0 and (score := run.score(rung, last)) is not None}


def best(runs: Iterable[Run], rung: int, last: int = 1) -> list[int]:
    """Return the trials whose first run has a score at ``rung``, best first, ties by number."""
    scores = scores_at(runs, rung, last)
    return sorted(scores, key=lambda trial: (-scores[trial], trial))


def checked_rungs(policy: str, rungs: Sequence[int]) -> tuple[int, ...]:
    """Return ``rungs``; raise `UsageError` unless they are ascending whole numbers above 0."""
    if not rungs or rungs[0] <= 0 or any(a >= b for a, b in pairwise(rungs)):
        raise UsageError(
            f"budget policy {policy!r}: rungs: expected ascending whole numbers above 0, got {list(rungs)!r}."
        )
    return tuple(rungs)


def checked_count(policy: str, name: str, value: int) -> int:
    """Return ``value``; raise `UsageError` unless it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"budget policy {policy!r}: {name}: expected a whole number of at least 1, got {value!r}.")
    return value


def checked_eta(policy: str, eta: int) -> int:
    """Return ``eta``; raise `UsageError` unless it is a whole number of at least 2."""
    if isinstance(eta, bool) or not isinstance(eta, int) or eta < 2:
        raise UsageError(f"budget policy {policy!r}: eta: expected a whole number of at least 2, got {eta!r}.")
    return eta


def geometric_rungs(env_steps: int, eta: int, spacing: int) -> tuple[int, ...]:
    """Return env_steps, env_steps / eta, env_steps / eta**2 ..., ascending, as long as they are a ``spacing``, rounded to one.

    Raises:
        UsageError: ``spacing`` does not divide ``env_steps``.
    """
    if spacing < 1 or env_steps < spacing or env_steps % spacing:
        raise UsageError(
            f"spacing {spacing}: expected a divisor of {env_steps} env_steps. Remedy: evaluate at equal distances."
        )
    rungs, power = {env_steps}, eta
    while env_steps >= power * spacing:
        rungs.add((2 * env_steps + power * spacing) // (2 * power * spacing) * spacing)
        power *= eta
    return tuple(sorted(rungs))
