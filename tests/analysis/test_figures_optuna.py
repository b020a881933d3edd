"""Optuna's own figures: of the trials that completed, without a trace in matplotlib's global state."""

from dataclasses import replace

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import synthetic as sy

from autorl.analysis.figures_optuna import FEWEST_TRIALS, MOST_CONTOURS, optuna_figures
from autorl.analysis.style import to_svg
from autorl.outer.protocol import Status

TRIALS = [replace(t, score=None, status=Status.DIVERGED) if t.number in (3, 17) else t for t in sy.search(count=30)]
NAMES = list(sy.SPACE.dimensions)


def points(axis):
    return sum(len(drawn.get_offsets()) for drawn in axis.collections)


def test_trials_that_completed_are_drawn_over_the_hyperparameters_asked_for_first():
    figures = optuna_figures(TRIALS, sy.SPACE, ["gamma"], "return")
    assert list(figures) == ["optuna-parallel-coordinates", "optuna-slices", "optuna-contours"]
    (gamma,) = [axis for axis in figures["optuna-slices"].axes if axis.get_xlabel() == "gamma"]
    assert "return" in {axis.get_ylabel() for axis in figures["optuna-slices"].axes}
    completed = [t for t in TRIALS if t.score is not None and "gamma" in t.candidate]
    assert points(gamma) == len(completed)
    seen = {axis.get_xlabel() for axis in figures["optuna-contours"].axes} & set(NAMES)
    assert "gamma" in seen
    assert len(seen) == MOST_CONTOURS


def test_the_same_trials_give_the_same_bytes_and_refer_to_no_image():
    once, again = ({n: to_svg(f, n) for n, f in optuna_figures(TRIALS, sy.SPACE).items()} for _ in range(2))
    assert once == again
    assert not any("<image" in svg for svg in once.values())


def test_matplotlib_is_left_as_it_was():
    mine, before = plt.figure(), dict(mpl.rcParams)
    try:
        optuna_figures(TRIALS, sy.SPACE)
        assert plt.get_fignums() == [mine.number]
        assert plt.gcf() is mine
        assert dict(mpl.rcParams) == before
    finally:
        plt.close(mine)


@pytest.mark.parametrize("count", [0, FEWEST_TRIALS - 1])
def test_few_trials_have_none(count):
    assert optuna_figures([t for t in TRIALS if t.score is not None][:count], sy.SPACE) == {}


def test_a_space_in_which_one_hyperparameter_varies_has_none():
    only = [replace(t, candidate={**TRIALS[0].candidate, "gamma": t.candidate["gamma"]}) for t in TRIALS]
    assert optuna_figures(only, sy.SPACE) == {}


def test_two_hyperparameters_are_enough():
    two = [replace(t, candidate={n: t.candidate[n] for n in ("gamma", "learning_rate")}) for t in TRIALS]
    assert all(to_svg(figure, name) for name, figure in optuna_figures(two, sy.SPACE).items())
    assert len(optuna_figures(two, sy.SPACE)) == 3
