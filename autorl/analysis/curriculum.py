"""Reading a curriculum: which tasks a teacher had played over the training, what came of them, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
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

    Keys: ``features`` (name, least and greatest value, whether the scale is log), ``until`` (env steps at the end of each of K intervals),
    ``episodes``, ``returns``, ``successes`` (arrays [K][F][N] of bins that are equal on the scale of the feature, the last two means, None
    where nothing was played), ``learning_progress`` (likewise, see `learning_progress`), ``training_returns`` ([T][K]; mean return of the
    episodes of each of T trainings, None where none ended), ``training_successes`` (likewise), ``env_steps``, ``unlearned`` (env steps that
    were not learned from), ``before`` (env steps of guides and control policies before the trainings, in ``env_steps`` too), ``trainings``.

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
    each = {name: np.stack([np.asarray(d[name], np.float64) for d in diaries]) for name in diaries[0]}
    sums = {name: values.sum(axis=0) for name, values in each.items()}
    returns = _divided(sums["returns"], sums["episodes"])
    intervals = len(returns)
    before = sum(one.get("teacher_env_steps", 0) for one in own)
    first = before / len(own)
    return {
        "features": [list(one) for one in features],
        "until": [round(first + (env_steps - first) * (k + 1) / intervals) for k in range(intervals)],
        "episodes": sums["episodes"].astype(int).tolist(),
        "returns": _listed(returns),
        "successes": _listed(_divided(sums["successes"], sums["episodes"])),
        "learning_progress": _listed(learning_progress(returns)),
        # each episode is in one bin of each feature, so those of the first are all
        "training_returns": _listed(
            _divided(each["returns"][:, :, 0].sum(axis=-1), each["episodes"][:, :, 0].sum(axis=-1))
        ),
        "training_successes": _listed(
            _divided(each["successes"][:, :, 0].sum(axis=-1), each["episodes"][:, :, 0].sum(axis=-1))
        ),
        "env_steps": env_steps * len(diaries),
        "unlearned": int(sums["unlearned"].sum()),
        "unlearned_by_interval": sums["unlearned"].astype(int).tolist(),
        "before": before,
        "trainings": len(diaries),
    }


def learning_progress(returns: Array) -> Array:
    """Return the absolute change of the mean return of each cell from the interval before, [K, F, N]; NaN where either has none.

    So it has the noise of both means, which is great where few episodes ended. Learning progress as in Matiisen et al. (2017,
    Teacher-Student Curriculum Learning): the absolute slope of what a task pays, here from one twentieth of the training to the next.

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
    step = max(1, len(episodes) // _ROWS)
    length = (found["env_steps"] - found["before"]) / len(episodes)
    rows = []
    for first in range(0, len(episodes), step):
        part = slice(first, first + step)
        own = episodes[part].sum(axis=0)
        total = own[0].sum()
        means = [_mean_task(own[f], feature) for f, feature in enumerate(features)]
        told = [
            (values[part, 0] * episodes[part, 0]).sum() / total if total else None for values in (returns, successes)
        ]
        taken = length * len(episodes[part])
        # a rollout counts where it began, so an interval may hold more steps than its share
        learned = max(0.0, 1.0 - sum(found["unlearned_by_interval"][part]) / taken)
        rows.append(
            (
                count(found["until"][min(first + step, len(episodes)) - 1]),
                count(int(total)),
                *(number(mean) for mean in means),
                number(told[0]),
                *([number(told[1])] if reports_success else []),
                f"{learned:.0%}",
            )
        )
    ratios = f" ({_GEOMETRIC}: the geometric mean of a dimension of which equal ratios are equally far apart)"
    note = (
        f"Tasks are means over the episodes that ended{ratios if any(one.log for one in features) else ''}, of "
        f"{plural(found['trainings'], 'training')} together, from counts in {episodes.shape[2]} bins of each range. The teacher's ledger: "
        f"{count(found['env_steps'])} env steps, {count(found['unlearned'])} of them not learned from"
        + (f", {count(found['before'])} taken by a guide or a control policy before." if found["before"] else ".")
    )
    return Table("Tasks over the training", columns, tuple(rows), frozenset(), note)


def _filled(values: Any) -> Array:
    return np.nan_to_num(np.asarray(values, np.float64))


def _mean_task(episodes: Array, feature: Feature) -> float | None:
    """Return the mean value of a feature, from the middles of its bins, the geometric one where its scale is log; None without an episode.

    The diary has counts of bins that are equal on the feature's scale, so this is the mean that they tell without a guess at what lies
    within the bins.
    """
    if not episodes.sum():
        return None
    middles = (np.arange(len(episodes)) + 0.5) / len(episodes)
    return float(feature.at((episodes * middles).sum() / episodes.sum()))
