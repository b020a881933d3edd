"""Successive halving, its asynchronous form and Hyperband, against cases worked out by hand from the papers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from policy_driver import drive, run_at

from autorl.errors import UsageError
from autorl.outer.budget.asynchronous_halving import AsynchronousHalving
from autorl.outer.budget.hyperband import Hyperband
from autorl.outer.budget.protocol import Order, Run, geometric_rungs
from autorl.outer.budget.successive_halving import SuccessiveHalving, affordable
from autorl.outer.protocol import Budget


def test_halving_spends_the_same_in_each_round() -> None:
    """Jamieson and Talwalkar (2016), figure 3: n = 8, B = 72: 72 // (8 * 3) = 3 pulls each, then 6 for 4 and 12 for 2."""
    policy = SuccessiveHalving((3, 9, 21), 8)
    assert policy.sizes == (8, 4, 2)
    assert policy.env_steps == 72
    given, runs = drive(policy, lambda trial, step: float(-abs(trial - 5)), workers=3, limit=99)
    assert given[:8] == [Order(trial, 3) for trial in range(8)]
    assert given[8:] == [
        *(Order(t, 9) for t in (5, 4, 6, 3)),  # ties by number
        *(Order(t, 21) for t in (5, 4)),
    ]
    assert policy.winner(runs) == 5


def test_halving_rounds_down_and_keeps_one() -> None:
    assert SuccessiveHalving((1, 2, 4, 8, 16), 9).sizes == (9, 4, 2, 1, 1)
    assert SuccessiveHalving((1, 3, 9), 13, eta=3).sizes == (13, 4, 1)


def test_halving_waits_for_the_last_of_a_rung() -> None:
    policy = SuccessiveHalving((1, 2), 4)
    runs = [run_at(trial, float(trial)) for trial in range(3)]
    assert policy.orders(runs, 9) == (Order(3, 1),)
    assert policy.orders([*runs, Run(3, 1)], 9) == ()
    assert policy.orders([*runs, run_at(3, 9.0)], 9) == (Order(3, 2), Order(2, 2))
    assert policy.orders([*runs, run_at(3, 9.0)], 1) == (Order(3, 2),)
    assert policy.orders([*runs, Run(3, 2, ((1, 9.0),))], 9) == (Order(2, 2),)


def test_halving_does_not_wait_for_the_dead_nor_keep_them() -> None:
    policy = SuccessiveHalving((1, 2), 4)
    alive = [run_at(0, 1.0), run_at(1, 2.0)]
    dead = [Run(2, 1, ended=True), Run(3, 1, ended=True)]
    assert policy.orders([*alive, *dead], 9) == (Order(1, 2), Order(0, 2))
    failed_later = [run_at(0, 1.0), Run(1, 2, ((1, 2.0),), ended=True), *dead]
    assert policy.orders(failed_later, 9) == (Order(0, 2),)
    assert policy.winner([replace(alive[0], env_steps=2), *failed_later[1:]]) == 1  # nobody got to the last rung


def test_halving_by_the_mean_of_the_last_checkpoints() -> None:
    runs = [run_at(0, 0.0, 0.0, 9.0), run_at(1, 5.0, 5.0, 5.0)]
    assert SuccessiveHalving((3, 6), 2).orders(runs, 9) == (Order(0, 6),)
    assert SuccessiveHalving((3, 6), 2, last=2).orders(runs, 9) == (Order(1, 6),)


def test_halving_starts_as_many_as_the_budget_pays() -> None:
    # at 1, 3, 5 and 10 tenths: 8 + 4 * 2 + 2 * 2 + 1 * 5 = 25; a ninth costs 1, a tenth one more and one that goes on to 3
    assert affordable((1, 3, 5, 10), 25, 2) == 8
    assert affordable((1, 3, 5, 10), 26, 2) == 9
    assert affordable((1, 3, 5, 10), 28, 2) == 9
    assert affordable((1, 3, 5, 10), 29, 2) == 10
    policy = SuccessiveHalving.for_budget(Budget(32, 1000), 100)
    assert policy.rungs == (100, 300, 500, 1000)
    assert policy.env_steps <= 32_000 < SuccessiveHalving(policy.rungs, policy.sizes[0] + 1).env_steps
    with pytest.raises(UsageError, match="Remedy: a larger budget"):
        affordable((1, 10), 9, 2)


