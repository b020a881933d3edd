"""What every search method owes the engine. A method added to the registry is covered at once."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from method_driver import (
    BUDGET,
    CONTINUOUS,
    SETTINGS,
    SPACES,
    make,
    plain,
    proposals,
    reference,
    result,
    score,
    steps,
)

from autorl.errors import IncompatibleError, UnknownNameError, UsageError
from autorl.keys import derive, generator
from autorl.outer.methods import METHODS, fitting, make_method, method_settings, resolve_auto
from autorl.outer.protocol import Budget, Proposal, Result, SearchMethod, Status
from autorl.spaces import FEATURES, Fixed, Float, HyperparameterSpace

PAIRS = [
    (name, space) for name in METHODS for space in SPACES if SPACES[space].features() <= METHODS.load(name).searches
]
IMPOSSIBLE = [(name, space) for name in METHODS for space in SPACES if (name, space) not in PAIRS]
SLOW = ("gp", "product")  # six seconds a test; gp is tried in three other spaces
every_pair = pytest.mark.parametrize(
    ("name", "space"), [pytest.param(*pair, marks=pytest.mark.slow) if pair == SLOW else pair for pair in PAIRS]
)
every_method = pytest.mark.parametrize("name", list(METHODS))


def first_space(name: str) -> str:
    return next(space for method, space in PAIRS if method == name)


@every_method
def test_a_method_says_what_it_is(name: str) -> None:
    method = METHODS.load(name)
    assert issubclass(method, SearchMethod)
    assert method.name == name
    assert method.searches <= FEATURES
    assert any(character.isdigit() for character in method.reference), "a reference names author and year"
    documented = method.__init__.__doc__ or ""
    assert [s for s in method_settings(name) if f"{s}: " not in documented] == []


@every_pair
def test_the_budget_is_spent_exactly_on_valid_candidates(name: str, space: str) -> None:
    method, made = reference(name, space)
    asked = proposals(made)
    assert [p.number for p in asked] == list(range(method.trials))
    assert sum(p.env_steps for p in asked) == method.budget.trainings * method.budget.env_steps
    for proposal in asked:
        assert SPACES[space].validate(proposal.candidate) == []
        assert proposal.env_steps >= 1
        assert proposal.origin
        assert proposal.parent is None or (method.continues and proposal.parent < proposal.number)


@every_pair
def test_asking_changes_nothing_and_telling_makes_a_new_state(name: str, space: str) -> None:
    method, made = reference(name, space)
    for state, batch in made:  # all later results have been told by now: the old states must be what they were
        again = method.ask(state, len(batch))
        assert plain(SPACES[space], again) == plain(SPACES[space], [r.proposal for r in batch])


@every_pair
def test_one_at_a_time_or_many_is_the_same(name: str, space: str) -> None:
    method, made = reference(name, space)
    for (state, batch), (_, following) in pairwise(made):
        for one in batch:
            state = method.tell(state, [one])
        asked = method.ask(state, method.available(state))
        assert plain(SPACES[space], asked) == plain(SPACES[space], [r.proposal for r in following])


@every_pair
def test_a_replayed_record_gives_the_same_next_trials(name: str, space: str) -> None:
    """As after a kill: a new instance, and candidates that have been through JSON."""
    one = SPACES[space]
    _, made = reference(name, space)
    resumed = make(name, one)
    state = resumed.init()
    for _, batch in made:
        asked = resumed.ask(state, resumed.available(state))
        assert plain(one, asked) == plain(one, [r.proposal for r in batch])
        for told in batch:
            stored = one.from_json(json.loads(json.dumps(one.to_json(told.proposal.candidate))))
            state = resumed.tell(state, [replace(told, proposal=replace(told.proposal, candidate=stored))])
    assert resumed.finished(state)


@every_method
@pytest.mark.parametrize("kill", ["all", "half", "all at first"])
def test_failures_are_survived(name: str, kill: str) -> None:
    space = SPACES[first_space(name)]

    def failing(proposal: Proposal) -> float | None:
        fails = {"all": True, "half": proposal.number % 2 == 1, "all at first": proposal.number < 6}[kill]
        return None if fails else score(proposal)

    method = make(name, space)
    made = steps(method, failing)
    asked = proposals(made)
    failed = {r.proposal.number for _, batch in made for r in batch if r.score is None}
    assert [p.number for p in asked] == list(range(method.trials))
    assert sum(p.env_steps for p in asked) == method.budget.trainings * method.budget.env_steps
    assert all(space.validate(p.candidate) == [] for p in asked)
    assert [p.number for p in asked if p.parent in failed] == [], "nothing continues from a failed trial"


@every_pair
def test_trials_may_end_in_any_order(name: str, space: str) -> None:
    """As with workers: ask whenever something may be asked for, tell one random pending trial, and so on."""
    method, rng = make(name, SPACES[space]), generator(derive(7, name, space))
    state, pending, asked = method.init(), [], []
    while not (method.finished(state, pending) and not pending):
        count = method.available(state, pending)
        assert method.finished(state, pending) is False or count == 0
        new = method.ask(state, min(count, int(rng.integers(1, 4))), pending)
        asked += new
        pending += new
        done = pending.pop(int(rng.integers(len(pending))))
        state = method.tell(state, [result(done, score(done))])
    assert [p.number for p in asked] == list(range(method.trials))
    assert sum(p.env_steps for p in asked) == method.budget.trainings * method.budget.env_steps


@every_method
def test_pending_trials_count(name: str) -> None:
    method = make(name, SPACES[first_space(name)])
    state = method.init()
    count = method.available(state)
    batch = method.ask(state, count)
    assert method.available(state, batch) == 0
    assert method.available(state, batch[:1]) == count - 1
    later = method.ask(state, count - 1, batch[:1])
    assert [p.number for p in later] == [p.number for p in batch[1:]]
    with pytest.raises(ValueError, match="count must be between 0 and"):
        method.ask(state, method.trials + 1)
    with pytest.raises(ValueError, match="count must be between 0 and"):
        method.ask(state, -1)


@every_pair
def test_seeds_matter(name: str, space: str) -> None:
    one, two = (make(name, SPACES[space], seed=seed) for seed in (1, 2))
    first, second = (m.ask(m.init(), m.available(m.init())) for m in (one, two))
    assert plain(SPACES[space], first) != plain(SPACES[space], second)


@every_method
def test_unknown_settings_are_refused(name: str) -> None:
    known = next(iter(method_settings(name)))
    with pytest.raises(
        UsageError, match=f"unknown setting '{known}x' of search method '{name}'. Did you mean '{known}'"
    ):
        make_method(name, SPACES[first_space(name)], BUDGET, 0, {f"{known}x": 1})


@pytest.mark.parametrize(
    ("name", "setting"), [(name, setting) for name in METHODS for setting in method_settings(name)]
)
@pytest.mark.parametrize("value", ["many", [None], float("nan"), -1])
def test_senseless_settings_are_refused(name: str, setting: str, value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        make_method(name, SPACES[first_space(name)], BUDGET, 0, SETTINGS.get(name, {}) | {setting: value})
    assert setting in str(caught.value) or repr(value) in str(caught.value)


@pytest.mark.parametrize(("name", "space"), IMPOSSIBLE)
def test_impossible_spaces_are_refused_with_the_methods_that_fit(name: str, space: str) -> None:
    with pytest.raises(IncompatibleError) as caught:
        make(name, SPACES[space])
    text = str(caught.value)
    missing = SPACES[space].features() - METHODS.load(name).searches
    assert all(feature in text for feature in missing)
    able = [method for method, other in PAIRS if other == space]
    assert able, "the tests' spaces can each be searched by something"
    assert text.endswith(f"Methods that can: {', '.join(able)}.")
    assert fitting(SPACES[space]) == able


def test_a_space_with_nothing_to_search_is_refused() -> None:
    with pytest.raises(UsageError, match="every dimension is fixed"):
        make("random", HyperparameterSpace("f", {"x": Fixed(1)}))


def test_unknown_methods_have_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown search method 'soboll'\. Did you mean 'sobol'"):
        make("soboll", CONTINUOUS)
    with pytest.raises(UnknownNameError, match="Known: auto, de, es, evolution, gp"):
        make("zzz", CONTINUOUS)


@pytest.mark.parametrize(
    ("space", "trainings", "expected"),
    [
        ("continuous", 250, "gp"),
        ("continuous", 251, "es"),
        ("ordered", 32, "tpe"),
        ("conditional", 32, "tpe"),
        ("arrays", 32, "es"),
        ("everything", 32, "random"),
    ],
)
def test_auto_is_the_documented_rule(space: str, trainings: int, expected: str) -> None:
    budget = Budget(trainings, 10)
    assert resolve_auto(SPACES[space], budget) == expected
    assert make_method("auto", SPACES[space], budget, 0).name == expected


def test_auto_needs_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert resolve_auto(CONTINUOUS, Budget(10, 10)) == "tpe"


def test_auto_can_search_every_test_space() -> None:
    for space in SPACES.values():
        assert make_method("auto", space, BUDGET, 0).name in fitting(space)
    assert make_method("auto", HyperparameterSpace("s", {"x": Float(0, 1)}), BUDGET, 0).name == "gp"


@pytest.mark.parametrize("space", ["ordered", "arrays", "product"])
@pytest.mark.parametrize("name", ["es", "evolution"])
def test_a_result_counts_for_the_candidate_that_was_trained(name: str, space: str) -> None:
    """Where a policy compares trials elsewhere, results are told again with other scores than later trials were asked for with."""
    searched = SPACES[space]
    settings = {"population_size": 4} | ({"batch": 4} if name == "evolution" else {})
    method = make_method(name, searched, Budget(16, 1), 0, settings)

    def told(state: Any, asked: list[Proposal], *scores: float) -> Any:
        return method.tell(state, [Result(p, Status.COMPLETED, s) for p, s in zip(asked, scores, strict=True)])

    first = method.ask(method.init(), 4)
    second = method.ask(told(method.init(), first, 0.0, 1.0, 2.0, 3.0), 4)
    again = told(method.init(), first, 3.0, 2.0, 1.0, 0.0)
    assert plain(searched, method.ask(again, 4)) != plain(searched, second), "drawn from other scores"
    state = told(again, second, 9.0, 8.0, 7.0, 6.0)
    if name == "es":
        best = replace(second[0], candidate=method.coordinates.decode(state.best))
        assert plain(searched, [best]) == plain(searched, second[:1])
    else:
        members = {m.trial: m.candidate for m in state.population}
        trained = [replace(p, candidate=members[p.number]) for p in second]
        assert plain(searched, trained) == plain(searched, second)
