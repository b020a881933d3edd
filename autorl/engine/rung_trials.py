"""Trials that a budget policy cuts, as they are after the next part of their training. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count, islice

from autorl.engine.lanes import Job, Outcome, final_score
from autorl.engine.session import Session
from autorl.engine.trials import jobs_of, ledger_of, normalised
from autorl.outer.budget.protocol import Order
from autorl.outer.protocol import Status
from autorl.studies.runs import checkpoint
from autorl.studies.trial import AT_HURDLE, Curve, Trial


def block_of(session: Session, trial: Trial, seed: int) -> Trial:
    """Return the trial as a whole training on its block of seeds number ``seed``."""
    return replace(trial, env_steps=session.specification.budget.env_steps, seeds=_block(session, trial, seed))


def _block(session: Session, trial: Trial, number: int) -> tuple[int, ...]:
    """Return a trial's block of training seeds: first its own, then the others in their order.

    A trial that repeats a candidate begins with another block than the rest; what comes next must not be that block again.
    """
    own = trial.seeds[: session.specification.seeds.search]
    others = (block for k in count() if (block := session.seeds("search", k)) != own)
    return own if number == 0 else next(islice(others, number - 1, None))


def jobs_between(session: Session, block: Trial, start: int, end: int) -> list[Job]:
    """Return the jobs of a block from one checkpoint to another, one for each environment and seed, in this order."""
    points = session.specification.evaluation.points
    made: list[Job] = []
    for environment in session.acts_in("search"):
        horizon = session.horizon(environment)
        jobs = jobs_of(session, block, [environment], start=horizon * start // points, until=horizon * end // points)
        made += [replace(job, goes_on=end < points) for job in jobs]
    return made


def advanced(session: Session, trial: Trial, order: Order, outcomes: Sequence[Outcome]) -> Trial:
    """Return the trial after an order: longer curves, the scores they give, the work, and whether it failed.

    A failure on the first block ends the trial. One on a later block leaves no score there.
    """
    width, evaluation = session.specification.seeds.search, session.specification.evaluation
    where = session.acts_in("search")
    curves = {(curve.environment, curve.seed): curve for curve in trial.curves}
    seeds = trial.seeds if order.seed == 0 else (*trial.seeds, *_block(session, trial, order.seed))
    scores = [list(row) + [None] * (len(seeds) - len(row)) for row in trial.scores or ((),) * len(where)]
    for i, outcome in enumerate(outcomes):
        e, s = i // width, order.seed * width + i % width
        span = session.score_range(where[e])
        before = curves.get((e, s), Curve(e, s, (), ()))
        returns = (*before.scores, *(normalised(value, span) for value in outcome.returns))
        curves[e, s] = Curve(e, s, (*before.env_steps, *outcome.env_steps), returns)
        good = outcome.status is Status.COMPLETED
        scores[e][s] = final_score(returns, evaluation.averaged) if good else None
    failed = next((o for o in outcomes if o.status is not Status.COMPLETED), None)
    lost = failed is None and any(row[s] is None for row in scores for s in range(len(seeds)))
    made = replace(
        trial,
        seeds=seeds,
        scores=tuple(map(tuple, scores)),
        curves=tuple(curves[key] for key in sorted(curves)),
        ledger=trial.ledger + ledger_of(outcomes),
        message=trial.message if failed is None else failed.message,
    )
    if order.seed:
        return made
    whole = session.specification.budget.env_steps
    made = replace(made, env_steps=whole * order.env_steps // evaluation.points)
    if failed is not None:
        return replace(made, status=failed.status)
    return replace(made, status=Status.DIVERGED, message="non-finite return") if lost else made


def pruned(session: Session, trial: Trial) -> Trial:
    """Return a trial that trains no further: it ranks behind all that trained to the end; its score so far is kept apart."""
    scores = [score for row in trial.scores for score in row if score is not None]
    score = sum(scores) / len(scores)
    points, whole = session.specification.evaluation.points, session.specification.budget.env_steps
    share = checkpoint(trial.env_steps, points, whole) / points
    begun = "" if trial.ledger.updates else ", before its first update"
    message = f"stopped at {share:.0%} of the steps{begun}, with score {score:.4g}"
    return replace(trial, status=Status.PRUNED, values={AT_HURDLE: score}, message=message)


def completed(trial: Trial, trials: Sequence[Trial]) -> Trial:
    """Return a trial that trained to the end; a further seed that failed counts as the worst score of all ``trials``."""
    known = [score for t in trials for row in t.scores for score in row if score is not None]
    flat = [min(known) if score is None else score for row in trial.scores for score in row]
    failed = sum(score is None for row in trial.scores for score in row)
    message = f"failed {failed} of {len(flat)} trainings: {trial.message}" if failed else ""
    return replace(trial, status=Status.COMPLETED, score=sum(flat) / len(flat), message=message)
