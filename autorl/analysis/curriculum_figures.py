"""Figures of a curriculum: what was played in each dimension over the training, and how the agent did there and in its evaluations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autorl.analysis.curriculum import Array
from autorl.analysis.heat_map import heat_map
from autorl.analysis.scores import OVER_TASKS, arm_name
from autorl.analysis.statistics import interquartile_means, stratified_bootstrap_interval
from autorl.environments.features import Feature
from autorl.studies.trial import Arm, Json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_FEATURES = 10
_PROGRESS = (
    "Learning progress: absolute change of a cell's mean return since the interval before (noise, where few ended)"
)


def curriculum_figure(found: Json, name: str, most: int = MOST_FEATURES) -> Figure:
    """Return heat maps over the training of the first ``most`` features of the tasks, one row each.

    From the left: the share of the episodes, their mean return, and the learning progress (`autorl.analysis.curriculum.learning_progress`:
    the absolute change of the mean return of a cell from the interval before). Cells are the bins of the diary, which are equal on the
    feature's scale, so its axis is log where its scale is. Where they hold at most one whole number each, cells are these numbers.
    """
    from autorl.analysis.style import colour_bar, label, new_figure, steps_axis, title

    features = [Feature(*one) for one in found["features"]][:most]
    until, episodes = np.asarray(found["until"], np.float64), np.asarray(found["episodes"], np.float64)
    totals = np.maximum(episodes.sum(axis=2, keepdims=True), 1.0)
    maps = {
        "share of episodes": np.where(episodes > 0, episodes / totals, np.nan),
        "mean return": np.asarray(found["returns"], np.float64),
        "learning progress": np.asarray(found["learning_progress"], np.float64),
    }
    figure, axes = new_figure(1.0 + 2.0 * len(features), len(features), len(maps))
    edges = np.concatenate([[found["before"] / found["trainings"]], until])
    for f, feature in enumerate(features):
        bins, heights = _bins(feature, episodes.shape[2])
        row = axes[len(maps) * f : len(maps) * (f + 1)]
        for axis, (what, values) in zip(row, maps.items(), strict=True):
            # shares and changes are read from 0 on
            limits = None if what == "mean return" else (0.0, float(np.nanmax([*values[:, f].flat, 0.0])))
            drawn = heat_map(axis, edges, heights, values[:, f, bins].T, limits)
            value_axis(axis, feature, "y")
            axis.grid(visible=False)
            steps_axis(axis, most=3)
            colour_bar(figure, drawn, axis)
            label(
                axis,
                what if f == 0 else "",
                "environment steps" if f == len(features) - 1 else "",
                feature.name if axis is row[0] else "",
            )
    title(figure, f"{name}: tasks played, and what came of them. {_PROGRESS}")
    return figure


def _bins(feature: Feature, count: int) -> tuple[NDArray[np.int_], Array]:
    """Return the bins of a feature that are drawn, int [B], of ``count``, and their borders, [B + 1]."""
    numbers = np.arange(math.ceil(feature.low), math.floor(feature.high) + 1)
    if not feature.whole or feature.log or not 1 < len(numbers) <= count:
        return np.arange(count), feature.at(np.linspace(0.0, 1.0, count + 1))
    # a bin between two numbers is empty, which is no task that was left out
    parts = (numbers - feature.low) / (feature.high - feature.low)
    return np.minimum((parts * count).astype(int), count - 1), np.append(numbers - 0.5, numbers[-1] + 0.5)


def value_axis(axis: Axes, feature: Feature, which: str) -> None:
    """Give ``axis`` the scale of a feature along ``which`` of ``x`` and ``y``, with ticks that people read."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    if not feature.log:
        return
    axis.set(**{f"{which}scale": "log"})
    own = axis.xaxis if which == "x" else axis.yaxis
    # less than two decades hold too few powers of ten
    steps = (1.0, 2.0, 5.0) if feature.high < 100.0 * feature.low else (1.0,)
    own.set_major_locator(LogLocator(subs=steps))
    own.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    own.set_minor_locator(NullLocator())


