"""Regularized (ageing) evolution: a tournament's best is mutated, the mutant enters the population, the oldest leaves it.

Real et al., 2019, *Regularized Evolution for Image Classifier Architecture Search*, as Co-Reyes et al. (2021) use it for loss graphs, with
three things of their successors': candidates that behave alike share the mean of a few trainings (Gillard et al., 2023, aggregating
functional cache), candidates that cannot learn are never trained, and no behaviour may fill the population.

Works in any space, since it only samples and mutates; of a product, a mutation changes one part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

from autorl.errors import UsageError, suggestion
from autorl.keys import derive, generator
from autorl.outer.evolution_state import (
    OBJECTIVES,
    SCORE,
    SIZE,
    EvolutionState,
    Member,
    Planned,
    folded,
    order,
    without_clones,
)
from autorl.outer.protocol import Budget, Candidate, Proposal, Result, SearchMethod
from autorl.outer.settings import number, whole_number, wrong_setting
from autorl.spaces import FEATURES, Space
from autorl.spaces.screening import mutate_part, screen, size, starts

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "two_cores": {
            "population_size": 300,
            "tournament": 6,
            "mutation_probability": 0.95,
            "clones": 5,
            "penalty": 0.01,
            "evaluations_per_fingerprint": 3,
        },
        "co_reyes_2021": {
            "population_size": 300,
            "tournament": 25,
            "mutation_probability": 0.95,
            "clones": 300,
            "penalty": 0.0,
            "evaluations_per_fingerprint": 1,
        },
    }
)
"""Named settings. ``co_reyes_2021``: the paper's, where the first training of a behaviour decides for all candidates that share it."""

PATIENCE = 50
"""Candidates made for one trial before a behaviour that is known well enough is trained once more; twice as many before a sample is
trained whatever it is."""


STRETCH = 8
"""After so many children in vain for one trial, the next ones are one mutation further from their parents: where all neighbours are known,
the search looks beyond them."""


@dataclass(frozen=True)
class _Child:
    candidate: Candidate
    origin: str
    ancestor: int | None


def _setting(preset: Mapping[str, Any], name: str, given: Any) -> Any:
    """Return a setting as given, or the preset's."""
    return preset[name] if given is None else given


