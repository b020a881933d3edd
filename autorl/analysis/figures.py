"""The figures of a study. Each takes plain trials and returns a `matplotlib.figure.Figure`; see `autorl.analysis.style`.

Figures of the search show scores of search seeds, and say so: they explain how the search went, not what it achieved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autorl.analysis import axes as plot_axes
from autorl.analysis.anytime import Curve as BestSoFar
from autorl.analysis.anytime import best_so_far
from autorl.analysis.importance import Importances
from autorl.analysis.scores import arm_name, by_arm, environments, finished, method_name, number
from autorl.analysis.statistics import Array, fill_failures, interquartile_means, stratified_bootstrap_interval
from autorl.analysis.style import (
    BLUE,
    GRID,
    INK,
    MUTED,
    PURPLE,
    arm_style,
    below,
    label,
    legend,
    message,
    new_figure,
    score_limits,
    steps_axis,
    title,
)
from autorl.analysis.timeline import Timeline, ended_at, timeline
from autorl.spaces import Space
from autorl.spaces.columns import columns, values
from autorl.studies.trial import Arm, Curve, Json, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 16


def arm_scores(result: Json) -> Figure:
    """Every training on test seeds as a dot, the interquartile mean with its interval above: one row an arm.

    A failed training stands, crossed, at the score that it counts as. Several environments: their normalised scores together.
    """
    filled = fill_failures({arm: found["scores"] for arm, found in result["arms"].items()})
    if not filled:
        return message("No test scores yet: they appear when the test phase is done.")
    figure, (axis,) = new_figure(0.9 + 0.55 * len(filled))
    for row, (arm, scores) in enumerate(filled.items()):
        found = result["arms"][arm]
        colour, marker = arm_style(arm, filled)
        failed = np.array([[score is None for score in line] for line in found["scores"]]).T
        height = row + 0.16 + 0.14 * _jitter(scores.size).reshape(scores.shape)
        axis.plot(
            scores[~failed],
            height[~failed],
            marker,
            color=colour,
            alpha=0.45,
            markersize=5,
            markeredgewidth=0,
        )
        axis.plot(scores[failed], height[failed], "x", color=PURPLE, markersize=6)
        if found["interval"]:
            axis.plot(
                found["interval"], [row - 0.16] * 2, "-", color=colour, linewidth=3.5, alpha=0.5, solid_capstyle="butt"
            )
        axis.plot([found["score"]], [row - 0.16], marker, color=colour, markersize=7.5)
        axis.annotate(
            number(found["score"]),
            (found["score"], row - 0.22),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
            color=INK,
        )
    axis.set_yticks(range(len(filled)), [arm_name(arm, result["method"]) for arm in filled])
    axis.set_ylim(len(filled) - 0.45, -0.62)
    axis.tick_params(axis="y", labelcolor=INK, length=0)
    axis.grid(False, axis="y")
    axis.grid(True, axis="x", color=GRID, linewidth=0.8)
    label(axis, x="score")
    title(figure, "Test scores: each training (dots), interquartile mean and 95 % interval (bars)")
    return figure


def learning_curves(trials: Sequence[Trial], specification: Mapping[str, Any]) -> Figure:
    """Interquartile mean over test seeds during training, with its 95 % interval: one line an arm, one panel an environment."""
    tested = by_arm(trials, "test")
    curves = {arm: [c for t in own for c in t.curves] for arm, own in tested.items()}
    curves = {arm: own for arm, own in curves.items() if own}
    if not curves:
        return message("No learning curves on test seeds yet: they appear when the test phase is done.")
    names = [str(e.get("id")).rpartition(":")[2] for e in environments(specification)] or [""]
    across = min(3, len(names))
    down = math.ceil(len(names) / across)
    figure, panels = new_figure(0.6 + 2.9 * down, down, across)
    for index, (axis, name) in enumerate(zip(panels, names, strict=False)):
        _curves_panel(axis, {a: [c for c in own if c.environment == index] for a, own in curves.items()}, specification)
        label(axis, name if len(names) > 1 else "", "environment steps", "score" if index % across == 0 else "")
    for axis in panels[len(names) :]:
        axis.set_visible(False)
    legend(panels[0], loc="lower right", columns=1)
    title(figure, "Learning on test seeds: interquartile mean and 95 % interval")
    return figure


def _curves_panel(axis: Axes, curves: Mapping[Arm, Sequence[Curve]], specification: Mapping[str, Any]) -> None:
    tables = {arm: _curve_table(own) for arm, own in curves.items() if own}
    known = [score for table in tables.values() for row in table for score in row if score is not None]
    for arm, table in tables.items():
        steps = max((c.env_steps for c in curves[arm]), key=len)
        x, middle, low, high = [], [], [], []
        for step, row in zip(steps, table, strict=True):
            # as in the result: a training that failed counts as the worst score seen, here of the panel
            scores = np.array([min(known) if score is None else score for score in row]) if known else np.array([])
            if not scores.size:
                continue
            bounds = stratified_bootstrap_interval(scores, resamples=1000, seed=step)
            x.append(step)
            middle.append(float(interquartile_means(scores)))
            low.append(bounds.low)
            high.append(bounds.high)
        name = arm_name(arm, method_name(specification))
        colour, marker = arm_style(arm, curves)
        axis.plot(x, middle, "-", marker=marker, color=colour, markersize=4.5, linewidth=1.8, label=name)
        axis.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
    steps_axis(axis)


def _curve_table(curves: Sequence[Curve]) -> list[list[float | None]]:
    """[points][seeds]; a curve that ended early (diverged) has failed at the points it lacks."""
    points = max(len(c.env_steps) for c in curves)
    return [[_finite(c.scores[i]) if i < len(c.scores) else None for c in curves] for i in range(points)]


def optimisation_history(
    trials: Sequence[Trial], specification: Mapping[str, Any], order: Timeline | None = None
) -> Figure:
    """Score of each search trial and the best so far, for the method and for random search; failures along the bottom.

    The horizontal axis is work, environment steps granted, so arms whose trials differ in length can be compared.

    Args:
        trials: All of the study's.
        specification: The study's, resolved.
        order: The timeline of its own method's search, where it is known already.
    """
    arms = {arm: [t for t in own if finished(t)] for arm, own in by_arm(trials, "search").items()}
    if not arms:
        return message("No search trial has finished.")
    figure, (axis,) = new_figure(3.5)
    limits = score_limits([t.score for own in arms.values() for t in own if t.score is not None])
    failed: list[float] = []
    pruned: list[float] = []
    for arm, own in arms.items():
        all_of_it = [t for t in trials if (t.arm, t.phase) == (arm, "search")]
        known = (order if arm == "method" else None) or timeline(all_of_it, specification)
        work = ended_at(all_of_it, specification, known)
        told = [(work[t.number], t.score) for t in own if t.score is not None]
        failed += [work[t.number] for t in own if t.score is None and t.status != "pruned"]
        pruned += [work[t.number] for t in own if t.status == "pruned"]
        best = None if known is None else best_so_far(all_of_it, specification, known)
        _history(axis, told, best, limits, arm, arm_name(arm, method_name(specification)))
    height = limits[0] + 0.02 * (limits[1] - limits[0])
    if pruned:
        text = f"stopped on the way ({len(pruned)})"
        axis.plot(pruned, [height] * len(pruned), "|", color=MUTED, markersize=5, label=text)
    if failed:
        axis.plot(failed, [height] * len(failed), "x", color=PURPLE, markersize=5, label=f"failed ({len(failed)})")
    axis.set_ylim(*limits)
    steps_axis(axis)
    label(axis, x="environment steps granted to the search", y="score on search seeds")
    legend(axis, loc="upper left", bbox_to_anchor=(0.0, 1.1), borderaxespad=0.0)
    title(figure, "The search, trial by trial (search seeds: no result)")
    return figure


def _history(
    axis: Axes,
    told: Sequence[tuple[float, float]],
    known: BestSoFar | None,
    limits: tuple[float, float],
    arm: Arm,
    name: str,
) -> None:
    """Draw one arm: a dot a trial at the work done when it ended, and the best so far, that of the dots unless it is ``known``."""
    colour, marker = arm_style(arm, ())
    shown = [point for point in told if point[1] >= limits[0]]
    axis.plot(*_xy(shown), marker, color=colour, alpha=0.35, markersize=4.5, markeredgewidth=0)
    if known is None:
        best = np.maximum.accumulate([score for _, score in told]) if told else np.array([])
        line = [(x, max(score, limits[0])) for (x, _), score in zip(told, best, strict=True)]
    else:
        line = [(float(x), max(float(y), limits[0])) for x, y in zip(known.work, known.score, strict=True)]
    axis.plot(*_xy(line), "-", color=colour, drawstyle="steps-post", linewidth=2, label=f"{name}: best so far")
    low = [point for point in told if point[1] < limits[0]]
    below(axis, [x for x, _ in low], limits, min((y for _, y in low), default=0.0), colour)


def importance_bars(found: Importances) -> Figure:
    """Share of each hyperparameter in what set the best trials apart; the message of `found` where there is none."""
    if not found.shares:
        return message(found.message)
    shown = list(found.shares.items())[:MOST_PANELS]
    figure, (axis,) = new_figure(0.9 + 0.28 * len(shown))
    names, shares = [name for name, _ in shown], [share for _, share in shown]
    axis.barh(range(len(shown)), shares, height=0.62, color=BLUE, alpha=0.85)
    for row, share in enumerate(shares):
        axis.annotate(
            f"{share:.0%}".replace("%", " %") if share >= 0.005 else "< 1 %",
            (share, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=INK,
        )
    axis.set_yticks(range(len(shown)), names)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.set_xlim(0, max(shares) * 1.12)
    axis.grid(False)
    axis.spines["bottom"].set_visible(False)
    axis.tick_params(axis="x", labelbottom=False, length=0)
    axis.tick_params(axis="y", labelcolor=INK, length=0)
    left_out = (
        f" The {len(found.shares) - len(shown)} least important are left out." if len(found.shares) > len(shown) else ""
    )
    title(figure, "Hyperparameter importance")
    label(axis, x=found.message + left_out)
    axis.xaxis.label.set_color(MUTED)
    return figure


def slices(
    trials: Sequence[Trial],
    space: Space | None,
    order: Sequence[str] = (),
    winner: int | None = None,
    score: str = "score",
) -> Figure:
    """Score against each hyperparameter, on the scale it was searched on; later trials are stronger, failures at the bottom.

    Trials that were stopped on the way and have no score stand below as bars: where they were, not what they were worth.

    Args:
        trials: Search trials of one arm.
        space: The space searched.
        order: Names to show first (the important ones). At most `MOST_PANELS` are shown.
        winner: Number of a trial to ring.
        score: What the scores are called.
    """
    dimensions = {name: d for name, d in columns(space).items() if plot_axes.varies(d)}
    ended = [t for t in trials if finished(t)]
    if not dimensions or not ended:
        return message("No hyperparameters to show: nothing was searched, or no trial has finished.")
    names = [n for n in order if n in dimensions] + [n for n in dimensions if n not in order]
    shown = names[:MOST_PANELS]
    across = min(4, len(shown))
    down = math.ceil(len(shown) / across)
    figure, panels = new_figure(0.55 + 1.95 * down, down, across)
    limits = score_limits([t.score for t in ended if t.score is not None])
    for index, (axis, name) in enumerate(zip(panels, shown, strict=False)):
        _slice_panel(axis, ended, name, dimensions[name], limits, winner)
        label(axis, x=name, y=score if index % across == 0 else "")
        if index % across:
            axis.tick_params(labelleft=False)
    for axis in panels[len(shown) :]:
        axis.set_visible(False)
    rest = f", {len(shown)} of {len(names)} shown" if len(names) > len(shown) else ""
    bars = ", bars: stopped before" if any(t.status == "pruned" for t in ended) else ""
    title(
        figure,
        f"Score against each hyperparameter{rest} (search seeds; later trials stronger, crosses: failed{bars})",
    )
    return figure


def _slice_panel(
    axis: Axes, trials: Sequence[Trial], name: str, dimension: Any, limits: tuple[float, float], winner: int | None
) -> None:
    from matplotlib.colors import to_rgba

    jitter = 0.28 * _jitter(len(trials)) if plot_axes.discrete(dimension) else np.zeros(len(trials))
    points = [
        (x + jitter[i], -math.inf if t.score is None else t.score, i / max(1, len(trials) - 1), t.number)
        for i, t in enumerate(trials)
        if (value := values(t.candidate).get(name)) is not None and (x := plot_axes.place(dimension, value)) is not None
    ]
    good = [p for p in points if p[1] >= limits[0]]
    shades = [to_rgba(BLUE, 0.25 + 0.75 * p[2]) for p in good]
    axis.scatter([p[0] for p in good], [p[1] for p in good], c=shades, s=15, linewidths=0)
    edge = limits[0] + 0.03 * (limits[1] - limits[0])
    pruned = {t.number for t in trials if t.status == "pruned"}
    failed = [p[0] for p in points if p[1] == -math.inf and p[3] not in pruned]
    stopped = [p[0] for p in points if p[1] == -math.inf and p[3] in pruned]
    axis.plot(stopped, [edge] * len(stopped), "|", color=MUTED, markersize=4.5, alpha=0.6)
    axis.plot(failed, [edge] * len(failed), "x", color=PURPLE, markersize=4.5)
    low = [p[0] for p in points if -math.inf < p[1] < limits[0]]
    axis.plot(low, [edge] * len(low), "v", color=MUTED, markersize=4)
    ringed = [p for p in good if p[3] == winner]
    axis.plot([p[0] for p in ringed], [p[1] for p in ringed], "o", mfc="none", mec=INK, markersize=8, mew=1.3)
    axis.set_ylim(*limits)
    plot_axes.scale(axis, "x", dimension)


def _jitter(amount: int) -> Array:
    """Evenly spread offsets in [-1, 1] without a random generator (golden ratio sequence)."""
    spread: Array = np.arange(1.0, amount + 1) * 0.6180339887498949 % 1.0
    return 2 * spread - 1


def _xy(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _finite(score: float | None) -> float | None:
    return score if score is not None and math.isfinite(score) else None
