"""Figures of the space as the search saw it: parallel coordinates of all trials, and contours over pairs of hyperparameters.

Optuna draws both too, and the report folds its figures below these (`autorl.analysis.figures_optuna`); these show failures, conditions and
the winner, and read on dark pages.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autorl.analysis import axes as plot_axes
from autorl.analysis.scores import finished
from autorl.analysis.statistics import Array
from autorl.analysis.style import (
    GREY,
    INK,
    MUTED,
    PURPLE,
    label,
    message,
    new_figure,
    score_colours,
    score_limits,
    title,
)
from autorl.spaces import Bool, Categorical, Dimension, Float, Int, Space
from autorl.spaces.columns import columns, values
from autorl.studies.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_AXES = 9
MOST_LINES = 400
MOST_CONTOURS = 3
FEWEST_TRIALS = 10
ABSENT = -0.14
"""Where a hyperparameter stands that a trial does not have."""
BANDWIDTH = 0.12
"""Of the smoothing, as a part of each dimension's range on the scale it was searched on."""
_REACH = 2.0
"""Bandwidths from the nearest trial beyond which nothing is drawn."""
_GRID = 41
_LEVELS = 9


def parallel_coordinates(
    trials: Sequence[Trial],
    space: Space | None,
    order: Sequence[str] = (),
    winner: int | None = None,
    score: str = "score",
) -> Figure:
    """Every trial a line through its hyperparameters, each on the scale it was searched on, to its score, which colours it.

    Failed trials are purple and end below the scores. A hyperparameter that a trial does not have is crossed below its axis.

    Args:
        trials: Search trials of one arm.
        space: The space searched.
        order: Names to show first (the important ones). At most `MOST_AXES` are shown.
        winner: Number of a trial to stress.
        score: What the scores are called.
    """
    dimensions = _varying(space)
    ended = [t for t in trials if finished(t) and t.status != "pruned"]
    if len(dimensions) < 2 or not ended:
        return message("No parallel coordinates: they need two hyperparameters and a trial that has ended.")
    names = ([n for n in order if n in dimensions] + [n for n in dimensions if n not in order])[:MOST_AXES]
    limits = score_limits([t.score for t in ended if t.score is not None])
    figure, (axis,) = new_figure(3.6)
    shown = fewer(ended, winner)
    for trial in shown:
        _line(axis, trial, {name: dimensions[name] for name in names}, limits, trial.number == winner)
    for place, name in enumerate(names):
        _ticks(axis, place, dimensions[name])
        if any(name not in values(t.candidate) for t in shown):
            _tick(axis, place, ABSENT, "absent")
    for mark in _round_numbers(limits, 5):
        _tick(axis, len(names), (mark - limits[0]) / (limits[1] - limits[0]), f"{mark:g}", right=True)
    if any(t.score is None for t in shown):
        _tick(axis, len(names), ABSENT, "failed", right=True)
    for place in range(len(names) + 1):
        axis.axvline(place, color=GREY, linewidth=0.8, ymin=0.11, zorder=0)
    axis.set_xticks(
        range(len(names) + 1), [*(name.replace("_", "_\n", 1) for name in names), score.replace(" ", "\n", 1)]
    )
    axis.set_xlim(-0.35, len(names) + 0.45)
    axis.set_ylim(-0.28, 1.04)
    axis.set_yticks([])
    axis.grid(False)
    for side in axis.spines.values():
        side.set_visible(False)
    axis.tick_params(axis="x", labelcolor=INK, length=0)
    left_out = f", {len(names)} of {len(dimensions)} hyperparameters" if len(names) < len(dimensions) else ""
    left_out += f", {len(shown)} of {len(ended)} trials" if len(shown) < len(ended) else ""
    title(figure, f"Parallel coordinates (search seeds; failed trials end below{left_out})")
    return figure


