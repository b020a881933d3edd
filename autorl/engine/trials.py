"""From trials to jobs and back: one trial is one job for each environment and each of its seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from autorl.engine.inflight import InflightSaver
from autorl.engine.lanes import Job, Outcome, evaluation_points
from autorl.engine.progress import Meter
from autorl.engine.session import Session
from autorl.outer.protocol import Status
from autorl.studies.trial import Curve, Ledger, Stage, Trial

States = Mapping[int, Sequence[Any]]
"""Trained states on the host by trial number, one for each of the trial's jobs."""


def run_trials(
    session: Session,
    trials: Sequence[Trial],
    meter: Meter,
    *,
    starts: Mapping[int, int] | None = None,
    parents: States | None = None,
    keep_states: bool = False,
    finished: Callable[[Sequence[Trial]], None] = lambda trials: None,
) -> tuple[list[Trial], dict[int, list[Any]]]:
    """Train ``trials`` together and return them as they ended, with their trained states if ``keep_states``.

    Args:
        session: The study.
        trials: Running trials of one phase.
        meter: Counts the work.
        starts: Nominal env steps at which a trial's own training begins (0 where absent), by number.
        parents: Trained states of the parents, by the parent's number.
        keep_states: Whether to return trained states.
        finished: Told trials as soon as all their jobs are done, in the order of trials.
    """
    jobs: list[Job] = []
    owners: list[int] = []
    for index, trial in enumerate(trials):
        made = _jobs(session, trial, (starts or {}).get(trial.number, 0), parents or {})
        jobs += made
        owners += [index] * len(made)
    jobs_of = Counter(owners)
    results: list[dict[int, Outcome]] = [{} for _ in trials]
    ended: dict[int, Trial] = {}

    def done(indices: Sequence[int], outcomes: Sequence[Outcome]) -> None:
        for i, outcome in zip(indices, outcomes, strict=True):
            results[owners[i]][i] = outcome
        touched = dict.fromkeys(owners[i] for i in indices)
        whole = [t for t in touched if len(results[t]) == jobs_of[t]]
        for t in whole:
            ended[t] = _assemble(session, trials[t], [results[t][i] for i in sorted(results[t])])
            meter.finished(ended[t].score)
        finished([ended[t] for t in whole])

    phase = f"{trials[0].arm}/{trials[0].phase}" if trials else ""
    session.trainer.run(
        jobs,
        keep_states=keep_states,
        stepped=meter.stepped,
        done=done,
        saver=lambda population: InflightSaver(session.folder.checkpoints, phase, population),
    )
    states = {t.number: [results[i][j].state for j in sorted(results[i])] for i, t in enumerate(trials)}
    return [ended[i] for i in range(len(trials))], states if keep_states else {}


def _jobs(session: Session, trial: Trial, start: int, parents: States) -> list[Job]:
    end = start + trial.env_steps
    stages = trial.schedule or (Stage(end, trial.candidate),)
    plan = tuple(Stage(stage.until, session.values(stage.candidate)) for stage in stages)
    evaluation = session.specification.evaluation
    points = evaluation_points(start, end, session.specification.budget.env_steps, evaluation.points)
    averaged = 1 if trial.phase == "test" else evaluation.averaged
    held = parents.get(trial.parent) if trial.parent is not None else None
    made: list[Job] = []
    for environment in range(len(session.environments)):
        for seed in trial.seeds:
            state = held[len(made)] if held is not None else None
            made.append(Job(trial.number, environment, seed, plan, points, start, averaged, state))
    return made


def _assemble(session: Session, trial: Trial, outcomes: Sequence[Outcome]) -> Trial:
    """Return the ended trial: its score is the mean over environments and seeds, and it failed if any of its jobs did."""
    seeds = len(trial.seeds)
    scores: list[tuple[float | None, ...]] = []
    curves: list[Curve] = []
    for e, choice in enumerate(session.environments):
        own = outcomes[e * seeds : (e + 1) * seeds]
        scores.append(tuple(_normalised(o.score, choice.score_range) for o in own))
        for s, outcome in enumerate(own):
            values = tuple(_normalised(r, choice.score_range) for r in outcome.returns)
            curves.append(Curve(e, s, outcome.env_steps, values))
    failed = next((o for o in outcomes if o.status is not Status.COMPLETED), None)
    flat = [score for row in scores for score in row if score is not None]
    ledger = Ledger()
    for o in outcomes:
        ledger += Ledger(o.train_env_steps, o.evaluation_env_steps, o.updates, o.compile_seconds, o.wall_seconds)
    return replace(
        trial,
        status=Status.COMPLETED if failed is None else failed.status,
        scores=tuple(scores),
        score=sum(flat) / len(flat) if failed is None else None,
        curves=tuple(curves),
        ledger=ledger,
        message="" if failed is None else failed.message,
    )


def _normalised(value: float | None, score_range: tuple[float, float] | None) -> float | None:
    if value is None or score_range is None:
        return value
    low, high = score_range
    return (value - low) / (high - low)
