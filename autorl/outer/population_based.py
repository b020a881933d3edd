"""Population-based training: train all members a while, let the worst copy the best, perturb the copies, go on.

Jaderberg et al., 2017, *Population Based Training of Neural Networks* (arXiv 1711.09846), in its synchronous form with truncation
selection. A trial is one member of one generation. It continues from a parent: from its own previous trial (origin ``keep``) or,
where the member was among the worst or failed, from a copy of one of the best (origin ``exploit``), whose candidate is explored
by `Space.perturb`. So a candidate changes while its agent learns, and what comes out is a schedule (see `autorl.outer.lineage`).

The budget is the whole search's, ``trainings * env_steps`` environment steps, shared exactly: no step is lost or added. At the
defaults (a member for each training) every member trains ``env_steps`` steps in all, as one trial of random search does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from autorl.errors import UsageError
from autorl.keys import derive, generator
from autorl.outer.protocol import Budget, Candidate, Proposal, Result, SearchMethod, Status
from autorl.outer.settings import number, whole_number, wrong_setting
from autorl.spaces import Fixed, HyperparameterSpace, ProductSpace, Space


@dataclass(frozen=True)
class PopulationState:
    """State of population-based training after some results.

    Attributes:
        generation: Generation being trained, from 0; ``intervals`` when all are done.
        plan: Its proposals, one a member, in order of member. Empty when all generations are done.
        told: Its results so far, by number, candidates left out.
    """

    generation: int
    plan: tuple[Proposal, ...]
    told: tuple[Result, ...] = ()


class PopulationBasedTraining(SearchMethod[PopulationState]):
    """Population-based training with truncation selection.

    Generation ``g`` of member ``m`` is trial ``g * population_size + m``; a generation is asked for once the one before is told.
    Members are ranked by score, ties by member, failed ones last. Each of the bottom ``truncation`` of the population, **and every
    failed member wherever it ranks**, copies a completed member drawn uniformly from the top ``truncation``; the others go on
    unchanged. A failed trial is never continued.

    If a whole generation fails there is nobody to copy: all members are sampled anew and start from scratch (origin ``sample``,
    parent None). They still train only what is left of the budget, so the trainings that come out of such a search are shorter
    than a member's full share; `autorl.outer.lineage.schedule` tells how long.

    PBT changes the candidate of an agent that is half trained, so no dimension may change the shape of what is trained:
    see `changing_dimensions`.
    """

    name: ClassVar[str] = "pbt"
    reference: ClassVar[str] = "Jaderberg et al., 2017, Population Based Training of Neural Networks"
    searches: ClassVar[frozenset[str]] = frozenset({"float", "int", "ordinal", "nominal", "conditional"})
    continues: ClassVar[bool] = True

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        population_size: int | None = None,
        intervals: int = 10,
        truncation: float = 0.25,
        factors: tuple[float, float] | list[float] = (0.8, 1.2),
        resample_probability: float = 0.25,
    ) -> None:
        """Prepare a search.

        Args:
            space: What may be proposed.
            budget: Work granted to the whole search.
            seed: The study's seed for the search.
            population_size: Members, at least 2; None for one a training.
            intervals: Generations. More are more chances to copy, each with less training to judge by.
            truncation: Share of the population that copies, and share that is copied: above 0, at most 0.5.
            factors: A numeric value is multiplied by one of these two when it is perturbed.
            resample_probability: Probability with which a dimension is drawn anew rather than perturbed.

        Raises:
            UsageError: A setting out of range, or a budget of fewer steps than there are trials.
        """
        size = budget.trainings if population_size is None else population_size
        if population_size is None and size < 2:
            raise UsageError(
                f"search method 'pbt': a population of one training for each of {size} trainings has nobody to copy. "
                "Remedy: set budget.trainings or the setting 'population_size' to at least 2."
            )
        self.space = space
        self.budget = budget
        self.seed = seed
        self.population_size = whole_number(self.name, "population_size", size, 2)
        self.intervals = whole_number(self.name, "intervals", intervals, 1)
        self.truncation = number(self.name, "truncation", truncation, 0.0, 0.5, above=True)
        self.resample_probability = number(self.name, "resample_probability", resample_probability, 0.0, 1.0)
        if not isinstance(factors, (tuple, list)) or len(factors) != 2:
            raise wrong_setting(self.name, "factors", factors, "two numbers above 0")
        low, high = (number(self.name, "factors", factor, 0.0, above=True) for factor in factors)
        self.factors = (low, high)
        work = budget.trainings * budget.env_steps
        if work // self.population_size < self.intervals:
            raise UsageError(
                f"search method 'pbt': {work} environment steps cannot be shared by {self.population_size} members with "
                f"{self.intervals} intervals each. Remedy: raise budget.env_steps or lower the settings "
                "'population_size' or 'intervals'."
            )

    @property
    def trials(self) -> int:
        """Trials that the whole budget makes: one a member and interval."""
        return self.population_size * self.intervals

    def env_steps(self, generation: int, member: int) -> int:
        """Return the environment steps of one trial.

        After generation ``g`` every member has trained ``floor((g + 1) * share / intervals)`` steps, where ``share`` is the budget's
        steps over the members, rounded down; so copies continue in step with the rest. What the rounding leaves over (less than one
        step a member) is added to the first members' last trials.
        """
        share, over = divmod(self.budget.trainings * self.budget.env_steps, self.population_size)
        steps = (generation + 1) * share // self.intervals - generation * share // self.intervals
        return steps + int(generation == self.intervals - 1 and member < over)

    def init(self) -> PopulationState:
        """Return the state before any result: generation 0, sampled."""
        return PopulationState(0, self._sampled(0))

    def available(self, state: PopulationState, pending: Sequence[Proposal] = ()) -> int:
        """Return how many members of the current generation are neither told nor pending."""
        return len(self._free(state, pending))

    def ask(self, state: PopulationState, count: int, pending: Sequence[Proposal] = ()) -> list[Proposal]:
        """Return the next ``count`` members of the current generation."""
        free = self._free(state, pending)
        if not 0 <= count <= len(free):
            raise ValueError(f"count must be between 0 and {len(free)}, got {count}")
        return free[:count]

    def tell(self, state: PopulationState, results: Sequence[Result]) -> PopulationState:
        """Return the state after ``results``; a generation's last result makes the next generation's plan."""
        told = {result.proposal.number: result for result in state.told}
        for result in sorted(results, key=lambda result: result.proposal.number):
            position, first = result.proposal.number, state.generation * self.population_size
            if position in told or not first <= position < first + len(state.plan):
                raise ValueError(f"trial {position} was told before or never asked for")
            told[position] = replace(result, proposal=replace(result.proposal, candidate={}))
            if len(told) == self.population_size:
                state = PopulationState(state.generation + 1, self._next(replace(state, told=_ordered(told))))
                told = {}
        return replace(state, told=_ordered(told))

    def finished(self, state: PopulationState, pending: Sequence[Proposal] = ()) -> bool:
        """Return whether the last generation was asked for."""
        return state.generation >= self.intervals - 1 and self.available(state, pending) == 0

    def _free(self, state: PopulationState, pending: Sequence[Proposal]) -> list[Proposal]:
        taken = {result.proposal.number for result in state.told} | {proposal.number for proposal in pending}
        return [proposal for proposal in state.plan if proposal.number not in taken]

    def _proposal(
        self, generation: int, member: int, candidate: Candidate, parent: int | None, origin: str
    ) -> Proposal:
        position = generation * self.population_size + member
        return Proposal(position, candidate, self.env_steps(generation, member), parent, generation, origin)

    def _sampled(self, generation: int) -> tuple[Proposal, ...]:
        return tuple(
            self._proposal(generation, m, self.space.sample(self._key(generation, "sample", m)), None, "sample")
            for m in range(self.population_size)
        )

    def _next(self, state: PopulationState) -> tuple[Proposal, ...]:
        """Return the plan of the generation after the one that ``state`` has all results of."""
        generation = state.generation + 1
        if generation == self.intervals:
            return ()
        donors, replaced = select([_score(result) for result in state.told], self.truncation)
        if not donors:
            return self._sampled(generation)
        plan: list[Proposal] = []
        for member, own in enumerate(state.plan):
            if member not in replaced:
                plan.append(self._proposal(generation, member, own.candidate, own.number, "keep"))
                continue
            drawn = generator(self._key(generation, "donor", member)).integers(len(donors))
            donor = state.plan[donors[int(drawn)]]
            candidate = self.space.perturb(
                self._key(generation, "explore", member), donor.candidate, self.factors, self.resample_probability
            )
            plan.append(self._proposal(generation, member, candidate, donor.number, "exploit"))
        return tuple(plan)

    def _key(self, generation: int, purpose: str, member: int) -> int:
        return derive(self.seed, "pbt", generation, purpose, member)


def select(scores: Sequence[float | None], truncation: float) -> tuple[list[int], frozenset[int]]:
    """Return who is copied and who copies: (members of the top quantile, best first; members to replace).

    A quantile is ``truncation`` of the population, rounded up but at most half of it. ``scores`` has one entry a member, None where it
    failed; ties rank by member. Failed members are replaced in any number and never copied. All failed: ``([], everybody)``.
    """
    quantile = min(math.ceil(round(len(scores) * truncation, 9)), len(scores) // 2)
    completed = [member for member, score in enumerate(scores) if score is not None]
    failed = [member for member, score in enumerate(scores) if score is None]
    ranked = sorted(completed, key=lambda member: (-_known(scores[member]), member)) + failed
    donors = [member for member in ranked[:quantile] if scores[member] is not None]
    return donors, frozenset(ranked[len(ranked) - quantile :]) | frozenset(failed)


def changing_dimensions(space: Space) -> frozenset[str]:
    """Return the names of the dimensions that population-based training would change: all but those that are always the same.

    None of them may be static in the learner (network width, rollout length ...): a trained state could not be continued.
    Dimensions of a product are named ``part.name``.
    """
    if isinstance(space, ProductSpace):
        return frozenset(f"{part}.{name}" for part, inner in space.parts.items() for name in changing_dimensions(inner))
    if isinstance(space, HyperparameterSpace):
        return frozenset(name for name in space.dimensions if _changes(space, name))
    return frozenset()


def _changes(space: HyperparameterSpace, name: str) -> bool:
    """Return whether a dimension may change: by itself, or by coming and going with one that does."""
    if not isinstance(space.dimensions[name], Fixed):
        return True
    return name in space.conditions and _changes(space, space.conditions[name].parent)


def _ordered(told: Mapping[int, Result]) -> tuple[Result, ...]:
    return tuple(told[position] for position in sorted(told))


def _score(result: Result) -> float | None:
    return result.score if result.status is Status.COMPLETED else None


def _known(score: float | None) -> float:
    assert score is not None
    return score
