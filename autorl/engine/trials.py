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
from autorl.errors import StudyError
from autorl.outer.protocol import Status
from autorl.studies.trial import Curve, Ledger, Stage, Trial

States = Mapping[int, Sequence[Any]]
"""Trained states on the host by trial number, one for each of the trial's jobs."""
Finished = Callable[[Sequence[Trial]], None]


def run_trials(
    session: Session,
    trials: Sequence[Trial],
    meter: Meter,
    *,
    starts: Mapping[int, int] | None = None,
    parents: States | None = None,
    keep_states: bool = False,
    finished: Finished = lambda trials: None,
    numbers: Mapping[int, int] | None = None,
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
        numbers: From the numbers of these trials to those that they have in the record, where they differ.
    """
    where = session.acts_in(trials[0].phase) if trials else ()
    jobs = [
        jobs_of(session, trial, where, start=(starts or {}).get(trial.number, 0), held=_held(trial, parents))
        for trial in trials
    ]
    ended: dict[int, Trial] = {}

    def done(whole: Mapping[int, Sequence[Outcome]]) -> None:
        for index, outcomes in whole.items():
            ended[index] = assemble(session, trials[index], outcomes)
            number = (numbers or {}).get(trials[index].number, trials[index].number)
            session.note_lessons(replace(trials[index], number=number), outcomes)
            meter.finished(ended[index].score)
        finished([ended[index] for index in whole])
        for index, outcomes in whole.items():  # after what counts is recorded: a by-product loses no results
            session.keep_policies(trials[index], outcomes)

    tested = bool(trials) and trials[0].phase == "test"
    outcomes = run_jobs(session, _phase(trials), jobs, meter, keep_states=keep_states, keep_agents=tested, done=done)
    states = {t.number: [o.state for o in own] for t, own in zip(trials, outcomes, strict=True)}
    return [ended[i] for i in range(len(trials))], states if keep_states else {}


def _held(trial: Trial, parents: States | None) -> Sequence[Any] | None:
    return None if trial.parent is None or parents is None else parents.get(trial.parent)


def run_jobs(
    session: Session,
    phase: str,
    jobs: Sequence[Sequence[Job]],
    meter: Meter,
    *,
    keep_states: bool = False,
    keep_agents: bool = False,
    done: Callable[[Mapping[int, Sequence[Outcome]]], None] = lambda whole: None,
) -> list[list[Outcome]]:
    """Train the jobs of several trials together; return each trial's outcomes.

    Args:
        session: The study.
        phase: Tells these jobs from any others of the study.
        jobs: Of each trial.
        meter: Counts the work.
        keep_states: Whether outcomes carry trained states.
        keep_agents: Whether they carry what the trained agents act by.
        done: Told the outcomes of trials (by index) as soon as all their jobs are done.
    """
    flat = [job for own in jobs for job in own]
    owners = [index for index, own in enumerate(jobs) for _ in own]
    needed = Counter(owners)
    results: list[dict[int, Outcome]] = [{} for _ in jobs]

    def ready(indices: Sequence[int], outcomes: Sequence[Outcome]) -> None:
        for i, outcome in zip(indices, outcomes, strict=True):
            results[owners[i]][i] = outcome
        touched = dict.fromkeys(owners[i] for i in indices)
        whole = [t for t in touched if len(results[t]) == needed[t]]
        done({t: [results[t][i] for i in sorted(results[t])] for t in whole})

    session.trainer.run(
        flat,
        keep_states=keep_states,
        keep_agents=keep_agents,
        stepped=meter.stepped,
        done=ready,
        saver=lambda waiting: InflightSaver(session.folder.checkpoints, phase, waiting),
    )
    session.note_programs()
    return [[own[i] for i in sorted(own)] for own in results]


def jobs_of(
    session: Session,
    trial: Trial,
    environments: Sequence[int],
    *,
    start: int = 0,
    until: int | None = None,
    held: Sequence[Any] | None = None,
) -> list[Job]:
    """Return the jobs of a trial: one for each of ``environments`` and seeds, in this order.

    Args:
        session: The study.
        trial: The trial.
        environments: Indices into the study's environments.
        start: Env steps trained before.
        until: Env steps at which to stop before the end (at a hurdle).
        held: Trained states to continue from, one a job.
    """
    evaluation, budget = session.specification.evaluation, session.specification.budget
    averaged = 1 if trial.phase == "test" else evaluation.averaged
    made: list[Job] = []
    for environment in environments:
        horizon = session.horizon(environment)
        # in an environment with a length of its own, a whole training is that long
        length = trial.env_steps if horizon == budget.env_steps or session.continues else horizon
        end = length if not start or not session.continues else start + length
        stages = trial.schedule or (Stage(end, trial.candidate),)
        stop = min(end, until) if until is not None else end
        plan = tuple(Stage(min(s.until, stop), session.values(s.candidate, environment, trial.arm)) for s in stages)
        first = 0 if not session.continues else start
        points = tuple(p for p in evaluation_points(first, end, horizon, evaluation.points) if p > start)
        cut = points if until is None else tuple(sorted({p for p in points if p <= stop} | {stop}))
        for seed in trial.seeds:
            state = held[len(made)] if held is not None else None
            made.append(Job(trial.number, environment, seed, plan, cut, start, averaged, horizon, state))
    return made


def recorded(session: Session, known: dict[int, Trial], batch: list[Trial]) -> list[Trial]:
    """Write the batch down, or return it as an earlier run of this study left it in ``known``.

    Raises:
        StudyError: What was left is not what is asked for now.
    """
    if known and sorted(known) != [t.number for t in batch]:
        raise StudyError(
            f"the record holds unfinished trials {sorted(known)} where {[t.number for t in batch]} are due; "
            "it was written by another version or another specification"
        )
    for trial in batch if known else []:
        if known[trial.number].candidate != trial.candidate:
            raise StudyError(
                f"trial {trial.number} of the record is not the one this study asks for; were versions or the specification changed?"
            )
    if not known:
        session.record.add(batch)
        return batch
    return [known[t.number] for t in batch]


def assemble(session: Session, trial: Trial, outcomes: Sequence[Outcome]) -> Trial:
    """Return the ended trial: its score is the mean over environments and seeds, and it failed if any of its jobs did."""
    rows = score_rows(session, trial, outcomes)
    curves = []
    seeds = len(trial.seeds)
    for i, outcome in enumerate(outcomes):
        span = session.score_range(session.acts_in(trial.phase)[i // seeds])
        values = tuple(normalised(r, span) for r in outcome.returns)
        curves.append(Curve(i // seeds, i % seeds, outcome.env_steps, values))
    failed = next((o for o in outcomes if o.status is not Status.COMPLETED), None)
    flat = [score for row in rows for score in row if score is not None]
    return replace(
        trial,
        status=Status.COMPLETED if failed is None else failed.status,
        scores=rows,
        score=sum(flat) / len(flat) if failed is None else None,
        curves=tuple(curves),
        ledger=ledger_of(outcomes),
        message="" if failed is None else failed.message,
    )


def score_rows(session: Session, trial: Trial, outcomes: Sequence[Outcome]) -> tuple[tuple[float | None, ...], ...]:
    """Return [environments][seeds] normalised scores of the first ``len(outcomes) / seeds`` environments of the trial's phase."""
    seeds = len(trial.seeds)
    where = session.acts_in(trial.phase)[: len(outcomes) // seeds]
    return tuple(
        tuple(normalised(o.score, session.score_range(e)) for o in outcomes[i * seeds : (i + 1) * seeds])
        for i, e in enumerate(where)
    )


def ledger_of(outcomes: Sequence[Outcome]) -> Ledger:
    """Return the work of ``outcomes`` together."""
    ledger = Ledger()
    for o in outcomes:
        ledger += Ledger(o.train_env_steps, o.evaluation_env_steps, o.updates, o.compile_seconds, o.wall_seconds)
    return ledger


def normalised(value: float | None, score_range: tuple[float, float] | None) -> float | None:
    """Return a return as a score: 0 and 1 at the ends of ``score_range``, itself without one."""
    if value is None or score_range is None:
        return value
    low, high = score_range
    return (value - low) / (high - low)


def _phase(trials: Sequence[Trial]) -> str:
    return f"{trials[0].arm}/{trials[0].phase}" if trials else ""
