"""The outer loop over the inner one: ask, train, record, tell; and the same again after any interruption.

Whatever is asked for is written down before it is trained, and told in the order of asking, a batch at a time. A batch is a function of the
study's seed and the batches told before, so a study that was killed anywhere asks again for exactly what it was training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autorl.engine.generations import GenerationStore
from autorl.engine.hurdles import run_staged
from autorl.engine.methods import policy_of, result_of, trial_of
from autorl.engine.progress import Meter
from autorl.engine.rungs import run_under_policy
from autorl.engine.session import Session
from autorl.engine.trials import recorded, run_trials
from autorl.errors import StudyError
from autorl.outer.protocol import SearchMethod, Status
from autorl.studies.trial import Arm, Trial


def run_search(session: Session, arm: Arm, phase_name: str) -> list[Trial]:
    """Run (or go on with) the search of one arm to the end of its budget; return all its trials."""
    if arm == "method" and policy_of(session.specification) is not None:
        return run_under_policy(session, arm, phase_name)
    method, space = session.method(arm), session.space
    assert space is not None
    record = session.record
    trials = record.trials(arm, "search")
    told = sorted((t for t in trials if t.told is not None), key=lambda t: t.told or 0)
    state = method.tell(method.init(), [result_of(t, space) for t in told]) if told else method.init()
    store = GenerationStore(session, arm) if method.continues else None
    meter = _meter(session, phase_name, method, trials)
    left = {t.number: t for t in trials if t.told is None}
    while not method.finished(state):
        session.stopper.check()
        proposals = method.ask(state, _batch(session, method, state))
        batch = recorded(session, left, [trial_of(p, space, arm, session.seeds("search", p.repeat)) for p in proposals])
        left = {}
        ended = _train(session, batch, told, store, meter)
        record.tell([(t.arm, t.phase, t.number) for t in ended])
        told += ended
        state = method.tell(state, [result_of(t, space) for t in ended])
        if store is not None:
            store.prune(len(told))
    session.note_statistics(arm, method, state)
    return record.trials(arm, "search")


def _batch(session: Session, method: SearchMethod[Any], state: Any) -> int:
    """Return how many trials to ask for; a method whose generation cannot be cut overrides the wish."""
    search = session.specification.search
    available = method.available(state)
    if available < 1:
        raise StudyError(f"search method {method.name!r} has not finished but asks for nothing")
    wish = search.batch if search is not None else None
    return available if wish is None or method.continues else min(wish, available)


def _train(
    session: Session,
    batch: list[Trial],
    told: Sequence[Trial],
    store: GenerationStore | None,
    meter: Meter,
) -> list[Trial]:
    """Train what of the batch has not ended yet; return the whole batch, ended."""
    session.in_company(batch)
    if store is None:
        ended = {t.number: t for t in batch if t.status is not Status.RUNNING}
        running = [t for t in batch if t.number not in ended]
        # what crashes throughout the first batch is most likely the user's environment: mended, the study can go on
        finish = session.record.finish if told else _nothing
        fresh = run_staged(session, running, meter, told, finish)
        if not told:
            _refuse_crashes(fresh)
            session.record.finish(fresh)
        ended |= {t.number: t for t in fresh}
        return [ended[t.number] for t in batch]
    if all(t.status is not Status.RUNNING for t in batch):
        return batch  # finished and saved, not yet told
    starts = {t.number: store.nominal(t.parent, told) for t in batch}
    fresh, states = run_trials(
        session, batch, meter, starts=starts, parents=store.load(len(told), batch), keep_states=True
    )
    if not told:
        _refuse_crashes(fresh)
    # the states first: a record that knows a generation can always continue from it
    store.save(len(told) + len(fresh), fresh, states)
    session.record.finish(fresh)
    return fresh


def _nothing(trials: Sequence[Trial]) -> None:
    """Keep no trial apart from its batch."""


def _refuse_crashes(trials: Sequence[Trial]) -> None:
    if trials and all(t.status is Status.CRASHED for t in trials):
        raise StudyError(f"every trial of the first batch crashed, so nothing was recorded: {trials[0].message}")


def _meter(session: Session, name: str, method: SearchMethod[Any], trials: Sequence[Trial]) -> Meter:
    budget, seeds = session.specification.budget, session.specification.seeds.search
    work = budget.trainings * session.steps([*session.acts_in("search"), *session.validation]) * seeds
    meter = Meter(name, method.trials, work, session.report)
    ended = [t for t in trials if t.status is not Status.RUNNING]
    if ended:
        scores = [t.score for t in ended if t.score is not None]
        steps = sum(t.ledger.train_env_steps for t in ended)
        failed = sum(t.score is None and t.status is not Status.PRUNED for t in ended)
        meter.already(len(ended), failed, steps, max(scores, default=None))
    else:
        meter.show("compiling")
    return meter
