"""When the trainings of a search ended, in work. Under a budget policy trials are trained in parts, between which others are.

A policy is a pure function of the runs so far, and a record keeps all their scores: so the order of all parts can be had again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from autorl.analysis.scores import finished, policy_name
from autorl.analysis.work import granted
from autorl.errors import UsageError
from autorl.outer.budget.joined import WIDTH
from autorl.outer.budget.policies import make_policy
from autorl.outer.budget.protocol import BudgetPolicy, Run
from autorl.outer.protocol import Budget, Status
from autorl.studies.runs import runs_of as trainings_of
from autorl.studies.trial import Trial

_WHOLE_OR_CUT = (Status.RUNNING, Status.COMPLETED, Status.PRUNED)
_Runs = dict[tuple[int, int], Run]


class Part(NamedTuple):
    """A training of a trial from one checkpoint to another, on its seeds number ``seed`` (as many as ``seeds.search`` says)."""

    trial: int
    seed: int
    start: int
    end: int


@dataclass(frozen=True)
class Moment:
    """Environment steps granted to the search until then, and the parts that ended: they were trained side by side."""

    work: float
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Timeline:
    """What a search trained, in order.

    Attributes:
        moments: In the order of work.
        points: Checkpoints of a whole training.
        exact: Whether this is the order. Otherwise, all trials' first seeds count as having ended together, then all second ones, and so
            on: nothing ended later than that.
    """

    moments: tuple[Moment, ...]
    points: int
    exact: bool


def timeline(trials: Sequence[Trial], specification: Mapping[str, Any]) -> Timeline | None:
    """Return the timeline of a search under a budget policy; None without one, and of random search, where trials ran one after the other.

    Args:
        trials: All search trials of an arm, also those that are running.
        specification: The study's, resolved.
    """
    if policy_name(specification) is None or not any(t.arm == "method" for t in trials):
        return None
    points = _points(trials, specification)
    runs = {
        (run.trial, run.seed): run for t in trials for run in _runs(t, _width(specification), points, specification)
    }
    batches = _replayed(runs, points, specification)
    exact = batches is not None
    reached: dict[int, int] = {}
    for run in runs.values():
        reached[run.trial] = reached.get(run.trial, 0) + run.env_steps
    cost = {t.number: granted([t], specification) / max(1, reached.get(t.number, 0)) for t in trials}
    moments, work = [], 0.0
    for batch in _together(runs) if batches is None else batches:
        work += sum(cost[part.trial] * (part.end - part.start) for part in batch)
        moments.append(Moment(float(round(work)), tuple(batch)))
    return Timeline(tuple(moments), points, exact)


def ended_at(
    trials: Sequence[Trial], specification: Mapping[str, Any], order: Timeline | None = None
) -> dict[int, float]:
    """Return the work at which the last training of each trial that has ended had ended, by number.

    Args:
        trials: Search trials of an arm.
        specification: The study's, resolved.
        order: Their `timeline`, if they have one.
    """
    if order is not None:
        last = {part.trial: moment.work for moment in order.moments for part in moment.parts}
        return {t.number: last.get(t.number, 0.0) for t in trials if finished(t)}
    work, found = 0.0, {}
    for trial in sorted((t for t in trials if finished(t)), key=lambda t: t.number):
        work += granted([trial], specification)
        found[trial.number] = work
    return found


def timing_caption(order: Timeline | None) -> str:
    """Return from when on a score counts, in words; nothing without a timeline."""
    if order is None:
        return ""
    said = (
        "Under a budget policy a score counts once a whole training ended, all that was trained until then being its work. It is the mean "
        "over the seeds trained by then, so the best can fall."
    )
    if order.exact:
        return said
    return (
        f"{said} The record does not tell the order of all trainings: first seeds count as having ended together, then second ones, and so "
        "on, which is late rather than early."
    )


def _width(specification: Mapping[str, Any]) -> int:
    return int((specification.get("seeds") or {}).get("search") or 1)


def _points(trials: Sequence[Trial], specification: Mapping[str, Any]) -> int:
    longest = max((len(curve.scores) for t in trials for curve in t.curves), default=1)
    return int((specification.get("evaluation") or {}).get("points") or longest)


def _runs(trial: Trial, width: int, points: int, specification: Mapping[str, Any]) -> list[Run]:
    """Return a trial's trainings as its policy saw them, but that none was stopped."""
    if not trial.scores:  # told by another tool: it trained somewhere, once
        return [] if trial.score is None else [Run(trial.number, points)]
    whole = int((specification.get("budget") or {}).get("env_steps") or trial.env_steps)
    failed = trial.status not in _WHOLE_OR_CUT
    runs = trainings_of(trial, width, points, whole)
    return [replace(run, ended=run.ended or (failed and run.seed == 0)) for run in runs]


def _replayed(runs: _Runs, points: int, specification: Mapping[str, Any]) -> list[list[Part]] | None:
    """Return the batches that the study's policy orders if its runs score what they scored; None if the record is of another order.

    It may be: trials of an earlier study were there before, or the policy was another one when the study ran.
    """
    search = specification.get("search") or {}
    if ((search.get("warm_start") or {}).get("taken") or {}).get("trials"):
        return None
    try:
        policy = _policy(points, specification)
    except (KeyError, UsageError):
        return None
    left = int(specification["budget"]["trainings"]) * points
    known: _Runs = {}
    batches: list[list[Part]] = []
    while True:
        _stop(policy, known, points)
        now = tuple(known[key] for key in sorted(known))
        batch = _batch(policy.orders(now, int(search.get("batch") or WIDTH)), runs, known, left)
        if not batch:
            break
        for part in batch:
            known[part.trial, part.seed] = _until(runs[part.trial, part.seed], part.end)
            left -= part.end - part.start
        batches.append(batch)
    complete = all(key in known and known[key].env_steps == run.env_steps for key, run in runs.items())
    return batches if complete else None


def _policy(points: int, specification: Mapping[str, Any]) -> BudgetPolicy:
    given, budget = specification["search"]["policy"], specification["budget"]
    name, settings = (given, {}) if isinstance(given, str) else (given["name"], given.get("settings"))
    return make_policy(name, Budget(int(budget["trainings"]), points), 1, settings)


def _stop(policy: BudgetPolicy, known: _Runs, points: int) -> None:
    """End the runs that the policy stops, until it stops none."""
    while True:
        now = tuple(known[key] for key in sorted(known))
        stopped = [n for n in policy.stops(now) if known[n, 0].env_steps < points and not known[n, 0].ended]
        if not stopped:
            return
        for number in stopped:
            known[number, 0] = replace(known[number, 0], ended=True)


def _batch(orders: Sequence[Any], runs: _Runs, known: _Runs, left: int) -> list[Part]:
    """Return the parts that were ordered, as far as the work was granted and the record has them."""
    batch = []
    for order in orders:
        key = (order.trial, order.seed)
        start = known[key].env_steps if key in known else 0
        left -= order.env_steps - start
        if left < 0 or key not in runs or runs[key].env_steps < order.env_steps:
            break
        batch.append(Part(order.trial, order.seed, start, order.env_steps))
    return batch


def _until(run: Run, end: int) -> Run:
    scores = tuple((steps, score) for steps, score in run.scores if steps <= end)
    return replace(run, env_steps=end, scores=scores, ended=run.ended and end == run.env_steps)


def _together(runs: _Runs) -> list[list[Part]]:
    """Return all first seeds as one batch, then all second ones, and so on."""
    seeds = sorted({seed for _, seed in runs})
    return [[Part(r.trial, seed, 0, r.env_steps) for r in runs.values() if r.seed == seed] for seed in seeds]
