from __future__ import annotations

from dataclasses import replace

import pytest
from policy_driver import drive, run_at

from autorl.errors import UsageError
from autorl.outer.budget.cuts_and_race import CutsAndRace
from autorl.outer.budget.first_cut import PILOT, tells
from autorl.outer.budget.policies import POLICIES, make_policy
from autorl.outer.budget.protocol import Order, Run
from autorl.outer.protocol import Budget


def spent(runs: list[Run]) -> int:
    return sum(run.env_steps for run in runs)


def test_32_trainings_by_hand() -> None:
    """A start costs 2 tenths and is halved four times: 67 + 33 + 16 + 8 + 4 fifths are 25.6 trainings of 25.6."""
    policy = CutsAndRace.for_budget(Budget(32, 10), 1)
    assert policy.rungs == (2, 4, 6, 8, 10)
    assert policy.halving.sizes == (67, 33, 16, 8, 4)
    given, runs = drive(policy, lambda trial, step: float(trial), workers=7, limit=999)
    assert [o.trial for o in given if o.env_steps == 10 and o.seed == 0] == [66, 65, 64, 63]
    # 6.4 trainings are left: four on a second seed, the best two on a third
    assert [(o.trial, o.seed) for o in given if o.seed] == [(66, 1), (65, 1), (64, 1), (63, 1), (66, 2), (65, 2)]
    assert spent(runs) == 256 + 60
    assert policy.winner(runs) == 66


def test_cuts_begin_where_somebody_has_begun_to_learn() -> None:
    """Nobody scores before 6 tenths: a start costs 6, a half of them 2 more, a quarter the last 2: 34 + 17 + 8 take 25.4 trainings."""
    policy = CutsAndRace.for_budget(Budget(32, 10), 1)
    given, runs = drive(policy, lambda trial, step: float(trial) if step >= 5 else 0.0, workers=7, limit=999)
    reached = {steps: sum(o.env_steps == steps for o in given if o.seed == 0) for steps in policy.rungs}
    assert reached == {2: PILOT, 4: PILOT, 6: 34, 8: 17, 10: 8}
    assert [o.trial for o in given[: 2 * PILOT]] == [*range(PILOT), *range(PILOT)], (
        "the pilots alone, until they tell something"
    )
    assert policy.winner(runs) == 33
    assert spent(runs) <= 320


def test_a_method_is_told_what_trials_scored_where_the_cuts_begin() -> None:
    policy = CutsAndRace.for_budget(Budget(32, 10), 1)
    late = {trial: [0.0] * 4 + [float(trial)] * 2 for trial in range(PILOT)}
    assert policy.comparable([]) == 2
    assert policy.comparable([run_at(trial, *scores[:4]) for trial, scores in late.items()]) == 2, "nothing is said yet"
    assert policy.comparable([run_at(trial, *scores) for trial, scores in late.items()]) == 6
    flat = [run_at(trial, *[0.0] * 8) for trial in range(PILOT)]
    assert policy.comparable(flat) == 2, "nobody has begun: the end will say it, but nobody is there"
    assert policy.comparable([run_at(trial, *[0.0] * 10) for trial in range(PILOT)]) == 10


def test_where_no_rung_tells_anything_trainings_are_whole() -> None:
    policy = CutsAndRace.for_budget(Budget(32, 10), 1)
    given, _ = drive(policy, lambda trial, step: float(trial == 20 and step == 10), workers=40, limit=999)
    assert sum(o.env_steps == 10 and o.seed == 0 for o in given) == 25
    assert policy.winner(drive(policy, lambda trial, step: float(trial == 20), workers=40, limit=999)[1]) == 20


def test_where_pilots_say_that_a_rung_tells_something_they_are_trials_like_others() -> None:
    policy = CutsAndRace.for_budget(Budget(32, 10), 1)
    given, runs = drive(policy, lambda trial, step: float(trial), workers=7, limit=999)
    assert sum(o.env_steps == 2 for o in given) == 67
    half = [run for run in runs if run.seed == 0][: PILOT - 1]
    assert policy.orders(half, 99) == (Order(PILOT - 1, 2),)
    waiting = [*half, Run(PILOT - 1, 2)]
    assert policy.orders(waiting, 99) == ()
    failed = [*half, Run(PILOT - 1, 2, ended=True)]
    assert {o.trial for o in policy.orders(failed, 99)} == set(range(PILOT, 67)), "one that failed is not waited for"
    assert not policy.stops(waiting)