def test_asha_promotes_as_soon_as_a_third_of_a_rung_is_known() -> None:
    """Li et al. (2020), algorithm 2, eta = 3, one worker: the scores decide by hand what comes when."""
    policy = AsynchronousHalving((1, 3, 9))
    scores = [1.0, 3.0, 2.0, 5.0, 4.0, 6.0, 0.0, 7.0, 8.0]
    given, _ = drive(policy, lambda trial, step: scores[trial], workers=1, limit=13)
    assert [(order.trial, order.env_steps) for order in given] == [
        (0, 1),
        (1, 1),
        (2, 1),
        (1, 3),  # the best of three
        (3, 1),  # of four the best one may be promoted: 3 is, though 1 was
        (3, 3),
        (4, 1),
        (5, 1),  # of six the best two: 5 and 3
        (5, 3),
        (5, 9),  # the best of three at the second rung
        (6, 1),
        (7, 1),  # of eight the best two: 7 and 5
        (7, 3),
    ]


def test_asha_never_waits() -> None:
    policy = AsynchronousHalving((1, 3))
    assert policy.orders([Run(0, 1), Run(1, 1)], 2) == (Order(2, 1), Order(3, 1))
    three = [run_at(0, 1.0), run_at(1, 3.0), run_at(2, 2.0), Run(3, 1)]
    assert policy.orders(three, 3) == (Order(1, 3), Order(4, 1), Order(5, 1))
    three[1] = replace(three[1], ended=True)
    assert policy.orders(three, 1) == (Order(4, 1),)


def test_hyperband_brackets_are_those_of_the_paper() -> None:
    """Li et al. (2018), table 1: R = 81, eta = 3: (trials, env steps from the start) of each round."""
    policy = Hyperband((1, 3, 9, 27, 81))
    brackets = policy.brackets()
    made = [next(brackets) for _ in range(6)]
    assert [list(zip(b.sizes, b.rungs, strict=True)) for b in made[:5]] == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(34, 3), (11, 9), (3, 27), (1, 81)],
        [(15, 9), (5, 27), (1, 81)],
        [(8, 27), (2, 81)],
        [(5, 81)],
    ]
    assert [b.first for b in made] == [0, 81, 115, 130, 138, 143]
    assert made[5].sizes == made[0].sizes


def test_hyperband_runs_one_bracket_after_the_other() -> None:
    policy = Hyperband((1, 3))  # brackets of 3 (1 kept) and 2 trials
    given, runs = drive(policy, lambda trial, step: float(trial), workers=1, limit=7)
    assert [(o.trial, o.env_steps) for o in given] == [(0, 1), (1, 1), (2, 1), (2, 3), (3, 3), (4, 3), (5, 1)]
    assert policy.winner(runs) == 4
    assert policy.orders([Run(0, 1), Run(1, 1), Run(2, 1)], 1) == (Order(3, 3),)  # a bracket that waits holds nobody up


def test_orders_are_a_function_of_the_set_of_runs() -> None:
    for policy in (SuccessiveHalving((1, 3, 9), 9, 3), AsynchronousHalving((1, 3, 9)), Hyperband((1, 3, 9))):
        given, runs = drive(policy, lambda trial, step: (trial * 7 % 11) + step / 10, workers=2, limit=12)
        assert max(Counter(given).values()) == 1
        assert policy.orders(runs, 3) == policy.orders(runs[::-1], 3)


def test_rungs_are_checkpoints() -> None:
    assert geometric_rungs(81, 3, 1) == (1, 3, 9, 27, 81)
    assert geometric_rungs(1000, 3, 100) == (100, 300, 1000)
    assert geometric_rungs(1000, 2, 100) == (100, 300, 500, 1000)
    assert geometric_rungs(7, 2, 7) == (7,)
    with pytest.raises(UsageError, match="divisor of 1000"):
        geometric_rungs(1000, 2, 300)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: SuccessiveHalving((), 4), "ascending whole numbers"),
        (lambda: SuccessiveHalving((2, 1), 4), "ascending whole numbers"),
        (lambda: SuccessiveHalving((0, 1), 4), "ascending whole numbers"),
        (lambda: SuccessiveHalving((1, 2), 0), "trials: expected a whole number of at least 1"),
        (lambda: SuccessiveHalving((1, 2), 4, eta=1), "eta: expected"),
        (lambda: AsynchronousHalving((1, 2), eta=1), "eta: expected"),
        (lambda: Hyperband((1, 1)), "ascending whole numbers"),
    ],
)
def test_values_out_of_range_are_refused(make: object, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        make()  # type: ignore[operator]
