"""What regularized evolution knows after some results: a population, and the evidence for every fingerprint it has trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from autorl.outer import nsga2
from autorl.outer.protocol import Candidate, Proposal, Result, Status

SCORE, SIZE, VALIDATION = "score", "size", "validation"
OBJECTIVES = (SCORE, SIZE, VALIDATION)
"""What a search may optimise: the score, the parts of a candidate, and the one other figure of merit that results carry."""


@dataclass(frozen=True)
class Member:
    """One candidate of the population.

    Attributes:
        candidate: The point.
        fingerprint: Its name; all members with the same share their evidence.
        size: Parts that it is made of.
        trial: Its own trial, or, if it was never trained because its like had been, the trial that it was made from.
    """

    candidate: Candidate
    fingerprint: str
    size: int
    trial: int


@dataclass(frozen=True)
class Evidence:
    """All results of one fingerprint: sums and counts.

    Attributes:
        completed: Results that completed.
        pruned: Results that stopped at a hurdle.
        failed: All others.
        score: Sum of the scores of those that completed.
        hurdle: Sum of the scores of those that were pruned.
        values: Sums of the other figures of merit, and (as ``name:count``) how many there were.
        smallest: Size of the smallest candidate that was trained; 0 if none was.
    """

    completed: int = 0
    pruned: int = 0
    failed: int = 0
    score: float = 0.0
    hurdle: float = 0.0
    values: Mapping[str, float] = field(default_factory=dict)
    smallest: int = 0

    @property
    def count(self) -> int:
        """Number of results."""
        return self.completed + self.pruned + self.failed

    def plus(self, result: Result) -> Evidence:
        """Return the evidence with one more result."""
        if result.score is None or result.status not in (Status.COMPLETED, Status.PRUNED):
            return replace(self, failed=self.failed + 1)
        if result.status is Status.PRUNED:
            return replace(self, pruned=self.pruned + 1, hurdle=self.hurdle + result.score)
        sums = dict(self.values)
        for name, value in result.values.items():
            sums[name] = sums.get(name, 0.0) + value
            sums[f"{name}:count"] = sums.get(f"{name}:count", 0.0) + 1
        return replace(self, completed=self.completed + 1, score=self.score + result.score, values=sums)

    def mean(self, name: str = SCORE) -> float | None:
        """Return the mean score (or other figure of merit) of what completed; None if there is none, or if less than half completed."""
        if self.completed == 0 or 2 * self.completed < self.count:
            return None
        if name == SCORE:
            return self.score / self.completed
        return self.values[name] / self.values[f"{name}:count"] if name in self.values else None

    def rank(self, penalty: float) -> tuple[int, float]:
        """Return what results compare by: what mostly completed before what mostly reached the hurdle, before what mostly failed.

        Within these the mean score less ``penalty``.
        """
        mean = self.mean()
        if mean is not None:
            return 2, mean - penalty
        if self.pruned and 2 * self.failed <= self.count:
            return 1, self.hurdle / self.pruned - penalty
        return 0, -penalty


@dataclass(frozen=True)
class Planned:
    """A proposal of the current batch, and what is known of its candidate."""

    proposal: Proposal
    fingerprint: str
    size: int


@dataclass(frozen=True)
class EvolutionState:
    """State of regularized evolution after some results.

    Attributes:
        batch: Batch being trained, from 0.
        plan: Its proposals, in order of number; empty when the budget is spent.
        told: Its results so far, in order of number, candidates left out.
        population: Members, oldest first.
        evidence: By fingerprint.
        counts: What happened to all candidates made so far, by word.
    """

    batch: int
    plan: tuple[Planned, ...]
    told: tuple[Result, ...] = ()
    population: tuple[Member, ...] = ()
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


def folded(
    population: Sequence[Member],
    evidence: Mapping[str, Evidence],
    planned: Sequence[Planned],
    results: Sequence[Result],
) -> tuple[list[Member], dict[str, Evidence]]:
    """Return the population and the evidence with a batch's results, both in order of number. Nobody leaves; failures do not enter."""
    members, known = list(population), dict(evidence)
    for plan, result in zip(planned, results, strict=True):
        before = known.get(plan.fingerprint, Evidence())
        smallest = min(before.smallest, plan.size) if before.count else plan.size
        known[plan.fingerprint] = replace(before.plus(result), smallest=smallest)
        if result.score is not None:
            number = plan.proposal.number
            members.append(Member(plan.proposal.candidate, plan.fingerprint, plan.size, number))
    return members, known


def without_clones(members: Sequence[Member], most: int) -> list[Member]:
    """Return the members without those (the youngest) of which there are more than ``most`` with one fingerprint."""
    seen: Counter[str] = Counter()
    kept = []
    for member in members:
        seen[member.fingerprint] += 1
        if seen[member.fingerprint] <= most:
            kept.append(member)
    return kept


def order(
    members: Sequence[Member], evidence: Mapping[str, Evidence], objectives: Sequence[str], penalty: float
) -> list[int]:
    """Return a place for each member, 0 for the best: by score less ``penalty`` for each part, or by several objectives (NSGA-II).

    Members that lack one of several objectives come behind all that have them. Of equal members the younger is better.
    """
    best_first: list[int] = []
    young = range(len(members) - 1, -1, -1)
    if len(objectives) > 1:
        able = {i: p for i in young if (p := _point(members[i], evidence[members[i].fingerprint], objectives))}
        best_first = [list(able)[k] for k in nsga2.ranking(np.array(list(able.values()), np.float64))]
        young_rest = [i for i in young if i not in able]
    else:
        young_rest = list(young)
    best_first += sorted(young_rest, key=lambda i: _descending(members[i], evidence, penalty))
    places = [0] * len(members)
    for place, i in enumerate(best_first):
        places[i] = place
    return places


def _descending(member: Member, evidence: Mapping[str, Evidence], penalty: float) -> tuple[int, float]:
    group, score = evidence[member.fingerprint].rank(penalty * member.size)
    return -group, -score


def _point(member: Member, evidence: Evidence, objectives: Sequence[str]) -> list[float] | None:
    found = [-float(member.size) if name == SIZE else evidence.mean(name) for name in objectives]
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) and evidence.mean() is not None else None
