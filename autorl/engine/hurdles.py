"""Hurdles: a trial of the search goes on to its later steps and environments only if it has done well enough so far.

All trials of a batch train up to the hurdle together; those that pass are spread anew over the lanes, so that nobody's lane stands
empty, and go on from their own trained states. What was stopped is ``pruned``: it ranks behind everything that finished, by its score at
the hurdle. (Co-Reyes et al., 2021, stop at a score of .6 on CartPole; AutoML-Zero, Real et al., 2020, at a quantile of recent scores.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from autorl.engine.lanes import Job, Outcome, evaluation_points, final_score
from autorl.engine.progress import Meter
from autorl.engine.session import Session
from autorl.engine.trials import Finished, assemble, jobs_of, ledger_of, normalised, run_jobs, score_rows
from autorl.outer.protocol import Status
from autorl.studies.models import Hurdle
from autorl.studies.trial import AT_HURDLE, VALIDATION, Trial


def threshold(hurdle: Hurdle, told: Sequence[Trial]) -> float:
    """Return the score that passes now: a function of the trials told before, and so the same after a resume.

    Args:
        hurdle: Its settings.
        told: Trials told so far, in the order of telling.
    """
    if hurdle.score is not None:
        return float(hurdle.score)
    assert hurdle.quantile is not None
    known = [t.values[AT_HURDLE] for t in told[-hurdle.window :] if AT_HURDLE in t.values]
    return float(np.quantile(known, hurdle.quantile)) if known else -np.inf


def run_staged(
    session: Session, trials: Sequence[Trial], meter: Meter, told: Sequence[Trial], finished: Finished
) -> list[Trial]:
    """Train search trials over the study's hurdle, if it has one, and then in its validation environments.

    Args:
        session: The study.
        trials: Running search trials.
        meter: Counts the work.
        told: Trials told so far: a hurdle may depend on them.
        finished: Told trials as soon as they have ended for good.
    """
    if not trials:
        return []
    hurdle, where = session.specification.hurdle, session.acts_in("search")
    phase = f"{trials[0].arm}/search"
    if hurdle is None:
        outcomes = run_jobs(session, phase, [jobs_of(session, t, where) for t in trials], meter)
        return _finish(session, trials, outcomes, [{} for _ in trials], meter, finished)
    before = where[: hurdle.environments]
    stops = hurdle.env_steps is not None
    points = session.specification.evaluation.points
    first_jobs = [jobs_of(session, t, before, until=hurdle.env_steps) for t in trials]
    first = run_jobs(session, f"{phase}/before", first_jobs, meter, keep_states=stops)
    scores = [_mean_score(session, t, own) for t, own in zip(trials, first, strict=True)]
    least = threshold(hurdle, told)
    passed = [i for i, score in enumerate(scores) if score is not None and score >= least]
    fallen = [i for i in range(len(trials)) if i not in set(passed)]
    stopped = [_stopped(session, trials[i], first[i], scores[i], least) for i in fallen]
    for trial in stopped:
        planned = session.steps([*where, *session.validation]) * len(trial.seeds)
        meter.saved(planned - trial.ledger.train_env_steps)
        if trial.status is Status.PRUNED:
            meter.pruned()
        else:
            meter.finished(None)
    finished(stopped)
    rest = [_rest(session, trials[i], first[i], before, hurdle.env_steps) for i in passed]
    second = run_jobs(session, f"{phase}/after", rest, meter)
    whole = [_joined(first[i], second[k], first_jobs[i], stops, points) for k, i in enumerate(passed)]
    extra = [{AT_HURDLE: score} for i in passed if (score := scores[i]) is not None]
    going = _finish(session, [trials[i] for i in passed], whole, extra, meter, finished)
    ended = {t.number: t for t in [*stopped, *going]}
    return [ended[t.number] for t in trials]


def _rest(
    session: Session, trial: Trial, first: Sequence[Outcome], before: Sequence[int], stop: int | None
) -> list[Job]:
    """Return the jobs of a trial that has passed: the rest of those that were cut, and the environments after the hurdle."""
    after = [e for e in session.acts_in("search") if e not in before]
    jobs = jobs_of(session, trial, after)
    if stop is None:
        return jobs
    longer = [e for e in before if session.horizon(e) > stop]
    held = [o.state for e, o in _by_environment(before, trial, first) if e in longer]
    return [*jobs_of(session, trial, longer, start=stop, held=held), *jobs]


def _by_environment(where: Sequence[int], trial: Trial, outcomes: Sequence[Outcome]) -> list[tuple[int, Outcome]]:
    return [(where[i // len(trial.seeds)], outcome) for i, outcome in enumerate(outcomes)]


def _joined(
    first: Sequence[Outcome], second: Sequence[Outcome], jobs: Sequence[Job], stops: bool, points: int
) -> list[Outcome]:
    """Return the outcomes of whole trainings: what came before the hurdle, with its continuation where there is one."""
    continued = [j for j, job in enumerate(jobs) if stops and not _whole(job)]
    made = list(first)
    for position, j in enumerate(continued):
        made[j] = _sum(_without_extra(first[j], jobs[j], points), second[position], jobs[j].averaged)
    return [*made, *second[len(continued) :]]


def _without_extra(outcome: Outcome, job: Job, points: int) -> Outcome:
    """Leave out the evaluation at the hurdle where there would be none without it: a curve is then that of an uncut training."""
    if job.plan[-1].until in evaluation_points(0, job.horizon, job.horizon, points):
        return outcome
    return replace(outcome, env_steps=outcome.env_steps[:-1], returns=outcome.returns[:-1])


def _whole(job: Job) -> bool:
    """Return whether a job before the hurdle trained to the end."""
    return job.plan[-1].until >= job.horizon


def _sum(one: Outcome, two: Outcome, averaged: int) -> Outcome:
    """Return one training made of two parts; its score is the mean of its last evaluations, in whichever part they fell."""
    returns = one.returns + two.returns
    score = final_score(returns, averaged) if two.status is Status.COMPLETED else None
    lost = two.status is Status.COMPLETED and score is None  # an evaluation before the hurdle was not finite
    return replace(
        two,
        status=Status.DIVERGED if lost else two.status,
        message="non-finite return before the hurdle" if lost else two.message,
        score=score,
        env_steps=one.env_steps + two.env_steps,
        returns=returns,
        train_env_steps=one.train_env_steps + two.train_env_steps,
        evaluation_env_steps=one.evaluation_env_steps + two.evaluation_env_steps,
        updates=one.updates + two.updates,
        compile_seconds=one.compile_seconds + two.compile_seconds,
        wall_seconds=one.wall_seconds + two.wall_seconds,
    )


def _mean_score(session: Session, trial: Trial, outcomes: Sequence[Outcome]) -> float | None:
    """Return the score at the hurdle; None if any training failed."""
    flat = [score for row in score_rows(session, trial, outcomes) for score in row]
    known = [score for score in flat if score is not None]
    return sum(known) / len(known) if known and len(known) == len(flat) else None


def _stopped(session: Session, trial: Trial, outcomes: Sequence[Outcome], score: float | None, least: float) -> Trial:
    ended = assemble(session, trial, outcomes)
    session.note_lessons(trial, outcomes)
    if score is None or ended.status is not Status.COMPLETED:
        return ended
    message = f"score {score:.4g} at the hurdle, {least:.4g} needed"
    return replace(ended, status=Status.PRUNED, score=None, values={AT_HURDLE: score}, message=message)


def _finish(
    session: Session,
    trials: Sequence[Trial],
    outcomes: Sequence[Sequence[Outcome]],
    extra: Sequence[Mapping[str, float]],
    meter: Meter,
    finished: Finished,
) -> list[Trial]:
    """Return the trials as they ended, with their scores in the validation environments."""
    for t, own in zip(trials, outcomes, strict=True):
        session.note_lessons(t, own)
    made = [
        replace(assemble(session, t, own), values=dict(values))
        for t, own, values in zip(trials, outcomes, extra, strict=True)
    ]
    good = [i for i, t in enumerate(made) if t.status is Status.COMPLETED] if session.validation else []
    if good:
        jobs = [jobs_of(session, made[i], session.validation) for i in good]
        found = run_jobs(session, f"{made[0].arm}/search/validation", jobs, meter)
        for i, own in zip(good, found, strict=True):
            made[i] = _validated(session, made[i], own)
    for trial in made:
        meter.finished(trial.score)
    finished(made)
    return made


def _validated(session: Session, trial: Trial, outcomes: Sequence[Outcome]) -> Trial:
    """Add the score in the validation environments; a training that failed there leaves the trial without one."""
    pairs = _by_environment(session.validation, trial, outcomes)
    scores = [normalised(o.score, session.score_range(e)) for e, o in pairs]
    known = [score for score in scores if score is not None]
    ledger = trial.ledger + ledger_of(outcomes)
    if len(known) < len(scores):
        return replace(trial, ledger=ledger)
    return replace(trial, ledger=ledger, values={**trial.values, VALIDATION: sum(known) / len(known)})
