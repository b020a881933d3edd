"""Held-out tasks of a study: how agents do in them on average, in the middle, and in the worst of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autorl.analysis.scores import all_environments, arm_name, count, number
from autorl.analysis.statistics import stratified_bootstrap_interval
from autorl.analysis.tables import Column, Table
from autorl.inner.task_statistics import STATISTICS, WORST, cvar, cvar_ranked_apart, iqm
from autorl.studies.trial import Arm, Json

LEAST_LEARNED = 0.1
"""Share of its env steps from which a training has to learn, or else a result says that it learned from next to none."""
Array = NDArray[np.float64]
_SAME = "chosen and scored on the same attempts, which makes it too low (evaluation.episodes of two or more a task mend that)"


class Exam(NamedTuple):
    """What one training came to in N held-out tasks, [N] each.

    Attributes:
        means: Over all attempts at a task.
        halves: Over each half of them, [2, N]; None where there was one attempt, or the record is of an older version.
    """

    means: Array
    halves: Array | None

    @property
    def cvar(self) -> float:
        """The conditional value at risk; without halves the worst tasks are chosen and scored on the same attempts."""
        return cvar(self.means) if self.halves is None else cvar_ranked_apart(*self.halves)

    def scaled(self, low: float, high: float) -> Exam:
        """Return it with ``low`` as 0 and ``high`` as 1, cut off there."""
        means, halves = (None if v is None else np.clip((v - low) / (high - low), 0.0, 1.0) for v in self)
        assert means is not None
        return Exam(means, halves)


def lessons_summary(lessons: Mapping[Arm, Sequence[Json]], specification: Mapping[str, Any]) -> Json:
    """Return what lessons add to a result: ``held_out``, as `held_out_summary`, and ``teacher_env_steps`` of each arm with a teacher.

    Those are the env steps of a test training that served its teacher alone, the mean over trainings; arguments as `held_out_summary`.
    ``guide_env_steps`` of each arm that a study's policy guided are those that trained it, of several the most; None if not known.
    ``untaught`` of each arm with trainings that learned from less than `LEAST_LEARNED` of their env steps is ``{trainings, of, learned,
    env_steps}``: how many these are, of how many, and the means over them of the env steps learned from and of all.
    """
    steps = {arm: _teacher_steps(own) for arm, own in lessons.items()}
    return {
        "held_out": held_out_summary(lessons, specification),
        "teacher_env_steps": {arm: one for arm, one in steps.items() if one is not None},
        "guide_env_steps": {arm: _guide_steps(own) for arm, own in lessons.items() if any(map(_guided, own))},
        "untaught": {arm: found for arm, own in lessons.items() if (found := _untaught(own, specification))},
    }


def _untaught(lessons: Sequence[Json], specification: Mapping[str, Any]) -> Json:
    whole = (specification.get("budget") or {}).get("env_steps")
    environments = all_environments(specification)
    told = [one for one in lessons if one["diary"] is not None]
    planned = [environments[one["environment"]].get("env_steps") or whole for one in told]
    steps = [_taken(one, plan) for one, plan in zip(told, planned, strict=True)]
    known = [(of, max(0, of - _served(one))) for one, of in zip(told, steps, strict=True) if of]
    found = [(of, learned) for of, learned in known if learned < LEAST_LEARNED * of]
    if not found:
        return {}
    of, learned = np.mean(found, axis=0)
    return {"trainings": len(found), "of": len(known), "learned": round(learned), "env_steps": round(of)}


def _taken(lesson: Json, planned: int | None) -> int | None:
    """Return the env steps of a training with those that its teacher took before it; the ``planned`` ones in older records."""
    steps = lesson["diary"].get("steps")
    return planned if steps is None else int(sum(steps) + lesson.get("teacher_env_steps", 0))


def _served(lesson: Json) -> int:
    """Return the env steps of a training that served its teacher alone."""
    # records made before they were counted say nothing of the steps before the training
    return int(sum(lesson["diary"]["unlearned"]) + lesson.get("teacher_env_steps", 0))


def _guided(lesson: Json) -> bool:
    return "guide_env_steps" in lesson


def _guide_steps(lessons: Sequence[Json]) -> int | None:
    known = [one["guide_env_steps"] for one in lessons if _guided(one)]
    return None if None in known else max(known)


def held_out_summary(lessons: Mapping[Arm, Sequence[Json]], specification: Mapping[str, Any]) -> Json:
    """Return, of each arm, ``{tasks, seeds, success, returns, ranked_apart, intervals, teacher_env_steps}``; empty without held-out tasks.

    ``success`` and ``returns`` are ``{mean, iqm, cvar}`` over tasks, each the mean over trainings; of success, a training without a last
    evaluation counts 0 in every task. Success is what the environment reports, or else the score within [0, 1], if there is a score range.
    ``ranked_apart`` says whether the worst tasks of CVaR were chosen and scored on different attempts (`cvar_ranked_apart`). They are where
    ``evaluation.episodes`` gives each task two or more: an evaluation plays all tasks once, then all once more and so on, and the earlier
    half of these rounds is one half of the attempts. With one attempt a task both are the same, and CVaR is too low. ``intervals`` are
    bootstrap intervals of the same three, over trainings: of success, or of returns where there is no success. ``teacher_env_steps`` are
    those of a training that served the teacher alone, as nothing was learned from them, with those that its guide or control policy took
    before: the mean over trainings; None without a teacher.

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
        known = [successes_of(one, environments[one["environment"]]) for one in done]
        success = None
        if all(values is not None for values in known):
            failed = [Exam(np.zeros(1), None)] * (len(own) - len(done))
            success = _by_training([*(values for values in known if values is not None), *failed])
        returns = _by_training([_exam(one, "tasks", "task_halves") for one in done])
        found[arm] = {
            "tasks": max(len(one["tasks"]) for one in done),
            "seeds": len(own),
            "success": None if success is None else _means(success),
            "returns": _means(returns),
            "ranked_apart": all(one.get("task_halves") for one in done),
            "intervals": _intervals(returns if success is None else success),
            "teacher_env_steps": _teacher_steps(own),
        }
    return found


