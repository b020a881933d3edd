"""Who gets to the end: finalists from search scores, the winner from fresh tuning seeds too. Test seeds play no part."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autorl.inner.task_statistics import iqm
from autorl.outer.budget.over_seeds import shrunk_means
from autorl.outer.lineage import final_generation, schedule
from autorl.outer.protocol import Candidate, Status
from autorl.studies.trial import Stage, Trial

GIVEN = "start"
"""Origin of a trial whose candidate the search was given to begin with."""


@dataclass(frozen=True)
class Finalist:
    """What a finalist trains: a candidate, or a schedule of candidates, and the search trial it comes from."""

    candidate: Candidate
    schedule: tuple[Stage, ...] | None
    source: int


def choose_finalists(
    trials: Sequence[Trial],
    count: int,
    *,
    continues: bool,
    horizon: int | None = None,
    identity: Callable[[Trial], str] | None = None,
    simplest: Callable[[Candidate], Candidate] = lambda candidate: candidate,
    kin: Callable[[Trial], str] | None = None,
    size: Callable[[Trial], int] = lambda trial: 0,
    parsimony: float = 0.0,
) -> list[Finalist]:
    """Return the best ``count`` distinct finalists of a search, best first; fewer if fewer completed.

    Args:
        trials: Search trials of one arm.
        count: How many.
        continues: Whether trials continued from parents. Then a finalist is a member of the last generation, with the schedule of
            candidates that its lineage trained with, so that it can be trained again from scratch.
        horizon: Env steps of a whole training: the last stage of a schedule is extended to it, where a lineage began anew on the way.
        identity: A name for what a trial's candidate does. Trials of one name count once, by the mean of their scores: not by the luckiest.
        simplest: Returns the plainest candidate that does the same: what a finalist trains.
        kin: A name for the form of a trial's candidate. The best of each form is a finalist first, then the best of the rest: a loss must
            not fill the places with copies of itself whose constants differ a little.
        size: Parts that a trial's candidate is made of; trials of one name are represented by the smallest.
        parsimony: What a part costs, in units of the score.
    """
    pool = list(final_generation(trials)) if continues else list(trials)
    completed = [t for t in pool if t.status is Status.COMPLETED and t.score is not None]
    plans = {t.number: _stages(trials, t, horizon) if continues else None for t in completed}
    groups: dict[str, list[Trial]] = {}
    for trial in completed:
        name = identity(trial) if identity is not None else _written(trial, plans[trial.number])
        groups.setdefault(name, []).append(trial)
    merits = {
        n: sum(t.score or 0.0 for t in own) / len(own) - parsimony * min(map(size, own)) for n, own in groups.items()
    }
    ranked = [min(groups[n], key=size) for n in sorted(groups, key=lambda n: (-merits[n], groups[n][0].number))]
    forms = [t.number if kin is None else kin(t) for t in ranked]
    repeated = [forms.index(form) < i for i, form in enumerate(forms)]
    places = sorted(sorted(range(len(ranked)), key=lambda i: (repeated[i], i))[: max(count, 1)])
    firsts = [ranked[i] for i in places]
    return [Finalist(simplest(t.candidate), plans[t.number], t.number) for t in firsts]


def with_given(finalists: Sequence[Finalist], trials: Sequence[Trial], count: int) -> list[Finalist]:
    """Return ``finalists`` in which the first configuration that a search was given to begin with has a place, the last if need be.

    For a search of a found loss's constants, and for one that cuts trainings: a cut judges by how fast a configuration learns, so it can
    end the learner's defaults, or what the user began with, though nothing ends higher. Trained whole, the search has to beat it.
    A single place is left to what the search found best.

    Args:
        finalists: Best first.
        trials: Search trials of the same arm.
        count: Places.
    """
    given = next((t for t in trials if t.origin == GIVEN), None)
    if given is None or given.status not in (Status.COMPLETED, Status.PRUNED) or count < 2:
        return list(finalists)
    if any(f.candidate == given.candidate for f in finalists):
        return list(finalists)
    return [*finalists[: count - 1], Finalist(given.candidate, None, given.number)]


def _stages(trials: Sequence[Trial], trial: Trial, horizon: int | None) -> tuple[Stage, ...] | None:
    """Return the schedule that replays a trial of a lineage; None if it is a single candidate throughout."""
    plan = list(schedule(trials, trial.number))
    if plan and horizon is not None:
        plan[-1] = (horizon, plan[-1][1])
    return tuple(Stage(until, candidate) for until, candidate in plan) if len(plan) > 1 else None


def _written(trial: Trial, stages: tuple[Stage, ...] | None) -> str:
    """Return what a trial trains, as text."""
    return json.dumps([trial.candidate, [[s.until, s.candidate] for s in stages or ()]], sort_keys=True)


def pick_winner(
    finalists: Sequence[Trial],
    size: Callable[[Trial], int] = lambda trial: 0,
    parsimony: float = 0.0,
    searched: Mapping[int, Sequence[float | None]] | None = None,
) -> Trial | None:
    """Return the finalist with the highest interquartile mean over its tuning seeds, less ``parsimony`` for each part of its candidate.

    None if no training of any completed.

    Of those that cannot be told from it the smallest wins: those whose mean, seed by seed, is behind by no more than two standard
    errors, after the one-standard-error rule of Breiman et al. (1984): the best of many is best by luck as well. Seeds are shared, so
    the difference is paired.

    Where candidates raced on further seeds in the search, it is instead the one with the best mean over those and the fresh ones: see
    `pooled`.

    Args:
        finalists: Ended trials of one arm, with the same seeds.
        size: Parts that a finalist's candidate is made of; the same for all where size does not matter.
        parsimony: What a part costs, in units of the score.
        searched: Scores on further seeds in the search, by trial: `autorl.engine.evidence`. Empty where size matters.

    A failed training counts as the worst score that any finalist reached.
    """
    known = [s for t in finalists for row in t.scores for s in row if s is not None]
    if not known:
        return None
    if searched:
        values = pooled(finalists, searched)
        return max(finalists, key=lambda t: (values[t.number][0], -t.number))
    worst = min(known)

    def scores(trial: Trial) -> list[float]:
        return [worst if s is None else s for row in trial.scores for s in row]

    def value(trial: Trial) -> tuple[float, int]:
        mean = iqm(scores(trial)) if scores(trial) else -np.inf
        return (mean - parsimony * size(trial), -trial.number)

    best = max(finalists, key=value)
    equals = [t for t in finalists if t is best or _as_good(scores(t), scores(best))]
    return min(equals, key=lambda t: (size(t), *(-v for v in value(t)))) if len({*map(size, finalists)}) > 1 else best


def pooled(finalists: Sequence[Trial], searched: Mapping[int, Sequence[float | None]]) -> dict[int, tuple[float, int]]:
    """Return what each finalist is worth by the seeds that it raced on in the search and its fresh ones, and how many these are.

    Its mean, drawn towards that of all finalists the less seeds it has (`shrunk_means`): one that was cut in the search has the fresh
    ones only. A mean, and not the interquartile one: few finalists have more than a handful. What it gains: ``benchmarks/finalists.py``.

    Args:
        finalists: Ended trials of one arm, with the same seeds.
        searched: Scores on further seeds in the search, by trial; None for a training that failed.
    """
    raced = {t.number: searched.get(-1 if t.source is None else t.source, ()) for t in finalists}
    known = [s for t in finalists for row in (*t.scores, raced[t.number]) for s in row if s is not None]
    worst = min(known, default=0.0)
    fresh = {t.number: [_mean(column, worst) for column in zip(*t.scores, strict=True)] for t in finalists}
    scores = {n: [*(worst if s is None else s for s in raced[n]), *own] for n, own in fresh.items()}
    values = shrunk_means({number: own or [worst] for number, own in scores.items()})
    return {number: (value, len(scores[number])) for number, value in values.items()}


def _mean(scores: Sequence[float | None], worst: float) -> float:
    """Return the mean over environments; a failed training counts as ``worst``."""
    return float(np.mean([worst if s is None else s for s in scores]))


def _as_good(scores: Sequence[float], best: Sequence[float]) -> bool:
    """Return whether ``scores`` are behind ``best``, paired, by no more than two standard errors."""
    if len(scores) != len(best) or len(best) < 2:
        return False
    behind = np.asarray(best) - np.asarray(scores)
    return float(behind.mean()) <= 2.0 * float(behind.std(ddof=1)) / np.sqrt(len(behind))
