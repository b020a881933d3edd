"""Which of its seeds a search under a budget policy begins with: those with which untrained agents score worst.

All trials begin on the same seeds (common random numbers), so with the same initial network. On a lucky one, an agent that learns nothing
scores far above what learns, for a while: an untrained network may hold CartPole's pole for hundreds of steps, and then the smallest
learning rates outlive every cut. Where untrained agents score worst, whoever scores well has learned something.

No trial has a say in the choice, nor has any seed of the finalists or of the test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from autorl.engine.lanes import Job
from autorl.engine.session import Session
from autorl.engine.trials import jobs_of, normalised
from autorl.spaces.plain_values import DISTILL_FROM, NOBODY, TEACHER
from autorl.studies.seeds import FIRST_SEEDS
from autorl.studies.trial import Arm, Trial

LOOKED_AT = 16
"""Blocks of seeds that are looked at: as many as `auto` has trials in a batch, so that they fit into the lanes of the same program."""
UNTRAINED = 1
"""Env steps of an agent that has not learned yet: fewer than any algorithm learns from."""


def block(session: Session, number: int) -> tuple[int, ...]:
    """Return a study's block of search seeds number ``number``: first the one that it begins with, then the others in their order."""
    noted = session.record.meta(FIRST_SEEDS)
    first = 0 if noted is None else int(noted["block"])
    place = first if number == 0 else number - 1 if number <= first else number
    return session.seeds("search", place)


def choose(session: Session, arm: Arm, trial: Trial) -> None:
    """Choose the seeds that all trials of a search begin with, and write the choice down, if that is not done.

    Where trials are there already, of an earlier version or of a study that this one goes on with, their seeds stay. Taught agents, and
    those that begin with what another has learned, are no untrained ones: nobody looks at them.

    Args:
        session: The study.
        arm: Whose search it is.
        trial: The first one; the initial network is as its candidate has it.
    """
    if session.record.meta(FIRST_SEEDS) is not None:
        return
    blocks = [session.seeds("search", number) for number in range(LOOKED_AT)]
    width = len(blocks[0])
    before = [t.seeds[:width] for t in session.record.trials(arm, "search")]
    if before:
        session.record.set_meta(FIRST_SEEDS, {"block": blocks.index(before[0]) if before[0] in blocks else 0})
        return
    scores = None if _taught(session.values(trial.candidate, 0, arm)) else _untrained(session, trial, blocks)
    chosen = 0 if scores is None else scores.index(min(scores))
    seen = {} if scores is None else {"untrained": scores}
    session.record.set_meta(FIRST_SEEDS, {"block": chosen, **seen})


def _taught(values: Mapping[str, object]) -> bool:
    return TEACHER in values or values.get(DISTILL_FROM, NOBODY) != NOBODY


def _untrained(session: Session, trial: Trial, blocks: Sequence[tuple[int, ...]]) -> list[float] | None:
    """Return the mean score of untrained agents on each block of seeds; None if there is one that cannot act, which the search will say."""
    where, jobs = session.acts_in("search"), list[Job]()
    for seeds in blocks:
        own = replace(trial, env_steps=session.specification.budget.env_steps, seeds=seeds)
        jobs += [replace(job, goes_on=True) for job in jobs_of(session, own, where, until=UNTRAINED)]
    session.in_company([trial])
    outcomes = session.trainer.run(jobs)
    scores: list[float] = []
    each = len(jobs) // len(blocks)
    for start in range(0, len(jobs), each):
        part = zip(outcomes[start : start + each], jobs[start : start + each], strict=True)
        found = [normalised(outcome.score, session.score_range(job.environment)) for outcome, job in part]
        known = [score for score in found if score is not None]
        if len(known) < each:
            return None
        scores.append(sum(known) / each)
    return scores