def _by_training(trainings: Sequence[Exam]) -> Array:
    """Return `STATISTICS` over the tasks of each of N trainings, [N, 3]."""
    return np.array([(float(np.mean(one.means)), iqm(one.means), one.cvar) for one in trainings])


def _exam(lesson: Json, name: str, halves: str) -> Exam:
    parts = lesson.get(halves)
    return Exam(np.asarray(lesson[name], np.float64), np.asarray(parts, np.float64) if parts else None)


def _means(rows: Array) -> Json:
    return dict(zip(STATISTICS, (float(x) for x in np.mean(rows, axis=0)), strict=True))


def _intervals(rows: Array) -> Json:
    mean = lambda draws: draws.mean(axis=-1)  # noqa: E731
    return {name: list(stratified_bootstrap_interval(rows[:, i], mean)) for i, name in enumerate(STATISTICS)}


def _teacher_steps(lessons: Sequence[Json]) -> float | None:
    taught = [_served(one) for one in lessons if one["diary"] is not None]
    return float(np.mean(taught)) if taught else None


def successes_of(lesson: Json, environment: Mapping[str, Any]) -> Exam | None:
    """Return a training's success in each held-out task: what was reported, or the score within [0, 1]; None where there is neither."""
    if lesson["successes"]:
        return _exam(lesson, "successes", "success_halves")
    if not environment.get("score_range"):
        return None
    low, high = environment["score_range"]
    return _exam(lesson, "tasks", "task_halves").scaled(low, high)


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
    apart = all(own.get("ranked_apart", False) for own in result["held_out"].values())
    how = "chosen by one half of the attempts at them and scored on the other" if apart else _SAME
    names = ("mean", "IQM", f"CVaR {WORST:.0%}", "tasks", "teacher's steps")
    columns = (Column("arm", right=False), Column("of", right=False), *map(Column, names))
    note = (
        f"Over held-out tasks, averaged over test seeds. CVaR {WORST:.0%}: mean of the worst {WORST:.0%} of the tasks, {how}. "
        "In brackets 95 % bootstrap intervals over seeds. "
        "Teacher's steps: those of a training's env steps in which the agent acted for the teacher and learned nothing, "
        "or a guide or a control policy acted before it."
    )
    return Table("Held-out tasks", columns, tuple(rows), frozenset(), note)