def late(trial: int, step: int) -> float:
    """Nobody scores before the end."""
    return float(trial) if step == 10 else 0.0


def test_what_an_earlier_study_cut_makes_room_for_others() -> None:
    """16 trainings, too few for pilots, started 33 trials and cut 31 of them; in 32, others are started beside the two."""
    _, earlier = drive(CutsAndRace.for_budget(Budget(16, 10), 1), late, workers=32, limit=999)
    taken = [replace(run, ended=run.env_steps < 10) for run in earlier if run.seed == 0]
    assert sum(run.ended for run in taken) == 31
    policy = CutsAndRace.for_budget(Budget(32, 10), 1)
    runs = {(run.trial, 0): run for run in taken}
    while batch := [o for o in policy.orders(list(runs.values()), 32) if not o.seed]:
        for order in batch:
            scores = tuple((step, late(order.trial, step)) for step in range(1, order.env_steps + 1))
            runs[order.trial, 0] = Run(order.trial, order.env_steps, scores)
    assert sorted(trial for trial, _ in runs) == list(range(len(runs))), "no number is left out"
    assert len(runs) >= 33 + 10
    assert sum(run.env_steps >= 6 for run in runs.values()) >= 20, "begun where enough pilots are left to say something"
    assert 230 <= spent(list(runs.values())) <= 256


def test_failures_make_room_for_others_and_numbers_stay_where_they_are() -> None:
    """Three in four fail on their way to the end, where alone scores tell."""
    policy = CutsAndRace.for_budget(Budget(32, 10), 1)
    runs: dict[int, Run] = {}
    while batch := [o for o in policy.orders(list(runs.values()), 7) if not o.seed]:
        for order in batch:
            reached = min(order.env_steps, 5) if order.trial % 4 else order.env_steps
            scores = tuple((step, late(order.trial, step)) for step in range(1, reached + 1))
            runs[order.trial] = Run(order.trial, order.env_steps, scores, ended=reached < order.env_steps)
    assert sorted(runs) == list(range(len(runs)))
    assert len(runs) > 25
    assert sum(run.env_steps for run in runs.values()) <= 256


def test_small_budgets_ask_no_pilots() -> None:
    policy = CutsAndRace.for_budget(Budget(16, 10), 1)
    assert len(policy.halvings) == 1
    assert len(policy.orders((), 99)) == policy.starts > PILOT


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.0] * 15 + [1.0], False),  # all but one alike
        ([0.0] * 14 + [1.0, 2.0], True),
        ([*range(16)], True),
        ([-100.0 - i**2 for i in range(16)], False),  # the worst lie far below the bulk, the best right above it
        ([None] * 16, True),  # who fails is told apart
        ([None] * 9 + [0.0] * 7, True),
        ([None] * 8 + [0.0] * 8, False),
        ([None] * 6 + [-100.0 - i**2 for i in range(10)], False),  # failures make no noise a signal
        ([None, None, *range(14)], True),
    ],
)
def test_a_rung_tells_something_where_scores_differ_and_one_stands_out(
    scores: list[float | None], expected: bool
) -> None:
    assert tells(scores) is expected