class RegularizedEvolution(SearchMethod[EvolutionState]):
    """Ageing evolution with a functional cache.

    Trials are made in batches: all of one batch descend from the population as it was when the batch before had been told, and enter it in
    the order of their numbers, whatever order they end in. So the state is a function of seed and results, not of workers.

    For a trial a child is made: of the best of a tournament by mutation, or anew. If it cannot learn it is dropped. If its
    behaviour has been trained often enough, it enters the population untrained with the mean score (neutral drift), unless there
    are too many of its like; where size is an objective, a form smaller than all that were trained is trained once more. In both
    cases another child is made.
    """

    name: ClassVar[str] = "evolution"
    reference: ClassVar[str] = (
        "Real et al., 2019, Regularized Evolution for Image Classifier Architecture Search; "
        "Co-Reyes et al., 2021, Evolving Reinforcement Learning Algorithms"
    )
    searches: ClassVar[frozenset[str]] = FEATURES
    replays: ClassVar[bool] = True

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        preset: str = "two_cores",
        population_size: int | None = None,
        tournament: int | None = None,
        mutation_probability: float | None = None,
        crossover_probability: float = 0.0,
        clones: int | None = None,
        penalty: float | None = None,
        evaluations_per_fingerprint: int | None = None,
        batch: int = 32,
        objectives: tuple[str, ...] | list[str] = (SCORE,),
    ) -> None:
        """Prepare a search.

        Args:
            space: What may be proposed.
            budget: Work granted to the search.
            seed: The study's seed for the search.
            preset: Settings for those left out: ``two_cores`` or ``co_reyes_2021`` (see `PRESETS`).
            population_size: Members; the first so many trials are samples.
            tournament: Members drawn, the best of which has a child.
            mutation_probability: Of a trial's candidate being a mutant; it is a sample otherwise.
            crossover_probability: Of a mutant being made by crossover of two winners instead.
            clones: Most members with one fingerprint.
            penalty: Taken from the score for each part (node of a graph) of a candidate when members are compared. With several
                objectives only members that lack one of them are compared so: ask for ``size`` there.
            evaluations_per_fingerprint: Trainings after which candidates with this fingerprint are not trained again, but where all
                children of a trial are known so well: after `PATIENCE` of them the next is trained whatever it is.
            batch: Trials asked for at once.
            objectives: ``[score]``; or several of ``score``, ``size`` and ``validation`` (the score in the validation environments):
                parents and survivors are then chosen by NSGA-II, and the population keeps the best instead of the youngest.

        Raises:
            UsageError: A setting out of range.
        """
        self.space = space
        self.budget = budget
        self.seed = seed
        if not isinstance(preset, str) or preset not in PRESETS:
            raise wrong_setting(self.name, "preset", preset, f"one of {', '.join(PRESETS)}")
        self.preset = preset
        chosen = partial(_setting, PRESETS[preset])
        self.population_size = self._whole("population_size", chosen("population_size", population_size), 2)
        self.tournament = self._whole("tournament", chosen("tournament", tournament), 1)
        self.mutation_probability = number(
            self.name, "mutation_probability", chosen("mutation_probability", mutation_probability), 0.0, 1.0
        )
        self.crossover_probability = number(self.name, "crossover_probability", crossover_probability, 0.0, 1.0)
        self.clones = self._whole("clones", chosen("clones", clones), 1)
        self.penalty = number(self.name, "penalty", chosen("penalty", penalty), 0.0)
        self.evaluations = self._whole(
            "evaluations_per_fingerprint", chosen("evaluations_per_fingerprint", evaluations_per_fingerprint), 1
        )
        self.batch = self._whole("batch", batch, 1)
        self.objectives = self._checked_objectives(objectives)

    def _whole(self, setting: str, value: Any, low: int) -> int:
        return whole_number(self.name, setting, value, low)

    def _checked_objectives(self, objectives: Any) -> tuple[str, ...]:
        expected = "a list of different names that has 'score' in it, such as [score, size, validation]"
        if not isinstance(objectives, (tuple, list)) or not all(isinstance(name, str) for name in objectives):
            raise wrong_setting(self.name, "objectives", objectives, expected)
        unknown = [name for name in objectives if name not in OBJECTIVES]
        if unknown:
            error = wrong_setting(self.name, "objectives", objectives, expected)
            raise UsageError(f"{error} Unknown: {unknown[0]!r}.{suggestion(unknown[0], OBJECTIVES)}")
        if SCORE not in objectives or len(set(objectives)) < len(objectives):
            raise wrong_setting(self.name, "objectives", objectives, expected)
        return tuple(objectives)

    def init(self) -> EvolutionState:
        """Return the state before any result: the first batch is planned."""
        return self._planned(EvolutionState(0, ()))

    def available(self, state: EvolutionState, pending: Sequence[Proposal] = ()) -> int:
        """Return how many trials of the current batch are neither told nor pending."""
        return len(self._free(state, pending))

    def ask(self, state: EvolutionState, count: int, pending: Sequence[Proposal] = ()) -> list[Proposal]:
        """Return the next ``count`` trials of the current batch."""
        free = self._free(state, pending)
        if not 0 <= count <= len(free):
            raise ValueError(f"count must be between 0 and {len(free)}, got {count}")
        return free[:count]

    def tell(self, state: EvolutionState, results: Sequence[Result]) -> EvolutionState:
        """Return the state after ``results``; a batch's last result makes the next batch's plan.

        A result counts for the candidate that was trained: where earlier results are told with other scores than when it was asked for (as
        under a budget policy that finds another place to compare trials at), the plan made from them has others in its place.
        """
        told = {result.proposal.number: result for result in state.told}
        for result in sorted(results, key=lambda result: result.proposal.number):
            position = result.proposal.number
            if position in told or position not in {planned.proposal.number for planned in state.plan}:
                raise ValueError(f"trial {position} was told before or never asked for")
            state = self._as_trained(state, result.proposal)
            told[position] = replace(result, proposal=replace(result.proposal, candidate={}))
            if len(told) == len(state.plan):
                state, told = self._next(state, [told[p.proposal.number] for p in state.plan]), {}
        return replace(state, told=tuple(told[position] for position in sorted(told)))

    def _as_trained(self, state: EvolutionState, proposal: Proposal) -> EvolutionState:
        """Return the state with a proposal's own candidate in its place of the plan."""
        place = proposal.number - state.plan[0].proposal.number
        planned, trained = state.plan[place].proposal.candidate, proposal.candidate
        if planned is trained or self.space.to_json(planned) == self.space.to_json(trained):
            return state
        own = Planned(proposal, self.space.fingerprint(trained), size(self.space, trained))
        return replace(state, plan=(*state.plan[:place], own, *state.plan[place + 1 :]))

    def finished(self, state: EvolutionState, pending: Sequence[Proposal] = ()) -> bool:
        """Return whether the last batch was asked for."""
        return (state.batch + 1) * self.batch >= self.budget.trainings and self.available(state, pending) == 0

    def statistics(self, state: EvolutionState) -> dict[str, float]:
        """Return what happened to all candidates that were made so far, in numbers.

        ``made`` candidates; of them ``trained`` (``repeated`` of these with a fingerprint known before), ``rejected`` (and
        ``rejected: REASON``), ``duplicates`` not trained because their fingerprint was known well enough (``drifted`` of these
        entered the population); ``hit_rate`` is the share of duplicates among those not rejected, ``rejection_rate`` that of
        rejected ones among all; ``population``; ``fingerprints`` (different ones trained).
        """
        counts: dict[str, float] = {
            "made": 0,
            "trained": 0,
            "repeated": 0,
            "rejected": 0,
            "duplicates": 0,
            "drifted": 0,
        }
        counts |= state.counts
        counts["hit_rate"] = counts["duplicates"] / max(1.0, counts["made"] - counts["rejected"])
        counts["rejection_rate"] = counts["rejected"] / max(1.0, counts["made"])
        return counts | {"population": len(state.population), "fingerprints": len(state.evidence)}

    def _free(self, state: EvolutionState, pending: Sequence[Proposal]) -> list[Proposal]:
        taken = {result.proposal.number for result in state.told} | {proposal.number for proposal in pending}
        return [planned.proposal for planned in state.plan if planned.proposal.number not in taken]

    def _next(self, state: EvolutionState, results: Sequence[Result]) -> EvolutionState:
        members, evidence = folded(state.population, state.evidence, state.plan, results)
        after = replace(state, batch=state.batch + 1, plan=(), told=(), evidence=evidence)
        return self._planned(replace(after, population=tuple(self._survivors(members, evidence))))

    def _survivors(self, members: Sequence[Member], evidence: Mapping[str, Any]) -> list[Member]:
        """Return the population cut to its size: by age, or, with several objectives, by rank."""
        kept = without_clones(members, self.clones)
        if len(self.objectives) == 1 or len(kept) <= self.population_size:
            return kept[-self.population_size :]
        places = order(kept, evidence, self.objectives, self.penalty)
        return [member for member, place in zip(kept, places, strict=True) if place < self.population_size]

    def _planned(self, state: EvolutionState) -> EvolutionState:
        """Return the state with a plan for its batch; what drifts into the population while planning is in it then.

        Children are made and screened for all open trials at once, since screening many is hardly dearer than screening one.
        """
        first = state.batch * self.batch
        numbers = range(first, min(first + self.batch, self.budget.trainings))
        plan: dict[int, Planned] = {}
        for attempt in range(2 * PATIENCE + 1):
            waiting = [position for position in numbers if position not in plan]
            if not waiting:
                break
            places = order(state.population, state.evidence, self.objectives, self.penalty)
            children = [self._child(state.population, places, position, attempt) for position in waiting]
            state = self._sorted_out(state, plan, dict(zip(waiting, children, strict=True)), attempt)
        return replace(state, plan=tuple(plan[position] for position in numbers))

    def _sorted_out(
        self, state: EvolutionState, plan: dict[int, Planned], children: Mapping[int, _Child], attempt: int
    ) -> EvolutionState:
        """Put the children that are to be trained into ``plan``; return the state with those that drift and with all counted."""
        counts = Counter(state.counts)
        drifting: list[Member] = []
        found = screen(self.space, [child.candidate for child in children.values()])
        for (position, child), (fingerprint, reason) in zip(children.items(), found, strict=True):
            counts["made"] += 1
            if reason is not None and attempt < 2 * PATIENCE:
                counts.update(("rejected", f"rejected: {reason}"))
                continue
            parts = size(self.space, child.candidate)
            trained = state.evidence[fingerprint].count if fingerprint in state.evidence else 0
            known = trained + sum(planned.fingerprint == fingerprint for planned in plan.values())
            # a mutant of known behaviour stems from a tournament's winner, which more evidence is worth; a sample does not
            enough = self.evaluations if child.ancestor is not None else 1
            if known >= enough and attempt < PATIENCE and not self._news(state, plan, fingerprint, parts):
                counts["duplicates"] += 1
                if trained and child.ancestor is not None:
                    drifting.append(Member(child.candidate, fingerprint, parts, child.ancestor))
                continue
            counts.update(("trained", "repeated") if known else ("trained",))
            plan[position] = Planned(self._proposal(state, position, child, known), fingerprint, parts)
        return self._drifted(state, drifting, counts)

    def _news(self, state: EvolutionState, plan: Mapping[int, Planned], fingerprint: str, parts: int) -> bool:
        """Return whether a candidate is smaller than all trained ones of its behaviour, where size is an objective.

        It is trained once more then, so that the record holds the smallest form of what a search found.
        """
        planned = [planned.size for planned in plan.values() if planned.fingerprint == fingerprint]
        before = state.evidence.get(fingerprint)
        sizes = planned + ([before.smallest] if before is not None else [])
        return SIZE in self.objectives and parts < min(sizes, default=0)

    def _proposal(self, state: EvolutionState, position: int, child: _Child, known: int) -> Proposal:
        return Proposal(
            position,
            child.candidate,
            self.budget.env_steps,
            generation=state.batch,
            origin="repeat" if known else child.origin,
            ancestor=child.ancestor,
            repeat=known,
        )

    def _drifted(self, state: EvolutionState, drifting: Sequence[Member], counts: Counter[str]) -> EvolutionState:
        able = [m for m in drifting if state.evidence[m.fingerprint].completed + state.evidence[m.fingerprint].pruned]
        together = without_clones([*state.population, *able], self.clones)
        counts["drifted"] += len(together) - len(state.population)
        return replace(state, population=tuple(self._survivors(together, state.evidence)), counts=dict(counts))

    def _child(self, population: Sequence[Member], places: Sequence[int], position: int, attempt: int) -> _Child:
        """Return a candidate for trial ``position``: a function of seed, number, attempt and population."""
        early = position < self.population_size
        if early and attempt == 0:
            given = starts(self.space, derive(self.seed, "evolution", "starts"))
            if position < len(given):
                return _Child(given[position], "start", None)
        key = derive(self.seed, "evolution", position, attempt)
        # drawn once for a trial: were it drawn for each child, mutants, which are known more often, would lose their share to samples
        kind = generator(derive(self.seed, "evolution", position, "kind"))
        sampled, crossed = kind.random() >= self.mutation_probability, kind.random() < self.crossover_probability
        if early or sampled or not population or attempt == 2 * PATIENCE:
            return _Child(self.space.sample(derive(key, "sample")), "sample", None)
        parent = population[self._winner(places, derive(key, "tournament"))]
        made, steps = parent.candidate, 1 + attempt // STRETCH
        if crossed:
            other = population[self._winner(places, derive(key, "second tournament"))]
            made, steps = self.space.crossover(derive(key, "crossover"), made, other.candidate), steps - 1
        for step in range(steps):
            made = mutate_part(self.space, derive(key, "mutate", step), made)
        return _Child(made, "crossover" if crossed else "mutate", parent.trial)

    def _winner(self, places: Sequence[int], key: int) -> int:
        """Return the position of the best of a tournament."""
        drawn = generator(key).choice(len(places), min(self.tournament, len(places)), replace=False)
        return min((int(i) for i in drawn), key=lambda i: places[i])
