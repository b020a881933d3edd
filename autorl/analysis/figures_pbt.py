"""Figures of searches whose trials continue from parents: the schedules that lineages trained with, and who descends from whom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autorl.analysis import axes as plot_axes
from autorl.analysis.scores import finished
from autorl.analysis.style import (
    BLUE,
    GREY,
    INK,
    MUTED,
    label,
    message,
    new_figure,
    score_colours,
    score_limits,
    steps_axis,
    title,
)
from autorl.outer.lineage import ancestors, describe
from autorl.spaces import Space
from autorl.spaces.columns import columns, values
from autorl.studies.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 16


def pbt_schedule(trials: Sequence[Trial], space: Space | None, winner: int | None) -> Figure:
    """Each hyperparameter over environment steps: the whole population in grey, the lineage of trial ``winner`` in blue.

    Args:
        trials: Search trials of one arm.
        space: The space searched; dimensions are drawn on the scale they were searched on.
        winner: Number of the trial whose lineage is stressed; None stresses none.
    """
    rows = describe([t for t in trials if finished(t)])
    dimensions = {name: d for name, d in columns(space).items() if plot_axes.varies(d)}
    if not rows or not dimensions:
        return message("No schedule to show: no trial has finished, or nothing was searched.")
    shown = list(dimensions)[:MOST_PANELS]
    across = min(2 if len(shown) <= 4 else 3, len(shown))
    down = math.ceil(len(shown) / across)
    figure, panels = new_figure(0.55 + 2.0 * down, down, across)
    line = _line(trials, winner)
    for index, (axis, name) in enumerate(zip(panels, shown, strict=False)):
        _schedule_panel(axis, rows, name, dimensions[name], line)
        label(axis, name, "environment steps" if index + across >= len(shown) else "")
    for axis in panels[len(shown) :]:
        axis.set_visible(False)
    rest = f" ({len(shown)} of {len(dimensions)} hyperparameters)" if len(dimensions) > len(shown) else ""
    title(figure, f"Schedules: the population in grey, the winner's lineage in blue{rest}")
    return figure


def _schedule_panel(axis: Axes, rows: Sequence[dict[str, Any]], name: str, dimension: Any, line: set[int]) -> None:
    from matplotlib.collections import LineCollection

    heights = {row["number"]: plot_axes.place(dimension, values(row["candidate"]).get(name)) for row in rows}
    grey: list[list[tuple[float, float]]] = []
    stressed: list[list[tuple[float, float]]] = []
    for row in rows:
        y, begun, until = heights[row["number"]], row["from_env_steps"], row["until_env_steps"]
        if y is None:
            continue
        target = stressed if row["number"] in line else grey
        target.append([(begun, y), (until, y)])
        above = heights.get(row["parent"])
        if above is not None and above != y:
            target.append([(begun, above), (begun, y)])
    axis.add_collection(LineCollection(grey, colors=GREY, linewidths=0.9, alpha=0.75))
    axis.add_collection(LineCollection(stressed, colors=BLUE, linewidths=2.4, capstyle="round", zorder=3))
    axis.set_xlim(0, max(row["until_env_steps"] for row in rows))
    steps_axis(axis)
    plot_axes.scale(axis, "y", dimension)


def lineage(trials: Sequence[Trial], winner: int | None) -> Figure:
    """The family tree: one column a generation, one dot a trial shaded by its score, lines from parent to child.

    Args:
        trials: Search trials of one arm.
        winner: Number of the trial whose ancestors are stressed; None stresses none.
    """
    ended = sorted((t for t in trials if finished(t)), key=lambda t: t.number)
    if not any(t.parent is not None for t in ended):
        return message("No lineage to show: no trial continued from another.")
    slots = _slots(ended)
    tall = max(slot for _, slot in slots.values()) + 1
    figure, (axis,) = new_figure(min(6.5, 1.3 + 0.2 * tall))
    line = _line(ended, winner)
    _edges(axis, ended, slots, line)
    dots = _dots(axis, ended, slots, line, size=34 if tall <= 24 else 16)
    if dots is not None:
        bar = figure.colorbar(dots, ax=axis, fraction=0.025, pad=0.01, format="{x:g}")
        bar.ax.tick_params(labelsize=8.5, length=0, labelcolor=MUTED)
        if bar.solids is not None:
            bar.solids.set_edgecolor("face")  # no seams between the colours
        bar.outline.set_visible(False)
        bar.set_label("score on search seeds", fontsize=8.5, color=INK)
    axis.grid(False)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.set_ylim(tall - 0.4, -0.6)
    _whole_generations(axis)
    label(axis, x="generation", y="member")
    title(figure, "Lineage: who continued from whom, the winner's ancestors in blue")
    return figure


def _dots(axis: Axes, trials: Sequence[Trial], slots: dict[int, tuple[int, int]], line: set[int], size: int) -> Any:
    """Draw every trial; return what a colour bar needs, None if nothing completed."""
    failed = [slots[t.number] for t in trials if t.score is None]
    axis.scatter(
        [x for x, _ in failed], [y for _, y in failed], marker="x", s=size, color=INK, linewidths=1.2, zorder=3
    )
    completed = [(slots[t.number], t.score, t.number in line) for t in trials if t.score is not None]
    if not completed:
        return None
    low, high = score_limits([score for _, score, _ in completed])
    return axis.scatter(
        [place[0] for place, _, _ in completed],
        [place[1] for place, _, _ in completed],
        c=[score for _, score, _ in completed],
        cmap=score_colours(),
        vmin=low,
        vmax=high,
        s=size,
        linewidths=[1.4 if stressed else 0.0 for _, _, stressed in completed],
        edgecolors=BLUE,
        zorder=3,
    )


def _whole_generations(axis: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(20, integer=True))


def _edges(axis: Axes, trials: Sequence[Trial], slots: dict[int, tuple[int, int]], line: set[int]) -> None:
    from matplotlib.collections import LineCollection

    pairs = [(t.number, t.parent) for t in trials if t.parent in slots]
    stressed = [[slots[b], slots[a]] for a, b in pairs if b is not None and a in line and b in line]
    grey = [[slots[b], slots[a]] for a, b in pairs if b is not None and not (a in line and b in line)]
    axis.add_collection(LineCollection(grey, colors=GREY, linewidths=0.9, zorder=1))
    axis.add_collection(LineCollection(stressed, colors=BLUE, linewidths=2.6, zorder=2))


def _slots(trials: Sequence[Trial]) -> dict[int, tuple[int, int]]:
    """Trial number -> (generation, place in the generation, in order of number)."""
    places: dict[int, tuple[int, int]] = {}
    filled: dict[int, int] = {}
    for trial in trials:
        slot = filled.get(trial.generation, 0)
        places[trial.number] = (trial.generation, slot)
        filled[trial.generation] = slot + 1
    return places


def _line(trials: Sequence[Trial], winner: int | None) -> set[int]:
    """Numbers of ``winner`` and its ancestors; none if it is not among the trials."""
    if winner is None or all(t.number != winner for t in trials):
        return set()
    return {t.number for t in ancestors(trials, winner)}
