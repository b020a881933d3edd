"""The phases of a study: search, the random-search baseline at equal work, finalists on fresh seeds, the test.

Every phase picks up what the record holds of it, so running a study and resuming it are the same call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from autorl.engine.evidence import evidence
from autorl.engine.merit import by_merit, runners_up
from autorl.engine.methods import is_random_search, policy_of
from autorl.engine.progress import Meter
from autorl.engine.search import run_search
from autorl.engine.selection import Finalist, choose_finalists, pick_winner, with_given
from autorl.engine.session import Session
from autorl.engine.trials import run_trials
from autorl.engine.winner import behaviour, kin, plainest, sizes
from autorl.errors import StudyError
from autorl.outer.protocol import Status
from autorl.spaces.plain_values import OBJECTIVE, teacher_entries
from autorl.spaces.screening import as_found
from autorl.studies import checkpoint
from autorl.studies.specification import to_mapping
from autorl.studies.trial import OBJECTIVE_ARM, TEACHER_ARM, Arm, Phase, Stage, Trial


def run_study(session: Session) -> None:
    """Run every phase that is not finished. The record then holds all that analysis needs.

    Raises:
        StudyInterrupted: Stopped on request, after saving.
        StudyError: Every trial of the first batch crashed, or the record is not of this specification.
    """
    winners: dict[Arm, Finalist] = {}
    if session.specification.search is not None:
        winners |= _search_and_select(session)
    else:
        winners["method"] = _given(session)
    if session.specification.baselines.default:
        winners["default"] = Finalist({}, None, -1)
    for name in session.specification.baselines.objectives:
        winners[f"{OBJECTIVE_ARM}{name}"] = Finalist({OBJECTIVE: name}, None, -1)
    for teacher in session.specification.baselines.teachers:
        winners[f"{TEACHER_ARM}{teacher.name}"] = Finalist(teacher_entries(teacher.name, teacher.parameters), None, -1)
    _test(session, winners)
    checkpoint.prune(
        session.folder.checkpoints, ()
    )  # nothing is in flight any more, and nothing continues from a state


def arms(session: Session) -> list[Arm]:
    """Return the arms that search: the method's, and random search unless that is the method or not wanted."""
    same = is_random_search(session.specification)
    return ["method"] if same or not session.specification.baselines.random else ["method", "random"]


def _search_and_select(session: Session) -> dict[Arm, Finalist]:
    winners: dict[Arm, Finalist] = {}
    finalists: dict[Arm, list[Finalist]] = {}
    parsimony = session.specification.parsimony
    for arm in arms(session):
        name = "search" if arm == "method" else "random baseline"
        finalists[arm] = _finalists(session, arm, run_search(session, arm, name))
    seeds = session.seeds("tuning")
    contested = {arm: chosen for arm, chosen in finalists.items() if seeds and len(chosen) > 1}
    trials = [
        _trial(arm, "finalists", number, finalist, session, seeds)
        for arm, chosen in contested.items()
        for number, finalist in enumerate(chosen)
    ]
    ended = _run_phase(session, "finalists", trials)
    searched, plain = session.record.trials(phase="search"), to_mapping(session.specification)
    tested = {t.arm: t for t in session.record.trials(phase="test")}
    for arm, chosen in finalists.items():
        own = [t for t in ended if t.arm == arm]
        raced = evidence(searched, plain, session.space) if arm == "method" else {}
        best = pick_winner(own, sizes(session.space), parsimony, raced)
        if arm in tested:  # an older version may have chosen another by its rule, and trained it
            best = next((t for t in own if t.source == tested[arm].source), best)
        if best is not None:
            # what was trained, and not chosen[best.number]: an older version may have chosen other finalists
            winners[arm] = Finalist(best.candidate, best.schedule, -1 if best.source is None else best.source)
        elif chosen:
            winners[arm] = chosen[0]
    return winners


