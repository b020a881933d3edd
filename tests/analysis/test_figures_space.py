"""Parallel coordinates and contours: every trial where it was, failures and absent hyperparameters said."""

from dataclasses import replace

import numpy as np
import pytest
import synthetic as sy

from autorl.analysis import figures_space, style
from autorl.analysis.figures_space import ABSENT, contours, parallel_coordinates, smoothed
from autorl.outer.protocol import Status
from autorl.spaces import Bool, Categorical, Float, HyperparameterSpace
from autorl.studies.trial import Trial

TRIALS = [replace(t, score=None, status=Status.DIVERGED) if t.number in (3, 17) else t for t in sy.search(count=30)]
NAMES = list(sy.SPACE.dimensions)


def lines(figure):
    """The polylines of trials: those that reach from the first axis to the last."""
    (axis,) = figure.axes
    width = len(axis.get_xticklabels())
    return [drawn for drawn in axis.get_lines() if len(drawn.get_xdata()) == width]


def words(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_every_trial_is_a_line_through_its_hyperparameters():
    ended = [t for t in TRIALS if t.score is not None]
    failed = [t for t in TRIALS if t.score is None]
    figure = parallel_coordinates(TRIALS, sy.SPACE, ["gamma"], winner=ended[0].number)
    order = ["gamma", *(n for n in NAMES if n != "gamma")]
    assert [t.get_text().replace("\n", "") for t in figure.axes[0].get_xticklabels()] == [*order, "score"]
    low, high = style.score_limits([t.score for t in ended])
    expected = []
    for t in TRIALS:
        heights = [sy.SPACE.dimensions[n].to_unit(t.candidate[n]) if n in t.candidate else ABSENT for n in order]
        expected.append((*heights, ABSENT if t.score is None else (t.score - low) / (high - low)))
    drawn = sorted(tuple(line.get_ydata()) for line in lines(figure))
    assert np.array(drawn) == pytest.approx(np.array(sorted(expected)))
    (thick,) = [line for line in lines(figure) if line.get_linewidth() > 2]
    assert thick.get_ydata()[0] == sy.SPACE.dimensions["gamma"].to_unit(ended[0].candidate["gamma"])
    purple = [line for line in lines(figure) if line.get_color() == style.PURPLE]
    assert len(purple) == len(failed)
    assert {"absent", "failed", "tanh", "true", "1e-6", "0.9999"} <= set(words(figure))


def test_a_large_search_shows_the_best_and_some_of_the_others():
    space = HyperparameterSpace("big", {f"x{i:02}": Float(0, 1) for i in range(12)})
    many = [
        Trial("method", "search", i, space.sample(i), 1, status=Status.COMPLETED, score=float(i % 977))
        for i in range(900)
    ]
    figure = parallel_coordinates(many, space, winner=5)
    assert len(lines(figure)) == figures_space.MOST_LINES
    assert figure.get_suptitle().replace("\n", " ").endswith("9 of 12 hyperparameters, 400 of 900 trials)")
    low, high = style.score_limits([t.score for t in many])
    heights = sorted(line.get_ydata()[-1] for line in lines(figure))
    best = sorted((t.score - low) / (high - low) for t in many)[-199:]
    assert heights[-199:] == pytest.approx(best)
    assert len([line for line in lines(figure) if line.get_linewidth() > 2]) == 1, "the winner is always there"


def test_smoothing_is_a_weighted_mean_near_trials_and_nothing_far_from_them():
    points, scores = np.array([[0.2, 0.2], [0.8, 0.8]]), np.array([1.0, 3.0])
    at = np.array([[0.2, 0.2], [0.5, 0.5], [0.8, 0.2]])
    found = smoothed(points, scores, at, bandwidth=0.3)
    weight = np.exp(-0.5 * (0.72 / 0.09))
    assert found[0] == pytest.approx((1.0 + 3.0 * weight) / (1.0 + weight))
    assert found[1] == pytest.approx(2.0)
    assert np.isnan(smoothed(points, scores, at[2:], bandwidth=0.2)[0])
    assert smoothed(points, scores, np.array([[0.35, 0.2]]), bandwidth=0.1)[0] == pytest.approx(1.0)


def test_contours_pair_the_numeric_hyperparameters_by_importance():
    figure = contours(TRIALS, sy.SPACE, ["activation", "n_steps", "learning_rate", "gamma"], winner=TRIALS[0].number)
    panels = [a for a in figure.axes if a.get_xlabel()]
    assert [(a.get_xlabel(), a.get_ylabel()) for a in panels] == [
        ("n_steps", "learning_rate"), ("n_steps", "gamma"), ("learning_rate", "gamma"),
    ]  # fmt: skip
    assert (panels[0].get_xscale(), panels[0].get_yscale()) == ("log", "log")
    dots = [d for d in panels[0].get_lines() if d.get_marker() == "o" and d.get_markersize() < 5]
    crosses = [d for d in panels[0].get_lines() if d.get_marker() == "x"]
    assert len(dots) == sum(t.score is not None for t in TRIALS)
    assert len(crosses) == sum(t.score is None for t in TRIALS)
    assert sorted(d.get_xdata()[0] for d in dots) == sorted(
        t.candidate["n_steps"] for t in TRIALS if t.score is not None
    )
    assert len([d for d in panels[0].get_lines() if d.get_markersize() > 8]) == 1
    svg = style.to_svg(figure, "c")
    assert "<image" not in svg, "vectors only"


def test_nothing_to_show_is_said_in_words():
    choices = HyperparameterSpace("c", {"a": Categorical(("x", "y")), "b": Bool()})
    some = [Trial("method", "search", i, choices.sample(i), 1, status=Status.COMPLETED, score=1.0) for i in range(20)]
    assert "No contours" in words(contours(some, choices))[0]
    assert "No contours" in words(contours(TRIALS[:5], sy.SPACE))[0]
    assert "No parallel coordinates" in words(parallel_coordinates([], sy.SPACE))[0]
    assert "No parallel coordinates" in words(parallel_coordinates(TRIALS, None))[0]
    assert len(lines(parallel_coordinates(some, choices))) == 20


def test_scores_that_are_all_alike_or_all_failed_do_no_harm():
    alike = [replace(t, score=2.0, status=Status.COMPLETED) for t in TRIALS]
    failed = [replace(t, score=None, status=Status.DIVERGED) for t in TRIALS]
    for listed in (alike, failed):
        for figure in (parallel_coordinates(listed, sy.SPACE), contours(listed, sy.SPACE)):
            assert style.to_svg(figure, "x").startswith("<svg")