def curves_figure(readings: Mapping[Arm, Json], method: str, name: str) -> Figure:
    """Return for each arm what its trainings were paid under the teacher, and in their evaluations, over the training.

    Both are interquartile means over trainings with 95 % bootstrap intervals, as in the learning curves of a report: of the mean return of
    the episodes that ended in each interval, which stands at the interval's middle, and of each evaluation. Where the study says which
    returns count as 0 and 1, both are such scores.

    Args:
        readings: Of the arms, see `autorl.analysis.curriculum.curriculum_of`.
        method: What the study's method is called (`autorl.analysis.scores.method_name`).
        name: What the figure is of.
    """
    from autorl.analysis.style import BLUE, MUTED, label, legend, new_figure, steps_axis, title

    across = min(3, len(readings))
    down = math.ceil(len(readings) / across)
    figure, axes = new_figure(0.7 + 2.7 * down, down, across)
    told = next((_told(one) for one in readings.values() if one["evaluations"]["held_out"]), "evaluation")
    for i, (axis, (arm, found)) in enumerate(zip(axes, readings.items(), strict=False)):
        edges = np.concatenate([[found["before"] / found["trainings"]], found["until"]])
        _line(axis, (edges[1:] + edges[:-1]) / 2, _scored(found), MUTED, "s", "--", "training, under the teacher")
        scores = np.asarray(found["evaluations"]["scores"], np.float64)
        _line(axis, found["evaluations"]["env_steps"], _failed_as_worst(scores), BLUE, "o", "-", told)
        steps_axis(axis, most=6 if across == 1 else 4)
        ranged = found["measure"] if found["score_range"] is None else "score"
        label(
            axis, arm_name(arm, method) if len(readings) > 1 else "", "environment steps", "" if i % across else ranged
        )
    lows, highs = zip(*(axis.get_ylim() for axis in axes[: len(readings)]), strict=True)
    for axis in axes:
        axis.set_ylim(min(lows), max(highs))
    for axis in axes[len(readings) :]:
        axis.set_visible(False)
    legend(axes[0], loc="lower right", columns=1)
    title(figure, f"{name}: training and evaluation, interquartile mean and 95 % interval")
    return figure


def _told(found: Json) -> str:
    """Return what evaluations on held-out tasks are of: the words of a result's first sentence, without their article."""
    return OVER_TASKS[found["over"]].removeprefix("the ")


def _scored(found: Json) -> Array:
    """Return the mean returns (successes) of each training's episodes, [T, K], on the scale of the evaluations."""
    if found["measure"] == "success":
        return np.asarray(found["training_successes"], np.float64)
    returns: Array = np.asarray(found["training_returns"], np.float64)
    if found["score_range"] is None:
        return returns
    low, high = found["score_range"]
    return (returns - low) / (high - low)


def _failed_as_worst(scores: Array) -> Array:
    """Return scores [T, P] where a training without one counts as the worst that there is, as in a result."""
    return scores if np.isnan(scores).all() else np.where(np.isnan(scores), np.nanmin(scores), scores)


def _line(
    axis: Axes, steps: Sequence[float] | Array, values: Array, colour: str, marker: str, style: str, name: str
) -> None:
    """Draw the interquartile means of ``values`` [T, P] and their intervals at ``steps`` [P]; points that nobody told of are left out."""
    x, rows = [], list[Any]()
    for step, column in zip(steps, values.T, strict=True):
        known = column[np.isfinite(column)]
        if known.size:
            x.append(float(step))
            rows.append((float(interquartile_means(known)), *stratified_bootstrap_interval(known, resamples=1000)))
    if x:
        middle, low, high = zip(*rows, strict=True)
        axis.plot(x, middle, style, marker=marker, color=colour, markersize=3.5, linewidth=1.6, label=name)
        axis.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
