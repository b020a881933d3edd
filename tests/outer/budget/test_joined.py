"""A method and a policy together, by hand: who is asked, what is ordered, what the budget still pays, what the method is told."""

import pytest
from policy_driver import run_at

from autorl.outer.budget.joined import Joined, most_trials
from autorl.outer.budget.median_pruning import MedianPruning
from autorl.outer.budget.policies import POLICIES, make_policy, policy_settings
from autorl.outer.budget.protocol import Order, Run
from autorl.outer.budget.successive_halving import SuccessiveHalving
from autorl.outer.methods import make_method
from autorl.outer.protocol import Budget, Status
from autorl.spaces import Float, HyperparameterSpace

SPACE = HyperparameterSpace("space", {"x": Float(0, 1)})


def joined(policy, granted, batch=8):
    return Joined(make_method("random", SPACE, Budget(99, 1), 0, {"batch": batch}), policy, granted)


def test_a_start_has_a_proposal_and_a_promotion_has_none():
    both = joined(SuccessiveHalving((1, 2), 4), 6)
    state = both.method.init()
    due = both.due(state, (), (), 9)
    assert due.orders == tuple(Order(trial, 1) for trial in range(4))
    assert [p.number for p in due.proposals] == [0, 1, 2, 3]
    runs = [run_at(trial, float(trial)) for trial in range(4)]
    due = both.due(state, runs, due.proposals, 9)
    assert due == ((Order(3, 2), Order(2, 2)), ())


def test_the_budget_ends_it():
    both = joined(SuccessiveHalving((1, 2), 4), 5)
    runs = [run_at(trial, float(trial)) for trial in range(4)]
    assert both.due(both.method.init(), runs, (), 9).orders == (Order(3, 2),)
    assert both.due(both.method.init(), [*runs[:3], run_at(3, 3.0, 3.0)], (), 9).orders == ()


def test_a_method_that_must_wait_is_not_asked():
    both = joined(SuccessiveHalving((1, 2), 4), 9, batch=3)
    due = both.due(both.method.init(), (), (), 9)
    assert len(due.orders) == len(due.proposals) == 3
    assert both.due(both.method.init(), [run_at(0, 1.0)], due.proposals[:1], 9).orders == (Order(1, 1), Order(2, 1))


def test_a_method_is_told_where_all_can_be_compared():
    both = joined(SuccessiveHalving((2, 4), 4), 99)
    rung = both.policy.comparable([])
    assert both.told(run_at(0, 7.0), rung) is None
    assert both.told(run_at(0, 7.0, 8.0), rung) == (Status.COMPLETED, 8.0)
    assert both.told(run_at(0, 7.0, 8.0, 9.0, 10.0), rung) == (Status.COMPLETED, 8.0)
    assert both.told(run_at(0, 7.0, ended=True), rung, Status.CRASHED) == (Status.CRASHED, None)
    assert both.told(Run(0, 2, ended=True), rung, Status.DIVERGED) == (Status.DIVERGED, None)
    late = joined(MedianPruning((1, 2)), 99)
    assert late.policy.comparable([]) == 2
    assert late.told(run_at(0, 7.0), 2) is None
    assert late.told(run_at(0, 7.0, ended=True), 2) == (Status.PRUNED, 7.0)


def test_how_many_trials_a_method_plans_for():
    assert most_trials(make_policy("race", Budget(32, 5), 1), 32, 5) == 67
    assert most_trials(make_policy("asha", Budget(32, 5), 1), 32, 5) == 160


def test_what_a_halving_has_not_kept_is_stopped_once():
    policy = SuccessiveHalving((1, 2), 4)
    runs = [run_at(trial, float(trial)) for trial in range(4)]
    assert policy.stops(runs[:3]) == ()
    assert policy.stops(runs) == (0, 1)
    stopped = [run_at(0, 0.0, ended=True), run_at(1, 1.0, ended=True), *runs[2:]]
    assert policy.stops(stopped) == ()
    assert policy.orders(stopped, 9) == (Order(3, 2), Order(2, 2))
    hyperband = make_policy("hyperband", Budget(9, 9), 1)
    first = [run_at(trial, float(trial)) for trial in range(9)]
    assert hyperband.stops(first[:8]) == ()
    assert hyperband.stops(first) == tuple(range(6))


@pytest.mark.parametrize("name", list(POLICIES))
def test_settings_have_the_defaults_that_are_listed(name):
    policy = make_policy(name, Budget(32, 10), 1, policy_settings(name))
    assert vars(policy).keys() == vars(make_policy(name, Budget(32, 10), 1)).keys()
    assert policy.merits([run_at(0, *range(10)), run_at(1, 1.0)]).keys() == {0}