def contours(
    trials: Sequence[Trial],
    space: Space | None,
    order: Sequence[str] = (),
    winner: int | None = None,
    score: str = "score",
) -> Figure:
    """Score over pairs of numeric hyperparameters: smoothed where trials are near, blank where none is; the trials as dots.

    The smoothing is a mean weighted by distance (Nadaraya, 1964; Watson, 1964), since single trials are noisy.

    Args:
        trials: Search trials of one arm.
        space: The space searched.
        order: Names by importance; the first three numeric ones are paired.
        winner: Number of a trial to ring.
        score: What the scores are called.
    """
    dimensions = {name: d for name, d in _varying(space).items() if isinstance(d, Float | Int)}
    ended = [t for t in trials if finished(t)]
    names = ([n for n in order if n in dimensions] + [n for n in dimensions if n not in order])[:3]
    pairs = [p for p in itertools.combinations(names, 2) if len(_points(ended, *p, dimensions)[0]) >= FEWEST_TRIALS]
    if not pairs:
        return message(
            f"No contours: they need two numeric hyperparameters and {FEWEST_TRIALS} trials that completed with both."
        )
    surfaces = [_surface(ended, *pair, dimensions) for pair in pairs]
    known = np.concatenate([surface[np.isfinite(surface)] for surface in surfaces])
    low, high = float(known.min()), float(known.max())
    levels = _round_numbers((low, high) if low < high else (low - 0.5, low + 0.5), _LEVELS, around=True)
    figure, panels = new_figure(3.1, 1, len(pairs))
    for axis, pair, surface in zip(panels, pairs, surfaces, strict=True):
        filled = _contour_panel(axis, ended, *pair, dimensions, surface, levels)
        _contour_marks(axis, ended, *pair, dimensions, winner)
    bar = figure.colorbar(filled, ax=panels, fraction=0.03, pad=0.01, format="{x:g}")
    bar.ax.tick_params(labelsize=8.5, length=0, labelcolor=MUTED)
    bar.outline.set_visible(False)
    bar.set_label(f"mean {score} nearby", fontsize=8.5, color=INK)
    title(figure, "Score over pairs of hyperparameters, smoothed (search seeds; crosses: failed)")
    return figure


def smoothed(points: Array, scores: Array, at: Array, bandwidth: float = BANDWIDTH) -> Array:
    """Return the mean of ``scores`` weighted by distance, nan beyond `_REACH` bandwidths from every point.

    Args:
        points: [N, D] in the unit cube.
        scores: [N].
        at: [M, D], where.
        bandwidth: Standard deviation of the Gaussian weights.

    Returns:
        [M].
    """
    distance = np.sum(np.square(at[:, None, :] - points[None, :, :]), axis=-1) / bandwidth**2
    nearest = distance.min(axis=1)
    # relative to the nearest: far away all weights would be 0
    weights = np.exp(-0.5 * (distance - nearest[:, None]))
    means = weights @ scores / weights.sum(axis=1)
    return np.where(nearest <= _REACH**2, means, np.nan)


def _varying(space: Space | None) -> dict[str, Dimension]:
    return {name: d for name, d in columns(space).items() if plot_axes.varies(d)}


