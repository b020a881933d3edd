from __future__ import annotations

from dataclasses import replace

import pytest
from policy_driver import drive, run_at

from autorl.errors import UsageError
from autorl.outer.budget.joined import Joined
from autorl.outer.budget.median_pruning import MedianPruning
from autorl.outer.budget.protocol import Order, Run
from autorl.outer.protocol import Budget
from autorl.outer.random_search import RandomSearch
from autorl.spaces import Float, HyperparameterSpace

SPACE = HyperparameterSpace("one", {"x": Float(0, 1)})
POLICY = MedianPruning((1, 2, 3), startup=3)
FINISHED = [run_at(0, 1.0, 2.0, 3.0), run_at(1, 2.0, 4.0, 0.0), run_at(2, 4.0, 4.0, 4.0)]
"""Mean scores up to step 1: 1, 2, 4 (median 2); up to step 2: 1.5, 3, 4 (median 3)."""


@pytest.mark.parametrize(
    ("scores", "stopped"),
    [
        ((1.9,), True),
        ((2.0,), False),  # strictly worse only
        ((2.5, 2.9), True),
        ((2.5, 3.0), False),
        ((3.5, 0.0), False),  # its best so far counts
    ],
)
def test_the_best_so_far_against_the_median_of_the_finished_means(scores: tuple[float, ...], stopped: bool) -> None:
    """Golovin et al. (2017), section 3.2.2."""
    runs = [*FINISHED, run_at(3, *scores)]
    assert POLICY.stops(runs) == ((3,) if stopped else ())


def test_only_finished_trials_are_a_measure_and_enough_of_them() -> None:
    assert POLICY.stops([*FINISHED[:2], run_at(2, 4.0, 4.0), run_at(3, -9.0)]) == ()
    assert POLICY.stops([*FINISHED[:2], run_at(2, 4.0, 4.0, ended=True), run_at(3, -9.0)]) == ()


def test_what_waits_ended_or_finished_is_not_stopped() -> None:
    others = [Run(3, 1), Run(4, 2, ((1, -9.0),)), run_at(5, -9.0, ended=True), run_at(6, -9.0, -9.0, -9.0)]
    assert POLICY.stops([*FINISHED, *others]) == ()


def test_those_that_are_not_stopped_go_on() -> None:
    runs = [*FINISHED, run_at(3, 5.0), run_at(4, 0.0, ended=True), Run(5, 1)]
    assert POLICY.orders(runs, 3) == (Order(3, 2), Order(6, 1), Order(7, 1))


def test_a_search_stops_the_worse_ones_for_good() -> None:
    given, runs = drive(POLICY, lambda trial, step: float(trial if trial < 4 else -trial), workers=1, limit=16)
    assert [(o.trial, o.env_steps) for o in given[9:]] == [(3, 1), (3, 2), (3, 3), (4, 1), (5, 1), (6, 1), (7, 1)]
    assert [run.trial for run in runs if run.ended] == [4, 5, 6]
    assert POLICY.winner(runs) == 3


def test_its_rungs_are_all_checkpoints() -> None:
    policy = MedianPruning.for_budget(Budget(4, 1000), 250)
    assert policy.rungs == (250, 500, 750, 1000)
    assert policy.comparable_at is None
    for wrong in (300, 0):
        with pytest.raises(UsageError, match="divisor"):
            MedianPruning.for_budget(Budget(4, 1000), wrong)
    with pytest.raises(UsageError, match="startup"):
        MedianPruning((1, 2), startup=0)


def test_the_first_trials_train_to_the_end_before_others_start() -> None:
    assert POLICY.orders([], 32) == tuple(Order(i, 1) for i in range(3))
    assert POLICY.orders([run_at(0, 1.0), run_at(1, 1.0), run_at(2, 1.0, ended=True)], 32) == (
        Order(0, 2),
        Order(1, 2),
        Order(3, 1),
    )
    assert len(POLICY.orders(FINISHED, 32)) == 32


@pytest.mark.parametrize("trainings", [8, 10, 24])
def test_what_is_begun_is_stopped_or_trained_to_the_end(trainings: int) -> None:
    joined = Joined(
        RandomSearch(SPACE, Budget(80, 4), 0), MedianPruning.for_budget(Budget(trainings, 4), 1), trainings * 4
    )
    state, runs = joined.method.init(), []
    while True:
        stopped = set(joined.policy.stops(runs))
        runs = [replace(run, ended=run.ended or run.trial in stopped) for run in runs]
        due = joined.due(state, runs, [], 32)
        if not due.orders:
            break
        known = {run.trial: run for run in runs}
        for order in due.orders:
            before = known.get(order.trial, Run(order.trial, 0))
            worth = (order.trial * 7) % 10 + order.env_steps / 10
            known[order.trial] = replace(
                before, env_steps=order.env_steps, scores=(*before.scores, (order.env_steps, worth))
            )
        runs = [known[n] for n in sorted(known)]
    ends = [run for run in runs if run.env_steps == 4]
    assert all(run.ended or run.env_steps == 4 for run in runs)
    assert len(ends) >= 4
    assert any(run.ended for run in runs)
    assert len(runs) >= trainings, "those that were stopped made room for others"
    assert sum(run.env_steps for run in runs) <= trainings * 4
