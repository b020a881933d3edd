"""How final agents do in each of a study's held-out tasks: a map over the grid of tasks, bars of named ones, or else a profile."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autorl.analysis.curriculum_figures import value_axis
from autorl.analysis.heat_map import heat_map
from autorl.analysis.held_out import Array, successes_of
from autorl.analysis.scores import arm_name
from autorl.environments.features import Feature
from autorl.studies.trial import Arm, Json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from autorl.studies.specification import Specification

_MOST_BARS = 40
"""Named tasks that have a bar each; more are shown as a profile."""


def task_success(specification: Specification, lessons: Sequence[Json], environment: int) -> Json:
    """Return the mean over trainings in each of N held-out tasks at the last evaluation; empty without such tasks.

    Keys: ``of`` (``success`` or ``return``), ``means`` ([N], in the order of the tasks), ``trainings``, ``named`` (a name of each task, or
    none), and ``grid``: where the tasks are a grid of at most two dimensions, for each of these ``{"feature": as in a curriculum, "values":
    list}``, the first varying slowest. Success and failed trainings are as in `autorl.analysis.held_out.held_out_summary`.
    """
    choice = specification.environments[environment]
    own = [one for one in lessons if one["environment"] == environment]
    done = [one for one in own if one["tasks"]]
    if not done or choice.tasks is None:
        return {}
    known = [successes_of(one, {"score_range": choice.score_range}) for one in done]
    told = [exam.means for exam in known if exam is not None]
    success = len(told) == len(done)
    rows = told if success else [np.asarray(one["tasks"], np.float64) for one in done]
    # a training without a last evaluation succeeds in no task
    sums, trainings = np.sum(rows, axis=0), len(own) if success else len(done)
    return {
        "of": "success" if success else "return",
        "means": (sums / trainings).tolist(),
        "trainings": trainings,
        "named": [_name(one) for one in choice.tasks.named],
        "grid": _grid(specification, environment),
    }


def _name(task: str | Mapping[str, Any]) -> str:
    return task if isinstance(task, str) else ", ".join(f"{name} {value}" for name, value in task.items())


def _grid(specification: Specification, environment: int) -> list[Json]:
    from autorl.environments.registry import make_environment
    from autorl.environments.task_points import task_points

    choice = specification.environments[environment]
    assert choice.tasks is not None
    side = choice.tasks.grid
    if not side:
        return []
    features = task_points(make_environment(choice.id), choice.tasks.vary).features
    if len(features) > 2:
        return []
    where = np.linspace(0.0, 1.0, side)
    return [{"feature": list(one), "values": one.at(where).tolist()} for one in features]


def task_success_figure(found: Mapping[Arm, Json], method: str, name: str) -> Figure:
    """Return what each arm's final agents come to in each held-out task.

    A heat map an arm over a grid of two dimensions, all in the same colours; a line an arm over a grid of one; a bar a task and arm where
    tasks have names; and else a profile: the tasks of each arm from its worst to its best.

    Args:
        found: Of the arms, see `task_success`; of the same tasks.
        method: What the study's method is called (`autorl.analysis.scores.method_name`).
        name: What the figure is of.
    """
    from autorl.analysis.style import title

    first = next(iter(found.values()))
    what = "success" if all(one["of"] == "success" for one in found.values()) else "return"
    values = {arm: np.asarray(one["means"], np.float64) for arm, one in found.items()}
    names = {arm: arm_name(arm, method) for arm in found}
    if len(first["grid"]) == 2:
        figure = _maps(values, names, first["grid"], what)
    elif 0 < len(first["named"]) <= _MOST_BARS:
        figure = _bars(values, names, first["named"], what)
    else:
        figure = _profile(values, names, first["grid"], what)
    trainings = max(one["trainings"] for one in found.values())
    title(figure, f"{name}: {what} of the final agents in each held-out task, mean of {trainings} trainings")
    return figure


def _range(values: Mapping[Arm, Array], what: str) -> tuple[float, float]:
    together = np.concatenate(list(values.values()))
    return (0.0, 1.0) if what == "success" else (float(together.min()), float(together.max()))


def _maps(values: Mapping[Arm, Array], names: Mapping[Arm, str], grid: Sequence[Json], what: str) -> Figure:
    from autorl.analysis.style import colour_bar, label, new_figure

    across = min(3, len(values))
    down = math.ceil(len(values) / across)
    width = {1: 4.9, 2: 6.8}.get(across, 8.6)
    figure, axes = new_figure(0.7 + (4.0 if across == 1 else 2.7) * down, down, across, width)
    features = [Feature(*one["feature"]) for one in grid]
    x, y = (_edges(feature, len(one["values"])) for feature, one in zip(features, grid, strict=True))
    limits = _range(values, what)
    for i, (axis, (arm, means)) in enumerate(zip(axes, values.items(), strict=False)):
        sides = [len(one["values"]) for one in grid]
        drawn = heat_map(axis, x, y, means.reshape(sides).T, limits)
        for which, feature in zip("xy", features, strict=True):
            value_axis(axis, feature, which)
        axis.grid(visible=False)
        label(
            axis,
            f"{names[arm]}: mean {means.mean():.3g}",
            features[0].name if i >= len(values) - across else "",
            "" if i % across else features[1].name,
        )
    for axis in axes[len(values) :]:
        axis.set_visible(False)
    colour_bar(figure, drawn, axes, what)
    return figure


def _edges(feature: Feature, side: int) -> Array:
    """Return the borders of the cells around ``side`` values that are equally far apart on the feature's scale, its ends included."""
    return feature.at((np.arange(side + 1) - 0.5) / (side - 1))


