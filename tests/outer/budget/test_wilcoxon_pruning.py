"""Pruning over seeds, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policy_driver import run_at

from autorl.errors import UsageError
from autorl.outer.budget.protocol import Order, Run
from autorl.outer.budget.wilcoxon_pruning import WilcoxonPruning
from autorl.outer.protocol import Budget


def trial(number: int, *scores: float) -> list[Run]:
    """Return the runs of a trial of one checkpoint each, with these scores, on seeds from 0."""
    return [run_at(number, score, seed=seed) for seed, score in enumerate(scores)]


def test_who_is_behind_on_each_of_three_seeds_gets_no_further_one() -> None:
    """The probability is 1/2, 1/4, 1/8 after one, two, three seeds: the third is the first below 0.2."""
    policy = WilcoxonPruning(1, seeds=5, abreast=2)
    best = trial(0, 5.0, 5.0, 5.0)
    assert policy.orders([*best, *trial(1, 1.0, 2.0)], 9) == (Order(0, 1, 3), Order(1, 1, 2))
    assert policy.orders([*best, *trial(1, 1.0, 2.0, 3.0)], 9) == (Order(0, 1, 3), Order(2, 1))
    assert policy.orders([*best, *trial(1, 1.0, 2.0, 5.5)], 9) == (Order(0, 1, 3), Order(1, 1, 3))
    strict = WilcoxonPruning(1, seeds=5, p_threshold=0.1, abreast=2)
    assert Order(1, 1, 3) in strict.orders([*best, *trial(1, 1.0, 2.0, 3.0)], 9)


def test_only_seeds_that_both_have_are_compared() -> None:
    """Trial 0 is far ahead on three seeds, and behind trial 2 after the first, which is all that trial 2 has."""
    policy = WilcoxonPruning(1, seeds=3, abreast=3)
    runs = [*trial(0, 1.0, 9.0, 9.0), *trial(1, 0.0, 0.0, 0.0), *trial(2, 2.0)]
    assert policy.orders(runs, 9) == (Order(2, 1, 1), Order(3, 1), Order(4, 1))


def test_equal_scores_stop_nobody() -> None:
    policy = WilcoxonPruning(1, seeds=9, abreast=2)
    assert policy.orders([*trial(0, *[1.0] * 8), *trial(1, *[1.0] * 8)], 9) == (Order(0, 1, 8), Order(1, 1, 8))


def test_places_are_those_of_trials_that_train_or_may() -> None:
    policy = WilcoxonPruning(1, seeds=2, abreast=3)
    assert policy.orders([], 9) == (Order(0, 1), Order(1, 1), Order(2, 1))
    waiting, failed = Run(1, 1), replace(Run(2, 1), ended=True)
    assert policy.orders([*trial(0, 1.0), waiting, failed], 9) == (Order(0, 1, 1), Order(3, 1))
    assert policy.orders([*trial(0, 1.0, 1.0), waiting, failed], 1) == (Order(3, 1),)


def test_a_further_seed_that_failed_counts_as_the_worst_and_the_trial_goes_on() -> None:
    policy = WilcoxonPruning(1, seeds=3, abreast=1)
    runs = [*trial(0, 4.0), Run(0, 1, (), 1, ended=True), *trial(1, 1.0)]
    assert policy.orders(runs, 1) == (Order(0, 1, 2),)
    assert policy.merits(runs) == pytest.approx({0: 1.75 + 2 / 3 * 0.75, 1: 1.375})


def test_one_lucky_seed_does_not_win() -> None:
    policy = WilcoxonPruning(1)
    assert policy.winner([*trial(0, 9.0, 9.0, 9.0), *trial(1, 10.0), *trial(2, 0.0)]) == 0


@pytest.mark.parametrize("wrong", [0, 1.5, True, "low"])
def test_a_threshold_that_is_no_probability_is_refused(wrong: object) -> None:
    with pytest.raises(UsageError, match="p_threshold: expected a number above 0 and at most 1"):
        WilcoxonPruning.for_budget(Budget(8, 4), 1, p_threshold=wrong)  # type: ignore[arg-type]
