"""Reading a curriculum: which tasks a teacher had played over the training, what came of them, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autorl.analysis.scores import count, number, plural
from autorl.analysis.tables import Column, Table
from autorl.environments.features import Feature
from autorl.studies.trial import Json, Trial

if TYPE_CHECKING:
    from autorl.studies.specification import Specification

Array = NDArray[np.float64]
_ROWS = 10
"""Intervals of the table; the figure has all."""
_GEOMETRIC = "geo. mean"


def curriculum(lessons: Sequence[Json], features: Sequence[Feature], env_steps: int, environment: int = 0) -> Json:
    """Return what the trainings of a trial in one environment played, seeds together, as JSON data.

    Keys: ``features`` (name, least and greatest value, whether the scale is log), ``until`` (env steps at the end of each of K intervals:
    equal parts of the training, longer ones where rollouts are), ``episodes``, ``returns``, ``successes`` (arrays [K][F][N] of bins that
    are equal on the scale of the feature, the last two means, None where nothing was played), ``learning_progress`` (likewise, see
    `learning_progress`), ``tasks`` ([K][F]; mean features of the episodes, None where none ended), ``training_returns`` ([T][K]; mean
    return of the episodes of each of T trainings, None where none ended), ``training_successes`` (likewise), ``env_steps`` (all that were
    taken, but for the rollout in which a training diverged), ``unlearned`` (those not learned from), ``steps_by_interval`` and
    ``unlearned_by_interval`` [K], ``before`` (env steps of guides and control policies before the trainings, in ``env_steps`` too),
    ``trainings``.

    Args:
        lessons: Of the trial, as the record keeps them.
        features: Of the tasks.
        env_steps: Of one whole training.
        environment: Index of the environment.
    """
    own = [one for one in lessons if one["environment"] == environment and one["diary"] is not None]
    diaries = [one["diary"] for one in own]
    if not diaries:
        return {}
    every = {name: np.stack([np.asarray(d[name], np.float64) for d in diaries]) for name in diaries[0]}
    intervals, before = every["episodes"].shape[1], sum(one.get("teacher_env_steps", 0) for one in own)
    first = before / len(own)
    # a rollout may be longer than an interval, and is counted where it began
    begun = np.flatnonzero(_busy(every)).tolist() or [0]
    each = {name: values[:, begun] for name, values in every.items()}
    until = first + (env_steps - first) / intervals * np.array([*begun[1:], intervals])
    if "steps" in each:  # trainings that failed ended early
        until[-1] = min(until[-1], first + each["steps"].sum(axis=1).max())
    else:
        each["steps"] = np.tile(np.diff(until, prepend=first), (len(own), 1))
    sums = {name: values.sum(axis=0) for name, values in each.items()}
    returns = _divided(sums["returns"], sums["episodes"])
    return {
        "features": [list(one) for one in features],
        "until": [round(one) for one in until],
        "episodes": sums["episodes"].astype(int).tolist(),
        "returns": _listed(returns),
        "successes": _listed(_divided(sums["successes"], sums["episodes"])),
        "learning_progress": _listed(learning_progress(returns)),
        "tasks": [[None if one is None else float(one) for one in row] for row in _tasks(sums, features)],
        # each episode is in one bin of each feature, so those of the first are all
        **{
            f"training_{name}": _listed(
                _divided(each[name][:, :, 0].sum(axis=-1), each["episodes"][:, :, 0].sum(axis=-1))
            )
            for name in ("returns", "successes")
        },
        "env_steps": round(each["steps"].sum() + before),
        "unlearned": int(sums["unlearned"].sum()),
        "steps_by_interval": sums["steps"].tolist(),
        "unlearned_by_interval": sums["unlearned"].astype(int).tolist(),
        "before": before,
        "trainings": len(diaries),
    }


def _busy(each: Mapping[str, Array]) -> Array:
    """Return in which intervals a step was taken, bool [K], as far as the diaries of an older version, without their counts, say it."""
    if "steps" in each:
        return np.asarray(each["steps"].sum(axis=0) > 0)
    return np.asarray((each["episodes"].sum(axis=(0, 2, 3)) > 0) | (each["unlearned"].sum(axis=0) > 0))


def _tasks(sums: Mapping[str, Array], features: Sequence[Feature]) -> list[list[float | None]]:
    """Return the mean features of the episodes of each interval, [K][F], the geometric mean where a scale is log; None without any."""
    rows = []
    for k, episodes in enumerate(sums["episodes"]):
        total, middles = episodes[0].sum(), (np.arange(episodes.shape[1]) + 0.5) / episodes.shape[1]
        # older records have no sums, only counts in bins: their middles stand for what lay in them
        parts = sums["features"][k] if "features" in sums else (episodes * middles).sum(axis=1)
        rows.append([float(one.at(part / total)) if total else None for one, part in zip(features, parts, strict=True)])
    return rows


def learning_progress(returns: Array) -> Array:
    """Return the absolute change of the mean return of each cell from the interval before, [K, F, N]; NaN where either has none.

    So it has the noise of both means, which is great where few episodes ended. Learning progress as in Matiisen et al. (2017,
    Teacher-Student Curriculum Learning): the absolute slope of what a task pays, here from one part of the training to the next.

    Args:
        returns: Mean returns of the cells, [K, F, N]; NaN where no episode ended.
    """
    return np.abs(np.diff(returns, axis=0, prepend=np.full_like(returns[:1], np.nan)))


def curriculum_of(specification: Specification, lessons: Sequence[Json], environment: int, trial: Trial) -> Json:
    """Return `curriculum` of a trial of a study, and how its trainings were evaluated; empty if they had no teacher there.

    ``evaluations`` is ``{"env_steps": [P], "scores": [T][P], "held_out": whether on held-out tasks}``, ``over`` the statistic over those
    tasks (`autorl.studies.models.Evaluation.tasks`), and ``score_range`` what returns count as 0 and 1 in these scores; None: they are
    returns, or where ``measure`` is ``success``, success.
    """
    told = [one for one in lessons if one["diary"] is not None and one["environment"] == environment]
    if not told:
        return {}
    choice = specification.environments[environment]
    features = _features(specification, environment, told[0].get("features"))
    if "steps" not in told[0]["diary"]:  # an older version, which did not round whole numbers
        features = [one._replace(whole=False) for one in features]
    found = curriculum(lessons, features, choice.env_steps or specification.budget.env_steps, environment)
    # lessons stand environment by environment, as the curves do, which count the environments of their phase
    place = list(dict.fromkeys(one["environment"] for one in lessons)).index(environment)
    curves = [one for one in trial.curves if one.environment == place]
    longest = max((one.env_steps for one in curves), key=len, default=())
    scores = [[*one.scores, *[None] * (len(longest) - len(one.scores))] for one in curves]
    held_out, measure = any(one["tasks"] for one in told), specification.evaluation.measure
    return {
        **found,
        "evaluations": {"env_steps": list(longest), "scores": scores, "held_out": held_out},
        "over": specification.evaluation.tasks,
        "measure": measure,
        "score_range": None if choice.score_range is None or measure == "success" else list(choice.score_range),
    }


def _features(specification: Specification, environment: int, recorded: Sequence[Any] | None) -> list[Feature]:
    """Return the features that a diary is in: the ``recorded`` ones, or else those of the environment's tasks."""
    from autorl.engine.lessons import CourseMaker
    from autorl.environments.registry import make_environment
    from autorl.environments.task_points import has_tasks

    choice = specification.environments[environment]
    made = make_environment(choice.id)
    own = [Feature(*one) for one in CourseMaker.of(choice, made).points.features] if has_tasks(made) else []
    # records of older versions do not say which scales are log
    known = {tuple(one[:3]): one for one in own}
    return own if recorded is None else [known.get(tuple(one), Feature(*one)) for one in recorded]