def fewer(trials: Sequence[Trial], winner: int | None, most: int = MOST_LINES) -> list[Trial]:
    """Return at most ``most`` trials, the worst first: half of them the best, the rest spread evenly over the others."""
    ranked = sorted(trials, key=lambda t: (t.number == winner, t.score is not None, t.score or 0.0, -t.number))
    if len(ranked) <= most:
        return ranked
    best, others = ranked[-(most // 2) :], ranked[: -(most // 2)]
    picked = np.linspace(0, len(others) - 1, most - len(best)).round().astype(int)
    return [*(others[i] for i in picked), *best]


def _line(
    axis: Axes, trial: Trial, dimensions: Mapping[str, Dimension], limits: tuple[float, float], stressed: bool
) -> None:
    found = values(trial.candidate)
    heights = []
    for name, dimension in dimensions.items():
        known = name in found and dimension.validate(found[name]) is None
        heights.append(dimension.to_unit(found[name]) if known else ABSENT)
    low, high = limits
    failed = trial.score is None
    share = 0.0 if trial.score is None else float(np.clip((trial.score - low) / (high - low), 0.0, 1.0))
    heights.append(ABSENT if failed else share)
    colour: Any = PURPLE if failed else score_colours()(share)
    style: dict[str, Any] = (
        {"linewidth": 2.4, "alpha": 1.0} if stressed else {"linewidth": 0.9, "alpha": 0.35 if failed else 0.6}
    )
    axis.plot(range(len(heights)), heights, "-", color=colour, zorder=4 if stressed else 1 + 2 * share, **style)
    if failed:
        axis.plot([len(heights) - 1], [ABSENT], "x", color=PURPLE, markersize=4.5)


def _ticks(axis: Axes, place: int, dimension: Dimension) -> None:
    if isinstance(dimension, Categorical):
        marks = [(dimension.to_unit(choice), plot_axes.word(choice)) for choice in dimension.choices]
    elif isinstance(dimension, Bool):
        marks = [(dimension.to_unit(choice), plot_axes.word(choice)) for choice in (False, True)]
    else:
        marks = [(unit, plot_axes.plain(float(dimension.from_unit(unit)))) for unit in (0.0, 1.0)]
    for height, text in marks:
        _tick(axis, place, height, text)


def _tick(axis: Axes, place: int, height: float, text: str, right: bool = False) -> None:
    axis.plot([place], [height], "_", color=MUTED, markersize=6, zorder=5)
    offset = 0.05 if right else -0.05
    axis.text(
        place + offset, height, text, ha="left" if right else "right", va="center", fontsize=7.5, color=MUTED, zorder=6
    )


def _surface(trials: Sequence[Trial], x: str, y: str, dimensions: Mapping[str, Dimension]) -> Array:
    """Return the smoothed scores on a grid of unit coordinates [y, x]."""
    points, scores = _points(trials, x, y, dimensions)
    units = np.linspace(0.0, 1.0, _GRID)
    grid = np.stack([a.ravel() for a in np.meshgrid(units, units)], axis=1)
    low, high = score_limits(scores.tolist())
    return smoothed(points, np.clip(scores, low, high), grid).reshape(_GRID, _GRID)


def _contour_panel(
    axis: Axes,
    trials: Sequence[Trial],
    x: str,
    y: str,
    dimensions: Mapping[str, Dimension],
    surface: Array,
    levels: Sequence[float],
) -> Any:
    units = np.linspace(0.0, 1.0, _GRID)
    across = [_drawn(dimensions[x], unit) for unit in units]
    down = [_drawn(dimensions[y], unit) for unit in units]
    plot_axes.scale(axis, "x", dimensions[x])
    plot_axes.scale(axis, "y", dimensions[y])
    axis.grid(False)
    label(axis, x=x, y=y)
    return axis.contourf(across, down, np.ma.masked_invalid(surface), levels=levels, cmap=score_colours())


def _contour_marks(
    axis: Axes, trials: Sequence[Trial], x: str, y: str, dimensions: Mapping[str, Dimension], winner: int | None
) -> None:
    for trial in _holders(trials, x, y, dimensions):
        found = values(trial.candidate)
        across, down = (plot_axes.place(dimensions[name], found[name]) for name in (x, y))
        assert across is not None and down is not None  # noqa: PT018
        if trial.score is not None:
            axis.plot([across], [down], "o", color=INK, markersize=2.6, markeredgewidth=0, alpha=0.7)
        elif trial.status != "pruned":
            axis.plot([across], [down], "x", color=PURPLE, markersize=4.5)
        if trial.number == winner:
            axis.plot([across], [down], "o", mfc="none", mec=INK, markersize=9, mew=1.4)


def _holders(trials: Sequence[Trial], x: str, y: str, dimensions: Mapping[str, Dimension]) -> list[Trial]:
    """Return the trials that have both hyperparameters, within their ranges."""
    held = [(t, values(t.candidate)) for t in trials]
    return [t for t, found in held if all(n in found and dimensions[n].validate(found[n]) is None for n in (x, y))]


def _points(trials: Sequence[Trial], x: str, y: str, dimensions: Mapping[str, Dimension]) -> tuple[Array, Array]:
    """Return unit coordinates [N, 2] and scores [N] of the completed trials that have both hyperparameters."""
    done = [(values(t.candidate), t.score) for t in _holders(trials, x, y, dimensions) if t.score is not None]
    table = np.asarray([(dimensions[x].to_unit(c[x]), dimensions[y].to_unit(c[y]), s) for c, s in done], np.float64)
    return table.reshape(-1, 3)[:, :2], table.reshape(-1, 3)[:, 2]


def _round_numbers(limits: tuple[float, float], count: int, around: bool = False) -> list[float]:
    """Return about ``count`` round numbers within ``limits``; ``around``: so many that the limits are within them."""
    from matplotlib.ticker import MaxNLocator

    found = [float(v) for v in MaxNLocator(count).tick_values(*limits)]
    return found if around else [v for v in found if limits[0] <= v <= limits[1]]


def _drawn(dimension: Dimension, unit: float) -> float:
    """Return where a place in the unit interval is drawn: on whole numbers between the cells, not rounded to them."""
    if isinstance(dimension, Int):
        low, high = dimension.low, dimension.high
        return float(low * (high / low) ** unit if dimension.log else low + unit * (high - low))
    place = plot_axes.place(dimension, dimension.from_unit(unit))
    assert place is not None
    return place
