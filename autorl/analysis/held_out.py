"""Held-out tasks of a study: how agents do in them on average, in the middle, and in the worst of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autorl.analysis.scores import all_environments, arm_name, count, number
from autorl.analysis.statistics import iqm, stratified_bootstrap_interval
from autorl.analysis.tables import Column, Table
from autorl.studies.trial import Arm, Json

WORST = 0.1
"""Share of the tasks that the conditional value at risk is the mean of."""
STATISTICS = ("mean", "iqm", "cvar")
"""Over the tasks of one training."""
Array = NDArray[np.float64]


def cvar(values: Array, share: float = WORST) -> float:
    """Return the mean of the worst ``share`` of ``values`` [N] (rounded up), the conditional value at risk."""
    worst = np.sort(np.asarray(values, np.float64))[: max(1, math.ceil(share * len(values)))]
    return float(worst.mean())


def held_out_summary(lessons: Mapping[Arm, Sequence[Json]], specification: Mapping[str, Any]) -> Json:
    """Return ``{arm: {tasks, seeds, success, returns, intervals, teacher_env_steps}}`` of the test trainings; empty without held-out tasks.

    ``success`` and ``returns`` are ``{mean, iqm, cvar}`` over tasks, each the mean over trainings; of success, a training without a last
    evaluation counts 0 in every task. ``intervals`` are bootstrap intervals of the same three, over trainings: of success, or of returns
    where there is no success. Success is what the environment reports, or else the score within [0, 1], if there is a score range.
    ``teacher_env_steps`` are those of a training that served the teacher alone, as nothing was learned from them, with those that its guide
    or control policy took before: the mean over trainings; None without a teacher.

    Args:
        lessons: Of each arm, as the record keeps them.
        specification: The study's, as plain data.
    """
    environments = all_environments(specification)
    found: Json = {}
    for arm, own in lessons.items():
        done = [one for one in own if one["tasks"]]
        if not done:
            continue
        known = [_successes(one, environments[one["environment"]]) for one in done]
        success = None
        if all(values is not None for values in known):
            failed = [np.zeros(1)] * (len(own) - len(done))
            success = _by_training([*(values for values in known if values is not None), *failed])
        returns = _by_training([np.asarray(one["tasks"]) for one in done])
        found[arm] = {
            "tasks": max(len(one["tasks"]) for one in done),
            "seeds": len(own),
            "success": None if success is None else _means(success),
            "returns": _means(returns),
            "intervals": _intervals(returns if success is None else success),
            "teacher_env_steps": _teacher_steps(own),
        }
    return found


def _by_training(trainings: Sequence[Array]) -> Array:
    """Return `STATISTICS` over the tasks of each of N trainings, [N, 3]."""
    return np.array([(float(np.mean(v)), iqm(v), cvar(v)) for v in trainings])


def _means(rows: Array) -> Json:
    return dict(zip(STATISTICS, (float(x) for x in np.mean(rows, axis=0)), strict=True))


def _intervals(rows: Array) -> Json:
    mean = lambda draws: draws.mean(axis=-1)  # noqa: E731
    return {name: list(stratified_bootstrap_interval(rows[:, i], mean)) for i, name in enumerate(STATISTICS)}


def _teacher_steps(lessons: Sequence[Json]) -> float | None:
    # records made before they were counted say nothing of the steps before the training
    taught = [
        sum(one["diary"]["unlearned"]) + one.get("teacher_env_steps", 0) for one in lessons if one["diary"] is not None
    ]
    return float(np.mean(taught)) if taught else None


def _successes(lesson: Json, environment: Mapping[str, Any]) -> Array | None:
    if lesson["successes"]:
        return np.asarray(lesson["successes"], np.float64)
    if not environment.get("score_range"):
        return None
    low, high = environment["score_range"]
    return np.clip((np.asarray(lesson["tasks"], np.float64) - low) / (high - low), 0.0, 1.0)


def _shown(own: Json, name: str) -> str:
    """Return the interval of a statistic as text; records made before there were any have none."""
    found = own.get("intervals")
    return "" if found is None else f" [{number(found[name][0])}, {number(found[name][1])}]"


def held_out_table(result: Json) -> Table:
    """Return one row an arm: success in the held-out tasks (return, where there is no success)."""
    rows = []
    for arm, own in result["held_out"].items():
        kind, word = ("returns", "return") if own["success"] is None else ("success", "success")
        values = [number(own[kind][name]) + _shown(own, name) for name in STATISTICS]
        spent = own.get("teacher_env_steps")
        served = "-" if spent is None else count(round(spent))
        rows.append((arm_name(arm, result["method"]), word, *values, count(own["tasks"]), served))
    names = ("mean", "IQM", f"CVaR {WORST:.0%}", "tasks", "teacher's steps")
    columns = (Column("arm", right=False), Column("of", right=False), *map(Column, names))
    note = (
        f"Over held-out tasks, averaged over test seeds. CVaR {WORST:.0%}: mean of the worst {WORST:.0%} of the tasks. "
        "In brackets 95 % bootstrap intervals over seeds. "
        "Teacher's steps: those of a training's env steps in which the agent acted for the teacher and learned nothing, "
        "or a guide or a control policy acted before it."
    )
    return Table("Held-out tasks", columns, tuple(rows), frozenset(), note)
