"""Means over seeds, by hand."""

from __future__ import annotations

import pytest
from policy_driver import run_at

from autorl.outer.budget.over_seeds import shrunk_means, whole_scores


def test_the_scores_of_the_first_seeds_and_a_failed_one_is_the_worst() -> None:
    runs = [run_at(0, 1.0, 5.0), run_at(0, 2.0, 7.0, seed=1), run_at(0, 9.0, 9.0, seed=2), run_at(1, 3.0)]
    runs += [run_at(2, 4.0, 4.0), run_at(2, 1.0, seed=1, ended=True)]
    assert whole_scores(runs, 2, seeds=2) == {0: [5.0, 7.0], 2: [4.0, 4.0]}
    assert whole_scores(runs, 2, seeds=2, last=2) == {0: [3.0, 4.5], 2: [4.0, 3.0]}


def test_shrinkage_by_hand() -> None:
    """The means are 2, 8 and 11, their mean 7: two seeds keep two thirds of the difference to it, one seed a half."""
    assert shrunk_means({0: [1.0, 3.0], 1: [7.0, 9.0], 2: [11.0]}) == pytest.approx({0: 7 - 10 / 3, 1: 7 + 2 / 3, 2: 9})


def test_a_mean_of_several_seeds_wins_over_a_slightly_higher_one_of_one() -> None:
    shrunk = shrunk_means({0: [9.0, 9.0, 9.0], 1: [10.0], 2: [0.0]})
    assert max(shrunk, key=shrunk.__getitem__) == 0
    assert shrunk_means({3: [1.0, 2.0]}) == {3: 1.5}
