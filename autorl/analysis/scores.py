"""From trials to score tables: which environments, which arms, which trainings failed; and numbers as people read them.

Scores of a study over several environments were normalised by the engine (``score_range``) before they were recorded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from autorl.analysis.statistics import RawScores
from autorl.spaces.plain_values import NO_TEACHER
from autorl.studies.trial import OBJECTIVE_ARM, TEACHER_ARM, Arm, Phase, Trial, in_order

PHASES: tuple[Phase, ...] = ("search", "finalists", "test")
OVER_TASKS = {
    "mean": "the held-out tasks",
    "iqm": "the middle half of the held-out tasks",
    "cvar": "the worst tenth of the held-out tasks",
}
"""Which held-out tasks each statistic of `autorl.studies.models.Evaluation.tasks` is the mean over."""


def environments(specification: Mapping[str, Any], phase: Phase = "test") -> list[dict[str, Any]]:
    """Return the environments that a phase acts in as a list of ``{id, task, score_range, ...}``, however they were written.

    The test's are the held-out ones, if there are any; the other phases' are those searched in.
    """
    listed = all_environments(specification)
    held_out = [e for e in listed if e.get("role") == "held_out"]
    if phase == "test" and held_out:
        return held_out
    return [e for e in listed if e.get("role", "train") == "train"]


def all_environments(specification: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every environment of the specification, whatever its role."""
    chosen = specification.get("environment", specification.get("environments"))
    if not chosen:
        return []
    listed = list(chosen) if isinstance(chosen, list | tuple) else [chosen]
    return [{"id": item} if isinstance(item, str) else dict(item) for item in listed]


def score_table(trials: Sequence[Trial], specification: Mapping[str, Any]) -> RawScores:
    """Return [environments][seeds] scores of one or more trials of one arm, side by side, as recorded.

    A trial that ended without its table of scores (crashed, say) counts as failed on each of its seeds.
    """
    widths = {len(trial.scores) for trial in trials} - {0} or {len(environments(specification))}
    width = max(1, *widths)
    rows: list[list[float | None]] = [[] for _ in range(width)]
    for trial in trials:
        for index, row in enumerate(rows):
            told = trial.scores[index] if index < len(trial.scores) else ()
            row.extend(score if score is not None and math.isfinite(score) else None for score in told)
            row.extend([None] * (len(trial.seeds) - len(told)))
    return rows


def finished(trial: Trial) -> bool:
    """Return whether the trial ended, in whatever way."""
    return trial.status != "running"


def by_arm(trials: Sequence[Trial], phase: Phase) -> dict[Arm, list[Trial]]:
    """Return the finished trials of ``phase`` by arm, in the order of their numbers; arms without any are left out."""
    own = [t for t in trials if t.phase == phase and finished(t)]
    found = {arm: [t for t in own if t.arm == arm] for arm in in_order(t.arm for t in own)}
    return {arm: sorted(listed, key=lambda t: t.number) for arm, listed in found.items() if listed}


def method_name(specification: Mapping[str, Any]) -> str:
    """Return the study's search method as a person calls it; ``the schedule`` or ``the configuration`` without a search.

    Random search whose candidates a prior draws is called after the prior.
    """
    search = specification.get("search")
    if search:
        method, policy = str(search.get("method", "auto")), policy_name(specification)
        method = "prior" if method == "random" and has_prior(specification) else method
        return method if policy is None else f"{method} + {policy}"
    return "the schedule" if specification.get("schedule") else "the configuration"


def has_prior(specification: Mapping[str, Any]) -> bool:
    """Return whether a prior draws candidates of the study's method."""
    return (specification.get("search") or {}).get("prior") not in (None, "none")


def is_random_search(specification: Mapping[str, Any]) -> bool:
    """Return whether the study's method is the baseline itself: whole trainings of candidates drawn uniformly."""
    search = specification.get("search") or {}
    return search.get("method") == "random" and policy_name(specification) is None and not has_prior(specification)


def policy_name(specification: Mapping[str, Any]) -> str | None:
    """Return the name of the study's budget policy; None where every training is a whole one."""
    policy = (specification.get("search") or {}).get("policy")
    name = policy.get("name") if isinstance(policy, Mapping) else policy
    return None if name in (None, "whole") else str(name)


def arm_name(arm: str, method: str) -> str:
    """Return what tables and figures call an arm of a study with ``method`` (its `method_name`)."""
    if arm.startswith(OBJECTIVE_ARM):
        return arm.removeprefix(OBJECTIVE_ARM)
    if arm.startswith(TEACHER_ARM):
        name = arm.removeprefix(TEACHER_ARM)
        return "no teacher" if name == NO_TEACHER else f"teacher {name}"
    return {
        "method": "random search" if method == "random" else method,
        "random": "random search",
        "default": "default configuration",
    }[arm]


def number(value: float | None, beside: float = 0.0) -> str:
    """Return a score for people, about four significant digits (of ``beside``, if that is larger); ``-`` for none."""
    if value is None or not math.isfinite(value):
        return "-"
    size = max(abs(value), abs(beside))
    if size == 0:
        return "0"
    if size >= 1e6 or 0 < size < 1e-4:
        return f"{value:.3g}"
    decimals = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 4
    text = f"{value:,.{decimals}f}"
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text


def interval(bounds: Sequence[float] | None) -> str:
    """Return ``[low, high]`` for people, both to the same decimal; ``-`` for none."""
    if bounds is None:
        return "-"
    low, high = bounds
    return f"[{number(low, high)}, {number(high, low)}]"


def count(value: int, least: int = 10_000) -> str:
    """Return a count of steps for people: ``3.2 M``, ``640 k``, ``512``; thousands are ``k`` from ``least`` on."""
    for limit, divisor, unit in ((10_000_000_000, 1e9, " G"), (1_000_000, 1e6, " M"), (least, 1e3, " k")):
        if value >= limit:
            return f"{value / divisor:.4g}{unit}"
    return f"{value:,}"


def seconds(value: float) -> str:
    """Return a duration for people: ``4.2 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def plural(amount: int, noun: str) -> str:
    """Return ``1 seed``, ``2 seeds``."""
    return f"{amount} {noun}{'' if amount == 1 else 's'}"