def _finalists(session: Session, arm: Arm, searched: Sequence[Trial]) -> list[Finalist]:
    """Return the finalists of an arm's search, best first.

    Where a budget policy let a single trial come furthest, those that came next are finalists too.
    """
    specification, count = session.specification, session.specification.finalists
    choose = partial(
        choose_finalists,
        continues=session.method(arm).continues,
        horizon=specification.budget.env_steps,
        identity=behaviour(session.space),
        kin=kin(session.space),
        simplest=plainest(session.space),
        size=sizes(session.space),
        parsimony=specification.parsimony,
    )
    if arm != "method" or policy_of(specification) is None:
        found = choose(searched, count)
        return with_given(found, searched, count) if arm == "method" and as_found(session.space) else found
    found = choose(by_merit(specification, searched), count)
    if len(found) < 2:
        for others in runners_up(specification, searched):
            found += [f for f in choose(others, count) if f.candidate not in [g.candidate for g in found]]
    return with_given(found[: max(count, 1)], searched, count)


def _given(session: Session) -> Finalist:
    """Return the one configuration (or schedule) of an experiment without a search."""
    learner, entries = session.specification.learner, session.specification.schedule
    fixed = dict(learner.hyperparameters) if learner is not None else {}
    if not entries:
        return Finalist(fixed, None, -1)
    stages = tuple(Stage(entry.until, {**fixed, **entry.hyperparameters}) for entry in entries)
    return Finalist(stages[-1].candidate, stages, -1)


def _test(session: Session, winners: dict[Arm, Finalist]) -> None:
    seeds = session.seeds("test")
    trials = [_trial(arm, "test", 0, winner, session, seeds) for arm, winner in winners.items()]
    plain = session.specification.search is None and session.specification.schedule is None
    learner = session.specification.learner
    if plain and learner is not None and not learner.hyperparameters and learner.objective is None:
        trials = [t for t in trials if t.arm != "default"]  # the configuration is the default one
    _run_phase(session, "test", trials)


def _trial(arm: Arm, phase: Phase, number: int, finalist: Finalist, session: Session, seeds: Sequence[int]) -> Trial:
    return Trial(
        arm=arm,
        phase=phase,
        number=number,
        candidate=finalist.candidate,
        env_steps=session.specification.budget.env_steps,
        origin={"method": "finalist", "random": "finalist"}.get(arm, arm.partition(":")[0]),
        schedule=finalist.schedule,
        source=None if finalist.source < 0 else finalist.source,
        seeds=tuple(seeds),
    )


def _run_phase(session: Session, phase: Phase, due: Sequence[Trial]) -> list[Trial]:
    """Train what the record does not hold yet of ``due``; return all of it, ended."""
    if not due:
        return []
    known = {(t.arm, t.number): t for t in session.record.trials(phase=phase)}
    for trial in due:
        held = known.get((trial.arm, trial.number))
        if held is not None and (held.candidate, held.schedule) != (trial.candidate, trial.schedule):
            raise StudyError(
                f"{phase} trial {trial.number} of the record is not the one that the search leads to; were versions changed?"
            )
    session.record.add([t for t in due if (t.arm, t.number) not in known])
    running = [t for t in due if known.get((t.arm, t.number), t).status is Status.RUNNING]
    work = sum(len(t.seeds) for t in due) * session.steps(session.acts_in(phase))
    meter = Meter(phase, len(due), work, session.report)
    ended = [known[t.arm, t.number] for t in due if t not in running]
    if ended:
        failed = sum(t.score is None for t in ended)
        meter.already(len(ended), failed, sum(t.ledger.train_env_steps for t in ended), None)
    # trials of different arms may share a number; the engine only needs them apart
    apart = [replace(t, number=i) for i, t in enumerate(running)]
    numbers = {i: t.number for i, t in enumerate(running)}

    def finished(trials: Sequence[Trial]) -> None:
        session.record.finish([replace(t, number=numbers[t.number]) for t in trials])

    session.in_company(due)
    run_trials(session, apart, meter, finished=finished, numbers=numbers)
    wanted = {(t.arm, t.number) for t in due}
    return [t for t in session.record.trials(phase=phase) if (t.arm, t.number) in wanted]