def _bars(values: Mapping[Arm, Array], names: Mapping[Arm, str], tasks: Sequence[str], what: str) -> Figure:
    from autorl.analysis.style import arm_style, label, legend, new_figure

    thick = 0.8 / len(values)
    figure, (axis,) = new_figure(1.2 + 0.3 * len(tasks) * max(1.0, len(values) / 2))
    for i, (arm, means) in enumerate(values.items()):
        heights = np.arange(len(tasks)) + (i - (len(values) - 1) / 2) * thick
        axis.barh(heights, means, height=0.9 * thick, color=arm_style(arm, values)[0], label=names[arm])
    axis.set_yticks(range(len(tasks)), tasks)
    axis.set_ylim(len(tasks) - 0.4, -0.6)
    if what == "success":
        axis.set_xlim(0.0, 1.0)
    label(axis, x=what)
    _beside(axis)
    legend(axis, columns=1, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _beside(axis: Axes) -> None:
    """Turn the faint lines of an axis by a quarter, for bars that lie."""
    from autorl.analysis.style import GRID

    axis.grid(False, axis="y")
    axis.grid(True, axis="x", color=GRID, linewidth=0.8)


def _profile(values: Mapping[Arm, Array], names: Mapping[Arm, str], grid: Sequence[Json], what: str) -> Figure:
    from autorl.analysis.style import arm_style, label, legend, new_figure

    figure, (axis,) = new_figure(3.4)
    for arm, means in values.items():
        colour, marker = arm_style(arm, values)
        if grid:
            axis.plot(grid[0]["values"], means, "-", marker=marker, color=colour, markersize=4, label=names[arm])
        else:
            share = (np.arange(len(means)) + 0.5) / len(means)
            axis.plot(share, np.sort(means), "-", color=colour, linewidth=1.8, label=names[arm])
    if grid:
        value_axis(axis, Feature(*grid[0]["feature"]), "x")
    if what == "success":
        axis.set_ylim(-0.02, 1.02)
    label(
        axis, x=grid[0]["feature"][0] if grid else "share of the tasks, from the worst to the best of each line", y=what
    )
    legend(axis, columns=1, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
