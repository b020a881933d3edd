"""What trials that a budget policy cuts are worth, and so which is the best of a study. Pure, and without jax."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from autorl.engine.evidence import evidence
from autorl.engine.methods import policy_of
from autorl.engine.winner import best_of
from autorl.outer.budget.protocol import Run, scores_at
from autorl.outer.protocol import Status
from autorl.spaces import Space
from autorl.studies.runs import runs_of as trainings_of
from autorl.studies.specification import Specification, to_mapping
from autorl.studies.trial import Trial


def runs_of(specification: Specification, trial: Trial) -> list[Run]:
    """Return the trainings of a trial as a policy sees them; none before the first order is carried out."""
    width, points = specification.seeds.search, specification.evaluation.points
    runs = trainings_of(trial, width, points, specification.budget.env_steps)
    # then its first training goes no further; on seeds of its own it may race on
    over = trial.status is not Status.RUNNING
    return [replace(run, ended=run.ended or (over and run.seed == 0)) for run in runs]


def by_merit(specification: Specification, trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that got furthest, each with what the study's policy says that it is worth as its score.

    A trial that is under way and has come as far is among them, as it stands.
    """
    policy = policy_of(specification)
    assert policy is not None
    merits = policy.merits(
        [run for t in trials for run in runs_of(specification, t)], specification.evaluation.averaged
    )
    able = [t for t in trials if t.number in merits and t.status in (Status.COMPLETED, Status.PRUNED, Status.RUNNING)]
    return [replace(t, status=Status.COMPLETED, score=merits[t.number]) for t in able]


def runners_up(specification: Specification, trials: Sequence[Trial]) -> Iterator[list[Trial]]:
    """Yield the trials that got to each rung below the highest that any reached, and no further, from the highest of these down.

    Each has its score there, by ``evaluation.averaged``.
    """
    policy = policy_of(specification)
    assert policy is not None
    runs = [run for t in trials for run in runs_of(specification, t)]
    last, seen = specification.evaluation.averaged, {t.number for t in by_merit(specification, trials)}
    able = {t.number: t for t in trials if t.status in (Status.COMPLETED, Status.PRUNED, Status.RUNNING)}
    for rung in reversed(policy.rungs):
        scores = {n: score for n, score in scores_at(runs, rung, last).items() if n in able and n not in seen}
        seen |= scores.keys()
        if scores:
            yield [replace(able[n], status=Status.COMPLETED, score=score) for n, score in scores.items()]


def best_trial(specification: Specification, space: Space | None, trials: Sequence[Trial]) -> Trial | None:
    """Return the best trial of a study's own method, by its budget policy where it has one: see `autorl.engine.winner.best_of`."""
    merit = None if policy_of(specification) is None else partial(by_merit, specification)
    final = any(t.phase == "finalists" for t in trials)
    searched = evidence(trials, to_mapping(specification), space) if final else {}
    return best_of(trials, space, specification.parsimony, merit, searched)
