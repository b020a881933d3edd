"""Population-based training: selection against hand-computed values, exact budgets, failures, lineage, a moving optimum."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from autorl.errors import UsageError
from autorl.outer.lineage import final_generation, schedule
from autorl.outer.population_based import PopulationBasedTraining, PopulationState, changing_dimensions, select
from autorl.outer.protocol import Budget, Result, Status
from autorl.spaces import ArraySpace, Bool, Categorical, Condition, Fixed, Float, HyperparameterSpace, Int, ProductSpace

SPACE = HyperparameterSpace(
    "mixed",
    {
        "lr": Float(1e-5, 1e-1, scale="log"),
        "epochs": Int(1, 20),
        "norm": Bool(),
        "kind": Categorical(("a", "b", "c")),
        "extra": Float(0.0, 1.0),
        "width": Fixed(64),
    },
    {"extra": Condition("norm", (True,))},
)


def result(proposal, score):
    status = Status.DIVERGED if score is None else Status.COMPLETED
    return Result(proposal, status, score)


def run(method, score, *, order=None, one_by_one=False):
    """Return (all proposals, last state) of a whole search."""
    state, trials = method.init(), []
    while not method.finished(state):
        asked = method.ask(state, method.available(state))
        trials += asked
        told = [result(p, score(p)) for p in asked]
        if order is not None:
            order.shuffle(told)
        for batch in [[r] for r in told] if one_by_one else [told]:
            state = method.tell(state, batch)
    return trials, state


# --- selection


def test_truncation_by_hand():
    # eight members, a quarter: the best two are 3 (0.9) and 0 (0.7); the worst two are 6 (0.05) and 2 (0.1)
    scores = [0.7, 0.4, 0.1, 0.9, 0.5, 0.6, 0.05, 0.3]
    assert select(scores, 0.25) == ([3, 0], frozenset({2, 6}))


@pytest.mark.parametrize(
    ("scores", "truncation", "expected"),
    [
        ([1.0, 1.0, 1.0, 1.0], 0.25, ([0], {3})),  # ties rank by member
        ([1.0, None, 3.0, None, 2.0], 0.2, ([2], {1, 3})),  # more failed than the quantile: all of them are replaced
        ([None, None, None, 0.5], 0.5, ([3], {0, 1, 2})),  # fewer completed than the quantile: only those are copied
        ([None, None], 0.5, ([], {0, 1})),
        ([1.0, 2.0], 0.25, ([1], {0})),  # rounded up: at least one
        ([1.0, 2.0, 3.0], 0.5, ([2], {0})),  # but never more than half: nobody is at both ends
        ([float(i) for i in range(20)], 0.15, ([19, 18, 17], {0, 1, 2})),  # 20 * 0.15 is 3, not 3.0000000000000004
    ],
)
def test_truncation_at_its_edges(scores, truncation, expected):
    donors, replaced = select(scores, truncation)
    assert (donors, set(replaced)) == expected


def test_a_generation_by_hand():
    method = PopulationBasedTraining(SPACE, Budget(8, 1000), 3, intervals=2)
    state = method.init()
    first = method.ask(state, 8)
    scores = [0.7, 0.4, 0.1, 0.9, 0.5, None, 0.05, 0.3]  # failed: 5; worst two: 5 and 6; best two: 3 and 0
    state = method.tell(state, [result(p, s) for p, s in zip(first, scores, strict=True)])
    second = method.ask(state, 8)
    assert [p.number for p in second] == list(range(8, 16))
    assert {p.generation for p in second} == {1}
    for member, proposal in enumerate(second):
        if member in (5, 6):
            assert proposal.origin == "exploit"
            assert proposal.parent in (3, 0)
            assert not SPACE.validate(proposal.candidate)
        else:
            assert (proposal.origin, proposal.parent) == ("keep", member)
            assert proposal.candidate == first[member].candidate


def test_copies_come_from_all_the_best_and_are_explored():
    parents, moved = set(), 0
    for seed in range(20):
        method = PopulationBasedTraining(SPACE, Budget(8, 1000), seed, intervals=2)
        first = method.ask(method.init(), 8)
        state = method.tell(method.init(), [result(p, float(-p.number)) for p in first])
        copies = [p for p in method.ask(state, 8) if p.origin == "exploit"]
        parents |= {p.parent for p in copies}
        moved += sum(p.candidate != first[p.parent].candidate for p in copies)
    assert parents == {0, 1}
    assert moved >= 39  # a copy stays the same only if every single dimension happens to


# --- budgets


@pytest.mark.parametrize(
    ("trainings", "env_steps", "population", "intervals"),
    [
        (4, 100_000, None, 10),
        (8, 99_991, None, 7),
        (5, 1001, 3, 10),
        (7, 13, 4, 3),
        (32, 2**31 - 1, None, 10),
        (2, 1, 2, 1),
    ],
)
def test_no_step_of_the_budget_is_lost(trainings, env_steps, population, intervals):
    method = PopulationBasedTraining(
        SPACE, Budget(trainings, env_steps), 0, population_size=population, intervals=intervals
    )
    trials, _ = run(method, lambda p: float(p.number % 5))
    assert sum(p.env_steps for p in trials) == trainings * env_steps
    assert all(p.env_steps > 0 for p in trials)
    assert [p.number for p in trials] == list(range(method.population_size * intervals))
    ends = [schedule(trials, p.number)[-1][0] for p in final_generation(trials)]
    assert max(ends) - min(ends) <= 1  # copies are in step with their parents
    if population is None:
        assert set(ends) == {env_steps}


def test_members_train_equally_within_a_generation():
    method = PopulationBasedTraining(SPACE, Budget(5, 1001), 0, population_size=3, intervals=10)
    for generation in range(9):
        assert len({method.env_steps(generation, member) for member in range(3)}) == 1


# --- failures


def test_a_failed_trial_is_never_continued():
    rng = random.Random(0)
    method = PopulationBasedTraining(SPACE, Budget(6, 6000), 1, intervals=30)
    failed = {n for n in range(180) if rng.random() < 0.3}
    trials, _ = run(method, lambda p: None if p.number in failed else rng.random())
    assert not {p.parent for p in trials} & failed
    for p in trials[6:]:
        previous_failed = p.number - 6 in failed
        assert not (previous_failed and p.origin == "keep")


def test_if_all_fail_everybody_starts_from_scratch():
    method = PopulationBasedTraining(SPACE, Budget(4, 1000), 1, intervals=3)
    trials, _ = run(method, lambda p: None if p.generation == 0 else 1.0)
    assert [(p.parent, p.origin) for p in trials[4:8]] == [(None, "sample")] * 4
    assert [p.candidate for p in trials[4:8]] != [p.candidate for p in trials[:4]]
    assert all(p.parent is not None for p in trials[8:])
    assert sum(p.env_steps for p in trials) == 4000
    assert schedule(trials, trials[8].number)[-1][0] == 1000 - method.env_steps(0, 0)


def test_scores_of_trials_that_did_not_complete_are_ignored():
    method = PopulationBasedTraining(SPACE, Budget(4, 1000), 1, intervals=2)
    first = method.ask(method.init(), 4)
    told = [Result(p, Status.COMPLETED, 1.0 + p.number) for p in first[:3]] + [Result(first[3], Status.PRUNED, 99.0)]
    second = method.ask(method.tell(method.init(), told), 4)
    assert (second[3].origin, second[3].parent) == ("exploit", 2)


# --- a pure fold


def score_of(p):
    return None if p.number % 7 == 3 else (p.number * 7919 % 101) / 100


def test_the_same_seed_gives_the_same_search_in_any_order_of_telling():
    method = PopulationBasedTraining(SPACE, Budget(6, 1200), 5, intervals=4)
    trials, state = run(method, score_of)
    again, other = run(PopulationBasedTraining(SPACE, Budget(6, 1200), 5, intervals=4), score_of)
    shuffled, third = run(method, score_of, order=random.Random(1), one_by_one=True)
    assert trials == again == shuffled
    assert state == other == third
    assert run(PopulationBasedTraining(SPACE, Budget(6, 1200), 6, intervals=4), score_of)[0] != trials


def test_replaying_what_was_told_rebuilds_the_state():
    method = PopulationBasedTraining(SPACE, Budget(4, 1200), 5, intervals=4)
    state, told = method.init(), []
    while not method.finished(state):
        proposal = method.ask(state, 1)[0]
        told.append(result(proposal, score_of(proposal)))
        state = method.tell(state, [told[-1]])
        rebuilt = method.tell(method.init(), told)
        assert rebuilt == state
        assert method.available(rebuilt) == method.available(state)
    assert method.available(state) == 0


def test_asking_waits_for_the_generation_and_respects_pending():
    method = PopulationBasedTraining(SPACE, Budget(4, 1200), 5, intervals=2)
    state = method.init()
    first = method.ask(state, 3)
    assert method.available(state, first) == 1
    rest = method.ask(state, 1, first)
    assert [p.number for p in rest] == [3]
    assert method.available(state, [*first, *rest]) == 0
    assert not method.finished(state, [*first, *rest])
    with pytest.raises(ValueError, match="between 0 and 1"):
        method.ask(state, 2, first)
    state = method.tell(state, [result(p, 1.0) for p in first])
    assert method.ask(state, 1) == rest  # a pending trial that was lost is asked for again
    state = method.tell(state, [result(rest[0], 1.0)])
    last = method.ask(state, 4)
    assert not method.finished(state, last[:3])
    assert method.finished(state, last)
    assert state == PopulationState(1, tuple(last))


def test_telling_twice_is_an_error():
    method = PopulationBasedTraining(SPACE, Budget(4, 1200), 5, intervals=2)
    first = method.ask(method.init(), 4)
    state = method.tell(method.init(), [result(first[0], 1.0)])
    with pytest.raises(ValueError, match="trial 0 was told before"):
        method.tell(state, [result(first[0], 1.0)])
    with pytest.raises(ValueError, match="trial 9 was told before or never asked"):
        method.tell(state, [result(replace(first[0], number=9), 1.0)])


# --- what it is for


def test_it_follows_a_moving_optimum():
    # the best x moves from 0.1 to 0.9 in the course of training; skill grows by how near x is to it
    space = HyperparameterSpace("moving", {"x": Float(0.02, 1.0)})
    intervals = 20

    def gain(generation, x):
        return 1.0 - abs(x - (0.1 + 0.8 * generation / (intervals - 1)))

    finals = []
    for seed in range(5):
        skill = {}

        def score(p, skill=skill):
            skill[p.number] = skill.get(p.parent, 0.0) + gain(p.generation, p.candidate["x"])
            return skill[p.number]

        method = PopulationBasedTraining(space, Budget(16, 1000), seed, intervals=intervals)
        trials, _ = run(method, score)
        best = max(final_generation(trials), key=lambda p: skill[p.number])
        stages = schedule(trials, best.number)
        assert stages[0][1]["x"] < stages[-1][1]["x"]
        finals.append(skill[best.number])
    fixed = max(
        sum(gain(g, x / 100) for g in range(intervals)) for x in range(2, 101)
    )  # the best that no change can do
    assert min(finals) > fixed
    assert fixed == pytest.approx(15.8, abs=0.05)


# --- settings and spaces


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"population_size": 1}, "'population_size': expected a whole number of at least 2, got 1"),
        ({"population_size": 2.5}, "'population_size'"),
        ({"intervals": 0}, "'intervals': expected a whole number of at least 1, got 0"),
        ({"intervals": True}, "'intervals'"),
        ({"truncation": 0.6}, "'truncation': expected a number above 0 and at most 0.5, got 0.6"),
        ({"truncation": 0}, "'truncation'"),
        ({"truncation": float("nan")}, "'truncation'"),
        ({"factors": [0.8]}, "'factors': expected two numbers above 0"),
        ({"factors": (0.8, -1.2)}, "'factors': expected a number above 0, got -1.2"),
        ({"factors": "0.8"}, "'factors'"),
        ({"resample_probability": 1.5}, "'resample_probability': expected a number from 0 to 1, got 1.5"),
        ({"intervals": 1001}, "4000 environment steps cannot be shared by 4 members with 1001 intervals"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(UsageError, match=message):
        PopulationBasedTraining(SPACE, Budget(4, 1000), 0, **settings)


def test_one_training_is_no_population():
    with pytest.raises(UsageError, match=r"nobody to copy.*at least 2"):
        PopulationBasedTraining(SPACE, Budget(1, 1000), 0)


def test_lists_from_yaml_are_factors_too():
    method = PopulationBasedTraining(SPACE, Budget(4, 1000), 0, factors=[0.5, 2])
    assert method.factors == (0.5, 2.0)


def test_changing_dimensions():
    assert changing_dimensions(SPACE) == {"lr", "epochs", "norm", "kind", "extra"}
    product = ProductSpace({"hyperparameters": SPACE, "weights": ArraySpace({"w": (2,)})})
    assert changing_dimensions(product) == {f"hyperparameters.{name}" for name in changing_dimensions(SPACE)}


def test_a_fixed_dimension_that_comes_and_goes_is_a_changing_one():
    space = HyperparameterSpace(
        "conditional",
        {"use": Bool(), "size": Fixed(64), "always": Fixed(True), "other": Fixed(3)},
        {"size": Condition("use", (True,)), "other": Condition("always", (True,))},
    )
    assert changing_dimensions(space) == {"use", "size"}