def test_other_cuts_and_shares_by_hand() -> None:
    """A start costs 3 tenths, a third of them 3 more, a ninth the last 4: 58 + 19 + 6 of them take 25.5 trainings of 25.6."""
    policy = make_policy("race", Budget(32, 10), 1, {"cuts": [30, 60], "eta": 3})
    assert isinstance(policy, CutsAndRace)
    assert policy.rungs == (3, 6, 10)
    assert policy.halving.sizes == (58, 19, 6)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"cuts": 30}, "cuts: expected a list"),
        ({"cuts": []}, "cuts: expected a list"),
        ({"cuts": [60, 30]}, "cuts: expected ascending"),
        ({"cuts": [0.3]}, "cuts: expected ascending whole numbers"),
        ({"cuts": [30, 100]}, "between 0 and 100"),
        ({"cuts": [25]}, "of 10 checkpoints none is at 25 %"),
        ({"eta": 1}, "eta: expected a whole number of at least 2"),
    ],
)
def test_senseless_cuts_are_refused(settings: dict[str, object], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        make_policy("race", Budget(32, 10), 1, settings)


def test_96_trainings_race_down_to_two() -> None:
    policy = CutsAndRace.for_budget(Budget(96, 10), 1)
    assert policy.halving.sizes == (199, 99, 49, 24, 12)
    given, runs = drive(policy, lambda trial, step: float(trial), workers=16, limit=9999)
    raced = [sum(o.seed == seed for o in given) for seed in range(1, 5)]
    assert raced == [11, 5, 2, 0]  # 19.4 are left
    assert spent(runs) == 766 + 180


def test_a_round_waits_for_its_last_run() -> None:
    policy = CutsAndRace((1, 2), 2, 20)  # both go on to 2: 1 is kept of two, so one finalist
    runs = [run_at(0, 1.0), run_at(1, 3.0, 3.0)]
    assert policy.orders(runs, 9) == ()  # a single finalist has nobody to race
    policy = CutsAndRace((1,), 4, 11)
    runs = [run_at(trial, float(trial)) for trial in range(4)]
    assert policy.orders(runs[:3], 9) == (Order(3, 1),)
    assert policy.orders(runs, 9) == tuple(Order(trial, 1, 1) for trial in (3, 2, 1, 0))
    under_way = [*runs, *(Run(trial, 1, seed=1) for trial in (3, 2, 1)), run_at(0, 0.0, seed=1)]
    assert policy.orders(under_way, 9) == ()
    told = [*runs, *(run_at(trial, 10.0 - 3 * trial, seed=1) for trial in range(4))]
    # means 5, 4.5, 4, 3.5: the order has turned
    assert policy.orders(told, 9) == (Order(0, 1, 2), Order(1, 1, 2))


def test_one_lucky_seed_does_not_win() -> None:
    policy = CutsAndRace((1,), 3, 9)
    lucky = [run_at(0, 10.0), run_at(1, 8.0), run_at(2, 0.0)]
    more = [run_at(0, 2.0, seed=1), run_at(1, 8.0, seed=1), run_at(2, 1.0, seed=1)]
    assert policy.winner(lucky) == 0
    assert policy.winner([*lucky, *more]) == 1


def test_a_failed_further_run_counts_as_the_worst() -> None:
    policy = CutsAndRace((1,), 2, 9)
    runs = [run_at(0, 5.0), run_at(1, 4.0), Run(0, 1, seed=1, ended=True), run_at(1, 4.0, seed=1)]
    assert policy.winner(runs) == 0  # (5 + 4) / 2
    runs += [Run(0, 1, seed=2, ended=True), run_at(1, 6.0, seed=2)]
    assert policy.winner(runs) == 1


def test_the_winner_of_an_unfinished_search_is_the_best_so_far() -> None:
    policy = CutsAndRace((1, 2), 4, 20)
    assert policy.winner([run_at(0, 1.0), run_at(1, 2.0), Run(2, 1)]) == 1
    with pytest.raises(ValueError, match="no trial"):
        policy.winner([Run(0, 1)])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="none is at 20 % of the steps"):
        CutsAndRace.for_budget(Budget(32, 8), 1)
    with pytest.raises(UsageError, match="fewer trials"):
        CutsAndRace((1, 2), 9, 5)
    with pytest.raises(UsageError, match="seeds"):
        CutsAndRace((1, 2), 2, 50, seeds=0)


@pytest.mark.parametrize("name", list(POLICIES))
def test_every_policy_of_the_registry_can_be_made_and_driven(name: str) -> None:
    policy = make_policy(name, Budget(8, 1000), 100)
    assert policy.name == name
    assert policy.reference
    assert policy.rungs[-1] == 1000
    given, runs = drive(policy, lambda trial, step: float(trial % 5), workers=3, limit=40, spacing=100)
    assert all(order.env_steps in policy.rungs for order in given)
    assert len(set(given)) == len(given)
    assert policy.winner(runs) in {run.trial for run in runs}


def test_nobody_trains_on_a_seed_before_the_ones_before_it() -> None:
    policy = CutsAndRace((1,), 3, 7, seeds=3)
    # trial 0 is left behind; then the second seed of trial 1 is so bad that trial 0's mean is higher
    runs = [run_at(0, -145.5), run_at(1, -143.0), run_at(2, -144.1)]
    assert policy.orders(runs, 8) == (Order(1, 1, 1), Order(2, 1, 1))
    runs += [run_at(1, -200.0, seed=1), run_at(2, -145.2, seed=1)]
    assert policy.orders(runs, 8) == (Order(2, 1, 2), Order(1, 1, 2))
