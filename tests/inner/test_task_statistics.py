"""What an agent comes to in many tasks, as one number."""

import math

import numpy as np
import pytest

from autorl.analysis.statistics import iqm as of_analysis
from autorl.inner.task_statistics import cvar, cvar_ranked_apart, iqm, over_tasks

MEANS = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 100.0]
HALVES = [[0.0, *MEANS[1:]], [10.0, *MEANS[1:]]]


def test_each_statistic():
    assert over_tasks("mean", MEANS, ()) == pytest.approx(13.6)
    assert over_tasks("iqm", MEANS, ()) == pytest.approx(4.5)
    assert over_tasks("cvar", MEANS, ()) == cvar(np.array(MEANS)) == 0.0


def test_the_worst_are_scored_on_attempts_that_did_not_choose_them():
    # the first half says task 0, which got 10 in the other; that says task 1, which got 1 in both
    assert over_tasks("cvar", MEANS, HALVES) == pytest.approx((10.0 + 1.0) / 2)
    assert over_tasks("cvar", MEANS, HALVES) == cvar_ranked_apart(*map(np.array, HALVES))


def test_what_is_not_finite_is_no_score():
    assert all(math.isnan(over_tasks(name, [1.0, math.nan], ())) for name in ("mean", "iqm", "cvar"))


def test_the_middle_half_is_that_of_the_analysis():
    for n in range(1, 12):
        values = np.random.default_rng(n).normal(size=n)
        assert iqm(values) == pytest.approx(of_analysis(values))
