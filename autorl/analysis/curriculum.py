"""Reading a curriculum: which tasks a teacher had played over the training, what came of them, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autorl.analysis.scores import count, number
from autorl.analysis.tables import Column, Table
from autorl.studies.trial import Json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from autorl.studies.specification import Specification

Array = NDArray[np.float64]
Feature = tuple[str, float, float]
"""Name, least and greatest value of what tells tasks apart."""
_ROWS = 10
"""Intervals of the table; the figure has all."""


def curriculum(lessons: Sequence[Json], features: Sequence[Feature], env_steps: int, environment: int = 0) -> Json:
    """Return what the trainings of a trial in one environment played, seeds together, as JSON data.

    Keys: ``features``, ``until`` (env steps at the end of each of K intervals), ``episodes``, ``returns``, ``successes`` (arrays [K][F][N],
    the last two means, None where nothing was played), ``env_steps``, ``unlearned`` (env steps that were not learned from), ``before``
    (env steps of guides and control policies before the trainings, in ``env_steps`` too), ``trainings``.

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
    sums = {name: np.sum([np.asarray(d[name], np.float64) for d in diaries], axis=0) for name in diaries[0]}
    episodes = sums["episodes"]
    intervals = len(episodes)
    before = sum(one.get("teacher_env_steps", 0) for one in own)
    first = before / len(own)
    return {
        "features": [list(one) for one in features],
        "until": [round(first + (env_steps - first) * (k + 1) / intervals) for k in range(intervals)],
        "episodes": episodes.astype(int).tolist(),
        "returns": _means(sums["returns"], episodes),
        "successes": _means(sums["successes"], episodes),
        "env_steps": env_steps * len(diaries),
        "unlearned": int(sums["unlearned"].sum()),
        "unlearned_by_interval": sums["unlearned"].astype(int).tolist(),
        "before": before,
        "trainings": len(diaries),
    }


def curriculum_of(specification: Specification, lessons: Sequence[Json], environment: int) -> Json:
    """Return `curriculum` of a trial of the study of ``specification``; empty if it had no teacher there."""
    told = [one for one in lessons if one["diary"] is not None and one["environment"] == environment]
    if not told:
        return {}
    from autorl.engine.lessons import CourseMaker
    from autorl.environments.registry import make_environment

    choice = specification.environments[environment]
    features = told[0].get("features") or CourseMaker.of(choice, make_environment(choice.id)).points.features
    return curriculum(lessons, features, choice.env_steps or specification.budget.env_steps, environment)


def _means(sums: Array, episodes: Array) -> list[Any]:
    means = np.divide(sums, episodes, out=np.full_like(sums, np.nan), where=episodes > 0)
    return np.where(np.isnan(means), None, means).tolist()  # type: ignore[call-overload]


def curriculum_table(found: Json, reports_success: bool) -> Table:
    """Return one row for each part of the training: episodes, mean task, mean return, mean success, share learned from."""
    episodes = np.asarray(found["episodes"], np.float64)
    returns, successes = (_filled(found[name]) for name in ("returns", "successes"))
    names = [name for name, _, _ in found["features"]]
    columns = (
        Column("env steps"),
        Column("episodes"),
        *map(Column, names),
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
        means = [_mean_task(own[f], feature) for f, feature in enumerate(found["features"])]
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
    note = (
        f"Tasks are means over the episodes that ended, of {found['trainings']} trainings together. The teacher's ledger: "
        f"{count(found['env_steps'])} env steps, {count(found['unlearned'])} of them not learned from"
        + (f", {count(found['before'])} taken by a guide or a control policy before." if found["before"] else ".")
    )
    return Table("Tasks over the training", columns, tuple(rows), frozenset(), note)


def _filled(values: Any) -> Array:
    return np.nan_to_num(np.asarray(values, np.float64))


def _mean_task(episodes: Array, feature: Sequence[Any]) -> float | None:
    """Return the mean value of a feature, from the middles of its bins; None without an episode."""
    _, low, high = feature
    middles = low + (np.arange(len(episodes)) + 0.5) / len(episodes) * (high - low)
    return float((episodes * middles).sum() / episodes.sum()) if episodes.sum() else None


def curriculum_figure(found: Json, name: str) -> Figure:
    """Return, for each feature of the tasks, a heat map of what was played over the training, and beside it of what came of it."""
    from autorl.analysis.style import label, new_figure, score_colours, steps_axis, title

    features, until = found["features"], np.asarray(found["until"], np.float64)
    episodes, returns = np.asarray(found["episodes"], np.float64), np.asarray(found["returns"], np.float64)
    shown = features[:_ROWS]
    figure, axes = new_figure(0.6 + 1.9 * len(shown), len(shown), 2)
    edges = np.concatenate([[found["before"] / found["trainings"]], until])
    for f, (feature, low, high) in enumerate(shown):
        heights = np.linspace(low, high, episodes.shape[2] + 1)
        shares = episodes[:, f] / np.maximum(episodes[:, f].sum(axis=1, keepdims=True), 1.0)
        maps = (("share of episodes", shares), ("mean return", returns[:, f]))
        last = "environment steps" if f == len(shown) - 1 else ""
        for axis, (what, values) in zip(axes[2 * f : 2 * f + 2], maps, strict=True):
            # a pixel a cell, so that a page of it stays small
            drawn = axis.pcolormesh(
                edges, heights, np.ma.masked_invalid(values.T), cmap=score_colours(), rasterized=True
            )
            axis.grid(visible=False)
            steps_axis(axis)
            figure.colorbar(drawn, ax=axis)
            label(axis, f"{feature}: {what}", last)
    title(figure, f"{name}: tasks played, and what came of them")
    return figure


def describe_teacher(values: Mapping[str, Any]) -> str:
    """Return a teacher in a few words: its name, and the parameters that differ from its own."""
    chosen = values.get("parameters") or {}
    return f"{values['name']} ({', '.join(f'{k} {v}' for k, v in chosen.items())})" if chosen else str(values["name"])
