"""The contract of the outer loop: a search method is a pure fold over the results it was told.

``ask`` changes nothing and ``tell`` returns a new state, so the state of a method after any number of trials is a function of
(study seed, results told). The study's record is therefore enough to resume any method exactly; nothing else is stored.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

Candidate = Mapping[str, Any]
"""One point of a space: a pytree of scalars, strings and arrays. Data, never code."""


class Status(enum.StrEnum):
    """How a trial ended. Everything but ``completed`` ranks behind everything that completed; ``pruned`` before the rest."""

    RUNNING = "running"
    COMPLETED = "completed"
    DIVERGED = "diverged"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out_of_memory"
    PRUNED = "pruned"
    INVALID = "invalid"


@dataclass(frozen=True)
class Budget:
    """Work granted to a search: ``trainings`` times ``env_steps`` environment steps, however a method spends them."""

    trainings: int
    env_steps: int


@dataclass(frozen=True)
class Proposal:
    """A trial that a method asks for.

    Attributes:
        number: Position in the study, from 0, in the order of asking.
        candidate: The point to train.
        env_steps: Environment steps to train **now** (more, if there is a parent).
        parent: Trial whose trained state it continues from; None starts from scratch.
        generation: Generation of the method's population (0 where a method has none).
        origin: One word of lineage for people: ``sample``, ``default``, ``model``, ``exploit``, ``mutate`` ...
        ancestor: Trial whose candidate this one was made from (by mutation); unlike ``parent``, nothing trained is continued.
        repeat: How many trials with the same behaviour came before: each takes training seeds of its own, so that their mean is one over
            seeds. All first ones share their seeds (common random numbers).
    """

    number: int
    candidate: Candidate
    env_steps: int
    parent: int | None = None
    generation: int = 0
    origin: str = "sample"
    ancestor: int | None = None
    repeat: int = 0


@dataclass(frozen=True)
class Result:
    """A finished proposal.

    Attributes:
        proposal: What was asked for.
        status: How it ended.
        score: Higher is better. Finite when ``status`` is completed, or pruned at a hurdle: then it is the score there, comparable
            with other pruned ones alone. None otherwise.
        values: Other figures of merit by name, higher is better: ``validation`` (score in environments that the search does not
            optimise). Empty unless the study asks for them.
    """

    proposal: Proposal
    status: Status
    score: float | None
    values: Mapping[str, float] = field(default_factory=dict)


S = TypeVar("S")


class SearchMethod(ABC, Generic[S]):
    """One outer loop over one space and one budget. Instances are immutable; ``S`` is the type of the state.

    A subclass is constructed as ``Method(space, budget, seed, **settings)`` and is one file in ``autorl/outer``.
    """

    name: ClassVar[str]
    reference: ClassVar[str]
    """Author, year and title of the paper."""
    searches: ClassVar[frozenset[str]]
    """Features of spaces it can search, of `autorl.spaces.FEATURES`."""
    continues: ClassVar[bool] = False
    """Whether its trials may continue from a parent (the engine then keeps trained states)."""
    replays: ClassVar[bool] = False
    """Whether it goes on from all that it asked for and was told in a smaller budget, as if that had been the larger one."""
    budget: Budget

    @property
    def form(self) -> Any:
        """What must be equal for it to go on from the trials of another (`replays`), where equal settings do not say it; else None."""
        return None

    @property
    def trials(self) -> int:
        """Trials that the whole budget makes: one a training, unless a method cuts trainings into several."""
        return self.budget.trainings

    @abstractmethod
    def init(self) -> S:
        """Return the state before any result."""

    @abstractmethod
    def available(self, state: S, pending: Sequence[Proposal] = ()) -> int:
        """Return how many trials may be asked for now: the natural batch, less ``pending``; 0 if it must wait or is done."""

    @abstractmethod
    def ask(self, state: S, count: int, pending: Sequence[Proposal] = ()) -> list[Proposal]:
        """Return ``count`` (at most ``available``) proposals; numbers go on from those told and ``pending``. Pure."""

    @abstractmethod
    def tell(self, state: S, results: Sequence[Result]) -> S:
        """Return the state after ``results``; each proposal is told once. Pure. One at a time or many: same state."""

    @abstractmethod
    def finished(self, state: S, pending: Sequence[Proposal] = ()) -> bool:
        """Return whether the whole budget has been asked for."""


def finite_scores(results: Sequence[Result]) -> list[float]:
    """Return one finite score a result, failures strictly below every completed one.

    A failure gets the worst completed score less the spread of the completed ones (at least 1): low enough to be avoided, near
    enough not to flatten a model of the rest. All-failed gives zeros.
    """
    completed = [r.score for r in results if r.status is Status.COMPLETED and r.score is not None]
    if not completed:
        return [0.0] * len(results)
    worst = min(completed) - max(1.0, max(completed) - min(completed))
    return [r.score if r.status is Status.COMPLETED and r.score is not None else worst for r in results]
