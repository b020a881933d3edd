"""Anytime performance: how good the best trial was after any amount of work, with what is known of how sure that is.

Scores are of search seeds, which choose and are no result; the figures say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autorl.analysis.scores import arm_name, by_arm, finished, is_random_search, method_name
from autorl.analysis.statistics import CONFIDENCE, Array, interquartile_means, stratified_bootstrap_interval
from autorl.analysis.style import arm_style, label, legend, message, new_figure, score_limits, steps_axis, title
from autorl.analysis.timeline import Timeline, timeline
from autorl.analysis.work import granted
from autorl.keys import derive
from autorl.studies.trial import Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 60
_FEWEST_REPEATS = 2


@dataclass(frozen=True)
class Curve:
    """Best score so far over work.

    Attributes:
        work: Environment steps granted, increasing: [N].
        score: [N]. It may fall, under a budget policy.
        low, high: The 95 % interval [N]; None where nothing is known of it.
    """

    work: Array
    score: Array
    low: Array | None = None
    high: Array | None = None


def best_so_far(
    trials: Sequence[Trial], specification: Mapping[str, Any], order: Timeline | None = None
) -> Curve | None:
    """Return the best score of a search after each trial, in the order in which it ran; None before one has completed.

    Under a budget policy a trial's score is known once a whole training of it ended, and is the mean over the seeds that it was trained on
    by then: the best can fall (`autorl.analysis.timeline.timing_caption` says so).

    Args:
        trials: Search trials of one arm, those that are running included.
        specification: The study's, resolved.
        order: Their timeline, where it is known already.
    """
    order = order or timeline(trials, specification)
    if order is not None:
        return _best_known(trials, specification, order)
    ended = sorted((t for t in trials if finished(t)), key=lambda t: t.number)
    work = np.cumsum([granted([t], specification) for t in ended]).astype(np.float64)
    scores = np.array([-np.inf if t.score is None else t.score for t in ended], np.float64)
    best = np.maximum.accumulate(scores) if len(scores) else scores
    known = np.isfinite(best)
    return Curve(work[known], best[known]) if known.any() else None


def _best_known(trials: Sequence[Trial], specification: Mapping[str, Any], order: Timeline) -> Curve | None:
    """Return the highest mean over seeds at each moment of the search at which a whole training has ended."""
    width = int((specification.get("seeds") or {}).get("search") or 1)
    known = [score for t in trials for row in t.scores for score in row if score is not None]
    worst = min(known, default=0.0)
    able = {t.number: t for t in trials if t.status in ("completed", "running")}
    now: dict[int, float] = {}
    work, best = [], []
    for moment in order.moments:
        for part in moment.parts:
            if part.trial in able and part.end == order.points:
                now[part.trial] = _mean(able[part.trial], (part.seed + 1) * width, worst)
        if now:
            work.append(moment.work)
            best.append(max(now.values()))
    return Curve(np.asarray(work), np.asarray(best)) if work else None


def _mean(trial: Trial, seeds: int, worst: float) -> float:
    """Return the mean score of a trial on its first ``seeds``; as at the end of a search, further ones that failed are the ``worst``."""
    scores = [worst if score is None else score for row in trial.scores for score in row[:seeds]]
    if not scores:
        assert trial.score is not None
        return trial.score
    return sum(scores) / len(scores)


def over_all_orders(trials: Sequence[Trial], specification: Mapping[str, Any]) -> Curve | None:
    """Return mean and 95 % interval of the best so far over all orders of the trials of a random search, which are alike.

    Exact (Dodge et al., 2019, Show Your Work: Improved Reporting of Experimental Results): the best of k of n trials is at most the
    j-th smallest in C(j, k) of C(n, k) ways. A failed trial counts as the worst that completed.
    """
    ended = [t for t in trials if finished(t)]
    known = [t.score for t in ended if t.score is not None]
    if not known:
        return None
    scores = np.sort([min(known) if t.score is None else t.score for t in ended])
    count = len(scores)
    work = granted(ended, specification) / count * np.arange(1.0, count + 1)
    below = _shares(count)
    chance = np.diff(below, axis=1, prepend=0.0)  # [k, j]: the best of k is the j-th smallest
    tail = (1 - CONFIDENCE) / 2
    low, high = (scores[np.minimum((below < q).sum(axis=1), count - 1)] for q in (tail, 1 - tail))
    return Curve(work, chance @ scores, low, high)


def over_repeats(curves: Sequence[Curve], seed: int = 0) -> Curve | None:
    """Return interquartile mean and 95 % interval of several repeats of a search, where all of them have completed a trial.

    None for fewer than two repeats, or if they share no amount of work.
    """
    if len(curves) < _FEWEST_REPEATS:
        return None
    first, last = max(c.work[0] for c in curves), min(c.work[-1] for c in curves)
    if first > last:
        return None
    work = np.linspace(first, last, POINTS)
    table = np.array([c.score[np.searchsorted(c.work, work, side="right") - 1] for c in curves])
    bounds = [stratified_bootstrap_interval(table[:, i], resamples=1000, seed=derive(seed, i)) for i in range(POINTS)]
    low, high = np.array([b.low for b in bounds]), np.array([b.high for b in bounds])
    return Curve(work, interquartile_means(table.T), low, high)


def anytime_figure(trials: Sequence[Trial], specification: Mapping[str, Any], order: Timeline | None = None) -> Figure:
    """Best so far of the study's search, over the mean and the 95 % interval of random search in any order of its trials.

    Args:
        trials: All of the study's.
        specification: The study's, resolved.
        order: The timeline of its own method's search, where it is known already.
    """
    drawn: dict[str, Curve] = {}
    for arm, own in by_arm(trials, "search").items():
        alike = arm == "random" or is_random_search(specification)
        all_of_it = [t for t in trials if (t.arm, t.phase) == (arm, "search")]
        known = order if arm == "method" else None
        curve = over_all_orders(own, specification) if alike else best_so_far(all_of_it, specification, known)
        if curve is not None:
            drawn[arm] = curve
    if not drawn:
        return message("No search trial has completed.")
    names = {arm: arm_name(arm, method_name(specification)) for arm in drawn}
    words = {
        arm: f"{name}: mean and 95 % over all orders of its trials" if drawn[arm].low is not None else name
        for arm, name in names.items()
    }
    styles = {arm: arm_style(arm, drawn) for arm in drawn}
    return draw(
        {words[a]: c for a, c in drawn.items()},
        [styles[a] for a in drawn],
        "Anytime performance: best so far (search seeds: no result)",
    )


def draw(curves: Mapping[str, Curve], styles: Sequence[tuple[str, str]], heading: str) -> Figure:
    """Return a figure of named curves with their intervals, each in its colour and marker."""
    figure, (axis,) = new_figure(3.3)
    limits = score_limits([float(s) for c in curves.values() for s in (*c.score, *(() if c.low is None else c.low))])
    for (name, curve), (colour, marker) in zip(curves.items(), styles, strict=True):
        steps = "default" if curve.low is not None else "steps-post"
        every = max(1, len(curve.work) // 8)
        axis.plot(
            curve.work, curve.score, "-", color=colour, drawstyle=steps, linewidth=1.9, marker=marker, markersize=4.5,
            markevery=every, label=name,
        )  # fmt: skip
        if curve.low is not None and curve.high is not None:
            axis.fill_between(curve.work, curve.low, curve.high, color=colour, alpha=0.16, linewidth=0)
    axis.set_ylim(*limits)
    steps_axis(axis)
    label(axis, x="environment steps granted to the search", y="best score so far")
    legend(axis, loc="lower right", columns=1)
    title(figure, heading)
    return figure


def _shares(count: int) -> Array:
    """Return C(j, k) / C(n, k) for n = ``count``, k and j from 1: [k, j], by a product that cannot overflow."""
    j = np.arange(1.0, count + 1)
    rows = [j / count]
    for k in range(1, count):
        rows.append(rows[-1] * np.maximum(j - k, 0.0) / (count - k))
    return np.array(rows)