def _divided(sums: Array, episodes: Array) -> Array:
    """Return means; NaN where no episode ended."""
    return np.divide(sums, episodes, out=np.full_like(sums, np.nan), where=episodes > 0)


def _listed(values: Array) -> list[Any]:
    return np.where(np.isnan(values), None, values).tolist()  # type: ignore[call-overload]


def curriculum_table(found: Json, reports_success: bool) -> Table:
    """Return one row for each part of the training: episodes, mean task, mean return, mean success, share learned from."""
    episodes = np.asarray(found["episodes"], np.float64)
    totals = episodes[:, 0].sum(axis=1)
    returns, successes = (_filled(found[name]) for name in ("returns", "successes"))
    features = [Feature(*one) for one in found["features"]]
    columns = (
        Column("env steps"),
        Column("episodes"),
        *(Column(f"{one.name} ({_GEOMETRIC})" if one.log else one.name) for one in features),
        Column("return"),
        *([Column("success")] if reports_success else []),
        Column("learned from"),
    )
    step = max(1, math.ceil(len(episodes) / _ROWS))
    rows = []
    for first in range(0, len(episodes), step):
        part = slice(first, first + step)
        total = totals[part].sum()
        told = [
            (values[part, 0] * episodes[part, 0]).sum() / total if total else None for values in (returns, successes)
        ]
        taken, unlearned = (sum(found[f"{name}_by_interval"][part]) for name in ("steps", "unlearned"))
        rows.append(
            (
                count(found["until"][min(first + step, len(episodes)) - 1]),
                count(int(total)),
                *(number(_mean_task(found, f, one, totals, part)) for f, one in enumerate(features)),
                number(told[0]),
                *([number(told[1])] if reports_success else []),
                f"{1.0 - unlearned / taken:.0%}" if taken else "-",
            )
        )
    ratios = f" ({_GEOMETRIC}: the geometric mean of a dimension of which equal ratios are equally far apart)"
    note = (
        f"Tasks are means over the episodes that ended{ratios if any(one.log for one in features) else ''}, of "
        f"{plural(found['trainings'], 'training')} together. The teacher's ledger: "
        f"{count(found['env_steps'])} env steps, {count(found['unlearned'])} of them not learned from"
        + (f", {count(found['before'])} taken by a guide or a control policy before." if found["before"] else ".")
    )
    return Table("Tasks over the training", columns, tuple(rows), frozenset(), note)


def _filled(values: Any) -> Array:
    return np.nan_to_num(np.asarray(values, np.float64))


def _mean_task(found: Json, number_of: int, feature: Feature, totals: Array, part: slice) -> float | None:
    """Return the mean of a feature over the episodes of several intervals, the geometric one where its scale is log."""
    means = [(row[number_of], weight) for row, weight in zip(found["tasks"][part], totals[part], strict=True) if weight]
    if not means:
        return None
    values, weights = zip(*means, strict=True)
    mean = np.average(np.log(values) if feature.log else values, weights=weights)
    return float(np.exp(mean) if feature.log else mean)
